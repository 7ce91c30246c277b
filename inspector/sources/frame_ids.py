"""A camera counts its frames; holes in that count are parts that passed unseen."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.types import Cause, Shot

MOST = 100
"""Of one hole, so many frames at the most get a verdict each; the last of these speaks for the rest."""
SHORT = 65_535
"""GigE Vision's classic ids go from 1 to this and then start again at 1; there is no 0."""


class FrameIds:
    """Told each frame's id, in order, it says which are missing. A camera that starts to count anew misses none."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._told = 0

    def spoilt(self) -> None:
        """A frame without an id had its word already: it is not missing."""
        self._told += 1

    def missing(self, number: int, captured_ns: int | None) -> Iterator[Shot]:
        """One shot without a picture for each frame between the one before and this one, stamped as this one."""
        lost, self._last, self._told = self._lost(number), number, 0
        for index in range(min(lost, MOST)):
            rest = f", and {lost - MOST} more with it" if index == MOST - 1 and lost > MOST else ""
            fault = f"a frame was lost on the way from the camera{rest}"
            yield Shot(None, fault=fault, captured_ns=captured_ns, cause=Cause.MISSING)

    def _lost(self, number: int) -> int:
        if self._last is None:
            return 0
        step = number - self._last
        if step < 0 and number <= SHORT // 2 < self._last <= SHORT:
            step %= SHORT
        return max(step - 1 - self._told, 0)
