"""An endpoint that answers requests: a ZeroMQ ROUTER socket, for REQ and DEALER sockets to connect to.

It never waits for a peer: whoever does not read loses answers, alone, and asks again.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import zmq

from inspector import address
from inspector.binding import bind
from inspector.errors import ConfigError
from inspector.stage import Service

WAITING_REQUESTS = 64
"""So many of one peer's may wait to be read; then its connection is not read any more until they are answered."""
LONGEST_WAIT = 0.25
"""Seconds after which an idle server looks up, beats and waits again."""
MOST_AT_ONCE = 64
"""Requests that are answered between two beats."""


class Keys(Protocol):
    """What makes a socket safe before it is bound or connected."""

    def arm(self, socket: zmq.Socket[Any]) -> None:
        """Set the options of CURVE."""
        ...


class Answering(Service):
    """Binds `url`; port 0 or * takes any free one, and `endpoint` says which. `run` belongs to one thread.

    what: what people call it;  request_bytes: whoever sends more in one part is cut off (no option of libzmq limits how
    many parts come, nor what they take until the last is there: docs/security.md)
    waiting_answers: so many may wait for a peer that does not read; it loses the others
    keys: arm the socket; without them other machines may reach it only where `allow_plaintext` says so
    context: a ZeroMQ context to share, otherwise it makes its own
    Raises ConfigError for an address that is wrong or refused, and OutputError for one that cannot be had now.
    """

    def __init__(
        self,
        url: str,
        what: str,
        request_bytes: int,
        waiting_answers: int,
        allow_plaintext: bool = False,
        keys: Keys | None = None,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        is_safe = allow_plaintext or keys is not None
        problem = address.objection(url) or (None if is_safe else address.exposure(url))
        if problem is not None:
            raise ConfigError(f"{what} {url!r}: {problem}")
        self._stopped = threading.Event()
        self._owns_context = context is None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context() if context is None else context
        self._socket = self._context.socket(zmq.ROUTER)
        try:
            self._socket.linger = 0
            self._socket.setsockopt(zmq.SNDHWM, waiting_answers)
            self._socket.setsockopt(zmq.RCVHWM, WAITING_REQUESTS)
            self._socket.setsockopt(zmq.MAXMSGSIZE, request_bytes)
            self._socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
            self._socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 30)
            self._socket.setsockopt(zmq.IPV6, "[" in url)
            if keys is not None:
                keys.arm(self._socket)
            self.endpoint = bind(self._socket, url, what)
        except BaseException:
            self.close()
            raise

    @abstractmethod
    def answer(self, peer: bytes, parts: Sequence[bytes]) -> Sequence[bytes] | None:
        """The parts to send to `peer`, which sent `parts`; None for no answer. They may be hostile."""

    def run(self, beat: Callable[[], None]) -> None:
        """Answer until `stop`; `beat` is called as it makes progress, and at least every `LONGEST_WAIT`."""
        while not self._stopped.is_set():
            beat()
            if self._socket.poll(round(LONGEST_WAIT * 1000)):
                self.serve(MOST_AT_ONCE)

    def stop(self) -> None:
        """Make `run` return; from any thread."""
        self._stopped.set()

    def serve(self, most: int) -> None:
        """Answer the requests that wait, at most so many; returns at once where there are none."""
        for _ in range(most):
            try:
                peer, *parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            envelope = [peer]
            if len(parts) > 1 and not parts[0]:  # a REQ socket puts an empty part first, and wants it back
                envelope.append(parts.pop(0))
            answer = self.answer(peer, parts)
            if answer is not None:
                # ZeroMQ drops it where the peer has left, or too many wait for it.
                self._socket.send_multipart([*envelope, *answer], zmq.NOBLOCK)

    def close(self) -> None:
        """Let go of the address; the thread of `run` must be over."""
        self._socket.close()
        if self._owns_context:
            self._context.destroy(linger=0)
