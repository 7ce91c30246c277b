"""An archive in memory, for the tests of catch-up and of whoever asks it; and a server that answers from one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import zmq

from inspector.archive import Chunk, Kept, Session
from inspector.catchup import CatchUp
from inspector.clock import SystemClock
from inspector.stage import Stage
from tests.waiting import PATIENCE


class MemoryArchive:
    """Keeps what it is told to, forgets what it is told to; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[int, dict[str, int]] = {}
        self._kept: dict[tuple[int, str], dict[int, tuple[bytes, ...]]] = {}
        self._running: int | None = None

    def begin(self, session: int, topics: Sequence[str] = ()) -> None:
        """A daemon starts: what ran before is over."""
        with self._lock:
            self._running = session
            self._last[session] = dict.fromkeys(topics, 0)

    def end(self) -> None:
        """The daemon said goodbye."""
        self._running = None

    def keep(self, topic: str, parts: Sequence[bytes]) -> int:
        """The next message of a topic; its sequence."""
        with self._lock:
            assert self._running is not None
            sequence = self._last[self._running].get(topic, 0) + 1
            self._last[self._running][topic] = sequence
            self._kept.setdefault((self._running, topic), {})[sequence] = tuple(parts)
            return sequence

    def last(self) -> dict[str, int]:
        """How far each topic of the running session is."""
        with self._lock:
            assert self._running is not None
            return dict(self._last[self._running])

    def forget(self, session: int, topic: str, first: int, last: int) -> None:
        """Retention, or a disk that was full."""
        with self._lock:
            for sequence in range(first, last + 1):
                self._kept.get((session, topic), {}).pop(sequence, None)

    def drop(self, session: int) -> None:
        """Forget that there was such a session."""
        with self._lock:
            del self._last[session]
            self._kept = {key: messages for key, messages in self._kept.items() if key[0] != session}

    def read(self, session: int, topic: str, first: int, last: int, budget: int) -> Chunk:
        with self._lock:
            if topic not in self._last.get(session, {}):
                return Chunk(session, topic, first, last, (), ((first, last),))
            kept = self._kept.get((session, topic), {})
            messages: list[Kept] = []
            gone: list[tuple[int, int]] = []
            sequence = first
            end = min(last, self._last[session][topic]) if session == self._running else last
            while sequence <= end:
                parts = kept.get(sequence)
                if parts is None:
                    start = gone.pop()[0] if gone and gone[-1][1] == sequence - 1 else sequence
                    gone.append((start, sequence))
                else:
                    budget -= sum(map(len, parts))
                    if budget < 0 and messages:
                        break
                    messages.append(Kept(sequence, parts))
                sequence += 1
            return Chunk(session, topic, first, sequence - 1, tuple(messages), tuple(gone))

    def sessions(self, since: int) -> list[Session]:
        with self._lock:
            return [
                Session(session, dict(last), session != self._running)
                for session, last in sorted(self._last.items())
                if session >= since
            ]


@contextmanager
def serving(archive: MemoryArchive, url: str = "tcp://127.0.0.1:*", **options: object) -> Iterator[CatchUp]:
    """A catch-up server in a stage of its own, as the daemon runs it."""
    server = CatchUp(url, archive, SystemClock(), **options)  # type: ignore[arg-type]
    ended = threading.Event()
    stage = Stage("catch-up", lambda stage: server.run(stage.beat), SystemClock(), ended.set)
    stage.start()
    try:
        yield server
    finally:
        server.stop()
        assert stage.join(PATIENCE)
        server.close()
    assert stage.error is None


@contextmanager
def asking_at(endpoint: str, kind: int = zmq.DEALER, rcvhwm: int = 1000) -> Iterator[zmq.Socket[bytes]]:
    """A socket that asks at `endpoint`. rcvhwm: so many answers may wait in it to be read"""
    with zmq.Context() as context, context.socket(kind) as socket:
        socket.linger = 0
        socket.rcvhwm = rcvhwm
        socket.rcvtimeo = 60_000
        socket.connect(endpoint)
        yield socket
