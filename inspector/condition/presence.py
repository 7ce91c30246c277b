"""Whether a camera delivers, as a state; pure: told of frames and of the time, it tells of changes."""

from __future__ import annotations

import math
from collections import deque
from enum import StrEnum
from statistics import median

PERIODS = 8
"""Usual periods without a frame after which a camera is stalled: it shall be known within ten."""
INTERVALS = 15
"""Of so many the median is the usual period: a pause, or frames that come in a bunch, say little of it."""
SHORTEST_SILENCE = 0.15
"""Seconds without a frame that no camera is called stalled for, unless it is asked for."""


class State(StrEnum):
    """What a camera does."""

    CONNECTING = "connecting"
    """Nothing came yet."""
    WAITING = "waiting"
    """The source is there and waits for a trigger; nothing came yet."""
    STREAMING = "streaming"
    """Frames come."""
    STALLED = "stalled"
    """No frame comes, though the source does not say why."""
    FROZEN = "frozen"
    """Frames come, and all are the same."""
    LOST = "lost"
    """The source failed; it is opened again, if it is live."""
    ENDED = "ended"
    """The source came to its end, or was stopped."""


DELIVERS = (State.STREAMING, State.FROZEN)


class Presence:
    """A camera's state. Methods return the new state where it changed, else None.

    live: a source that is not cannot stall: it waits for us;  silence: seconds, see `patience`
    """

    def __init__(self, live: bool, silence: float = SHORTEST_SILENCE) -> None:
        self.state = State.CONNECTING
        self._live = live
        self._silence = silence
        self.patience = silence if silence > SHORTEST_SILENCE else math.inf
        """Seconds without a frame after which it is stalled: `PERIODS` usual ones, `silence` at the least. The first
        frame tells no pace: until the second it is `silence`, if a longer one than the usual was asked for."""
        self._last: float | None = None
        self._intervals: deque[float] = deque(maxlen=INTERVALS)

    @property
    def due(self) -> float:
        """When it will be stalled, unless a frame comes; infinite where that cannot be."""
        last = self._last
        return math.inf if last is None or not self._live or self.state not in DELIVERS else last + self.patience

    def frame(self, now: float) -> State | None:
        """A frame came at `now` (monotonic seconds)."""
        if self._last is not None:
            self._intervals.append(now - self._last)
            self.patience = max(self._silence, PERIODS * median(self._intervals))
        self._last = now
        return None if self.state in DELIVERS else self._become(State.STREAMING)

    def repeating(self, frozen: bool) -> State | None:
        """The frame that came shows nothing new, or does again."""
        if self.state not in DELIVERS:
            return None
        return self._become(State.FROZEN if frozen else State.STREAMING)

    def look(self, now: float) -> State | None:
        """It is `now`: did its frames stop?"""
        return self._become(State.STALLED) if now >= self.due else None

    def silent(self, now: float) -> float:
        """Seconds since its last frame."""
        return 0.0 if self._last is None else now - self._last

    def waits(self) -> State | None:
        """The source is there and waits for a trigger."""
        return self._become(State.WAITING) if self.state in (State.CONNECTING, State.LOST) else None

    def lost(self) -> State | None:
        """The source failed."""
        self._last = None  # what the pause is until it is opened again says nothing of its pace
        return self._become(State.LOST)

    def ended(self) -> State | None:
        """The source came to its end."""
        self._last = None
        return self._become(State.ENDED)

    def _become(self, state: State) -> State | None:
        if state is self.state:
            return None
        self.state = state
        return state
