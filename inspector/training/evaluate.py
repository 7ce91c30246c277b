"""`inspector evaluate`: what a bundle does on pictures with known truth, by the code that the daemon runs.

Every figure is at the frames' own resolution: maps are enlarged as the judge does it, masks are those that would be
published. Nothing is chosen here.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from inspector import __version__
from inspector.errors import DataError, working_in
from inspector.inference import bundle as bundles
from inspector.inference import engine
from inspector.inference.bundle import Bundle
from inspector.inference.engine import Engine
from inspector.inference.view import view_of
from inspector.judge import Judge
from inspector.training import bootstrap, breakdown, data, learnt, report, speed
from inspector.training.compared import Comparisons, comparisons
from inspector.training.data import Sample
from inspector.training.figures import FORMAT, figures, table
from inspector.training.metrics import PixelScores
from inspector.training.outcome import Result, against_truth, inspect
from inspector.training.repair_metrics import RepairScores
from inspector.training.split import with_groups_of_copies
from inspector.training.trials import punched


@dataclass
class Totals:
    """All figures in the making; `coarse` has the scores of each picture."""

    scores: PixelScores = field(default_factory=PixelScores)
    coarse: list[PixelScores] = field(default_factory=list)
    repairs: RepairScores = field(default_factory=RepairScores)
    results: list[Result] = field(default_factory=list)

    def group_copies(self) -> list[str]:
        """Give near copies a group in common, unless most look alike; what a reader must know of that."""
        samples, note = with_groups_of_copies([result.sample for result in self.results])
        self.results = [replace(result, sample=sample) for result, sample in zip(self.results, samples, strict=True)]
        return [] if note is None else [note]


def evaluate(
    folder: Path,
    root: Path,
    out: Path,
    device: str,
    card: bool,
    console: Console,
    references: Path | None = None,
    fit: str = "resize",
    overlap: int | None = None,
) -> dict[str, float]:
    """Measure the bundle in `folder` on the pictures in `root`; print, and write evaluation.json and report.html.

    card: also put the figures into the bundle's card
    references: reference pictures by position, for a bundle that compares; else each picture has its own
    fit, overlap: how pictures become the model's input, as a camera has them
    Raises ConfigError, DataError, BundleError, DeviceError.
    """
    bundle = bundles.load(folder)
    compared = comparisons(bundle, references, view_of(bundle.card, fit, overlap))
    running = engine.start(bundle, device, max_batch=1)
    judge = Judge(bundle.card.decision.threshold, bundle.card.decision.min_area)
    channels = bundle.card.input.channels
    everything = data.test_samples(root)
    data.check_modalities(everything, bundle.card.input.modalities)
    samples, problems = data.readable(everything, channels, whole=True)
    for problem in problems:
        console.print(f"left out: {problem}", markup=False, highlight=False)
    if not samples:
        raise DataError(f"{root} has no readable picture")
    seen = learnt.seen(bundle, samples)
    if seen and card:
        raise DataError(
            f"bundle {bundle.card.name!r} was trained with {len(seen)} of the {len(samples)} pictures in {root}, such "
            f"as {seen[0].picture}; a card has the scores on others: evaluate it on pictures that it has not seen, or "
            "leave out --card"
        )
    if seen:
        line = (
            f"the bundle was trained with {len(seen)} of these {len(samples)} pictures: figures on them prove nothing"
        )
        console.print(line, markup=False, highlight=False)

    totals = Totals()
    for sample in track(samples, "evaluating", console=console, transient=True):
        if not _measure(sample, running, judge, compared, totals):
            problems.append(compared.unmatched(sample))
            console.print(f"left out: {problems[-1]}", markup=False, highlight=False)
    if not totals.results:
        raise DataError(f"{root} has no picture that lies on its reference")
    notes = [*totals.group_copies(), *compared.said()]
    for line in notes:
        console.print(line, markup=False, highlight=False)
    twins = totals.repairs.pictures > 0
    if running.repairer is not None and not twins and not bundle.card.input.reference:
        for image, hole in punched(samples, channels):
            totals.repairs.add(running.repairer, image, hole, None, image)
    found, measured = _figures(root, totals)
    if card:
        from inspector.training.packing import with_scores

        with working_in(folder):
            with_scores(folder, found)
        bundle = bundles.load(folder)  # its card, and with it its sha256, has changed

    judged = {result.sample.picture for result in totals.results}
    record = {
        "format": FORMAT,
        "bundle": _identity(bundle, running),
        "data": {
            "name": root.resolve().name,
            "sha256": data.data_hash(samples),
            "pictures": dict(Counter(result.sample.kind for result in totals.results)),
            "seen": [sample.picture.relative_to(root).as_posix() for sample in seen if sample.picture in judged],
        },
        "made": {
            "at": datetime.now().astimezone().isoformat(timespec="seconds"),
            "inspector": __version__,
            "processor": speed.processor(),
            "busy": speed.busy(),
        },
        "figures": {key: value if math.isfinite(value) else None for key, value in found.items()},
        **measured,
        "repaired": {"pictures": totals.repairs.pictures, "twins": twins},
        "speed": speed.measure(bundle, device),
        "left_out": problems,
        "notes": notes,
        "references": compared.counts,
        "overlap": compared.view.overlap,
        "results": [result.row(root) for result in totals.results],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "evaluation.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    report.write(out / "report.html", record, totals.scores, totals.results, bundle, running, compared)
    title = f"{bundle.card.name} on {root.name}: {len(totals.results)} pictures, {running.tag.provider}"
    _print(console, title, found, measured["kinds"])
    console.print(f"{out / 'evaluation.json'}, {out / 'report.html'}", markup=False, highlight=False)
    return found


def _measure(sample: Sample, running: Engine, judge: Judge, compared: Comparisons, totals: Totals) -> bool:
    """Whether the picture could be judged."""
    channels = compared.bundle.channels
    image = data.read_picture(sample.picture, channels)
    beside = compared.engine(running, sample, image)
    if beside is None:
        return False
    shape = (image.shape[0], image.shape[1])
    truth = None
    if sample.mask is not None:
        truth = data.read_mask(sample.mask, shape)
    elif sample.good:
        truth = np.zeros(shape, np.uint8)
    detection, judgement, probability = inspect(beside, judge, image)
    result, scores = against_truth(sample, truth, detection, judgement, probability)
    totals.results.append(result)
    totals.scores.merge(scores)
    totals.coarse.append(scores.coarse())
    if beside.repairer is not None and sample.reference is not None and truth is not None and truth.any():
        twin = data.read_picture(sample.reference, channels)
        if twin.shape == image.shape:
            totals.repairs.add(beside.repairer, image, truth, judgement, twin)
    return True


def _figures(root: Path, totals: Totals) -> tuple[dict[str, float], dict[str, Any]]:
    """The figures, and what goes with them into the record: intervals, rates, kinds and groups."""
    pictures = table(result.row(root) for result in totals.results)
    found = {name: float(values[0]) for name, values in figures(pictures, pictures.ones).items()}
    found |= bootstrap.of_maps(totals.scores) | totals.repairs.figures()
    drawn = bootstrap.resamples(pictures.group)
    moved = figures(pictures, drawn) | bootstrap.map_figures(totals.coarse, drawn)
    return found, {
        "groups_drawn": int(pictures.group.max()) + 1,
        "intervals": bootstrap.intervals(moved),
        "rates": breakdown.rates(pictures),
        "kinds": breakdown.by_kind(pictures, drawn),
        "groups": breakdown.by_group(pictures),
    }


def _identity(bundle: Bundle, running: Engine) -> dict[str, Any]:
    return {
        "name": bundle.card.name,
        "version": bundle.card.version,
        "sha256": bundle.sha256,
        "provider": running.tag.provider,
        "threshold": bundle.card.decision.threshold,
        "min_area": bundle.card.decision.min_area,
    }


def _print(console: Console, title: str, found: Mapping[str, float], kinds: Mapping[str, breakdown.Row]) -> None:
    values = Table("figure", "value", title=escape(title))
    for key, value in found.items():
        values.add_row(key, f"{value:.4g}" if math.isfinite(value) else "-")
    console.print(values)
    rows = Table("kind", "pictures", "called ng", "median pixel F1")
    for kind, row in kinds.items():
        f1 = row["median_pixel_f1"]
        rows.add_row(escape(kind), str(row["pictures"]), f"{row['ng']:.1%}", "-" if f1 is None else f"{f1:.3f}")
    console.print(rows)
