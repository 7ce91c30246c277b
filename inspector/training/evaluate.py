"""`inspector evaluate`: what a bundle does on pictures with known truth, by the code that the daemon runs.

Every figure is at the frames' own resolution: maps are enlarged as the judge does it, masks are those that would be
published. Nothing is chosen here.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from inspector.errors import DataError
from inspector.inference import bundle as bundles
from inspector.inference import engine
from inspector.inference.engine import Engine
from inspector.judge import Judge
from inspector.training import data, sheet
from inspector.training.data import Sample
from inspector.training.metrics import PixelCounts, PixelScores, area_under_roc, cross_entropy
from inspector.training.outcome import Result, inspect
from inspector.training.repair_metrics import RepairScores
from inspector.types import Mask, Verdict


@dataclass
class Totals:
    """All figures in the making."""

    scores: PixelScores = field(default_factory=PixelScores)
    counts: PixelCounts = field(default_factory=PixelCounts)
    repairs: RepairScores = field(default_factory=RepairScores)
    losses: list[float] = field(default_factory=list)
    regions_hit: int = 0
    results: list[Result] = field(default_factory=list)


def evaluate(folder: Path, root: Path, out: Path, device: str, card: bool, console: Console) -> dict[str, float]:
    """Measure the bundle in `folder` on the pictures in `root`; print, and write a JSON file and a sheet to `out`.

    card: also put the figures into the bundle's card. Raises DataError, BundleError, DeviceError.
    """
    bundle = bundles.load(folder)
    running = engine.start(bundle, device, max_batch=1)
    judge = Judge(bundle.card.decision.threshold, bundle.card.decision.min_area)
    samples, problems = data.readable(data.test_samples(root), bundle.card.input.channels)
    for problem in problems:
        console.print(f"left out: {problem}", markup=False, highlight=False)
    if not samples:
        raise DataError(f"{root} has no readable picture")

    totals = Totals()
    for sample in track(samples, "evaluating", console=console, transient=True):
        _measure(sample, running, judge, bundle.card.input.channels, totals)
    figures = _figures(totals)

    out.mkdir(parents=True, exist_ok=True)
    report = {
        "bundle": {"name": bundle.card.name, "sha256": bundle.sha256, "provider": running.tag.provider},
        "data": {"name": root.name, "sha256": data.data_hash(samples), "pictures": _pictures(samples)},
        "figures": {key: value if math.isfinite(value) else None for key, value in figures.items()},
        "kinds": _by_kind(totals.results),
    }
    (out / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    sheet.write(out / "sheet.png", totals.results, running, judge, bundle.card.input.channels)
    if card:
        from inspector.training.packing import with_scores

        with_scores(folder, figures)
    _print(
        console, f"{bundle.card.name} on {root.name}: {len(samples)} pictures, {running.tag.provider}", figures, totals
    )
    console.print(f"{out / 'evaluation.json'}, {out / 'sheet.png'}", markup=False, highlight=False)
    return figures


def _measure(sample: Sample, running: Engine, judge: Judge, channels: int, totals: Totals) -> None:
    image = data.read_picture(sample.picture, channels)
    shape = (image.shape[0], image.shape[1])
    detection, judgement, probability = inspect(running, judge, image)
    found = np.zeros(shape, np.uint8) if judgement.mask is None else judgement.mask
    f1, false_regions = math.nan, len(judgement.regions)
    if sample.good or sample.mask is not None:
        truth = np.zeros(shape, np.uint8) if sample.mask is None else data.read_mask(sample.mask, shape)
        totals.scores.add(probability, truth)
        totals.counts.add(found, truth)
        totals.losses.append(cross_entropy(probability, truth))
        if truth.any():
            own = PixelCounts()
            own.add(found, truth)
            f1 = own.figures()["pixel_f1"]
            totals.regions_hit += regions_touched(truth, found)
            false_regions = len(judgement.regions) - regions_touched(found, truth)
        if running.repairer is not None and sample.reference is not None and truth.any():
            totals.repairs.add(running.repairer, image, truth, judgement, data.read_picture(sample.reference, channels))
    totals.results.append(Result(sample, detection.score, judgement.verdict, f1, false_regions))


def regions_touched(mask: Mask, by: Mask) -> int:
    """How many connected regions of `mask` share a pixel with `by`."""
    _, labels = cv2.connectedComponents(mask, connectivity=8)
    return int(np.count_nonzero(np.unique(labels[by > 0])))


def _figures(totals: Totals) -> dict[str, float]:
    good = [result for result in totals.results if result.sample.good]
    bad = [result for result in totals.results if not result.sample.good]
    figures = {
        "image_auroc": area_under_roc(np.array([r.score for r in good]), np.array([r.score for r in bad])),
        "pixel_auroc": totals.scores.auroc(),
        "aupro_30": totals.scores.aupro(),
        "loss": float(np.mean(totals.losses)) if totals.losses else math.nan,
        **totals.counts.figures(),
        "regions_found": totals.regions_hit / totals.scores.region_count if totals.scores.region_count else math.nan,
        "false_regions_per_good": float(np.mean([r.false_regions for r in good])) if good else math.nan,
        "false_rejects_per_1000_good": _per_1000(good, Verdict.NG),
        "escapes_per_1000_defective": _per_1000(bad, Verdict.OK),
    }
    return figures | totals.repairs.figures()


def _per_1000(results: list[Result], verdict: Verdict) -> float:
    return 1000 * float(np.mean([result.verdict is verdict for result in results])) if results else math.nan


def _pictures(samples: list[Sample]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for sample in samples:
        counts[sample.kind] += 1
    return dict(counts)


def _by_kind(results: list[Result]) -> dict[str, Mapping[str, float | None]]:
    """Of each kind: how many, the share called ng, and the median pixel F1 of a picture."""
    kinds: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        kinds[result.sample.kind].append(result)
    rows: dict[str, Mapping[str, float | None]] = {}
    for kind, members in sorted(kinds.items()):
        f1 = [result.f1 for result in members if math.isfinite(result.f1)]
        rows[kind] = {
            "pictures": len(members),
            "ng": float(np.mean([result.verdict is Verdict.NG for result in members])),
            "median_pixel_f1": float(np.median(f1)) if f1 else None,
        }
    return rows


def _print(console: Console, title: str, figures: Mapping[str, float], totals: Totals) -> None:
    table = Table("figure", "value", title=title)
    for key, value in figures.items():
        table.add_row(key, f"{value:.4g}" if math.isfinite(value) else "-")
    console.print(table)
    kinds = Table("kind", "pictures", "called ng", "median pixel F1")
    for kind, row in _by_kind(totals.results).items():
        f1 = row["median_pixel_f1"]
        kinds.add_row(kind, str(row["pictures"]), f"{row['ng']:.1%}", "-" if f1 is None else f"{f1:.3f}")
    console.print(kinds)
