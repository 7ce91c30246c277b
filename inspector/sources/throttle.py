"""How many frames of a camera are let through (pure): a flood of them may not take what the other cameras need."""

from __future__ import annotations


class Throttle:
    """Lets through `rate` frames a second, and up to `burst` at once after a pause (a token bucket)."""

    def __init__(self, rate: float, burst: int) -> None:
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
