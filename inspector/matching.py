"""Which frame of a camera belongs to which trigger (pure: times are handed in).

A trigger opens a window of time for its frame. Triggers take their frames in order, the oldest first, so that a frame
never has two and two parts are not swapped while their windows do not overlap. A frame that the camera counted, and
that was lost on its way, was a trigger's as well.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from dataclasses import dataclass, replace
from threading import Lock

from inspector.mailbox import Closed

MOST_WAITING = 1000
"""Triggers of one camera that may wait for their frames."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """A part is there. at: monotonic seconds;  at_ns: wall clock, nanoseconds since 1970 UTC

    fault: why its camera could not be fired, if so
    """

    part: str
    at: float
    at_ns: int
    fault: str | None = None


class Triggers:
    """The triggers of a camera that wait for their frames; every method may be called from any thread.

    delay, window: a trigger's frame is captured from `delay` seconds after it on, for `window` seconds
    patience: seconds that the frame may take from its capture until it is here

    taken, framed, missing: how many triggers there were, had their frame, and had none; the rest waits
    """

    def __init__(self, delay: float, window: float, patience: float) -> None:
        self.taken = self.framed = self.missing = 0
        self._delay, self._window, self._patience = delay, window, patience
        self._lock = Lock()
        self._waiting: deque[Trigger] = deque()
        self._failed: list[Trigger] = []
        self._unexplained = 0
        self._closed = False

    @property
    def is_full(self) -> bool:
        """Whether no more can wait."""
        return len(self._waiting) >= MOST_WAITING

    def add(self, trigger: Trigger) -> None:
        """Wait for the trigger's frame; it ends in one, or as missing. Raises Closed once `close` was called."""
        with self._lock:
            if self._closed:
                raise Closed
            self.taken += 1
            if self._waiting and self._waiting[-1].at > trigger.at:
                insort(self._waiting, trigger, key=lambda one: one.at)
            else:
                self._waiting.append(trigger)

    def opens(self, trigger: Trigger) -> float:
        """When its window does, in monotonic seconds."""
        return trigger.at + self._delay

    def closes(self, trigger: Trigger) -> float:
        """When its window does, in monotonic seconds."""
        return self.opens(trigger) + self._window

    def fail(self, trigger: Trigger, why: str) -> None:
        """It has no frame, since its camera could not be fired; without effect where it has ended already."""
        with self._lock:
            if trigger in self._waiting:
                self._waiting.remove(trigger)
                self._failed.append(replace(trigger, fault=why))
                self.missing += 1  # and explains no frame that the camera counted: it was not told to take one

    def match(self, captured: float) -> tuple[Trigger | None, list[Trigger]]:
        """The trigger of a frame captured at `captured` (monotonic seconds), and those that it shows to have none.

        Frames come in the order of their capture: no frame follows for a window that ended before this one.
        """
        with self._lock:
            gone = self._lose_until(captured)
            self._unexplained = 0
            if not self._opened(1, captured):
                return None, gone
            self.framed += 1
            return self._waiting.popleft(), gone

    def lost(self, captured: float) -> tuple[bool, list[Trigger]]:
        """Of a frame that is missing before the one captured at `captured`: whether it was a trigger's, and as `match`.

        It was that of a trigger which ended without a frame since the last one came; else that of the oldest which
        waits, but the last trigger is left to the frame that is there.
        """
        with self._lock:
            gone = self._lose_until(captured)
            if self._unexplained == 0 and self._opened(2, captured):
                gone.append(self._waiting.popleft())
                self._count_missing(1)
            was_ours = self._unexplained > 0
            self._unexplained -= was_ours
            return was_ours, gone

    def expired(self, now: float) -> list[Trigger]:
        """Those whose frame, captured at the end of its window, would have come by `now`: they have none.

        Those that failed are among them at once.
        """
        with self._lock:
            return self._lose_until(now - self._patience)

    def next_expiry(self) -> float:
        """When `expired` will find one, unless its frame comes before: monotonic seconds, or plus or minus infinity."""
        with self._lock:
            if self._failed:
                return -math.inf
            return self.closes(self._waiting[0]) + self._patience if self._waiting else math.inf

    def close(self) -> list[Trigger]:
        """Take no more; those that still wait have no frame."""
        with self._lock:
            self._closed = True
            return self._lose_until(math.inf)

    def _lose_until(self, moment: float) -> list[Trigger]:
        failed, self._failed = self._failed, []
        gone = []
        while self._waiting and self.closes(self._waiting[0]) < moment:
            gone.append(self._waiting.popleft())
        self._count_missing(len(gone))
        return failed + gone

    def _opened(self, number: int, moment: float) -> bool:
        """Whether so many wait whose window began before that moment."""
        return len(self._waiting) >= number and self.opens(self._waiting[number - 1]) <= moment

    def _count_missing(self, number: int) -> None:
        self.missing += number
        self._unexplained += number
