"""How good a detector and a repairer are: the field's usual figures, by numpy.

Pixel figures come from histograms of the map's logit, so that any number of pictures fits into memory. A bin is 0.005
wide in the logit, which bounds the error of areas under curves far below their sampling error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.types import Image, Map, Mask

_LIMIT = 12.0
_PER_LOGIT = 200
BINS = round(2 * _LIMIT * _PER_LOGIT) + 1
"""Bins of a histogram."""

_COARSE = 10
"""Bins that `coarse` makes one of."""

Counts: TypeAlias = NDArray[np.int64]
Curve: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]


def area_under_roc(good: NDArray[np.float64], bad: NDArray[np.float64]) -> float:
    """Probability that a bad picture's score is above a good one's, ties counting half (Mann-Whitney U).

    nan where there is none of either.
    """
    if not len(good) or not len(bad):
        return float("nan")
    ordered = np.sort(good)
    below = np.searchsorted(ordered, bad, "left") + np.searchsorted(ordered, bad, "right")
    return float(below.mean() / (2 * len(good)))


@dataclass
class PixelScores:
    """Collects maps with their masks, and answers with figures over all pixels seen.

    normal, defective: pixels by bin [bins];  regions: of each true region its share of pixels by bin [bins]
    The areas are right for weighted pixels too, and for bins of any width (`coarse`).
    """

    normal: Counts = field(default_factory=lambda: np.zeros(BINS, np.int64))
    defective: Counts = field(default_factory=lambda: np.zeros(BINS, np.int64))
    regions: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    region_count: float = 0

    def add(self, probability: Map, mask: Mask) -> None:
        """Add a map [H,W] and its true mask [H,W], 0 or 255."""
        bins = logit_bins(probability)
        total = np.bincount(bins.ravel(), minlength=BINS)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        for label in range(1, count):
            x, y, w, h, area = stats[label]
            box = np.s_[y : y + h, x : x + w]
            inside = np.bincount(bins[box][labels[box] == label], minlength=BINS)
            self.defective += inside
            total -= inside
            self.regions += inside / area
        self.region_count += count - 1
        self.normal += total

    def merge(self, other: PixelScores) -> None:
        """Add all that `other` has seen."""
        self.normal += other.normal
        self.defective += other.defective
        self.regions += other.regions
        self.region_count += other.region_count

    def coarse(self) -> PixelScores:
        """The same in bins ten times wider: small enough to keep one for every picture."""

        def wider(values: NDArray[Any]) -> NDArray[Any]:
            return np.add.reduceat(values, np.arange(0, len(values), _COARSE))

        return PixelScores(wider(self.normal), wider(self.defective), wider(self.regions), self.region_count)

    def auroc(self) -> float:
        """Area under the ROC curve over pixels; nan where there are no defective ones."""
        positives, negatives = self.defective.sum(), self.normal.sum()
        if not positives or not negatives:
            return float("nan")
        below = np.cumsum(self.normal) - self.normal / 2
        return float((self.defective * below).sum() / (float(positives) * float(negatives)))

    def aupro(self, limit: float = 0.3) -> float:
        """Area under the per-region-overlap curve up to a false positive rate of `limit`, divided by it.

        Each true region counts alike, whatever its size (Bergmann et al. 2021). nan where there is none.
        """
        if not self.region_count or not self.normal.sum():
            return float("nan")
        rate, overlap = self.pro()
        inside = rate <= limit
        x = np.append(rate[inside], limit)
        y = np.append(overlap[inside], np.interp(limit, rate, overlap))
        return float(np.trapezoid(y, x) / limit)

    def average_precision(self) -> float:
        """Area under the precision-recall curve, as the sum of precision times gained recall; nan without defects."""
        if not self.defective.sum():
            return float("nan")
        precision, recall = self.precision_recall()
        return float((precision * np.diff(recall, prepend=0.0)).sum())

    def roc(self) -> Curve:
        """False positive rate and true positive rate over pixels, from the strictest threshold to the loosest."""
        return _share(self.normal), _share(self.defective)

    def pro(self) -> Curve:
        """False positive rate over pixels and mean overlap of the true regions, as in `aupro`."""
        return _share(self.normal), np.concatenate([[0.0], np.cumsum(self.regions[::-1]) / self.region_count])

    def precision_recall(self) -> Curve:
        """Precision and recall over pixels, from the strictest threshold to the loosest."""
        hits = np.cumsum(self.defective[::-1])
        marked = hits + np.cumsum(self.normal[::-1])
        return np.where(marked > 0, hits / np.maximum(marked, 1e-12), 1.0), hits / hits[-1]

    def best_f1(self) -> tuple[float, float]:
        """The highest pixel F1 that any threshold reaches, and that threshold (a probability)."""
        hits = np.cumsum(self.defective[::-1])[::-1]
        alarms = hits + np.cumsum(self.normal[::-1])[::-1]
        f1 = 2 * hits / np.maximum(alarms + self.defective.sum(), 1)
        best = int(np.argmax(f1))
        return float(f1[best]), threshold_below(best)


def _share(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(np.concatenate([[0.0], np.cumsum(values[::-1]) / values.sum()]), np.float64)


def threshold_below(index: int) -> float:
    """The probability that parts a bin from the one below it."""
    return float(1 / (1 + np.exp(-((index - 0.5) / _PER_LOGIT - _LIMIT))))


def logit_bins(probability: Map) -> NDArray[np.int64]:
    """The bin of each pixel of a map [H,W]."""
    p = np.clip(probability, 1e-6, 1 - 1e-6).astype(np.float32)
    logit = np.clip(np.log(p / (1 - p)), -_LIMIT, _LIMIT)
    return np.asarray(np.rint((logit + _LIMIT) * _PER_LOGIT), np.int64)


@dataclass
class PixelCounts:
    """Hits and misses of published masks against true ones, over all pixels seen."""

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0
    true_negative: int = 0

    def add(self, found: Mask, truth: Mask) -> None:
        """Add a mask [H,W] and the true one, both 0 or 255."""
        hit = int(np.count_nonzero(found & truth))
        marked, wanted = int(np.count_nonzero(found)), int(np.count_nonzero(truth))
        self.true_positive += hit
        self.false_positive += marked - hit
        self.false_negative += wanted - hit
        self.true_negative += truth.size - marked - wanted + hit

    def figures(self) -> dict[str, float]:
        """Accuracy, precision, recall, F1 and IoU; nan where a figure has nothing to divide by."""
        tp, fp, fn, tn = self.true_positive, self.false_positive, self.false_negative, self.true_negative
        return {
            "pixel_accuracy": _ratio(tp + tn, tp + fp + fn + tn),
            "pixel_precision": _ratio(tp, tp + fp),
            "pixel_recall": _ratio(tp, tp + fn),
            "pixel_f1": _ratio(2 * tp, 2 * tp + fp + fn),
            "pixel_iou": _ratio(tp, tp + fp + fn),
        }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def frame_score(probability: Map) -> float:
    """The score that our detectors' graphs give a frame: the highest mean of 3x3 pixels of its map [H,W]."""
    return float(cv2.blur(probability, (3, 3))[1:-1, 1:-1].max())


def cross_entropy(probability: Map, mask: Mask) -> float:
    """Mean binary cross-entropy in nats a pixel, of a map [H,W] against a mask [H,W], 0 or 255."""
    p = np.clip(probability.astype(np.float64), 1e-6, 1 - 1e-6)
    return float(-np.where(mask > 0, np.log(p), np.log(1 - p)).mean())


def ssim(image: Image, wanted: Image, mask: Mask) -> float:
    """Structural similarity (Wang et al. 2004, Gaussian window of 11, sigma 1.5), mean over the pixels of `mask`."""
    a, b = image.astype(np.float32), wanted.astype(np.float32)

    def blur(x: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(x, (11, 11), 1.5), np.float32).reshape(x.shape)

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    both = blur(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = ((2 * mean_a * mean_b + c1) * (2 * both + c2)) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(similarity[mask > 0].mean())
