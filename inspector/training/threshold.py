"""Chooses when a frame is `ng`, on validation pictures alone.

First the probability threshold that gives the highest F1, averaged over pictures, or of those about as good the one
nearest to 0.5. Then the smallest region that still counts: small enough to keep the true defects, large enough to keep
good parts free of false alarms.

Where defects are synthetic, that says little of real ones, which are fainter: the best threshold for the synthetic ones
lets most of them escape, though it is never so low that more than a few normal pictures are `ng`. What normal pictures
need is known better, the better the more of them were held back; so `lowered` goes some of the way to there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.critical import critical_thresholds
from inspector.training.macro_f1 import MacroF1
from inspector.types import Detection, Map, Mask

FALSE_REGIONS = 0.02
"""False regions that a good picture may have on average."""

FALSE_REJECTS = 0.05
"""Share of normal pictures that may be `ng` where all defects are synthetic."""

FEW_NORMALS = 30
"""So many normal pictures say as much of where the threshold should be as the synthetic defects do."""

CERTAIN = 1 - 1e-5
"""The highest threshold: beyond it probabilities differ by rounding alone."""

FOUND = 0.25
"""Share of a true defect's pixels that must be marked for it to count as found."""

LOST_REGIONS = 0.02
"""Share of the found true defects that `min_area` may give up for that."""


@dataclass(frozen=True, slots=True)
class Choice:
    """threshold: a probability;  min_area: pixels of the detector's input;  why: in a sentence, with its figures."""

    threshold: float
    min_area: int
    why: str


def choose(maps: Sequence[Map], masks: Sequence[Mask], real: bool) -> Choice:
    """Choose on validation maps [H,W] and their true masks [H,W]; `real` tells real defects from synthetic ones."""
    scores = MacroF1()
    for probability, mask in zip(maps, masks, strict=True):
        scores.add(probability, mask)
    f1, threshold = scores.nearest_to_half() if real else scores.best()
    threshold = float(np.clip(threshold, 1 - CERTAIN, CERTAIN))
    false_areas, true_areas, good = _areas(maps, masks, threshold)
    allowed = int(FALSE_REGIONS * good)
    enough = 1 if len(false_areas) <= allowed else false_areas[len(false_areas) - 1 - allowed] + 1
    bearable = true_areas[int(LOST_REGIONS * len(true_areas))] if true_areas else enough
    min_area = max(1, min(enough, bearable))
    left = sum(area >= min_area for area in false_areas)
    defects = "real" if real else "synthetic"
    rule = "within a standard error of the highest and nearest to 0.5" if real else "the highest"
    needed = 0.0
    if not real and good:
        normal = [m for m, mask in zip(maps, masks, strict=True) if not mask.any()]
        needed = float(np.quantile(_critical(normal, min_area), 1 - FALSE_REJECTS, method="higher"))
    size = f"the smallest that leaves at most {FALSE_REGIONS} false regions a normal picture"
    if enough > bearable:
        size = f"the largest that gives up at most {LOST_REGIONS:.0%} of the found defects"
    lifted = f", raised until {1 - FALSE_REJECTS:.0%} of the normal ones are ok" if needed > threshold else ""
    threshold = min(max(threshold, needed), CERTAIN)
    return Choice(
        threshold,
        min_area,
        f"threshold: F1 averaged over pictures is {f1:.3f}, {rule}, on {len(maps) - good} validation pictures with "
        f"{defects} defects and {good} normal ones{lifted} (it was {threshold:.5g} before it was folded into the graph "
        f"as 0.5); min_area: {size} ({left} of {len(false_areas)} false regions are left on {good} normal pictures)",
    )


def lowered(choice: Choice, normal: Sequence[Map]) -> Choice:
    """A choice by synthetic defects, nearer to what normal pictures need.

    normal: maps [H,W] of the pictures that were held back, by the detector as it will be: it may know them now
    """
    highest, chosen = _logit(float(_critical(normal, choice.min_area).max(initial=0.0))), _logit(choice.threshold)
    if highest >= chosen:
        return choice
    share = len(normal) / (len(normal) + FEW_NORMALS)
    threshold = 1 / (1 + math.exp(-(chosen + share * (highest - chosen))))
    why = (
        f"{choice.why}; then lowered to {threshold:.5g}, {share:.0%} of the way (in logits) to where all {len(normal)} "
        "normal pictures are just ok, since real defects are fainter than synthetic ones"
    )
    return replace(choice, threshold=threshold, why=why)


def raised(choice: Choice, before: Sequence[Map], after: Sequence[Map]) -> Choice:
    """A choice for a detector that has gone on learning: no more normal pictures are `ng` than were before.

    before, after: maps [H,W] of the normal pictures that the choice was made on, by the detector then and now
    """
    ng = np.count_nonzero(_critical(before, choice.min_area) > choice.threshold)
    others = np.sort(_critical(after, choice.min_area))[: len(after) - ng]
    needed = min(float(others.max(initial=0.0)), CERTAIN)
    if needed <= choice.threshold:
        return choice
    why = f"{choice.why}; then raised to {needed:.5g}, so that no more normal pictures are ng after the last epochs"
    return replace(choice, threshold=needed, why=why)


def _logit(probability: float) -> float:
    inside = min(max(probability, 1 - CERTAIN), CERTAIN)
    return math.log(inside / (1 - inside))


def _critical(normal: Sequence[Map], min_area: int) -> NDArray[np.float64]:
    """The threshold from which on each normal picture is `ok`, [N]."""
    found = [critical_thresholds(Detection(0.0, m), m.shape[0], m.shape[1], [min_area])[0] for m in normal]
    return np.array(found, np.float64)


def _areas(maps: Sequence[Map], masks: Sequence[Mask], threshold: float) -> tuple[list[int], list[int], int]:
    """Ascending areas of the regions on good pictures, and of the largest on each found defect; number of good ones.

    A defect of which less than `FOUND` is marked was not found: a few pixels on its rim say nothing about its size.
    """
    false_areas: list[int] = []
    true_areas: list[int] = []
    good = 0
    for probability, mask in zip(maps, masks, strict=True):
        marked = (probability > threshold).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(marked, connectivity=8)
        areas = stats[:, cv2.CC_STAT_AREA]
        if not mask.any():
            good += 1
            false_areas += areas[1:].tolist()
            continue
        count, defects = cv2.connectedComponents(mask, connectivity=8)
        for defect in range(1, count):
            on_it = labels[defects == defect]
            if np.count_nonzero(on_it) >= FOUND * on_it.size:
                true_areas.append(int(areas[np.unique(on_it[on_it > 0])].max()))
    return sorted(false_areas), sorted(true_areas), good
