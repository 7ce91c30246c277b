"""One camera's pictures, frame by frame: which cannot be judged, and what there is to tell of that."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from inspector.condition import view
from inspector.condition.checks import CHECKS, Values
from inspector.condition.limits import NOTHING, Limits
from inspector.condition.measure import Gauge, Signal
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
    modalities: of a stack, by name, the channels that each has in a frame, in their order
    beside: the limits of those after the first, for the checks that need no learning: `limits` are the first's
    before: whose place it takes; what failed there fails until as many frames pass as ever
    """

    def __init__(
        self,
        limits: Limits,
        asked: Collection[Cause] = tuple(CHECKS),
        modalities: Mapping[str, int] = MappingProxyType({}),
        beside: Limits = NOTHING,
        before: Monitor | None = None,
    ) -> None:
        self.values: Values = dict.fromkeys(CHECKS, math.nan)
        """Of the last frame; of a stack, of the modality where each is highest."""
        self._limits, self._beside = limits, beside
        self._asked = frozenset(asked)
        self._names, self._channels = list(modalities), list(modalities.values())
        self._gauge = Gauge(limits.noise, limits.reference, limits.contrast, limits.by_channel)
        self._signals = [Signal(beside.noise, beside.by_channel) for _ in self._names[1:]]
        self._calm: dict[Cause, int] = {}  # frames until a check that fails is well again
        self._before = before  # until the first look: that one may be looking still
        self._seen: list[tuple[Limits, Values]] = []  # of the last frame; of a stack, of each modality

    @property
    def failing(self) -> frozenset[Cause]:
        """The checks that fail, or did just now."""
        before = self._before
        return frozenset(self._calm.copy()) if before is None else before.failing

    def look(self, image: Image, captured: float) -> Finding:
        """Measure the next frame, uint8 [height, width, channels], captured at that time in seconds, and decide."""
        if self._before is not None:
            self._calm = dict.fromkeys(self._before.failing, CALM)
            self._before = None
        cause, detail = self._judged(image, captured)
        if cause is None and not self._calm:
            return _WELL
        began = cause if cause not in self._calm else None
        # Only the first that fails is the cause; another may fail as well, and is not well again.
        calm = {
            ill: CALM if any(limits.fails(ill, values) for limits, values in self._seen) else frames - 1
            for ill, frames in self._calm.items()
        }
        over = tuple(ill for ill, frames in calm.items() if frames == 0)
        self._calm = {ill: frames for ill, frames in calm.items() if frames > 0}
        if cause is not None:
            self._calm[cause] = CALM
        return Finding(cause, detail, began, over)

    def _judged(self, image: Image, captured: float) -> tuple[Cause | None, str]:
        """Why the frame cannot be judged, if so, and the same in a sentence."""
        first, *others = view.modalities(image, self._channels)
        self.values = values = self._gauge.measure(first, captured)
        self._seen = [(self._limits, values)]
        if not others:
            cause = self._limits.failing(values, self._asked)
            return cause, "" if cause is None else self._limits.sentence(cause, values)
        for signal, other in zip(self._signals, others, strict=True):
            self._seen.append((self._beside, signal.measure(other, view.glimpse(other))))
        self.values = _highest([values for _, values in self._seen])
        return self._first()

    def _first(self) -> tuple[Cause | None, str]:
        """Of what the modalities fail, the check that is asked first, in a sentence that names the modality."""
        for cause in CHECKS:
            for name, (limits, values) in zip(self._names, self._seen, strict=True):
                if cause in self._asked and limits.fails(cause, values):
                    return cause, f"{name}: {limits.sentence(cause, values)}"
        return None, ""


def _highest(found: Sequence[Values]) -> Values:
    """By check, the highest value of the modalities that were measured by it; the first was by all."""
    return {cause: max(values[cause] for values in found if cause in values) for cause in found[0]}


_WELL = Finding()
