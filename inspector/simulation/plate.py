"""The part that the simulated line makes: a machined cover plate, drawn from a height map under a slanting lamp.

Lengths are in units: one pixel of a 640 x 480 picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.types import Image, Mask

Field: TypeAlias = NDArray[np.float32]

HALF_WIDTH, HALF_HEIGHT, CORNER = 200.0, 140.0, 26.0
MARGIN = 20.0  # room around the plate for its shadow
BOSS, BORE, HOLE = 84.0, 42.0, 13.0
HOLE_AT = (168.0, 108.0)
SUPERSAMPLING = 2


@dataclass(frozen=True)
class Plate:
    """The drawn part, ready to be laid over a belt.

    sprites: the same shape with different grain; uint8 [h, w, 4], blue, green, red (times alpha) and alpha, which
        is also below 255 where the shadow falls and where the belt shows through a hole
    solid: uint8 [h, w], how much of each pixel is metal
    """

    sprites: tuple[Image, ...]
    solid: Mask


def draw_plate(rng: np.random.Generator, unit: float, variants: int) -> Plate:
    """Draw a plate at `unit` pixels a unit, in `variants` different pieces of metal."""
    scale = unit * SUPERSAMPLING
    half = np.array([HALF_HEIGHT, HALF_WIDTH]) + MARGIN
    rows, columns = np.round(2 * half * scale).astype(int)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    y, x = (y + 0.5) / scale - half[0], (x + 0.5) / scale - half[1]

    radius = np.asarray(np.hypot(x, y), np.float32)
    plate = _rounded_box(x, y, HALF_WIDTH, HALF_HEIGHT, CORNER)
    holes = np.hypot(np.abs(x) - HOLE_AT[0], np.abs(y) - HOLE_AT[1])
    pockets = _rounded_box(np.abs(x) - 138.0, y, 30.0, 64.0, 12.0)
    through = np.maximum(_inside(radius - BORE, 1.5), _inside(holes - HOLE, 1.5))
    solid = _inside(plate, 1.5) * (1 - through)

    height = 6.0 * _inside(plate + 4, 8) + 5.0 * _inside(radius - BOSS, 5) - 5.0 * _inside(pockets, 5)
    height -= 5.0 * _inside(radius - BORE - 4, 7) + 4.0 * _inside(holes - HOLE - 4, 7)
    height += 1.6 * _lettering(rows, columns, scale)
    shade = _lambert(height, scale, lamp=rng.normal((-0.55, -0.65), 0.06))
    solid, through, shade, radius = (_shrunk(field) for field in (solid, through, shade, radius))
    turned, rough = _inside(radius - BOSS, 3), _shrunk(_inside(pockets, 3))

    shadow = cv2.GaussianBlur(np.roll(solid, (round(9 * unit), round(7 * unit)), (0, 1)), (0, 0), 5 * unit)
    alpha = np.maximum(solid, np.maximum(0.62 * shadow, 0.72 * through))
    tint = np.array([1.03, 1.0, 0.97]) * rng.normal(1.0, 0.008, 3)
    angle = np.asarray(np.arctan2(_shrunk(y), _shrunk(x)), np.float32)
    sprites = []
    for _ in range(variants):
        metal = _metal(rng, radius, angle, turned, rough, unit)
        colour = np.clip(metal * shade, 0, 235)[:, :, None] * tint * solid[:, :, None]
        sprites.append(as_bytes(np.dstack([colour, alpha * 255])))
    return Plate(tuple(sprites), as_bytes(solid * 255))


def _metal(rng: np.random.Generator, radius: Field, angle: Field, turned: Field, rough: Field, unit: float) -> Field:
    """Grey levels [h, w] of one piece: brushed along x, turned on the boss, cast in the pockets."""
    shape = radius.shape
    brushed = 6 * grain(rng, shape, 18 * unit, 0.6 * unit) + 3 * grain(rng, shape, 60 * unit, 1.5 * unit)
    rings = grain(rng, (1, 1024), 1.2, 0.3)[0]
    turns = rings[np.clip(6 * radius * (1 + 0.003 * np.cos(3 * angle)), 0, 1023).astype(int)]
    sheen = np.cos(2 * (angle - rng.uniform(0.5, 1.1)))
    cast = grain(rng, shape, 0.8 * unit, 0.8 * unit)
    cloud = grain(rng, shape, 30 * unit, 30 * unit)
    flat = (152 + brushed) * (1 - turned) * (1 - rough)
    return np.asarray(flat + turned * (160 + 10 * sheen + 5 * turns) + rough * (122 + 8 * cast) + 2 * cloud, np.float32)


def grain(rng: np.random.Generator, shape: tuple[int, ...], along: float, across: float) -> Field:
    """Noise [h, w] of mean 0 and deviation 1, smooth over `along` (x) and `across` (y) pixels."""
    cell = max(1, int(along / 2)), max(1, int(across / 2))
    small = rng.standard_normal((shape[0] // cell[1] + 8, shape[1] // cell[0] + 8), np.float32)
    small = cv2.GaussianBlur(small, (0, 0), max(along / cell[0], 0.3), sigmaY=max(across / cell[1], 0.3))
    field = cv2.resize(small[2:-2, 2:-2], (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def _lambert(height: Field, scale: float, lamp: NDArray[np.float64]) -> Field:
    """Brightness [h, w] of a matt surface of `height` (units), 1 where it is level; Lambert's cosine law."""
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=scale / 8)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=scale / 8)
    lit = 1 - 0.8 * (lamp[0] * slope_x + lamp[1] * slope_y)
    return np.asarray(np.clip(lit / np.sqrt(1 + slope_x**2 + slope_y**2), 0.25, 1.7), np.float32)


def _lettering(rows: int, columns: int, scale: float) -> Field:
    """The raised lettering, 1 on a letter, [h, w]."""
    canvas = np.zeros((rows, columns), np.uint8)
    for text, y in (("COVER PLATE", -106.0), ("AL 7075", 122.0)):
        size = 0.62 * scale
        (width, tall), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        at = (columns - width) // 2, round(rows / 2 + y * scale + tall / 2)
        cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, 255, max(1, round(1.7 * scale)), cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), 0.8 * scale) / 255.0, np.float32)


def _rounded_box(x: Field, y: Field, half_width: float, half_height: float, corner: float) -> Field:
    """Signed distance to a rounded box, negative inside."""
    outside_x, outside_y = np.abs(x) - half_width + corner, np.abs(y) - half_height + corner
    corners = np.hypot(np.maximum(outside_x, 0), np.maximum(outside_y, 0))
    return np.asarray(corners + np.minimum(np.maximum(outside_x, outside_y), 0) - corner, np.float32)


def _inside(distance: Field, edge: float) -> Field:
    """1 inside, 0 outside, with a smooth step `edge` units wide in between."""
    step = np.clip(0.5 - distance / edge, 0, 1)
    return np.asarray(step * step * (3 - 2 * step), np.float32)


def _shrunk(field: Field) -> Field:
    size = field.shape[1] // SUPERSAMPLING, field.shape[0] // SUPERSAMPLING
    return np.asarray(cv2.resize(field, size, interpolation=cv2.INTER_AREA), np.float32)


def as_bytes(field: Field) -> Image:
    """Grey levels as uint8, rounded and clipped."""
    return np.asarray(np.clip(field + 0.5, 0, 255), np.uint8)
