"""`inspector compare`: two evaluations on the same pictures, side by side, and whether they differ for sure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from rich.console import Console

from inspector.errors import DataError
from inspector.training import bootstrap, breakdown, page, plots, wording
from inspector.training.figures import FORMAT, Table, figures, image_curves, table
from inspector.training.plots import Line
from inspector.types import Verdict

Record: TypeAlias = Mapping[str, Any]
"""The content of an evaluation.json."""

READ = frozenset(
    {"bundle", "data", "made", "figures", "groups_drawn", "kinds", "groups", "speed", "overlap", "notes", "results"}
)
"""What is read of an evaluation.json."""

LISTED = 50
"""Pictures with another verdict that are listed; the counts are of all."""


def compare(first: Path, second: Path, out: Path, console: Console) -> None:
    """Write the page `out` from two files evaluation.json; print what matters.

    Raises DataError for files that are no evaluations, or not of the same pictures.
    """
    records = [read(path) for path in (first, second)]
    a, b = (table(sorted(record["results"], key=lambda row: row["picture"])) for record in records)
    if records[0]["data"]["sha256"] != records[1]["data"]["sha256"] or a.picture != b.picture:
        raise DataError(
            f"{first} was measured on {_data(records[0])}, {second} on {_data(records[1])}; "
            "evaluate both bundles on the same pictures"
        )
    rows, changes = differences(records, a, b), changed(a, b)
    sentences = [*_sentences(rows), _verdicts(changes)]
    page.write(
        out,
        "compare.html.j2",
        records=records,
        sentences=sentences,
        notes=_notes(records),
        frames=wording.frames,
        rows=rows,
        changes=changes[:LISTED],
        more=max(0, len(changes) - LISTED),
        charts=_charts(records, a, b),
    )
    for sentence in sentences:
        console.print(sentence, markup=False, highlight=False)
    console.print(f"{out}", markup=False, highlight=False)


def read(path: Path) -> Record:
    """The content of an evaluation.json; raises DataError."""
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); give an evaluation.json") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise DataError(f"{path} is no evaluation.json of format {FORMAT}; make it with this version's evaluate")
    if missing := sorted(READ - record.keys()):
        raise DataError(f"{path} lacks {', '.join(missing)}; make it anew with this version's evaluate")
    return dict(record)


def _data(record: Record) -> str:
    return f"{record['data']['name']} {record['data']['sha256'][:12]}"


def differences(records: list[Record], a: Table, b: Table) -> list[dict[str, Any]]:
    """Each figure of both, the second less the first, and the paired 95 % interval of that.

    Paired: both are drawn the same groups. Figures that need whole maps have no interval: files keep no maps.
    """
    drawn = bootstrap.resamples(a.group)
    first, second = figures(a, drawn), figures(b, drawn)
    rows = []
    for name, (title, meaning) in (wording.MEANINGS | wording.MISTAKES).items():
        one, other = (record["figures"].get(name) for record in records)
        if one is None or other is None:
            continue
        interval = bootstrap.interval(second[name] - first[name]) if name in first else None
        rows.append(
            {
                "name": name, "title": title, "meaning": meaning, "first": one, "second": other,
                "difference": other - one, "interval": interval,
                "sure": interval is not None and (interval[0] > 0 or interval[1] < 0),
            }
        )  # fmt: skip
    return rows


def changed(a: Table, b: Table) -> list[dict[str, Any]]:
    """The pictures with another verdict, those where it became wrong first; `right` says who was right."""
    rows = []
    for i in np.flatnonzero(a.verdict != b.verdict):
        wanted = Verdict.OK if a.good[i] else Verdict.NG
        right = "first" if a.verdict[i] == wanted else "second" if b.verdict[i] == wanted else "neither"
        rows.append(
            {
                "picture": a.picture[i], "first": a.verdict[i], "second": b.verdict[i],
                "first_score": float(a["score"][i]), "second_score": float(b["score"][i]), "right": right,
            }
        )  # fmt: skip
    return sorted(rows, key=lambda row: (row["right"], row["picture"]))


def _sentences(rows: list[dict[str, Any]]) -> list[str]:
    """What is known of image AUROC and pixel F1, the two that sum a bundle up."""
    sentences = []
    for row in rows:
        if row["name"] not in ("image_auroc", "pixel_f1") or row["interval"] is None:
            continue
        if row["difference"] == 0 and row["interval"] == (0, 0):
            sentences.append(f"{row['title']}: {page.figure(row['first'])} for both.")
            continue
        better = "The second is better" if row["difference"] > 0 else "The first is better"
        verdict = better if row["sure"] else "Which is better cannot be told from these pictures"
        low, high = row["interval"]
        sentences.append(
            f"{row['title']}: {page.figure(row['first'])} and {page.figure(row['second'])}, a difference of "
            f"{row['difference']:+.3f} (95 %: {low:+.3f} to {high:+.3f}). {verdict}."
        )
    return sentences


def _verdicts(changes: list[dict[str, Any]]) -> str:
    if not changes:
        return "Both give every picture the same verdict."
    right = {who: sum(row["right"] == who for row in changes) for who in ("first", "second")}
    return (
        f"{len(changes)} pictures get another verdict: on {right['first']} the first is right, on {right['second']} "
        "the second."
    )


def _notes(records: list[Record]) -> list[tuple[str, str]]:
    """Whose they are, and what a reader of their figures must know, each once."""
    one, other = (record["notes"] for record in records)
    return [
        ("Both" if note in one and note in other else "The first" if note in one else "The second", note)
        for note in dict.fromkeys([*one, *other])
    ]


def _charts(records: list[Record], a: Table, b: Table) -> dict[str, str]:
    """Curves of pictures of both; none where there are no good or no defective ones."""
    if not a.good.any() or a.good.all():
        return {}
    names = [f"{order}: {record['bundle']['name']}" for order, record in zip(("first", "second"), records, strict=True)]
    curves = [image_curves(pictures) for pictures in (a, b)]
    points = [_point(breakdown.rates(pictures)) for pictures in (a, b)]
    roc = [Line(name, *curve.roc, point) for name, curve, point in zip(names, curves, points, strict=True)]
    recall = [Line(name, *curve.recall_precision) for name, curve in zip(names, curves, strict=True)]
    return {
        "ROC of pictures": plots.curves("ROC", roc, "false positive rate", "true positive rate"),
        "Precision and recall of pictures": plots.curves(
            "precision and recall", recall, "recall", "precision", legend="lower left"
        ),
    }


def _point(rates: Mapping[str, Any]) -> tuple[float, float]:
    """Where the verdicts are on the ROC."""
    return rates["false_rejects"]["share"], 1 - rates["escapes"]["share"]
