"""How many frames of a camera are let through (pure): a flood of them may not take what the other cameras need."""

from __future__ import annotations

LONGEST_NAP = 0.010
"""Seconds; then 100 frames/s can still be read of a source that keeps what is not read, as a stream does."""


class Throttle:
    """Lets through `rate` frames a second, and up to `burst` at once after a pause (a token bucket).

    nap: seconds in which a camera may be left alone after a frame that was held back: a quarter of the time between two
        that are let through, so that four times the rate can still be read
    """

    def __init__(self, rate: float, burst: int) -> None:
        self.nap = min(0.25 / rate, LONGEST_NAP)
        self._rate, self._burst = rate, burst
        self._left = float(burst)
        self._last = float("-inf")

    def passes(self, now: float) -> bool:
        """Whether a frame that comes at `now` (monotonic seconds) is let through."""
        self._left = min(self._left + self._rate * (now - self._last), self._burst)
        self._last = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
