"""Which values are healthy: learnt from a camera's own good frames, or fixed ones that need no learning."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from inspector.condition.checks import CHECKS, Values
from inspector.condition.view import View
from inspector.types import Cause


@dataclass(frozen=True, slots=True)
class Range:
    """Healthy values, both ends included."""

    low: float = -math.inf
    high: float = math.inf

    def holds(self, value: float) -> bool:
        """Whether it is healthy; what cannot be told (NaN) is."""
        return not (value < self.low or value > self.high)

    def __str__(self) -> str:
        if math.isinf(self.low):
            return f"at most {self.high:.4g}"
        return f"{self.low:.4g} or more" if math.isinf(self.high) else f"{self.low:.4g} to {self.high:.4g}"


ANY = Range()
"""Whatever is measured is healthy: of a check that good frames fail, where a missing range would say that none was
learnt."""


@dataclass(frozen=True, slots=True)
class Limits:
    """ranges: by check; one that is missing is not decided by

    noise: grey levels up to which a frame repeats the one before
    reference: the view of the scene in its place; None where the scene has none
    contrast: what a scene has at the least that is not blurred away, in % of its brightness
    by_channel: whether the range of `saturated` is for a colour picture's brightest channel, not for all together
    """

    ranges: Mapping[Cause, Range]
    noise: float = 0.0
    reference: View | None = None
    contrast: float = 0.0
    by_channel: bool = False

    def failing(self, values: Values, asked: Collection[Cause]) -> Cause | None:
        """The first of the checks `asked` that a frame with those values fails."""
        return next((cause for cause in CHECKS if cause in asked and self.fails(cause, values)), None)

    def fails(self, cause: Cause, values: Values) -> bool:
        """Whether a frame with those values fails that check."""
        return cause in self.ranges and not self.ranges[cause].holds(values[cause])

    def sentence(self, cause: Cause, values: Values) -> str:
        """What is wrong, for people."""
        check = CHECKS[cause]
        return f"{values[cause]:.4g} {check.unit} {check.says}; healthy is {self.ranges[cause]}"


NOTHING = Limits({})
"""Decides nothing."""
ALMOST_ALL = 98.0
"""% of a picture that must be black, or saturated, before that is wrong on any line."""
REPEATS = 4
"""Frames that a camera whose noise is unknown may repeat bit for bit: drivers do so once in a while."""


def fixed(live: bool) -> Limits:
    """Limits that need no learning. A source that is not live may repeat a picture as often as it likes.

    Of a colour picture the brightest channel counts: under coloured light it may be the only one with anything in it.
    """
    ranges = {Cause.BLACK: Range(high=ALMOST_ALL), Cause.SATURATED: Range(high=ALMOST_ALL)}
    return Limits(ranges | ({Cause.FROZEN: Range(high=REPEATS)} if live else {}), by_channel=True)


def completed(learnt: Limits, live: bool) -> Limits:
    """`learnt`, with the fixed limit of `frozen` where nothing was: pictures that follow on no other do not tell."""
    still = {cause: one for cause, one in fixed(live).ranges.items() if cause is Cause.FROZEN}
    return replace(learnt, ranges=still | dict(learnt.ranges))
