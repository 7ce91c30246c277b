"""The order of frames where there are challenges too: those come last, and only where there is time for them (pure)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from inspector.clock import Clock
from inspector.schedule import Schedule
from inspector.types import Challenge, Frame

MEMORY = 30.0
"""Seconds over which the least slack is remembered, twice that at the most; and at least the last frame's."""


class Margin:
    """How much longer any frame of late could have waited (pure: times are handed in)."""

    def __init__(self) -> None:
        self._before = self._least = math.inf
        self._began = -math.inf

    @property
    def seconds(self) -> float:
        """The least slack of late; infinite before the first frame."""
        return min(self._before, self._least)

    def note(self, slack: float, now: float) -> None:
        """A frame could have waited `slack` seconds longer."""
        if now - self._began >= MEMORY:
            self._before, self._least, self._began = self._least, slack, now
        self._least = min(self._least, slack)


class LastOfAll(Schedule):
    """As `Schedule`, with challenges in a lane of their own, which is the last one and has a group of its own.

    A challenge goes alone, when no frame waits, and is overtaken by every frame. It holds its worker for a run of the
    model, in which a frame may come: so it goes only if all frames of late had as much time left, and else is dropped.

    most: rows that a run of the model takes
    awaits: whether anybody still wants to know what becomes of a challenge;  dropped: told of one that does not go
    """

    def __init__(
        self,
        cameras: Iterable[str],
        is_open: Callable[[Frame], bool],
        clock: Clock,
        most: int,
        awaits: Callable[[Frame], bool],
        dropped: Callable[[Challenge], None],
    ) -> None:
        super().__init__(cameras, is_open, clock)
        self._most, self._awaits, self._dropped = most, awaits, dropped
        self._margin = Margin()

    def is_spoiled(self, frame: Frame, newest: bool) -> bool:
        """Also a challenge that there is no time for."""
        if not isinstance(frame, Challenge):
            return super().is_spoiled(frame, newest)
        runs = -(-self.rows(frame) // self._most)
        return not self._awaits(frame) or self.estimate(frame) / runs > self._margin.seconds

    def group(self, frame: Frame) -> str:
        """No frame shares the batch of a challenge."""
        return "challenge" if isinstance(frame, Challenge) else super().group(frame)

    def first(self, heads: Sequence[Frame]) -> int:
        """No challenge while there is a frame."""
        return super().first(heads[:-1] if len(heads) > 1 and isinstance(heads[-1], Challenge) else heads)

    def close_by(self, frame: Frame) -> float:
        """At once, of a challenge: nothing shares its batch."""
        return -math.inf if isinstance(frame, Challenge) else super().close_by(frame)

    def overtakes(self, frame: Frame, running: Frame) -> bool:
        """Every frame overtakes every challenge."""
        if isinstance(frame, Challenge) or isinstance(running, Challenge):
            return not isinstance(frame, Challenge)
        return super().overtakes(frame, running)

    def taken(self, frame: Frame) -> None:
        """Learn that a worker takes it."""
        if not isinstance(frame, Challenge):
            now = self._clock.monotonic()
            self._margin.note(self._slack(frame, now), now)
            super().taken(frame)

    def lost(self, frame: Frame) -> None:
        """Learn that no worker will take it."""
        if isinstance(frame, Challenge):
            self._dropped(frame)
        else:
            self._margin.note(0.0, self._clock.monotonic())
            super().lost(frame)
