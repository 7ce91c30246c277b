"""One camera's pictures, frame by frame: which cannot be judged, and what there is to tell of that."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from inspector.condition.checks import CHECKS, Values
from inspector.condition.limits import Limits
from inspector.condition.measure import Gauge
from inspector.types import Cause, Image

CALM = 10
"""Frames in a row that pass a check which failed before it counts as well again: one at its limit would flap."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Of one frame. cause: why it cannot be judged, if so;  detail: the same in a sentence

    began: the check that begins to fail with it;  over: those that are well again
    """

    cause: Cause | None = None
    detail: str = ""
    began: Cause | None = None
    over: tuple[Cause, ...] = ()


class Monitor:
    """Looks at every frame of a camera, in order; its reader alone calls `look`, anybody may read the rest.

    asked: the checks that turn a verdict; the others are only measured
    """

    def __init__(self, limits: Limits, asked: Collection[Cause] = tuple(CHECKS)) -> None:
        self.values: Values = dict.fromkeys(CHECKS, math.nan)
        """Of the last frame."""
        self._limits = limits
        self._asked = frozenset(asked)
        self._gauge = Gauge(limits.noise, limits.reference)
        self._calm: dict[Cause, int] = {}  # frames until a check that fails is well again

    @property
    def failing(self) -> frozenset[Cause]:
        """The checks that fail, or did just now."""
        return frozenset(self._calm.copy())

    def look(self, image: Image, captured: float) -> Finding:
        """Measure the next frame, uint8 [height, width, channels], captured at that time in seconds, and decide."""
        self.values = values = self._gauge.measure(image, captured)
        cause = self._limits.failing(values, self._asked)
        if cause is None and not self._calm:
            return _WELL
        began = cause if cause not in self._calm else None
        over = tuple(ill for ill, frames in self._calm.items() if ill != cause and frames == 1)
        calm = {ill: frames - 1 for ill, frames in self._calm.items() if ill not in over}
        self._calm = calm if cause is None else calm | {cause: CALM}
        return Finding(cause, "" if cause is None else self._limits.sentence(cause, values), began, over)


_WELL = Finding()
