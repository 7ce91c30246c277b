"""Figures by kind of defect and by group, with what each kind does to the whole (pure)."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inspector.training import bootstrap
from inspector.training.data import GOOD
from inspector.training.figures import Table, Values, Weights, auroc, figures, pixel_figures
from inspector.types import Verdict

Row: TypeAlias = dict[str, Any]
"""Numbers, None where there is none; `<name>_interval` is a pair."""


def rates(table: Table) -> dict[str, Row]:
    """False rejects among good pictures and escapes among defective ones, with exact intervals."""
    return {
        "false_rejects": _share(table, table.good, Verdict.NG),
        "escapes": _share(table, ~table.good, Verdict.OK),
        "unknown": _share(table, np.ones_like(table.good), Verdict.UNKNOWN),
    }


def _share(table: Table, own: NDArray[np.bool_], verdict: Verdict) -> Row:
    """How many of the pictures `own` got the verdict, and of how many groups these are."""
    hit = table.verdict[own] == verdict
    count, of, groups = int(hit.sum()), len(hit), len(np.unique(table.group[own]))
    share, interval = count / of if of else None, bootstrap.share(count, of, groups)
    return {"count": count, "of": of, "groups": groups, "share": share, "interval": interval}


def by_kind(table: Table, resamples: Weights) -> dict[str, Row]:
    """Of each kind: the share called ng, how it is told from good pictures, and its masks.

    pixel_f1: over the pixels of this kind's pictures;  pixel_f1_without: over those of all other pictures
    """
    rows = {}
    for kind in sorted(set(table.kind.tolist())):
        own = table.kind == kind
        ng = _share(table, own, Verdict.NG)
        row: Row = {"pictures": int(own.sum()), "ng": ng["share"], "ng_interval": ng["interval"]}
        if kind != GOOD:
            found, drawn = _of_kind(table, own, table.ones), _of_kind(table, own, resamples)
            row |= {name: number(values) for name, values in found.items()}
            row |= {f"{name}_interval": bootstrap.spread(values) for name, values in drawn.items()}
            row["regions_found"] = number(figures(table, table.ones * own)["regions_found"])
        row["median_pixel_f1"] = _median_f1(table, own)
        rows[kind] = row
    return rows


def _of_kind(table: Table, own: NDArray[np.bool_], weights: Weights) -> dict[str, Values]:
    return {
        "image_auroc": auroc(table["score"], table.good, weights * (own | table.good)),
        "pixel_f1": pixel_figures(table, weights * own)["pixel_f1"],
        "pixel_f1_without": pixel_figures(table, weights * ~own)["pixel_f1"],
    }


def _median_f1(table: Table, own: NDArray[np.bool_]) -> float | None:
    marked = own & (table["tp"] + table["fn"] > 0)
    tp, fp, fn = (table[name][marked] for name in ("tp", "fp", "fn"))
    return float(np.median(2 * tp / (2 * tp + fp + fn))) if marked.any() else None


def by_group(table: Table) -> list[Row]:
    """Of each named group its pictures, mistakes and figures, those with most mistakes first; none without names."""
    rows = []
    for name in sorted(set(table.group_name.tolist()) - {""}):
        own = table.group_name == name
        figure = figures(table, table.ones * own)
        rows.append(
            {
                "group": name,
                "good": int((own & table.good).sum()),
                "defective": int((own & ~table.good).sum()),
                "false_rejects": int((own & table.good & (table.verdict == Verdict.NG)).sum()),
                "escapes": int((own & ~table.good & (table.verdict == Verdict.OK)).sum()),
                "image_auroc": number(figure["image_auroc"]),
                "pixel_f1": number(figure["pixel_f1"]),
                "regions_found": number(figure["regions_found"]),
                "false_regions_per_good": number(figure["false_regions_per_good"]),
            }
        )
    return sorted(rows, key=lambda row: -(row["false_rejects"] + row["escapes"]))


def number(values: Values) -> float | None:
    """The figure of a single row of weights; None where it is undefined."""
    return float(values[0]) if math.isfinite(values[0]) else None
