"""A journal in a temporary folder, with its stage running, for tests to play on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from inspector.clock import Clock, SystemClock
from inspector.journal.journal import Journal
from inspector.journal.opening import Opened, Terms, opened
from inspector.journal.reading import Reader
from inspector.journal.store import Account, Entry, Store
from inspector.ledger import Ledger
from inspector.stage import Stage
from inspector.types import Frame
from tests.waiting import PATIENCE

CAMERAS = ("cam1", "cam2")
VERDICTS = "verdict/line1/cam1/"
SHIFT = "2026-01-31 06:00"
OK = Account(SHIFT, "cam1", "ok")


def entry(
    sequence: int,
    topic: str = VERDICTS,
    payloads: Sequence[bytes] = (),
    at_ns: int | None = None,
    size: int = 0,
    end: Account | None = OK,
) -> Entry:
    """A message whose header tells of its frame as a verdict's does."""
    told = {
        "frame": sequence,
        "camera": "cam1",
        "captured_ns": 1,
        "verdict": "ok",
        "reason": None,
        "filler": "x" * size,
    }
    parts = (topic.encode(), json.dumps(told).encode(), *payloads)
    end = end if topic.startswith("verdict/") else None
    return Entry(topic, sequence, parts, time.time_ns() if at_ns is None else at_ns, end)


def entries(first: int, last: int, **how: object) -> list[Entry]:
    return [entry(sequence, **how) for sequence in range(first, last + 1)]  # type: ignore[arg-type]


class Parts:
    """A journal put together by hand, so that its parts can be got at."""

    def __init__(self, path: Path, memory_bytes: int = 1 << 20, clock: Clock | None = None) -> None:
        self.shift = SHIFT
        self.ledger = Ledger(CAMERAS, lambda _: self.shift)
        self.store = Store(path, "normal")
        self.session = self.store.begin(1000, "line1", "test")
        self.reader = Reader(path)
        self.journal = Journal(
            self.store,
            self.reader,
            self.ledger.newly_captured,
            lambda _: self.shift,
            3600.0,
            1 << 30,
            memory_bytes,
            clock or SystemClock(),
        )
        self.stage = Stage("journal", lambda stage: self.journal.run(stage.beat), SystemClock(), lambda: None)

    def __enter__(self) -> Parts:
        self.stage.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.journal.stop()
        assert self.stage.join(PATIENCE)
        self.reader.close()
        self.store.close()
        assert self.stage.error is None

    def sequences(self, first: int = 1, last: int = 1 << 40, topic: str = VERDICTS) -> list[int]:
        """Those that can be read, over as many chunks as it takes."""
        found: list[int] = []
        while True:
            chunk = self.journal.read(self.session, topic, first, last, 10_000)
            found += [kept.sequence for kept in chunk.messages]
            if chunk.last < first:
                return found
            first = chunk.last + 1


@contextmanager
def running(path: Path) -> Iterator[Opened]:
    """A daemon's journal from its start to its end in good order."""
    terms = Terms(path, "normal", 3600.0, 1 << 30, 1 << 20)
    with opened(terms, "line1", CAMERAS, dict, lambda _: SHIFT, SystemClock()) as begun:
        stage = Stage("journal", lambda stage: begun.journal.run(stage.beat), SystemClock(), lambda: None)
        stage.start()
        yield begun
        begun.journal.stop()
        assert stage.join(PATIENCE)
        assert stage.error is None


def capture(ledger: Ledger, number: int, captured_ns: int = 0) -> Frame:
    """Have `ledger` take a frame of cam1 in."""
    frame = Frame("cam1", number, captured_ns, 0.0, float("inf"), None)
    ledger.open(frame)
    return frame
