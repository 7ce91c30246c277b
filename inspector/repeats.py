"""A log handler that does not repeat itself: whatever happens, one call in the program says one line a second at most.

`logs.Tally` counts what is known to come in floods, in its own words. This is for all the rest: a mistake that nobody
thought of may come with every frame, every packet or every scrape, and must neither fill the disk nor hide other lines.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TextIO

from inspector.clock import Clock

BURST = 20
"""Lines that one call may say at once, as it does at a start or when something breaks; it has them again in as many
seconds."""
PERIOD = 1.0
"""Seconds between two lines of a call that has used them up."""


@dataclass(slots=True)
class _Kind:
    """What one call, of one camera, has said lately. held: the last record that was left out, of `count`."""

    left: float
    at: float
    held: logging.LogRecord | None = None
    count: int = 0

    def may(self, now: float) -> bool:
        """Whether it may say a line; then that is one less."""
        self.left, self.at = min(self.left + (now - self.at) / PERIOD, BURST), now
        if self.left < 1:
            return False
        self.left -= 1
        return True


def _after_a_period(call: Callable[[], None]) -> None:
    timer = threading.Timer(PERIOD, call)
    timer.daemon = True
    timer.name = "log"
    timer.start()


class Limited(logging.StreamHandler[TextIO]):
    """Writes records to stderr. What is left out is counted: the next line of the same call has it as `repeated`.

    later: calls something a period later, in a thread of its own
    Records that are a count already (`count`) are not limited.
    """

    def __init__(self, clock: Clock, later: Callable[[Callable[[], None]], None] = _after_a_period) -> None:
        super().__init__()
        self._clock = clock
        self._later = later
        self._kinds: dict[Hashable, _Kind] = {}
        self._waits = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or count it; logging holds the handler's lock."""
        if hasattr(record, "count"):
            super().emit(record)
            return
        now = self._clock.monotonic()
        key = record.pathname, record.lineno, record.levelno, getattr(record, "camera", None)
        kind = self._kinds.setdefault(key, _Kind(BURST, now))
        if kind.may(now):
            self._say(kind, record, kind.count)
            return
        kind.held, kind.count = record, kind.count + 1
        if not self._waits:
            self._wait()

    def tick(self) -> None:
        """Say what waits and may be said, and forget who has been silent; from any thread."""
        with self._holding():
            self._waits = False
            now = self._clock.monotonic()
            for kind in self._kinds.values():
                if kind.held is not None and kind.may(now):
                    self._say(kind, kind.held, kind.count - 1)
            if any(kind.held is not None for kind in self._kinds.values()):
                self._wait()
            silent = [key for key, kind in self._kinds.items() if kind.held is None and now - kind.at > BURST * PERIOD]
            for key in silent:
                del self._kinds[key]

    def close(self) -> None:
        """Say what waits, so that no count is lost."""
        with self._holding():
            for kind in self._kinds.values():
                if kind.held is not None:
                    self._say(kind, kind.held, kind.count - 1)
        super().close()

    def _say(self, kind: _Kind, record: logging.LogRecord, left_out: int) -> None:
        kind.held, kind.count = None, 0
        if left_out:
            record.repeated = left_out
        super().emit(record)

    def _wait(self) -> None:
        try:
            self._later(self.tick)
        except RuntimeError:  # no thread to be had, or the program ends: the next line, or `close`, tells the count
            return
        self._waits = True

    def _holding(self) -> threading.RLock:
        return self.lock  # type: ignore[return-value]  # typeshed: None for handlers without one
