"""A subscriber that speaks plain ZeroMQ, with keys or without, and says whether it heard everything."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

import zmq

from inspector.keys import ClientKeys
from inspector.messages import BeatMessage, Message, VerdictMessage
from inspector.wire import decode, topic


class Ear:
    """Subscribes to everything at `endpoint`; used by one thread, within `with`."""

    def __init__(self, endpoint: str, keys: ClientKeys | None = None) -> None:
        self.verdicts: dict[str, list[int]] = {}
        """By topic, the sequences of what came, in the order in which they came."""
        self.goodbye: BeatMessage | None = None
        self.catchup: str | None = None
        """Where the daemon answers for what was missed, once a beat has told."""
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.linger = 0
        self._socket.rcvhwm = 0
        if keys is not None:
            keys.arm(self._socket)
        self._socket.subscribe(b"")
        self._socket.connect(endpoint)

    def __enter__(self) -> Ear:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()
        self._context.term()

    @property
    def heard(self) -> int:
        return sum(map(len, self.verdicts.values()))

    def listen(self, until: Callable[[], bool], seconds: float = 60.0) -> None:
        """Take in what comes until `until` says so, or until the daemon's goodbye."""
        end = time.monotonic() + seconds
        while not until() and self.goodbye is None:
            assert time.monotonic() < end, f"heard {self.heard} verdicts, and then nothing that was waited for"
            if self._socket.poll(100):
                self._take(decode(self._socket.recv_multipart()))

    def is_deaf(self, seconds: float = 0.0) -> bool:
        """Whether nothing comes for `seconds`."""
        return not self._socket.poll(round(seconds * 1000))

    def check_complete(self) -> None:
        """Every verdict from the first that was heard to the last that the goodbye tells of, once and in order."""
        assert self.goodbye is not None
        assert self.verdicts
        for name, sequences in self.verdicts.items():
            assert sequences == list(range(sequences[0], self.goodbye.sequences[name] + 1))

    def _take(self, message: Message) -> None:
        if isinstance(message, VerdictMessage):
            self.verdicts.setdefault(topic("verdict", message.line, message.camera), []).append(message.sequence)
        elif isinstance(message, BeatMessage):
            self.catchup = message.catchup
            self.goodbye = message if message.final else None
