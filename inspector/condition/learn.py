"""Limits from a camera's healthy frames: wide enough that such frames do not fail, and no wider.

A limit lies beyond the most extreme healthy value by as much again as that lies from the median, and by a least amount
where healthy values hardly differ. Where the healthy ones are so wide already that nothing would be found, a check is
left out and that is said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspector.condition import view
from inspector.condition.checks import CHECKS
from inspector.condition.limits import ANY, Limits, Range
from inspector.condition.measure import LAMP, Gauge, change, contrast
from inspector.condition.view import View
from inspector.types import Cause, Image, Mask

ENOUGH = 100
"""Healthy frames; fewer say too little of those to come."""
LEAST = {
    Cause.BLACK: 5.0,
    Cause.SATURATED: 2.0,
    Cause.DRIFTED: 0.03,
    Cause.SHIFTED: 0.01,
    Cause.DEFOCUSED: 0.05,
}
"""By how much a limit lies beyond healthy values at the least: of a picture in %, as a share of the median, or of the
frame's longer side."""
LEAST_CONTRAST = 0.7
"""Of the least that a healthy frame has. A lamp that fails costs less of it; a blur so strong that noise alone is left,
which looks sharp, costs more."""
SOFTEST = 5.0
"""A sharpness in % that any scene with contrast exceeds, however soft: pixels 8 apart differ by no more than four times
those 2 apart, which makes 6.25, less for the frame's border."""
MOST_REPEATS = 4
"""Frames that a healthy camera repeats in a row; one that repeats more cannot be told from a frozen one in time."""
LOUDEST = 0.1
"""Grey levels: repeated content may differ by so much, after a lossy codec. A sensor's noise is far above it."""
FIXED_LIKENESS = 0.7
"""A scene that ever looks less like itself has no place of its own."""


@dataclass
class _Stream:
    """Frames that follow each other."""

    gauge: Gauge = field(default_factory=Gauge)
    before: Mask | None = None
    changes: list[float] = field(default_factory=list)


class Learner:
    """Is shown healthy frames, by stream and in order, and makes limits of them; `notes` say what is left out.

    channels: of each modality, where frames are stacks; limits are then the first one's
    """

    def __init__(self, channels: Sequence[int] = ()) -> None:
        self._channels = channels
        self.notes: list[str] = []
        self.pictures = 0
        self._streams: dict[str | None, _Stream] = {}
        self._values: dict[Cause, list[float]] = {cause: [] for cause in CHECKS}
        self._contrasts: list[float] = []
        self._views: list[tuple[View, int, int]] = []

    def add(self, image: Image, stream: str | None) -> None:
        """The next frame, uint8 [H,W,C], of a stream; None for a picture that follows on no other."""
        self.pictures += 1
        image, *_ = view.modalities(image, self._channels)
        of = self._streams.setdefault(stream, _Stream())
        for cause, value in of.gauge.measure(image, captured=self.pictures).items():
            if not math.isnan(value):
                self._values[cause].append(value)
        rows = view.rows(image)
        self._contrasts.append(contrast(rows))
        self._views.append((view.view(rows), *image.shape[:2]))
        if stream is not None:
            before, of.before = of.before, view.glimpse(image)
            of.changes.append(change(before, of.before))

    def limits(self) -> Limits | None:
        """What such frames keep; None where they are too few."""
        if self.pictures < ENOUGH:
            self.notes.append(
                f"the camera's health is not learnt: {self.pictures} good pictures are fewer than {ENOUGH}"
            )
            return None
        noise, ranges = self._stillness()
        for cause in (Cause.BLACK, Cause.SATURATED):
            high = _above(self._values[cause], LEAST[cause])
            if self._keep(cause, high < 100, "good pictures are so for almost all of it"):
                ranges[cause] = Range(high=high)
        if self._keep(Cause.DRIFTED, bool(self._values[Cause.DRIFTED]), f"that takes {LAMP} frames in a row"):
            around = _around(self._values[Cause.DRIFTED], LEAST[Cause.DRIFTED])
            if self._keep(Cause.DRIFTED, around.low > 0 or around.high < 255, "good pictures are of any brightness"):
                ranges[Cause.DRIFTED] = around
        focus, least_contrast = self._focus()
        if focus is not None:
            ranges[Cause.DEFOCUSED] = focus
        reference, shift = self._place()
        if shift is not None:
            ranges[Cause.SHIFTED] = shift
        return Limits(ranges, noise, reference, least_contrast)

    def _keep(self, cause: Cause, can: bool, why_not: str) -> bool:
        if not can:
            self.notes.append(f"health check {cause} is left out: {why_not}")
        return can

    def _stillness(self) -> tuple[float, dict[Cause, Range]]:
        """By how much a frame differs from the one before at the least, and how many in a row may not."""
        runs = [[c for c in of.changes if math.isfinite(c)] for name, of in self._streams.items() if name is not None]
        changes = [c for run in runs for c in run]
        if len(changes) < ENOUGH:
            self.notes.append(
                f"health check {Cause.FROZEN} is not learnt: that takes {ENOUGH} frames in a row, of a source; a live "
                "camera keeps the limit that it has without learning"
            )
            return 0.0, {}
        noise = min(min(changes) / 2, LOUDEST)
        repeats = max(_longest(run, noise) for run in runs)
        if not self._keep(Cause.FROZEN, repeats <= MOST_REPEATS, f"{repeats} good frames in a row are the same"):
            return 0.0, {Cause.FROZEN: ANY}
        # A raw sensor never repeats a frame. A codec that leaves a quiet scene as it was comes near it.
        spare = 0 if noise == LOUDEST else MOST_REPEATS
        return noise, {Cause.FROZEN: Range(high=max(2 * repeats, spare))}

    def _focus(self) -> tuple[Range | None, float]:
        """How sharp the scene is at the least, and what contrast it has at the least."""
        sharpness = self._values[Cause.DEFOCUSED]
        if not self._keep(Cause.DEFOCUSED, bool(sharpness), "good pictures have no contrast"):
            return None, 0.0
        low = _around(sharpness, LEAST[Cause.DEFOCUSED]).low
        least_contrast = round(LEAST_CONTRAST * min(self._contrasts), 4)
        any_sharpness = "good pictures are of any sharpness"
        if not self._keep(Cause.DEFOCUSED, low >= SOFTEST or least_contrast > 0, any_sharpness):
            return None, 0.0
        if low < SOFTEST:
            self.notes.append(f"health check {Cause.DEFOCUSED} finds strong blurs at the most: {any_sharpness}")
        return Range(low=max(low, SOFTEST)), least_contrast

    def _place(self) -> tuple[View | None, Range | None]:
        """The scene in its place, and how far off it may lie."""
        reference = np.median([seen for seen, _, _ in self._views], axis=0).astype(np.uint8)
        found = [view.offset(reference, *seen) for seen in self._views]
        height, width = (max(sides) for sides in zip(*(sides for _, *sides in self._views), strict=True))
        high = _above([one.pixels for one in found], LEAST[Cause.SHIFTED] * max(height, width))
        fixed = min(one.likeness for one in found) >= FIXED_LIKENESS and high < view.farthest(height, width) / 2
        if not self._keep(Cause.SHIFTED, fixed, "the scene has no fixed place"):
            return None, None
        return reference, Range(high=high)


def _above(values: Sequence[float], least: float) -> float:
    highest = max(values)
    return round(highest + max(least, highest - float(np.median(values))), 4)


def _around(values: Sequence[float], least: float) -> Range:
    """least: as a share of the median."""
    some: NDArray[np.float64] = np.asarray(values, np.float64)
    lowest, middle, highest = float(some.min()), float(np.median(some)), float(some.max())
    low = lowest - max(least * middle, middle - lowest)
    high = highest + max(least * middle, highest - middle)
    return Range(round(low, 4), round(high, 4))


def _longest(changes: Sequence[float], noise: float) -> int:
    """The longest run of changes that are no more than noise."""
    longest = run = 0
    for one in changes:
        run = run + 1 if one <= noise else 0
        longest = max(longest, run)
    return longest
