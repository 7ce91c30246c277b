"""Chooses what fills holes of each depth: the network, or one of OpenCV's inpainters where that does better.

Measured by the daemon's own code on whole validation pictures, as an evaluation does, so that by them a bundle never
repairs worse than the better of the two inpainters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import cv2
import numpy as np

from inspector.inference import runtimes
from inspector.inference.bundle import Bundle, Repair, RepairMethod
from inspector.inference.repairer import Repairer, depth
from inspector.training.trials import Trial
from inspector.types import Box, Image, Mask

Method: TypeAlias = Literal["network", "telea", "ns"]

METHODS: tuple[Method, ...] = ("network", "telea", "ns")

DEPTHS = (2.0, 4.0, 8.0, 16.0)
"""Bounds of the classes that are decided on, each for itself: half the width of a scratch, of a pit, of a stain."""

TRIALS = 160
"""Validation pictures that are tried, some of them more than once where there are fewer."""

ENOUGH = 20
"""Holes that a class must have to be decided on; one with fewer goes with the next deeper one."""


@dataclass
class _Class:
    """The holes of one range of depths: the squared error of each method, summed, and the values it is over."""

    bound: float
    squares: dict[Method, float]
    values: int = 0
    holes: int = 0

    def join(self, other: _Class) -> None:
        for method in METHODS:
            self.squares[method] += other.squares[method]
        self.values += other.values
        self.holes += other.holes


def with_methods(draft: Bundle, shown: Iterable[Trial], least: int = ENOUGH) -> Repair:
    """The draft's [repair], with the best method for each class of depths as measured on `shown`."""
    assert draft.repairer is not None and draft.card.repair is not None  # noqa: S101, PT018 - just exported
    model = runtimes.load(draft.repairer, "cpu")
    repairers = {method: Repairer(model, _only(draft, method)) for method in METHODS}
    classes = [_Class(bound, dict.fromkeys(METHODS, 0.0)) for bound in (*DEPTHS, math.inf)]
    for seen, wanted, hole in shown:
        _measure(classes, repairers, seen, wanted, hole)
    return draft.card.repair.model_copy(update={"methods": _table(_joined(classes, least))})


def explained(repair: Repair) -> str:
    """What fills which holes and why, in a sentence."""
    parts = []
    for row in repair.methods:
        which = "deeper holes" if row.max_depth is None else f"holes up to {row.max_depth:g} pixels deep"
        figures = ", ".join(f"{method} {value:.1f}" for method, value in row.psnr.items())
        parts.append(f"{which} by {row.method} (dB on {row.holes} validation holes: {figures})")
    return "repairs " + "; ".join(parts)


def _only(draft: Bundle, method: Method) -> Bundle:
    assert draft.card.repair is not None  # noqa: S101 - it has a repairer
    repair = draft.card.repair.model_copy(update={"methods": (RepairMethod(method=method),)})
    return replace(draft, card=draft.card.model_copy(update={"repair": repair}))


def _measure(classes: list[_Class], repairers: dict[Method, Repairer], seen: Image, wanted: Image, hole: Mask) -> None:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(hole, connectivity=8)
    boxes: list[Box] = [(int(x), int(y), int(w), int(h)) for x, y, w, h, _ in stats[1:]]
    errors = {}
    for method, repairer in repairers.items():
        repaired, _ = repairer.repair(seen, hole, boxes)
        errors[method] = np.square(repaired.astype(np.float64) - wanted).sum(axis=2)
    for label in range(1, len(stats)):
        mine = labels == label
        deep = depth(np.where(mine, 255, 0).astype(np.uint8))
        its = next(row for row in classes if deep <= row.bound)
        its.holes += 1
        its.values += int(np.count_nonzero(mine)) * wanted.shape[2]
        for method in METHODS:
            its.squares[method] += float(errors[method][mine].sum())


def _joined(classes: list[_Class], least: int) -> list[_Class]:
    """The classes with `least` holes; one with fewer joins the next, the last the one before.

    Where there are fewer in all they are one class: little evidence is better than none.
    """
    kept: list[_Class] = []
    for index, row in enumerate(classes):
        if row.holes >= least:
            kept.append(row)
        elif index + 1 < len(classes):
            classes[index + 1].join(row)
        elif kept:
            kept[-1].join(row)
        elif row.holes:
            kept.append(row)
    return kept


def _table(classes: list[_Class]) -> tuple[RepairMethod, ...]:
    """A row a class, the last without a bound; neighbours stay apart even where the same method wins, for the card."""
    rows = []
    for index, row in enumerate(classes):
        best = min(METHODS, key=lambda method: row.squares[method])
        rows.append(
            RepairMethod(
                method=best,
                max_depth=None if index == len(classes) - 1 else row.bound,
                holes=row.holes,
                psnr={method: _psnr(row.squares[method], row.values) for method in METHODS},
            )
        )
    return tuple(rows) or (RepairMethod(method="network"),)


def _psnr(squares: float, values: int) -> float:
    """In dB, of 8-bit values; 99 where there is no error at all, which a card could not hold as infinity."""
    return round(10 * math.log10(255**2 * values / squares), 2) if squares else 99.0
