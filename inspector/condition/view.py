"""A picture made small enough to be looked at all the time: well below a millisecond, whatever the camera's size."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np

from inspector import pictures
from inspector.errors import DataError
from inspector.types import Image, Mask

View: TypeAlias = Mask
"""A small grey picture, uint8, [VIEW_HEIGHT, VIEW_WIDTH]."""

VIEW_WIDTH, VIEW_HEIGHT = 80, 60
ROWS = 2 * VIEW_HEIGHT
REACH = VIEW_WIDTH // 8, VIEW_HEIGHT // 8
"""Pixels of the view, across and down, by which a scene can lie off and still be found."""


class Offset(NamedTuple):
    """By how many pixels of the frame a scene lies off, and how well it fits there: 1 is all alike, 0 nothing."""

    pixels: float
    likeness: float


def modalities(image: Image, channels: Sequence[int]) -> list[Image]:
    """The modalities of a stack [H,W,N], each an array [H,W,C] that shares its memory, of so many `channels`.

    A picture that has not so many in all is no such stack, and its own only one.
    """
    if sum(channels) != image.shape[2]:
        return [image]
    ends = list(accumulate(channels))
    return [image[:, :, end - count : end] for count, end in zip(channels, ends, strict=True)]


def glimpse(image: Image) -> Mask:
    """A value here and there of a picture [H,W,C]: what can be afforded at hundreds of frames a second.

    In a picture in colour its channels take turns, of one with any other number it is the first.
    """
    height, width, channels = image.shape
    some = image[:: max(1, height // VIEW_HEIGHT)]
    across = max(1, width // VIEW_WIDTH)
    step = 3 * across + 1
    if channels != 3:
        return some[:, ::across, 0].copy()
    if image.flags.c_contiguous:
        return some.reshape(len(some), -1)[:, ::step].copy()
    taken = np.empty((len(some), -(-3 * width // step)), np.uint8)
    for channel in range(3):  # the same values: to be reshaped, one modality of a stack would be copied whole
        taken[:, channel::3] = some[:, channel * across :: step, channel]
    return taken


def rows(image: Image) -> Mask:
    """Some `ROWS` grey rows of a picture [H,W,C], evenly spread, in full width: a resize would lose focus and noise.

    Of one that is neither grey nor in colour it is the first channel.
    """
    height, _, channels = image.shape
    number = min(ROWS, height)
    taken = np.arange(number) * height // number  # a step of whole rows would leave out the end of most heights
    if channels == 3:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(image[taken]), cv2.COLOR_BGR2GRAY), np.uint8)
    return np.asarray(image[:, :, 0][taken], np.uint8)


def view(some: Mask) -> View:
    """The view of a picture that has those `rows`."""
    return np.asarray(cv2.resize(some, (VIEW_WIDTH, VIEW_HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def offset(reference: View, seen: View, height: int, width: int) -> Offset:
    """Where the middle of `reference` lies in `seen`, the view of a frame of that size; finer than a pixel of the view.

    By normalised cross-correlation: phase correlation weighs all frequencies alike, and follows the moving belt behind
    a part that lies still.
    """
    across, down = REACH
    middle = reference[down:-down, across:-across]
    scores = cv2.matchTemplate(seen, middle, cv2.TM_CCOEFF_NORMED)
    _, best, _, (x, y) = cv2.minMaxLoc(scores)
    dx = x + _between(scores[y], x) - across
    dy = y + _between(scores[:, x], y) - down
    return Offset(math.hypot(dx * width / VIEW_WIDTH, dy * height / VIEW_HEIGHT), best)


def farthest(height: int, width: int) -> float:
    """Pixels of a frame of that size by which a scene can lie off and still be found in the corner."""
    across, down = REACH
    return math.hypot(across * width / VIEW_WIDTH, down * height / VIEW_HEIGHT)


def encoded(seen: View) -> str:
    """A view as text: a PNG in base64."""
    _, png = cv2.imencode(".png", seen)
    return base64.b64encode(png.tobytes()).decode()


def decoded(text: str) -> View:
    """The view that `encoded` made text of. Raises ValueError for anything else."""
    try:
        image = pictures.decode(base64.b64decode(text, validate=True), cv2.IMREAD_UNCHANGED)
    except (ValueError, DataError):
        image = None  # refused as any other picture is
    if image is None or image.shape != (VIEW_HEIGHT, VIEW_WIDTH) or image.dtype != np.uint8:
        raise ValueError(f"give a grey PNG of {VIEW_WIDTH} x {VIEW_HEIGHT} pixels in base64")
    return np.asarray(image, np.uint8)


def _between(scores: np.ndarray, peak: int) -> float:
    """By how much the top of a parabola through a peak and its neighbours lies off it; 0 at the ends."""
    if not 0 < peak < len(scores) - 1:
        return 0.0
    before, top, after = (float(score) for score in scores[peak - 1 : peak + 2])
    bend = before - 2 * top + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0
