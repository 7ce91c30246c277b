"""Order statistics with a guarantee, and exact intervals (pure).

Of n good parts that are exchangeable with those to come, take as the threshold the k-th smallest critical threshold.
The share of good parts to come that lie above it is Beta(n - k + 1, k) distributed over the draws of the n (smaller
still where values are equal). So "at most `rate`, with `confidence`" needs n - k few enough: Wilks' tolerance limit
(1941), known as training-conditional validity of split-conformal prediction (Vovk, "Conditional validity of inductive
conformal predictors", 2012, proposition 2a). Nothing is assumed of the detector or of the scores' distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True, slots=True)
class Interval:
    """A share, 0 to 1, and the interval that holds with a given confidence, as much on either side."""

    share: float
    low: float
    high: float


def allowed_above(parts: int, rate: float, confidence: float) -> int | None:
    """How many of `parts` good parts may lie above the threshold; None where even none is too many."""
    doubt = 1 - confidence
    above = int(stats.binom.ppf(doubt, parts, rate))  # the first at which the doubt is reached
    if stats.binom.cdf(above, parts, rate) > doubt:
        above -= 1
    return above if above >= 0 else None


def lowest_rate(parts: int, confidence: float) -> float:
    """The lowest rate that can be promised of `parts` parts."""
    return -math.expm1(math.log(1 - confidence) / parts)


def parts_needed(rate: float, confidence: float) -> int:
    """How many parts a promise of `rate` needs at the least."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-rate))


def false_rejects(parts: int, above: int, confidence: float) -> Interval:
    """The share of good parts to come above a threshold that `above` of `parts` lie above: mean and quantiles."""
    shares = stats.beta(above + 1, parts - above)
    low, high = shares.interval(confidence)
    return Interval(float(shares.mean()), float(low), float(high))


def escapes(escaped: int, parts: int, confidence: float) -> Interval:
    """The share of defective parts that escape, with its exact interval (Clopper and Pearson, 1934)."""
    found = stats.binomtest(escaped, parts).proportion_ci(confidence, method="exact")
    return Interval(escaped / parts, float(found.low), float(found.high))
