"""What a bundle makes of one picture with known truth, by the code that the daemon runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from inspector.inference.engine import Engine
from inspector.inference.fit import resized
from inspector.judge import Judge, Judgement, enlarged
from inspector.training.data import Sample
from inspector.training.metrics import PixelCounts, PixelScores, cross_entropy, frame_score
from inspector.types import Detection, Image, Map, Mask, Verdict

SURROUNDINGS = 0.03
"""Share of the map's shorter side that a defect's glow reaches beyond its mask; the control takes it out too."""


@dataclass(frozen=True, slots=True)
class Result:
    """One picture's outcome.

    counts, loss, false_regions: None, nan, None for a defective picture without a mask: no pixel is known, no region
    regions, regions_found: the true ones, and those that the published mask touches
    false_regions: regions found that touch no true one
    map_score: the score by the map alone;  control: the same with the true defect taken out of the map, else nan
    """

    sample: Sample
    score: float
    verdict: Verdict
    counts: PixelCounts | None = None
    loss: float = math.nan
    regions: int = 0
    regions_found: int = 0
    false_regions: int | None = 0
    map_score: float = math.nan
    control: float = math.nan

    @property
    def f1(self) -> float:
        """Pixel F1 of the published mask; nan where the truth is not known, or has no defective pixel."""
        if self.counts is None or not self.counts.true_positive + self.counts.false_negative:
            return math.nan
        return self.counts.figures()["pixel_f1"]

    def row(self, root: Path) -> dict[str, Any]:
        """As it stands in evaluation.json; `picture` is its path below the data set's `root`."""
        counts = self.counts or PixelCounts()
        return {
            "picture": self.sample.picture.relative_to(root).as_posix(),
            "kind": self.sample.kind,
            "group": self.sample.group,
            "score": round(self.score, 6),
            "verdict": str(self.verdict),
            "tp": counts.true_positive,
            "fp": counts.false_positive,
            "fn": counts.false_negative,
            "tn": counts.true_negative,
            "loss": _number(self.loss),
            "regions": self.regions,
            "regions_found": self.regions_found,
            "false_regions": self.false_regions,
            "map_score": _number(self.map_score),
            "control": _number(self.control),
        }


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def inspect(running: Engine, judge: Judge, image: Image) -> tuple[Detection, Judgement, Map]:
    """What the daemon would say of `image` [H,W,C], and the map at the image's resolution, float32 [H,W]."""
    (detection,) = running.detector.detect([image])
    height, width = image.shape[:2]
    probability, _ = enlarged(detection.map, height, width)
    return detection, judge(detection, height, width), probability


def against_truth(
    sample: Sample, truth: Mask | None, detection: Detection, judgement: Judgement, probability: Map
) -> tuple[Result, PixelScores]:
    """The outcome of an inspected picture whose true mask is `truth` [H,W], and its pixels' scores.

    truth: all 0 for a good picture, None where a defective one has no mask
    """
    scores = PixelScores()
    if truth is None:
        return Result(sample, detection.score, judgement.verdict, false_regions=None), scores
    found = np.zeros_like(truth) if judgement.mask is None else judgement.mask
    counts = PixelCounts()
    counts.add(found, truth)
    scores.add(probability, truth)
    result = Result(
        sample,
        detection.score,
        judgement.verdict,
        counts,
        cross_entropy(probability, truth),
        regions=round(scores.region_count),
        regions_found=regions_touched(truth, found),
        false_regions=len(judgement.regions) - regions_touched(found, truth),
        map_score=frame_score(detection.map),
        control=frame_score(without(detection.map, truth)) if truth.any() else math.nan,
    )
    return result, scores


def regions_touched(mask: Mask, by: Mask) -> int:
    """How many connected regions of `mask` share a pixel with `by`."""
    _, labels = cv2.connectedComponents(mask, connectivity=8)
    return int(np.count_nonzero(np.unique(labels[by > 0])))


def without(probability: Map, truth: Mask) -> Map:
    """A map [h,w] with 0 where the defect of `truth` [H,W] is, and in its `SURROUNDINGS`."""
    small = resized(truth, probability.shape)
    reach = max(2, round(SURROUNDINGS * min(probability.shape)))
    near = cv2.dilate(small, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
    return np.where(near > 0, np.float32(0), probability)
