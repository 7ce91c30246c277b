"""Threshold and minimum area for a wished rate of false rejects (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.calibrate import conformal
from inspector.calibrate.conformal import Interval
from inspector.errors import DataError

AREAS = (1, 4, 16, 64)
"""Minimum areas that are tried beside the bundle's own, in pixels of the detector's input."""

LOWEST = 2.0**-20
"""The lowest threshold: where good parts lie below it, a lower one would only sense noise."""


@dataclass(frozen=True, slots=True)
class Wish:
    """At most the share `rate` of good parts is to be judged `ng`, with `confidence`."""

    rate: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen; `escapes` is None where there are no defective parts, `above` and `escaped` count parts."""

    threshold: float
    min_area: int
    above: int
    false_rejects: Interval
    escaped: int
    escapes: Interval | None
    why: str


def candidates(own: int, defective: bool) -> tuple[int, ...]:
    """The minimum areas to try, the bundle's own first; it alone where no defective picture can tell which is best."""
    return (own, *(area for area in AREAS if area != own)) if defective else (own,)


def choose(good: NDArray[np.float32], bad: NDArray[np.float32], areas: tuple[int, ...], wish: Wish) -> Choice:
    """Choose by the parts' critical thresholds, float32 [parts, areas]; `bad` may have no rows.

    Whoever looks at several areas and takes the best must promise for all of them at once, so that each gets its share
    of the doubt (Bonferroni), in the threshold and in both intervals. Where the parts do not suffice for that, the
    bundle's own area, the first, is kept.
    Raises DataError where the wish cannot be kept.
    """
    parts = len(good)
    if conformal.allowed_above(parts, wish.rate, wish.confidence) is None:
        raise DataError(_too_few(parts, wish))
    each = 1 - (1 - wish.confidence) / len(areas)
    above = conformal.allowed_above(parts, wish.rate, each)
    why = f"the one of {', '.join(map(str, sorted(areas)))} with the fewest escapes"
    if above is None:
        needed = conformal.parts_needed(wish.rate, each)
        why = f"the bundle's own, as choosing among {len(areas)} needs {needed} good parts"
        areas, each = areas[:1], wish.confidence
        above = conformal.allowed_above(parts, wish.rate, each)
    elif len(areas) == 1:
        why = "the bundle's own"
    assert above is not None  # noqa: S101 - looked at first
    thresholds = np.maximum(np.sort(good, axis=0)[parts - 1 - above, : len(areas)], np.float32(LOWEST))
    usable = [column for column in range(len(areas)) if thresholds[column] < 1]
    if not usable:
        raise DataError(
            f"more than {above} of {parts} good parts look as defective as can be (a region of probability 1), so that "
            f"no threshold keeps {wish.rate:.2%}; train with such parts among the normal pictures"
        )
    escaped = (bad[:, : len(areas)] <= thresholds).sum(axis=0)
    best = min(usable, key=lambda column: (escaped[column], column))
    lost = int(escaped[best])
    return Choice(
        threshold=float(thresholds[best]),
        min_area=areas[best],
        above=int((good[:, best] > thresholds[best]).sum()),
        false_rejects=conformal.false_rejects(parts, above, each),
        escaped=lost,
        escapes=conformal.escapes(lost, len(bad), each) if len(bad) else None,
        why=f"threshold: the lowest that {parts - above} of {parts} good parts do not reach; min_area: {why}",
    )


def _too_few(parts: int, wish: Wish) -> str:
    lowest = math.ceil(1e4 * conformal.lowest_rate(parts, wish.confidence)) / 1e4
    return (
        f"{parts} good parts are too few to promise a false-reject rate of {wish.rate:g} with {wish.confidence:.4g} "
        f"confidence: that needs {conformal.parts_needed(wish.rate, wish.confidence)}; give more parts, or wish for "
        f"--false-rejects {lowest:.4f}, the lowest that these allow"
    )
