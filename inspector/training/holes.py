"""Holes for the repairer to fill, and what a defect leaves of itself beside them.

Holes have the shapes of the real masks, where there are some, and of synthetic defects. They come in every size that
a window holds, most of them in its middle, where the daemon puts them.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from inspector.inference.repairer import widened
from inspector.inference.windows import MARGIN
from inspector.training.synthetic import Random, blob, scratch
from inspector.types import Box, Image, Mask

REAL = 0.3
"""Share of the holes that have the shape of a real defect."""

CENTRED = 0.75
"""Share of the holes that lie about in the middle of their window; the others may touch its border."""

FAR = 0.6
"""Largest extent of a synthetic blob, as a share of its window's side."""

WIDEST = 4
"""A hole is wider than the defect by less than this many pixels, as a detector's masks are."""

LEFT = 0.15
"""Share of the holes beside which something of the defect is left: masks miss the soft edges of what they cover.

More cost more than it gave: what is beside a hole is the best there is to go by. The daemon hides a rim besides.
"""

UNKNOWN = 0.1
"""Share of the windows that reach past the frame's border."""

OUTSIDE = 128
"""What a hole's mask holds where there is no frame: not to be seen, and not to be filled."""


def cut(side: int, shapes: Sequence[Mask], rng: Random) -> Mask:
    """A hole in a window of `side` pixels: uint8 [side,side], 0 or 255.

    shapes: masks of real defects, each cut to its own box
    """
    middle = _middle(side, rng)
    kind = rng.random()
    if shapes and kind < REAL:
        mask = _placed(shapes[int(rng.integers(len(shapes)))], side, middle, rng)
    elif kind < 0.5:
        mask = scratch((side, side), rng, middle)
    else:
        mask = blob((side, side), rng, FAR, middle)
    if rng.random() < 0.2:
        mask = mask | blob((side, side), rng, 0.3)
    if not mask.any():
        mask = blob((side, side), rng, FAR, (side / 2, side / 2))
    return widened(mask, int(rng.integers(WIDEST)))


def _middle(side: int, rng: Random) -> tuple[float, float]:
    if rng.random() > CENTRED:
        return rng.uniform(0, side), rng.uniform(0, side)
    return side * rng.normal(0.5, 0.06), side * rng.normal(0.5, 0.06)


def _placed(shape: Mask, side: int, middle: tuple[float, float], rng: Random) -> Mask:
    """The shape turned by quarters around `middle` (x, y), made smaller where the window's margin asks for it."""
    turned = np.ascontiguousarray(np.rot90(shape, int(rng.integers(4))))
    scale = min(1.0, (side - 2 * MARGIN) / max(turned.shape))
    if scale < 1:
        turned = np.asarray(cv2.resize(turned, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST), np.uint8)
    height, width = turned.shape
    offset = np.array([[1, 0, round(middle[0] - width / 2)], [0, 1, round(middle[1] - height / 2)]], np.float32)
    return np.asarray(cv2.warpAffine(turned, offset, (side, side), flags=cv2.INTER_NEAREST), np.uint8)


def left_over(image: Image, hole: Mask, two_toned: bool, rng: Random) -> Image:
    """`image` [S,S,C] with a rim of the defect that the hole [S,S] does not cover: one or two pixels."""
    area = widened(hole, int(rng.integers(1, 3)))
    if two_toned:
        return np.where(area[:, :, None] > 0, np.uint8(rng.choice([0, 255])), image)
    shade = rng.uniform(20, 110) * rng.choice([-1, 1])
    soft = cv2.GaussianBlur(area, (0, 0), rng.uniform(0.4, 1.2)).astype(np.float32)[:, :, None] / 255
    return np.asarray(np.clip(image + soft * (image * rng.uniform(-0.6, 0.0) + shade), 0, 255), np.uint8)


def cross_the_border(mask: Mask, rng: Random) -> None:
    """Make `mask` [S,S] that of a window of which up to a third lies outside the frame, on one side: OUTSIDE there."""
    strip = int(rng.integers(1, max(2, mask.shape[0] // 3)))
    np.rot90(mask, int(rng.integers(4)))[:strip] = OUTSIDE


def boxes(mask: Mask) -> list[Box]:
    """Of each connected region (8 neighbours) of `mask` [H,W]."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    return [(int(x), int(y), int(w), int(h)) for x, y, w, h, _ in stats[1:]]
