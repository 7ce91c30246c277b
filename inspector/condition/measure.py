"""What a frame tells of its camera: one number for each check."""

from __future__ import annotations

import math
from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

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
SCENE_PERIOD = 0.1
"""Seconds for which focus and place are taken as they were: no lens and no mount moves for a single frame."""


class Signal:
    """Measures of frames, which it is shown in order, what needs no learning: `black`, `saturated` and `frozen`.

    noise: grey levels; a frame that differs from the one before by no more, on the average, repeats it
    by_channel: whether `saturated` is that of a colour picture's brightest channel, rather than of all together
    """

    def __init__(self, noise: float = 0.0, by_channel: bool = False) -> None:
        self._noise = noise
        self._by_channel = by_channel
        self._before: Mask | None = None
        self._rows_before: Mask | None = None
        self._repeats = 0

    def measure(self, image: Image, glimpse: Mask) -> Values:
        """The values of the next frame, uint8 [height, width, channels], whose glimpse that is."""
        return {
            Cause.BLACK: _percent(glimpse <= DARK),
            Cause.SATURATED: self._saturated(glimpse >= BRIGHT, image.shape[2]),
            Cause.FROZEN: self._count_repeats(glimpse, image),
        }

    def _saturated(self, bright: NDArray[np.bool_], channels: int) -> float:
        """bright: where a glimpse is, in which three channels take turns"""
        turns = min(3, bright.shape[1]) if self._by_channel and channels == 3 else 1
        return max(_percent(bright[:, first::turns]) for first in range(turns))

    def _count_repeats(self, glimpse: Mask, image: Image) -> int:
        """How many frames in a row are as the one before. Whoever seems so is looked at more closely."""
        before, self._before = self._before, glimpse
        if change(before, glimpse) > self._noise:
            self._repeats, self._rows_before = 0, None
            return 0
        rows_before, self._rows_before = self._rows_before, view.rows(image)
        differs = rows_before is not None and change(rows_before, self._rows_before) > self._noise
        self._repeats = 0 if differs else self._repeats + 1
        return self._repeats


class Gauge:
    """Measures a camera's frames, which it is shown in order.

    noise, by_channel: as `Signal` has them
    reference: what `shifted` compares with; without it that is NaN
    contrast: a scene that has less is blurred away, as `defocused` has it; in % of the brightness
    """

    def __init__(
        self, noise: float = 0.0, reference: View | None = None, contrast: float = 0.0, by_channel: bool = False
    ) -> None:
        self._signal = Signal(noise, by_channel)
        self._reference = reference
        self._contrast = contrast
        self._lamp: deque[float] = deque(maxlen=LAMP)
        self._scene: Values = {}
        self._scene_due = -math.inf

    def measure(self, image: Image, captured: float) -> Values:
        """The values of the next frame, uint8 [height, width, channels], captured at that time in seconds.

        Each frame has its own, but for `shifted` and `defocused`, which may be `SCENE_PERIOD` old: they take most of
        the time.
        """
        glimpse = view.glimpse(image)
        self._lamp.append(cv2.mean(glimpse)[0])
        if captured >= self._scene_due:
            self._scene, self._scene_due = self._look_at_scene(image), captured + SCENE_PERIOD
        return {
            **self._signal.measure(image, glimpse),
            Cause.DRIFTED: sorted(self._lamp)[LAMP // 2] if len(self._lamp) == LAMP else math.nan,
            **self._scene,
        }

    def _look_at_scene(self, image: Image) -> Values:
        height, width, _ = image.shape
        rows = view.rows(image)
        shift = math.nan if self._reference is None else _shift(self._reference, view.view(rows), height, width)
        return {Cause.SHIFTED: shift, Cause.DEFOCUSED: _sharpness(rows, self._contrast)}


def _shift(reference: View, seen: View, height: int, width: int) -> float:
    pixels, likeness = view.offset(reference, seen, height, width)
    return pixels if likeness >= ALIKE else view.farthest(height, width)


def _percent(of: NDArray[np.bool_]) -> float:
    return 100 * np.count_nonzero(of) / of.size


def change(before: Mask | None, now: Mask) -> float:
    """Grey levels by which two frames' pixels differ on the average; infinite where they are not of the same places."""
    if before is None or before.shape != now.shape:
        return math.inf
    return cv2.norm(now, before, cv2.NORM_L1) / now.size


def contrast(rows: Mask) -> float:
    """By how much pixels differ that lie `COARSE` apart, in % of the brightness: of the scene, whatever the light."""
    brightness = cv2.mean(rows)[0]
    return 100 * math.sqrt(_difference(rows, COARSE)) / brightness if brightness else 0.0


def _sharpness(rows: Mask, least: float) -> float:
    """Contrast over few pixels in % of that over more; NaN where there is none.

    It is 0 where `contrast` is below `least`: of a scene that is blurred away noise alone is left, which looks sharp.
    """
    coarse = _difference(rows, COARSE)
    if coarse < (least / 100 * cv2.mean(rows)[0]) ** 2:
        return 0.0
    return 100 * _difference(rows, FINE) / coarse if coarse else math.nan


def _difference(rows: Mask, apart: int) -> float:
    """Mean square difference of pixels that lie so far apart in a row; 0 where none do."""
    if rows.shape[1] <= apart:
        return 0.0
    return cv2.norm(rows[:, apart:], rows[:, :-apart], cv2.NORM_L2SQR) / rows[:, apart:].size
