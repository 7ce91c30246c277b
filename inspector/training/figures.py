"""Every figure of an evaluation, from a table of pictures with a weight each (pure).

Weights of 1 give the figure itself; the weights of a resample (`bootstrap`) give what another test set might have
shown; weights of 0 leave pictures out. So there is one definition of a figure for all three.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inspector.training.data import GOOD
from inspector.types import Verdict

Values: TypeAlias = NDArray[np.float64]
"""A figure for each row of weights, [R]."""

Weights: TypeAlias = NDArray[np.float64]
"""How often each picture counts, [R, pictures]."""


FORMAT = 1
"""Of evaluation.json; `inspector compare` reads no other."""


@dataclass(frozen=True)
class Table:
    """Pictures as columns: each an array [pictures].

    group: numbered from 0; pictures of one group belong together, one without a group stands alone
    The other numbers are those of `outcome.Result`; what is not known is nan.
    """

    picture: list[str]
    kind: NDArray[np.str_]
    group: NDArray[np.int64]
    group_name: NDArray[np.str_]
    verdict: NDArray[np.str_]
    numbers: Mapping[str, Values]

    def __getitem__(self, name: str) -> Values:
        return self.numbers[name]

    @property
    def good(self) -> NDArray[np.bool_]:
        """Which pictures are good ones."""
        return np.asarray(self.kind == GOOD)

    @property
    def ones(self) -> Weights:
        """One row of weights that counts every picture once."""
        return np.ones((1, len(self.picture)))


NUMBERS = (
    "score", "tp", "fp", "fn", "tn", "loss", "regions", "regions_found", "false_regions", "map_score", "control",
)  # fmt: skip


def table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """From the rows of evaluation.json (`Result.row`)."""
    rows = list(rows)
    names = [row["group"] or row["picture"] for row in rows]
    return Table(
        [row["picture"] for row in rows],
        np.array([row["kind"] for row in rows]),
        np.unique(names, return_inverse=True)[1].astype(np.int64),
        np.array([row["group"] for row in rows]),
        np.array([row["verdict"] for row in rows]),
        {name: np.array([np.nan if row[name] is None else row[name] for row in rows], float) for name in NUMBERS},
    )


def figures(pictures: Table, weights: Weights) -> dict[str, Values]:
    """All figures that need no map: each [R], nan where there is nothing to divide by."""
    good, bad = weights * pictures.good, weights * ~pictures.good
    control = np.where(pictures.good, pictures["map_score"], pictures["control"])
    comparable = np.isfinite(control)
    return {
        "image_auroc": auroc(pictures["score"], pictures.good, weights),
        "image_ap": average_precision(pictures["score"], pictures.good, weights),
        "image_auroc_control": auroc(np.where(comparable, control, 0.0), pictures.good, weights * comparable),
        "image_auroc_map": auroc(np.where(comparable, pictures["map_score"], 0.0), pictures.good, weights * comparable),
        "loss": _mean(pictures["loss"], weights),
        **pixel_figures(pictures, weights),
        "regions_found": ratio(weights @ pictures["regions_found"], weights @ pictures["regions"]),
        "false_regions_per_good": _mean(pictures["false_regions"], good),
        "false_regions_per_defective": _mean(pictures["false_regions"], bad),
        "false_rejects_per_1000_good": 1000 * _mean(pictures.verdict == Verdict.NG, good),
        "escapes_per_1000_defective": 1000 * _mean(pictures.verdict == Verdict.OK, bad),
    }


def pixel_figures(pictures: Table, weights: Weights) -> dict[str, Values]:
    """Figures of the published masks over all pixels; nan where no pixel is known to be defective, but for accuracy."""
    tp, fp, fn, tn = (weights @ pictures[name] for name in ("tp", "fp", "fn", "tn"))
    found = np.where(tp + fn > 0, tp, np.nan)
    return {
        "pixel_accuracy": ratio(tp + tn, tp + fp + fn + tn),
        "pixel_precision": ratio(found, tp + fp),
        "pixel_recall": ratio(found, tp + fn),
        "pixel_f1": ratio(2 * found, 2 * tp + fp + fn),
        "pixel_iou": ratio(found, tp + fp + fn),
    }


def auroc(score: Values, good: NDArray[np.bool_], weights: Weights) -> Values:
    """Probability that a defective picture's `score` is above a good one's, ties counting half (Mann-Whitney U)."""
    goods, bads = _by_score(score, good, weights)
    below = np.cumsum(goods, axis=1) - goods / 2
    return ratio((bads * below).sum(axis=1), goods.sum(axis=1) * bads.sum(axis=1))


def average_precision(score: Values, good: NDArray[np.bool_], weights: Weights) -> Values:
    """Area under the precision-recall curve of pictures, as the sum of precision times gained recall."""
    goods, bads = (side[:, ::-1] for side in _by_score(score, good, weights))
    hits = np.cumsum(bads, axis=1)
    precision = hits / np.maximum(hits + np.cumsum(goods, axis=1), 1e-12)
    return ratio((precision * bads).sum(axis=1), hits[:, -1])


def _by_score(score: Values, good: NDArray[np.bool_], weights: Weights) -> tuple[Weights, Weights]:
    """Weights of the good and of the defective pictures at each distinct score, ascending; [R, scores] each."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
    sorted_weights, sorted_good = weights[:, order], good[order]
    return (
        np.add.reduceat(sorted_weights * sorted_good, starts, axis=1),
        np.add.reduceat(sorted_weights * ~sorted_good, starts, axis=1),
    )


def ratio(part: Values, whole: Values) -> Values:
    """`part / whole`, nan where `whole` is 0."""
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole != 0), np.float64)


def _mean(values: NDArray[Any], weights: Weights) -> Values:
    known = np.isfinite(values)
    return ratio(weights @ np.where(known, values, 0.0), weights @ known.astype(float))


@dataclass(frozen=True)
class Curves:
    """Of pictures, from the strictest threshold to the loosest: x and y of each curve."""

    roc: tuple[Values, Values]
    recall_precision: tuple[Values, Values]


def image_curves(pictures: Table) -> Curves:
    """The curves whose areas are `image_auroc` and `image_ap`; there must be good and defective pictures."""
    goods, bads = (side[0, ::-1] for side in _by_score(pictures["score"], pictures.good, pictures.ones))
    alarms, hits = np.cumsum(goods), np.cumsum(bads)
    false_rate, true_rate = alarms / alarms[-1], hits / hits[-1]
    return Curves((np.append(0.0, false_rate), np.append(0.0, true_rate)), (true_rate, hits / (hits + alarms)))
