"""Writes report.html: one file that says what a bundle does, for the one who has to sign for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inspector.errors import DataError
from inspector.inference.bundle import HISTORY, Bundle
from inspector.inference.engine import Engine
from inspector.judge import Judge
from inspector.training import page, plots, sheet, wording
from inspector.training.compared import Comparisons
from inspector.training.figures import Table, image_curves, table
from inspector.training.metrics import PixelScores
from inspector.training.outcome import Result
from inspector.training.plots import Line

REPAIRS = {"repair": "this bundle", "telea": "cv2 TELEA", "ns": "cv2 NS", "repair_as_run": "this bundle, as it runs"}
GROUPS_SHOWN = 20


def write(
    path: Path,
    record: Mapping[str, Any],
    scores: PixelScores,
    results: list[Result],
    bundle: Bundle,
    running: Engine,
    compared: Comparisons,
) -> None:
    """Write the report of an evaluation's `record` (evaluation.json) to `path`.

    scores: of all pixels;  results: of all pictures, of which some are inspected once more by `running` and shown
    """
    decision = bundle.card.decision
    judge = Judge(decision.threshold, decision.min_area)
    histories, damaged = _histories(bundle.folder)
    pictures = table(record["results"])
    page.write(
        path,
        "report.html.j2",
        record=record,
        card=bundle.card,
        verdict=wording.verdict(record),
        cautions=wording.cautions(record),
        frames=wording.frames,
        meanings={name: text for name, text in wording.MEANINGS.items() if record["figures"].get(name) is not None},
        control=wording.control(record["figures"], record["results"]),
        charts=_charts(record, pictures, scores, decision.threshold),
        groups_shown=GROUPS_SHOWN,
        repairs=_repairs(record["figures"]),
        histories=histories,
        damaged=damaged,
        sorts=sheet.SORTS,
        entries=sheet.draw(results, running, judge, compared),
    )


def _charts(record: Mapping[str, Any], pictures: Table, scores: PixelScores, threshold: float) -> dict[str, str]:
    """Titles and SVGs of what can be drawn."""
    figures, rates = record["figures"], record["rates"]
    charts, roc, recall = {}, [], []
    if figures["image_auroc"] is not None:
        curve = image_curves(pictures)
        missed, rejected = rates["escapes"]["share"], rates["false_rejects"]["share"]
        roc.append(Line(f"pictures ({figures['image_auroc']:.3f})", *curve.roc, (rejected, 1 - missed)))
        recall.append(Line(f"pictures ({figures['image_ap']:.3f})", *curve.recall_precision))
    if figures["pixel_auroc"] is not None:
        precision, found = scores.precision_recall()
        roc.append(Line(f"pixels ({figures['pixel_auroc']:.3f})", *scores.roc()))
        point = None if figures["pixel_precision"] is None else (figures["pixel_recall"], figures["pixel_precision"])
        recall.append(Line(f"pixels ({figures['pixel_ap']:.3f})", found, precision, point))
    if roc:
        charts["ROC, with the area under it"] = plots.curves("ROC", roc, "false positive rate", "true positive rate")
        charts["Precision and recall, with the average precision"] = plots.curves(
            "precision and recall", recall, "recall", "precision", legend="lower left"
        )
    if figures["aupro_30"] is not None:
        line = Line(f"regions (AUPRO {figures['aupro_30']:.3f})", *scores.pro())
        charts["Overlap of true regions (PRO)"] = plots.curves(
            "PRO", [line], "false positive rate of pixels", "mean overlap of a region", 0.3, fill=True
        )
    good = pictures.good
    charts["Scores of pictures"] = plots.histogram(
        "scores", pictures["score"][good], pictures["score"][~good], threshold
    )
    return charts


def _repairs(figures: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Figures of each way to repair, by the way's title."""
    names = ("psnr", "ssim", "l1", "binary_accuracy")
    return {
        title: {name: figures[f"{way}_{name}"] for name in names if f"{way}_{name}" in figures}
        for way, title in REPAIRS.items()
        if f"{way}_psnr" in figures
    }


def _histories(folder: Path) -> tuple[dict[str, list[str]], list[str]]:
    """Charts of each network's training that the bundle has the history of, and the logs that cannot be drawn."""
    charts, damaged = {}, []
    for log in sorted((folder / HISTORY).glob("*.jsonl")):
        try:
            charts[log.stem] = plots.history(log.stem, plots.read_log(log))
        except DataError:
            damaged.append(f"{HISTORY}/{log.name}")
    return charts, damaged
