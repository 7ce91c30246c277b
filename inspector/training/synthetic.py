"""Draws defects: the shapes that holes and defects have, and synthetic defects pasted on normal pictures.

A pasted pixel counts as defective only where it visibly differs from what was there: black on black is no defect.
The idea of pasting cut-outs is that of CutPaste (Li et al. 2021), that of irregular textures that of DRAEM
(Zavrtanik et al. 2021).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.inference.channels import in_turns
from inspector.types import Image, Mask

Random: TypeAlias = np.random.Generator
Point: TypeAlias = tuple[float, float]
Window: TypeAlias = tuple[slice, slice]
"""Rows and columns of a picture."""

VISIBLE = 12.0
"""Mean difference over the channels, of 255, from which a changed pixel counts as a defect."""

SMALLEST = 8
"""Pixels that must visibly change, or it is no defect but a speck, as every picture has."""

AROUND = 20
"""Pixels around a shape that its paste is worked out on: as far as its soft edge and what it smears reach."""

TRIES = 4
"""Pastes tried until one can be seen."""

TWO_TONED = 0.03
"""A picture is binarised if at most this share of its pixels are neither dark nor bright."""

AT_AN_EDGE = 0.7
"""Share of a binarised picture's defects that sit at an edge: gaps, bridges, bites and spurs; the rest are islands."""


def scratch(shape: tuple[int, int], rng: Random, start: Point | None = None) -> Mask:
    """A thin, slightly bent line from `start` (x, y), else from anywhere; uint8 [height, width], 0 or 255."""
    mask = np.zeros(shape, np.uint8)
    side = min(shape)
    length, angle = side * rng.uniform(0.08, 0.6), rng.uniform(0, 2 * np.pi)
    points = [np.array(start or _anywhere(shape, rng))]
    for _ in range(8):
        angle += rng.normal(0, 0.2)
        points.append(points[-1] + length / 8 * np.array([np.cos(angle), np.sin(angle)]))
    thickness = int(rng.integers(1, max(2, side // 50) + 1))
    cv2.polylines(mask, [np.array(points, np.int32)], False, 255, thickness)
    return mask


def blob(shape: tuple[int, int], rng: Random, largest: float = 0.2, middle: Point | None = None) -> Mask:
    """A round shape with a wavy rim, up to about `largest` of the shorter side across, uint8 [height, width], 0 or 255.

    middle: (x, y); anywhere else
    """
    mask = np.zeros(shape, np.uint8)
    radius = min(shape) * np.exp(rng.uniform(np.log(0.012), np.log(largest / 2)))
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    rim = sum(rng.normal(0, 0.25 / k) * np.cos(k * angles + rng.uniform(0, 6.3)) for k in range(2, 6))
    radii = np.maximum(radius * (1 + rim), 1.0)
    stretch, turn = rng.uniform(0.4, 1.0), rng.uniform(0, np.pi)
    x, y = radii * np.cos(angles), stretch * radii * np.sin(angles)
    centre = middle or _anywhere(shape, rng)
    outline = np.stack(
        [centre[0] + x * np.cos(turn) - y * np.sin(turn), centre[1] + x * np.sin(turn) + y * np.cos(turn)], axis=1
    )
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 255)
    return mask


def _anywhere(shape: tuple[int, int], rng: Random) -> Point:
    return rng.uniform(0, shape[1]), rng.uniform(0, shape[0])


def hole(shape: tuple[int, int], rng: Random) -> Mask:
    """A hole for the repairer to fill: one to four defect shapes, grown a little, uint8 [height, width], 0 or 255."""
    mask = np.zeros(shape, np.uint8)
    while not mask.any():
        for _ in range(rng.integers(1, 5)):
            mask |= scratch(shape, rng) if rng.random() < 0.3 else blob(shape, rng, largest=0.3)
        grow = int(rng.integers(0, 4))
        mask = cv2.dilate(mask, np.ones((2 * grow + 1, 2 * grow + 1), np.uint8))
    return mask


def paste_defect(image: Image, donor: Image, rng: Random) -> tuple[Image, Mask]:
    """`image` [H,W,C] with a synthetic defect, and the defect's mask [H,W]; `donor`, a whole picture, lends texture.

    The donor also tells whether pictures are binarised here, which a view that is all dark could not.
    The mask may come out empty: where no paste can be seen there is no defect.
    """
    paste = _paste_flat if is_two_toned(donor) else _paste_soft
    for _ in range(TRIES):
        mixed, mask = paste(image, donor, rng)
        if np.count_nonzero(mask) >= SMALLEST:
            return mixed, mask
    return image, np.zeros(image.shape[:2], np.uint8)


def paste_defects(image: Image, donor: Image, count: int, rng: Random) -> tuple[Image, Mask]:
    """`count` pastes on one picture, which may meet, and the mask of all that is left to be seen of them."""
    mixed, mask = image, np.zeros(image.shape[:2], np.uint8)
    for _ in range(count):
        mixed, added = paste_defect(mixed, donor, rng)
        mask = mask | added
    window = _window_around(mask)
    mask[window][_difference(mixed[window], image[window]) <= VISIBLE] = 0  # undone by another paste
    return mixed, mask


def is_two_toned(image: Image) -> bool:
    """Whether the picture is binarised: a line scan, a thresholded or backlit picture. Both tones must be there."""
    sample = image[::4, ::4].astype(np.int16)
    grey = sample.mean(axis=2)
    dark, bright = float((grey < 48).mean()), float((grey > 207).mean())
    return 1 - dark - bright <= TWO_TONED and min(dark, bright) > 0 and float(np.ptp(sample, axis=2).mean()) < 16


def _paste_flat(image: Image, donor: Image, rng: Random) -> tuple[Image, Mask]:
    """Dark where it was bright or the other way round, with hard edges: what a defect of a binarised picture is.

    All of the picture is made as hard as the paste, so that only its shape gives it away.
    """
    shape = (image.shape[0], image.shape[1])
    bright = np.where(image.mean(axis=2) > 127, 255, 0).astype(np.uint8)
    edges = np.argwhere(cv2.morphologyEx(bright, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)))
    at = None
    if len(edges) and rng.random() < AT_AN_EDGE:
        y, x = edges[rng.integers(len(edges))] + rng.integers(-2, 3, 2)
        at = float(x), float(y)
    largest = 0.09 if at is None else 0.2  # a large island might as well be a part of the pattern
    area = scratch(shape, rng, at) if rng.random() < 0.2 else blob(shape, rng, largest, at)
    shade = np.uint8(rng.choice([0, 255]))
    changed = np.where((area > 0) & (bright != shade), 255, 0).astype(np.uint8)
    square = np.ones((2, 2), np.uint8)  # off centre, so that the second half of the opening must lean the other way
    mask = np.asarray(cv2.dilate(cv2.erode(changed, square), square, anchor=(0, 0)), np.uint8)
    pasted = np.where(mask > 0, shade, bright)
    return np.repeat(pasted[:, :, None], image.shape[2], axis=2), mask


def _paste_soft(image: Image, donor: Image, rng: Random) -> tuple[Image, Mask]:
    """One of `_PASTES`, its edge blurred as a lens would."""
    shape = (image.shape[0], image.shape[1])
    pastes = _PASTES if image.shape == donor.shape else _PASTES_ON_VIEWS
    shares = np.array([share for _, _, share in pastes])
    draw, paint, _ = pastes[rng.choice(len(pastes), p=shares / shares.sum())]
    area = draw(shape, rng)
    window = _window_around(area)
    ground = image[window]
    painted = paint(image, donor, area, window, rng)
    soft = cv2.GaussianBlur(area[window], (0, 0), rng.uniform(0.4, 1.2)).astype(np.float32)[:, :, None] / 255
    pasted = np.clip(ground + soft * (painted - ground), 0, 255).astype(np.uint8)
    visible = _difference(pasted, ground) > VISIBLE
    mixed, mask = image.copy(), np.zeros(shape, np.uint8)
    mixed[window] = pasted
    mask[window] = np.where(visible & (soft[:, :, 0] > 0.2), 255, 0)
    return mixed, mask


def _window_around(area: Mask) -> Window:
    x, y, width, height = cv2.boundingRect(area)
    return slice(max(y - AROUND, 0), y + height + AROUND), slice(max(x - AROUND, 0), x + width + AROUND)


def _difference(one: Image, other: Image) -> NDArray[np.float32]:
    """Of each pixel, the mean over the channels, float32 [H,W]."""
    return np.asarray(np.abs(one.astype(np.float32) - other).mean(axis=2), np.float32)


# What a shape is painted with: all of the window, float32 [h,w,C], whatever part of it the shape then shows.


def _tint(image: Image, donor: Image, area: Mask, window: Window, rng: Random) -> NDArray[np.float32]:
    """Brighter or darker by one shade, the texture underneath still seen: a stain, a scratch."""
    shade = rng.uniform(20, 110) * rng.choice([-1, 1])
    cast = rng.normal(1, 0.25, image.shape[2])
    return np.asarray(image[window] * rng.uniform(0.6, 1.0) + shade * cast, np.float32)


def _flat(image: Image, donor: Image, area: Mask, window: Window, rng: Random) -> NDArray[np.float32]:
    """Covered by one colour of the picture itself: missing material, a foreign body, a bridge, a gap."""
    colour = image[rng.integers(image.shape[0]), rng.integers(image.shape[1])].astype(np.float32)
    return np.asarray(colour + rng.normal(0, 4, image[window].shape), np.float32)


def _cutting(image: Image, donor: Image, area: Mask, window: Window, rng: Random) -> NDArray[np.float32]:
    """Texture from elsewhere, turned by a multiple of 90 degrees."""
    turned = np.rot90(donor, int(rng.integers(4)))
    height, width = image[window].shape[:2]
    if turned.shape[0] < height or turned.shape[1] < width:
        wanted = max(width, turned.shape[1]), max(height, turned.shape[0])
        turned = in_turns(turned, lambda part: cv2.resize(part, wanted))
    top = int(rng.integers(turned.shape[0] - height + 1))
    left = int(rng.integers(turned.shape[1] - width + 1))
    return turned[top : top + height, left : left + width].astype(np.float32)


def _pit(image: Image, donor: Image, area: Mask, window: Window, rng: Random) -> NDArray[np.float32]:
    """Dark on one side and bright on the other, as a dent in slanting light."""
    ground, shape = image[window], area[window]
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[: shape.shape[0], : shape.shape[1]].astype(np.float32)
    ramp = columns * np.cos(angle) + rows * np.sin(angle)
    inside = ramp[shape > 0]
    if inside.size:
        ramp = (ramp - inside.min()) / max(float(np.ptp(inside)), 1.0) - rng.uniform(0.3, 0.9)
    return np.asarray(ground + np.clip(ramp, -1, 1)[:, :, None] * rng.uniform(60, 160), np.float32)


def _smear(image: Image, donor: Image, area: Mask, window: Window, rng: Random) -> NDArray[np.float32]:
    """Its texture gone, its light kept: a chipped face, a smear of oil, glue."""
    ground = image[window]
    smooth = cv2.GaussianBlur(ground, (0, 0), rng.uniform(2, 6)).reshape(ground.shape).astype(np.float32)
    return np.asarray(smooth + rng.uniform(-30, 30), np.float32)


def _veil(image: Image, donor: Image, area: Mask, window: Window, rng: Random) -> NDArray[np.float32]:
    """A little brighter or darker: dirt, damp, uneven colour."""
    return np.asarray(image[window] + rng.uniform(15, 50) * rng.choice([-1, 1]), np.float32)


def cloud(shape: tuple[int, int], rng: Random) -> Mask:
    """A large blob that fades at its rim, uint8 [height, width], 0 to 255."""
    grown = blob(shape, rng, largest=0.8)
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), min(shape) * rng.uniform(0.02, 0.06)), np.uint8)


_PASTES: list[tuple[Callable[[tuple[int, int], Random], Mask], Callable[..., NDArray[np.float32]], float]] = [
    (scratch, _tint, 0.2),
    (scratch, _flat, 0.1),
    (blob, _tint, 0.15),
    (blob, _flat, 0.15),
    (blob, _cutting, 0.1),
    (blob, _pit, 0.1),
    (blob, _smear, 0.1),
    (cloud, _veil, 0.1),
]
"""Shape, paint and how often; the shares add up to 1."""

_PASTES_ON_VIEWS = [paste for paste in _PASTES if paste[0] is not cloud]
"""The same for a part of a picture: a cloud can be as large, and is then but light, for there is no ground to see it
against. What is drawn all the same teaches a network to mistrust its eyes."""
