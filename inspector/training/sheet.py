"""The sheet of evaluate: pictures that tell more than figures do. Drawn with OpenCV, so that it needs nothing else."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np

from inspector.inference.channels import viewable
from inspector.inference.engine import Engine
from inspector.judge import Judge
from inspector.training import data
from inspector.training.outcome import Result, inspect
from inspector.types import Image, Map, Mask

CELL = 280
"""Height of a picture on the sheet; large ones are shown as cut-outs around what matters."""

HEADER = 22
ROWS = 3
"""Rows of each sort."""


def choose(results: list[Result]) -> list[tuple[str, Result]]:
    """Best, worst and borderline pictures, each with its sort: no picture twice."""
    judged = sorted((r for r in results if math.isfinite(r.f1)), key=lambda r: r.f1)
    by_score = sorted(results, key=lambda r: r.score)
    good = [r for r in by_score if r.sample.good]
    unmasked = [r for r in by_score if not r.sample.good and not math.isfinite(r.f1)]
    sorts = [
        ("best mask", judged[::-1]),
        ("worst mask", judged),
        ("borderline", sorted(results, key=lambda r: abs(r.score - 0.5))),
        ("worst good", good[::-1]),
        ("lowest defective", unmasked),
    ]
    chosen: list[tuple[str, Result]] = []
    for name, ranked in sorts:
        fresh = [result for result in ranked if all(result is not other for _, other in chosen)]
        chosen += [(name, result) for result in fresh[:ROWS]]
    return chosen


def write(path: Path, results: list[Result], running: Engine, judge: Judge, channels: int) -> None:
    """Draw the chosen pictures: input | score map | mask | truth | repaired."""
    rows = [_row(name, result, running, judge, channels) for name, result in choose(results)]
    width = max(row.shape[1] for row in rows)
    rows = [
        cv2.copyMakeBorder(row, 0, 0, 0, width - row.shape[1], cv2.BORDER_CONSTANT, value=(0, 0, 0)) for row in rows
    ]
    cv2.imwrite(str(path), np.vstack(rows))


def _row(name: str, result: Result, running: Engine, judge: Judge, channels: int) -> Image:
    sample = result.sample
    image = data.read_picture(sample.picture, channels)
    shape = (image.shape[0], image.shape[1])
    _, judgement, probability = inspect(running, judge, image)
    truth = np.zeros(shape, np.uint8) if sample.mask is None else data.read_mask(sample.mask, shape)
    found = np.zeros(shape, np.uint8) if judgement.mask is None else judgement.mask
    repaired = image
    if running.repairer is not None and judgement.mask is not None:
        repaired, _ = running.repairer.repair(image, found, [region.box for region in judgement.regions])
    cut = _cut(shape, truth | found, probability)
    cells = [image, _heat(probability), found[:, :, None], truth[:, :, None], repaired]
    row = np.hstack([_cell(viewable(cell[cut])) for cell in cells])
    f1 = f" F1 {result.f1:.2f}" if math.isfinite(result.f1) else ""
    text = f"{name}: {sample.kind}/{sample.picture.name}  {result.verdict} score {result.score:.3f}{f1}"
    header = np.full((HEADER, row.shape[1], 3), 40, np.uint8)
    cv2.putText(header, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return np.vstack([header, row])


def _cut(shape: tuple[int, int], marked: Mask, probability: Map) -> tuple[slice, slice]:
    """A square of up to CELL pixels around the middle of what is marked, else around the map's peak."""
    spots = np.argwhere(marked)
    y, x = spots[len(spots) // 2] if len(spots) else np.unravel_index(int(probability.argmax()), shape)
    top = int(np.clip(y - CELL // 2, 0, max(0, shape[0] - CELL)))
    left = int(np.clip(x - CELL // 2, 0, max(0, shape[1] - CELL)))
    return slice(top, top + CELL), slice(left, left + CELL)


def _heat(probability: Map) -> Image:
    return np.asarray(cv2.applyColorMap(np.round(probability * 255).astype(np.uint8), cv2.COLORMAP_INFERNO), np.uint8)


def _cell(image: Image) -> Image:
    """Enlarged to the sheet's height, with a thin frame."""
    scale = CELL / image.shape[0]
    cell = cv2.resize(image, (max(1, round(image.shape[1] * scale)), CELL), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.copyMakeBorder(cell, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(90, 90, 90)), np.uint8)
