"""Time, handed in rather than read from the module `time`, so that tests can own it."""

from __future__ import annotations

import time
from typing import Protocol


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
