"""Time, handed in rather than read from the module `time`, so that tests can own it."""

from __future__ import annotations

import logging
import time
from typing import Protocol

log = logging.getLogger(__name__)

STEP_SECONDS = 3600.0
"""By how much the wall clock may jump ahead and be believed at once."""
DOUBT_SECONDS = 86_400.0
"""How long it is not believed after a longer jump, so that there is time to set it right."""


class Clock(Protocol):
    """Two clocks: one that never jumps, to measure with, and one that people and other machines read."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        ...

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC; jumps when somebody sets the clock."""
        ...


class SystemClock:
    """The machine's own clocks."""

    monotonic = staticmethod(time.monotonic)
    wall_ns = staticmethod(time.time_ns)


class ManualClock:
    """A clock that stands still until `advance` moves it; for tests."""

    def __init__(self, monotonic: float = 1_000.0, wall_ns: int = 1_700_000_000_000_000_000) -> None:
        self._monotonic = monotonic
        self._wall_ns = wall_ns

    def monotonic(self) -> float:
        """Seconds, as last moved."""
        return self._monotonic

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC, as last moved."""
        return self._wall_ns

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by `seconds`."""
        self._monotonic += seconds
        self._wall_ns += round(seconds * 1e9)

    def step(self, seconds: float) -> None:
        """Move the wall clock alone, as somebody does who sets it."""
        self._wall_ns += round(seconds * 1e9)


class AgeClock:
    """By which to delete what is too old: `clock`'s wall clock, but a jump ahead of it does not count for a day.

    what: whose ages, for the log
    """

    def __init__(self, clock: Clock, what: str) -> None:
        self._clock, self._what = clock, what
        self._believed = self._doubted = self._offset()
        self._since = 0.0

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        offset, now = self._offset(), self._clock.monotonic()
        ahead = (offset - self._believed) / 1e9
        if ahead > STEP_SECONDS:
            if abs(offset - self._doubted) > STEP_SECONDS * 1e9:
                self._doubted, self._since = offset, now
                log.warning(
                    "the wall clock jumped ahead by %.1f h: for %.0f h, or until a restart, %s does not count that as "
                    "age; set the clock right if it is wrong",
                    ahead / 3600,
                    DOUBT_SECONDS / 3600,
                    self._what,
                )
            if now - self._since < DOUBT_SECONDS:
                return self._believed + round(now * 1e9)
        self._believed = self._doubted = offset
        return offset + round(now * 1e9)

    def _offset(self) -> int:
        """Of the wall clock to the one that never jumps, in nanoseconds."""
        return self._clock.wall_ns() - round(self._clock.monotonic() * 1e9)
