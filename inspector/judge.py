"""From what the detector says to what the reject gate gets (pure).

A frame is `ng` if at least one connected region of `min_area` pixels lies above the threshold, `unknown` if the
detector answered with something that is no probability, and only otherwise `ok`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.types import Detection, Map, Mask, Reason, Region, Span, Verdict

_MAX_SHORT_LABELS = np.iinfo(np.uint16).max


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict with its proof: regions and mask are there for `ng` only.

    score: the detection's, where something is ignored no higher than the peak of what is not; None for `unknown`
    """

    verdict: Verdict
    reason: Reason | None = None
    regions: tuple[Region, ...] = ()
    mask: Mask | None = None
    score: float | None = None

    def placed(self, x: int, y: int, height: int, width: int) -> Judgement:
        """The same in the coordinates of a frame of `height` x `width` pixels, part of which at (x, y) was judged."""
        if self.mask is None:
            return self
        mask = np.zeros((height, width), np.uint8)
        mask[y : y + self.mask.shape[0], x : x + self.mask.shape[1]] = self.mask
        regions = tuple(
            replace(
                one,
                box=(one.box[0] + x, one.box[1] + y, *one.box[2:]),
                centroid=(one.centroid[0] + x, one.centroid[1] + y),
            )
            for one in self.regions
        )
        return replace(self, regions=regions, mask=mask)


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges by `threshold` (a probability) and `min_area` (pixels of the detector's input).

    folded: what is told of a probability is moved (in the logit) so that the threshold is told as 0.5
    """

    threshold: float
    min_area: int
    folded: bool = False

    def __call__(
        self,
        detection: Detection,
        height: int,
        width: int,
        ignored: NDArray[np.bool_] | None = None,
        reports: Span | None = None,
    ) -> Judgement:
        """Judge a frame of `height` x `width` pixels; mask and regions come at that resolution.

        ignored: [height, width], where nothing is a defect;  reports: as a `Frame` has it
        """
        peak, score = float(detection.map.max()), detection.score
        if not (0.0 <= peak <= 1.0 and math.isfinite(score)):
            return Judgement(Verdict.UNKNOWN, Reason.MODEL)
        if peak <= self.threshold and ignored is None:
            return Judgement(Verdict.OK, score=score)
        probability, scale = enlarged(detection.map, height, width, ignored)
        if ignored is not None:
            score = min(score, float(probability.max()))
        regions, mask = _regions(probability, self.threshold, self.min_area * scale, self.told, reports)
        return Judgement(Verdict.NG, None, regions, mask, score) if regions else Judgement(Verdict.OK, score=score)

    def told(self, probability: float) -> float:
        """`probability` as subscribers hear it: above 0.5 where it is above the threshold, if `folded`."""
        if not self.folded:
            return probability
        # The odds divided by the threshold's odds, without a division by 0 at either end.
        probability = min(max(probability, 0.0), 1.0)
        above, below = probability * (1 - self.threshold), self.threshold * (1 - probability)
        return above / (above + below)


def enlarged(probability: Map, height: int, width: int, ignored: NDArray[np.bool_] | None = None) -> tuple[Map, float]:
    """The map at the frame's resolution, and how many of its pixels one pixel of the detector's input is.

    It is the map itself where that has the frame's size; what is `ignored` is then set to 0 in it.
    """
    scale = height * width / probability.size
    if probability.shape != (height, width):
        probability = cv2.resize(probability, (width, height), interpolation=cv2.INTER_LINEAR)
    if ignored is not None:
        np.copyto(probability, np.float32(0), where=ignored)
    return probability, scale


def above(probability: Map, threshold: float) -> Mask:
    """The mask, 0 or 255, of the pixels above `threshold`, both [H,W]."""
    if probability.size == 1:  # which OpenCV takes for a number, and compares with none
        return np.where(probability > np.float32(threshold), np.uint8(255), np.uint8(0))
    return np.asarray(cv2.compare(probability, threshold, cv2.CMP_GT), np.uint8)


def _regions(
    probability: Map, threshold: float, min_area: float, told: Callable[[float], float], reports: Span | None
) -> tuple[tuple[Region, ...], Mask]:
    """Connected regions (8 neighbours) above `threshold`, and the mask of those that are large enough and reported."""
    mask = above(probability, threshold)
    # Labelling costs by the pixel and defects are small: work on their bounding box alone, with labels of 16 bits
    # (three times cheaper than 32) wherever they suffice.
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return (), mask
    inside = (slice(top, top + height), slice(left, left + width))
    short = width * height <= 4 * _MAX_SHORT_LABELS
    _, labels, stats, centroids = cv2.connectedComponentsWithStats(
        mask[inside], connectivity=8, ltype=cv2.CV_16U if short else cv2.CV_32S
    )
    wanted = stats[:, cv2.CC_STAT_AREA] >= min_area
    if reports is not None:
        middle = top + stats[:, cv2.CC_STAT_TOP] + (stats[:, cv2.CC_STAT_HEIGHT] - 1) / 2
        wanted &= (reports[0] <= middle) & (middle < reports[1])
    kept = np.flatnonzero(wanted)
    kept = kept[kept != 0]  # label 0 is the background
    regions = []
    for label in kept:
        x, y, w, h, area = (int(value) for value in stats[label])
        box = (slice(y, y + h), slice(x, x + w))
        score = told(float(probability[inside][box][labels[box] == label].max()))
        centroid = (float(centroids[label, 0]) + left, float(centroids[label, 1]) + top)
        regions.append(Region((x + left, y + top, w, h), area, centroid, score))
    if len(kept) < len(stats) - 1:
        keep = np.zeros(len(stats), np.uint8)
        keep[kept] = 255
        mask[inside] = keep[labels]
    return tuple(regions), mask
