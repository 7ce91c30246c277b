"""A line on real sockets that loses what it is told to lose, and answers for it; in plain or behind keys."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import zmq

from inspector.wire import Encoder
from tests.archives import MemoryArchive, serving
from tests.inspections import ok
from tests.waiting import free_port

HANG = 60.0
TOPICS = ["verdict/line1/cam1/", "verdict/line1/cam2/"]


class CurveKeys:
    """A server's keys, or a client's."""

    def __init__(self, server: bytes = b"") -> None:
        self.public, self.secret = zmq.curve_keypair()
        self._server = server

    def arm(self, socket: zmq.Socket[bytes]) -> None:
        if self._server:
            socket.curve_serverkey, socket.curve_publickey = self._server, self.public
        else:
            socket.curve_server = 1
        socket.curve_secretkey = self.secret


class Daemon:
    """Publishes and keeps; what it is told to lose it only keeps. The catch-up server comes and goes with it."""

    def __init__(self, stack: ExitStack, keys: CurveKeys | None = None) -> None:
        self.archive = MemoryArchive()
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        self._keys = keys
        self._stack = stack
        self._running = ExitStack()
        self.session = 0

    def start(self, *, catchup: bool = True, topics: list[str] = TOPICS) -> None:
        self._running = self._stack.enter_context(ExitStack())
        self.session += 1
        self.archive.begin(self.session, topics)
        context = self._running.enter_context(zmq.Context())
        self.socket = self._running.enter_context(context.socket(zmq.XPUB))
        self.socket.linger = 0
        self.socket.sndhwm = 0
        self.socket.rcvtimeo = round(HANG * 1000)
        self.socket.setsockopt(zmq.XPUB_VERBOSER, 1)
        if self._keys is not None:
            self._keys.arm(self.socket)
        self.socket.bind(self.endpoint)
        where = None
        if catchup:
            where = self._running.enter_context(serving(self.archive, keys=self._keys)).endpoint
        self.encoder = Encoder("line1", self.session, "0" * 64, catchup=where)

    def stop(self) -> None:
        self._running.close()

    def verdicts(self, number: int = 1, camera: str = "cam1", lose: bool | Callable[[], bool] = False) -> None:
        topic = f"verdict/line1/{camera}/"
        for _ in range(number):
            sequence = self.archive.last()[topic] + 1
            parts = self.encoder.verdict(ok(camera, sequence), sequence, 0.0)
            self.archive.keep(topic, parts)
            if not (lose() if callable(lose) else lose):
                self.socket.send_multipart(parts)

    def beat(self, final: bool = False) -> None:
        self.socket.send_multipart(self.encoder.beat(self.archive.last(), 5, final))
