"""The pictures of a report: input, score map, mask, truth and repaired, of those that tell more than figures do."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass

import cv2
import numpy as np

from inspector.inference.channels import viewable
from inspector.inference.engine import Engine
from inspector.judge import Judge
from inspector.training import data
from inspector.training.compared import Comparisons
from inspector.training.outcome import Result, inspect
from inspector.types import Image, Map, Mask

CELL = 256
"""Side of a picture on the sheet, at most; large ones are cut out around what is marked, then shrunk."""

MARGIN = 1.3
"""How much wider than what is marked a cut-out is."""

ROWS = 3
"""Rows of each sort."""

JPEG_QUALITY = 80

HIT, FALSE, MISSED, OUTLINE = (255, 255, 255), (60, 60, 230), (230, 150, 30), (255, 255, 255)
"""Blue, green, red of the mask's colours, and of the truth's outline on the score map."""

SORTS = {
    "worst mask": "Masks that agree least with the truth",
    "worst good": "Good pictures with the highest scores",
    "lowest defective": "Defective pictures without a mask, with the lowest scores",
    "borderline": "Scores nearest to the threshold",
    "best mask": "Masks that agree most with the truth",
}
"""The sorts of rows, in the order of the report."""


@dataclass(frozen=True)
class Entry:
    """A row: what is shown, and its pictures by name as data URIs; None where there is no such picture."""

    sort: str
    result: Result
    cells: dict[str, str | None]


def choose(results: list[Result], threshold: float) -> list[tuple[str, Result]]:
    """Best, worst and borderline pictures, each with its sort: no picture twice."""
    judged = sorted((r for r in results if math.isfinite(r.f1)), key=lambda r: (r.f1, r.score))
    by_score = sorted(results, key=lambda r: r.score)
    good = [r for r in by_score if r.sample.good]
    unmasked = [r for r in by_score if not r.sample.good and r.counts is None]
    ranked = {
        "best mask": judged[::-1],
        "worst mask": judged,
        "borderline": sorted(results, key=lambda r: abs(r.score - threshold)),
        "worst good": good[::-1],
        "lowest defective": unmasked,
    }
    chosen: list[tuple[str, Result]] = []
    for name, candidates in ranked.items():
        fresh = [result for result in candidates if all(result is not other for _, other in chosen)]
        chosen += [(name, result) for result in fresh[:ROWS]]
    return sorted(chosen, key=lambda pair: list(SORTS).index(pair[0]))


def draw(results: list[Result], running: Engine, judge: Judge, compared: Comparisons) -> list[Entry]:
    """The chosen pictures, inspected once more and drawn."""
    return [
        Entry(sort, result, _cells(result, running, judge, compared))
        for sort, result in choose(results, judge.threshold)
    ]


def _cells(result: Result, running: Engine, judge: Judge, compared: Comparisons) -> dict[str, str | None]:
    sample = result.sample
    image = data.read_picture(sample.picture, compared.bundle.channels)
    running = compared.engine(running, sample, image) or running
    shape = (image.shape[0], image.shape[1])
    _, judgement, probability = inspect(running, judge, image)
    known = sample.good or sample.mask is not None
    truth = np.zeros(shape, np.uint8) if sample.mask is None else data.read_mask(sample.mask, shape)
    found = np.zeros(shape, np.uint8) if judgement.mask is None else judgement.mask
    repaired = None
    if running.repairer is not None and judgement.mask is not None:
        repaired, _ = running.repairer.repair(image, found, [region.box for region in judgement.regions])
    cut = _cut(shape, truth | found, probability)
    return {
        "input": _jpeg(_fit(viewable(image[cut]))),
        "score map": _jpeg(_heat(_fit(probability[cut]), _fit(truth[cut]))),
        "mask": _png(_agreement(_fit(found[cut]), _fit(truth[cut]) if known else None)),
        "truth": _png(_fit(truth[cut])) if known else None,
        "repaired": None if repaired is None else _jpeg(_fit(viewable(repaired[cut]))),
    }


def _cut(shape: tuple[int, int], marked: Mask, probability: Map) -> tuple[slice, slice]:
    """A square around all that is marked, else around the map's peak; the whole picture where that is small."""
    if marked.any():
        x, y, w, h = cv2.boundingRect(marked)
    else:
        peak = np.unravel_index(int(probability.argmax()), shape)
        x, y, w, h = int(peak[1]), int(peak[0]), 1, 1
    side = max(CELL, round(MARGIN * max(w, h)))
    top = int(np.clip(y + h // 2 - side // 2, 0, max(0, shape[0] - side)))
    left = int(np.clip(x + w // 2 - side // 2, 0, max(0, shape[1] - side)))
    return slice(top, top + side), slice(left, left + side)


def _fit(picture: np.ndarray) -> np.ndarray:
    """At most CELL pixels to a side; a mask's thin lines are kept."""
    scale = CELL / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), picture.dtype)


def _heat(probability: Map, truth: Mask) -> Image:
    """The map in colours, and around the true defects an outline that covers none of them."""
    heat = cv2.applyColorMap(np.round(probability * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    around = cv2.dilate((truth > 0).astype(np.uint8), np.ones((5, 5), np.uint8))
    outlines, _ = cv2.findContours(around, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(heat, outlines, -1, OUTLINE, 1), np.uint8)


def _agreement(found: Mask, truth: Mask | None) -> Image:
    """The mask, coloured by whether the truth agrees."""
    picture = np.zeros((*found.shape, 3), np.uint8)
    picture[found > 0] = HIT if truth is None else FALSE
    if truth is not None:
        picture[(truth > 0) & (found == 0)] = MISSED
        picture[(truth > 0) & (found > 0)] = HIT
    return picture


def _jpeg(picture: Image) -> str:
    _, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(content.tobytes()).decode()}"


def _png(picture: np.ndarray) -> str:
    _, content = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return f"data:image/png;base64,{base64.b64encode(content.tobytes()).decode()}"
