"""One camera's challenges: whose turn it is, which fail, and whether a round is overdue (pure: times are handed in)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from inspector.challenges.outcome import BLIND, Outcome
from inspector.challenges.pictures import Picture

AGAIN = 10.0
"""Seconds after which a round follows one that failed: what is mended shall not wait for its turn."""
PAUSE = 1.0
"""Seconds after which a challenge that gave way is tried again."""


class Rounds:
    """Every `every` seconds all `pictures` once, from `now` (monotonic seconds) on.

    counts: challenges so far, by outcome;  failing: the pictures that did not pass when they were last tried
    overdue: rounds that were not complete when the next one was due;  is_overdue: whether the last one was not
    """

    def __init__(self, pictures: Sequence[Picture], every: float, now: float) -> None:
        self.counts = dict.fromkeys(Outcome, 0)
        self.failing: dict[str, Outcome] = {}
        self.overdue = 0
        self.is_overdue = False
        self._pictures = tuple(pictures)
        self._every = every
        self.begin(now)

    def begin(self, now: float) -> None:
        """Begin a new round with all pictures."""
        self._began = self._not_before = now
        self._left = deque(self._pictures)

    @property
    def is_blind(self) -> bool:
        """Whether a defective part is missed, or there is no result."""
        return not BLIND.isdisjoint(self.failing.values())

    @property
    def ends(self) -> float:
        """When the round is overdue."""
        return self._began + self._every

    @property
    def acts_at(self) -> float:
        """When there is something to do next."""
        if self._left:
            return self._not_before
        return self._began + (min(AGAIN, self._every) if self.failing else self._every)

    def look(self, now: float) -> bool:
        """Begin the next round if it is time; whether the last one is the first that is not complete by then."""
        if not self._left:
            if now >= self.acts_at:
                self.begin(now)
            return False
        if now < self.ends:
            return False
        left = tuple(self._left)
        self.begin(now)
        self._left = deque((*left, *(picture for picture in self._pictures if picture not in left)))
        self.overdue += 1
        was, self.is_overdue = self.is_overdue, True
        return not was

    def turn(self, now: float) -> Picture | None:
        """The picture whose turn it is, if it is anybody's."""
        return self._left[0] if self._left and now >= self._not_before else None

    def take(self, outcome: Outcome, now: float) -> bool:
        """Learn what became of the challenge with the picture whose turn it was; whether the round is complete."""
        self.counts[outcome] += 1
        if outcome is Outcome.DROPPED:
            self._not_before = now + PAUSE
            return False
        name = self._left.popleft().name
        if outcome is Outcome.PASSED:
            self.failing.pop(name, None)
        else:
            self.failing[name] = outcome
        if not self._left:
            self.is_overdue = False
        return not self._left
