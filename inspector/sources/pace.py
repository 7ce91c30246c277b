"""Frames at a steady rate."""

from __future__ import annotations

import threading

from inspector.clock import Clock, SystemClock

BACKLOG = 1.0
"""Seconds of frames that are made up for at full speed after a delay; a real camera would have lost them."""


class Pace:
    """Lets frame after frame through, `rate` a second (infinity: at once), by absolute times, so without drift."""

    def __init__(self, rate: float, closed: threading.Event, clock: Clock | None = None) -> None:
        self._period = 1 / rate
        self._closed = closed
        self._clock = clock or SystemClock()
        self._due = self._clock.monotonic() - self._period

    def wait(self) -> bool:
        """Wait until the next frame is due; False, and at once, if `closed` is set."""
        now = self._clock.monotonic()
        self._due = max(self._due + self._period, now - BACKLOG)
        return not self._closed.wait(max(0.0, self._due - now))
