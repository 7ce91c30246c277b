"""How far figures would move on another test set: the bootstrap over groups, and the exact interval of a share.

Pictures of one part resemble each other, so whole groups are drawn, not pictures (cluster bootstrap: Davison and
Hinkley 1997, section 3.8); intervals are percentiles. Shares of pictures have the interval of Clopper and Pearson
(1934), which holds for few of them, with each group counted as one picture (as Korn and Graubard 1998 do).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from inspector.training.figures import Values, Weights
from inspector.training.metrics import PixelScores

CONFIDENCE = 0.95
RESAMPLES = 1000
SEED = 0
"""Intervals are the same at every repetition."""

AGREE = 1e-9
"""What rounding alone may set apart."""

Interval = tuple[float, float]


def resamples(group: NDArray[np.int64], count: int = RESAMPLES) -> Weights:
    """How often each picture is drawn, [count, pictures]: as many groups as there are, with replacement.

    Of one group there are none: they would all be the same, which looks like certainty.
    """
    groups = int(group.max()) + 1
    count = 0 if groups == 1 else count
    drawn = np.random.default_rng(SEED).multinomial(groups, np.full(groups, 1 / groups), count)
    return drawn[:, group].astype(np.float64)


def interval(values: Values) -> Interval | None:
    """The middle 95 % of a figure's resamples; None where it is mostly undefined."""
    known = values[np.isfinite(values)]
    if 2 * len(known) <= len(values):
        return None
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def spread(values: Values) -> Interval | None:
    """The same of a figure by itself; None also where the resamples agree, which looks like certainty."""
    found = interval(values)
    return None if found is None or found[1] - found[0] < AGREE else found


def intervals(figures: Mapping[str, Values]) -> dict[str, Interval]:
    """The interval of each figure that has one."""
    found = {name: spread(values) for name, values in figures.items()}
    return {name: limits for name, limits in found.items() if limits is not None}


def map_figures(scores: Iterable[PixelScores], weights: Weights) -> dict[str, Values]:
    """The figures of maps in each resample, from the `coarse` scores of each picture."""
    scores = list(scores)
    normal, defective, regions = (
        weights @ np.stack([getattr(one, name) for one in scores]) for name in ("normal", "defective", "regions")
    )
    counts = weights @ np.array([one.region_count for one in scores])
    drawn = [PixelScores(*row) for row in zip(normal, defective, regions, counts, strict=True)]
    rows = [of_maps(one) for one in drawn]
    return {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())}


def of_maps(scores: PixelScores) -> dict[str, float]:
    """The figures that need whole maps, by their names in a report."""
    return {
        "pixel_auroc": scores.auroc(),
        "aupro_30": scores.aupro(),
        "pixel_ap": scores.average_precision(),
        "pixel_f1_max": scores.best_f1()[0] if scores.defective.any() else float("nan"),
    }


def share(count: int, of: int, groups: int) -> Interval | None:
    """The exact 95 % interval of a share that was seen `count` times `of` times; None of nothing.

    groups: of how many groups these are; each counts as one picture, since all of its pictures may be alike
    """
    if not of:
        return None
    if not count:
        return 0.0, unseen(groups)
    if count == of:
        return 1.0 - unseen(groups), 1.0
    from scipy.stats import beta

    seen, rest = groups * count / of, groups * (of - count) / of
    tail = (1 - CONFIDENCE) / 2
    return float(beta.ppf(tail, seen, rest + 1)), float(beta.isf(tail, seen + 1, rest))


def unseen(of: int) -> float:
    """The upper end of that interval of a share that was not seen once `of` times; 1 of nothing."""
    return 1.0 - ((1 - CONFIDENCE) / 2) ** (1 / of) if of else 1.0
