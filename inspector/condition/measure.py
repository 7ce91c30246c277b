"""What a frame tells of its camera: one number for each check."""

from __future__ import annotations

import math
from collections import deque

import cv2

from inspector.condition import view
from inspector.condition.checks import Values
from inspector.condition.view import View
from inspector.types import Cause, Image, Mask

DARK, BRIGHT = 16, 250
"""Grey levels: dark up to the first, which is above the black of sensors and of video; as bright as can be from the
second."""
FINE, COARSE = 2, 8
"""Pixels over which contrast is taken: its ratio is that of the scene, whatever the light, until the focus moves."""
LAMP = 25
"""Frames whose median is the brightness: parts differ, the lamp should not."""
ALIKE = 0.5
"""A likeness below it says that the scene is not there any more, wherever it matches best."""


class Gauge:
    """Measures a camera's frames, which it is shown in order.

    noise: grey levels; a frame that differs from the one before by no more, on the average, repeats it
    reference: what `shifted` compares with; without it that is NaN
    """

    def __init__(self, noise: float = 0.0, reference: View | None = None) -> None:
        self._noise = noise
        self._reference = reference
        self._before: Mask | None = None
        self._repeats = 0
        self._lamp: deque[float] = deque(maxlen=LAMP)

    def measure(self, image: Image) -> Values:
        """The values of the next frame, uint8 [height, width, channels]."""
        height, width, _ = image.shape
        rows = view.rows(image)
        seen = view.view(rows)
        self._lamp.append(cv2.mean(seen)[0])
        return {
            Cause.BLACK: _share(seen, 0, DARK),
            Cause.SATURATED: _share(seen, BRIGHT, 255),
            Cause.FROZEN: self._count_repeats(rows),
            Cause.DRIFTED: sorted(self._lamp)[LAMP // 2] if len(self._lamp) == LAMP else math.nan,
            Cause.SHIFTED: self._shift(seen, height, width),
            Cause.DEFOCUSED: _sharpness(rows),
        }

    def _count_repeats(self, rows: Mask) -> int:
        before, self._before = self._before, rows
        self._repeats = self._repeats + 1 if change(before, rows) <= self._noise else 0
        return self._repeats

    def _shift(self, seen: View, height: int, width: int) -> float:
        if self._reference is None:
            return math.nan
        pixels, likeness = view.offset(self._reference, seen, height, width)
        return pixels if likeness >= ALIKE else view.farthest(height, width)


def change(before: Mask | None, rows: Mask) -> float:
    """Grey levels by which two frames' `rows` differ on the average; infinite where they cannot be compared."""
    if before is None or before.shape != rows.shape:
        return math.inf
    return cv2.norm(rows, before, cv2.NORM_L1) / rows.size


def _share(seen: View, low: int, high: int) -> float:
    return 100 * cv2.countNonZero(cv2.inRange(seen, low, high)) / seen.size


def _sharpness(rows: Mask) -> float:
    """Contrast over few pixels in % of that over more; NaN where there is none."""
    if rows.shape[1] <= COARSE:
        return math.nan
    coarse = _contrast(rows, COARSE)
    return 100 * _contrast(rows, FINE) / coarse if coarse else math.nan


def _contrast(rows: Mask, apart: int) -> float:
    """Mean square difference of pixels that lie so far apart in a row."""
    return cv2.norm(rows[:, apart:], rows[:, :-apart], cv2.NORM_L2SQR) / rows[:, apart:].size
