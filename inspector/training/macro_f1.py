"""The figure that thresholds are chosen by: F1 averaged over pictures, not over their pooled pixels.

Pooled, one large stain outweighs a hundred small pits, and a threshold that suits the stain lets the pits escape.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspector.training.metrics import BINS, logit_bins, threshold_below
from inspector.types import Map, Mask


@dataclass
class MacroF1:
    """Collects maps with their masks.

    A defective picture counts by its pixels' F1. A normal one counts 1 where nothing is marked, and a half where as
    much is marked as the median defective picture has of a defect. Both kinds weigh alike.
    """

    _f1: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    _f1_squared: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    _areas: list[int] = field(default_factory=list)
    _alarms: list[NDArray[np.int64]] = field(default_factory=list)

    def add(self, probability: Map, mask: Mask) -> None:
        """Add a map [H,W] and its true mask [H,W], 0 or 255."""
        bins = logit_bins(probability)
        marked = _from_the_top(bins)
        area = int(np.count_nonzero(mask))
        if area == 0:
            self._alarms.append(marked)
            return
        f1 = 2 * _from_the_top(bins[mask > 0]) / (marked + area)
        self._areas.append(area)
        self._f1 += f1
        self._f1_squared += np.square(f1)

    def best(self) -> tuple[float, float]:
        """The highest value that any threshold reaches, and that threshold (a probability); needs a picture."""
        values, _ = self._by_threshold()
        best = int(np.argmax(values))
        return float(values[best]), threshold_below(best)

    def nearest_to_half(self) -> tuple[float, float]:
        """The same for the threshold nearest to 0.5 that is within a standard error of the best one.

        Few pictures tell little of where the best one is (the one-standard-error rule, Breiman et al. 1984), and 0.5 is
        what a classifier is trained for.
        """
        values, errors = self._by_threshold()
        best = int(np.argmax(values))
        as_good = np.flatnonzero(values >= values[best] - errors[best])
        nearest = int(as_good[np.argmin(np.abs(as_good - BINS // 2))])
        return float(values[nearest]), threshold_below(nearest)

    def _by_threshold(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The values and their standard errors [BINS]."""
        means, variances = [], []
        if self._areas:
            count = len(self._areas)
            means.append(self._f1 / count)
            variances.append(np.maximum(self._f1_squared / count - np.square(means[0]), 0) / count)
        if self._alarms:
            area = float(np.median(self._areas)) if self._areas else 1.0
            quiet = np.stack([area / (area + marked) for marked in self._alarms])
            means.append(quiet.mean(axis=0))
            variances.append(quiet.var(axis=0) / len(quiet))
        return np.mean(means, axis=0), np.sqrt(np.sum(variances, axis=0)) / len(means)


def _from_the_top(bins: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many lie in each bin or above it, [BINS]."""
    return np.asarray(np.cumsum(np.bincount(bins.ravel(), minlength=BINS)[::-1])[::-1], np.int64)
