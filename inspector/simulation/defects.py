"""What can be wrong with a part. Each kind is drawn as layers of paint, at the middle of a square canvas.

Lengths are in units: one pixel of a 640 x 480 picture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.types import Image, Mask

REACH = 80.0  # units from a defect's middle to the canvas's edge
SUBPIXEL = 4  # fractional bits of cv2's drawing coordinates

Field: TypeAlias = NDArray[np.float32]
Points: TypeAlias = NDArray[np.float64]  # [n, 2], x and y in units from the middle
Random: TypeAlias = np.random.Generator


class Layer(NamedTuple):
    """Paint. cover: float32 [n, n] in [0, 1];  paint: blue, green, red (times alpha) and alpha, 0 to 255."""

    cover: Field
    paint: tuple[float, float, float, float]


BRIGHT = (232.0, 230.0, 228.0, 255.0)
DARK = (38.0, 38.0, 40.0, 255.0)
GONE = (6.0, 6.0, 6.0, 120.0)  # no metal here: the belt in the part's shadow
FRACTURE = (190.0, 186.0, 184.0, 255.0)
RUST = (52.0, 84.0, 128.0, 255.0)
OIL = (40.0, 48.0, 52.0, 255.0)
HOT = (235.0, 235.0, 235.0, 255.0)


def scratch(rng: Random, side: int, unit: float, strength: float) -> list[Layer]:
    """A thin, slightly bent line with a raised edge."""
    length, turn = rng.uniform(18, 105), rng.uniform(0, 2 * np.pi)
    along = np.linspace(-0.5, 0.5, 24)
    bend = rng.normal(0, 0.12) * (4 * along**2 - 0.5)
    path = _turned(length * np.stack([along, bend], 1), turn)
    width = rng.uniform(1.4, 3.4)
    groove = _strokes([(path, width, 1.0)], side, unit)
    edge = _strokes([(path + 0.5 * width + 0.4, 0.9, 1.0)], side, unit)
    paint, other = (BRIGHT, DARK) if rng.random() < 0.7 else (DARK, BRIGHT)
    return [Layer(groove * (0.35 + 0.6 * strength), paint), Layer(edge * 0.5 * strength, other)]


def crack(rng: Random, side: int, unit: float, strength: float) -> list[Layer]:
    """A dark, jagged line that narrows, perhaps with branches."""
    strokes = []
    start, heading, length = np.zeros(2), rng.uniform(0, 2 * np.pi), rng.uniform(22, 62)
    for _ in range(rng.integers(1, 4)):
        steps = max(4, int(length / 4))
        headings = heading + np.cumsum(rng.normal(0, 0.16, steps)) + rng.normal(0, 0.35, steps)
        path = start + np.cumsum(4.0 * np.stack([np.cos(headings), np.sin(headings)], 1), 0)
        strokes += [(path[i : i + 2], 3.0 - 1.7 * i / steps, 1.0) for i in range(steps - 1)]
        start, heading, length = path[steps // 2], heading + rng.choice([-0.8, 0.8]), 0.6 * length
    return [Layer(_strokes(strokes, side, unit) * (0.5 + 0.5 * strength), DARK)]


def pit(rng: Random, side: int, unit: float, strength: float) -> list[Layer]:
    """One to four small craters: dark towards the lamp, lit on the other side."""
    dark, lit = np.zeros((2, side, side), np.float32)
    for crater in range(rng.integers(1, 5)):
        at = rng.normal(0, 11, 2) if crater else np.zeros(2)
        radius = rng.uniform(2.8, 5) if crater else rng.uniform(3.4, 8.5)
        outline = _outline(rng, radius, roughness=0.12)
        hollow = _blob(outline + at, side, unit, edge=1.2)
        shadow = _blob(0.95 * outline + at - 0.38 * radius, side, unit, edge=1.2)
        dark, lit = np.maximum(dark, hollow), np.maximum(lit, hollow - np.minimum(hollow, shadow))
    return [Layer(dark * (0.4 + 0.55 * strength), DARK), Layer(lit * (0.3 + 0.6 * strength), BRIGHT)]


def stain(rng: Random, side: int, unit: float, strength: float) -> list[Layer]:
    """A rust or oil mark with a soft, uneven edge; the metal shows through."""
    radius = rng.uniform(8, 34)
    cover = _blob(_outline(rng, radius, roughness=0.28), side, unit, edge=0.3 * radius)
    mottle = np.clip(0.85 + 0.15 * _cloud(rng, side, 5 * unit), 0, 1)
    return [Layer(cover * mottle * (0.24 + 0.4 * strength), RUST if rng.random() < 0.6 else OIL)]


def chip(rng: Random, side: int, unit: float, strength: float) -> list[Layer]:
    """Material missing at an edge; the face of the fracture catches some light."""
    radius = rng.uniform(7, 18) + 5 * strength
    outline = _outline(rng, radius, roughness=0.3)
    face = _blob(outline * (1 + 1.5 / radius) + 1.2, side, unit, edge=1.2)
    return [Layer(0.7 * face, FRACTURE), Layer(_blob(outline, side, unit, edge=1.2), GONE)]


def scuff(rng: Random, side: int, unit: float, strength: float) -> list[Layer]:
    """A rubbed patch: many fine parallel strokes."""
    across, along, turn = rng.uniform(7, 20), rng.uniform(14, 44), rng.uniform(0, np.pi)
    strokes = []
    for _ in range(int(1.6 * across)):
        middle = np.array([rng.normal(0, 0.15 * along), rng.uniform(-0.5, 0.5) * across])
        half = along * rng.uniform(0.17, 0.4)
        path = _turned(middle + np.array([[-half, 0.0], [half, rng.normal(0, 0.8)]]), turn)
        strokes.append((path, rng.uniform(0.8, 1.8), rng.uniform(0.5, 1)))
    lines = _strokes(strokes, side, unit)
    haze = cv2.GaussianBlur(lines, (0, 0), 2.0 * unit)
    cover = np.clip(0.6 * haze + 0.5 * lines, 0, 1)
    return [Layer(cover * (0.4 + 0.5 * strength), BRIGHT if rng.random() < 0.7 else DARK)]


def void(rng: Random, side: int, unit: float, strength: float) -> list[Layer]:
    """A hollow below the surface: heat gathers over it, with an edge as soft as heat has."""
    radius = rng.uniform(12, 30)
    cover = _blob(_outline(rng, radius, roughness=0.2), side, unit, edge=0.6 * radius)
    return [Layer(cover * (0.35 + 0.35 * strength), HOT)]


KINDS: dict[str, Callable[[Random, int, float, float], list[Layer]]] = {
    "chip": chip,
    "crack": crack,
    "pit": pit,
    "scratch": scratch,
    "scuff": scuff,
    "stain": stain,
}
"""Every kind by name: (rng, side of the canvas in pixels, pixels a unit, strength in [0, 1]) -> layers."""

HIDDEN: dict[str, Callable[[Random, int, float, float], list[Layer]]] = {"void": void}
"""Kinds that no surface shows, painted on the heat image alone: what a line of several modalities has besides."""


def damage(sprite: Image, solid: Mask, at: tuple[int, int], layers: list[Layer]) -> Image:
    """A copy of `sprite` [h, w, 4] with the layers painted where it is solid, their middle at pixel `at` (x, y)."""
    rows, columns = solid.shape
    side = layers[0].cover.shape[0]
    left, top = at[0] - side // 2, at[1] - side // 2
    x, y = slice(max(left, 0), min(left + side, columns)), slice(max(top, 0), min(top + side, rows))
    inner = slice(y.start - top, y.stop - top), slice(x.start - left, x.stop - left)
    patch = sprite[y, x].astype(np.float32)
    metal = np.minimum(solid[y, x].astype(np.float32) / 64, 1)  # all of an edge's half-covered pixels
    for cover, paint in layers:
        patch += (cover[inner] * metal)[:, :, None] * (np.array(paint, np.float32) - patch)
    damaged = sprite.copy()
    damaged[y, x] = np.clip(patch + 0.5, 0, 255)
    return damaged


def _turned(points: Points, angle: float) -> Points:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[cosine, sine], [-sine, cosine]]))


def _outline(rng: Random, radius: float, roughness: float) -> Points:
    """A wavy circle about the middle, [64, 2]; `roughness` is relative to its radius."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    waves = np.arange(2, 7)[:, None]
    depth = 0.6 * roughness * rng.standard_normal((5, 1)) / np.sqrt(waves)
    distance = radius * (1 + (depth * np.cos(waves * angle + rng.uniform(0, 2 * np.pi, (5, 1)))).sum(0))
    return np.asarray(distance[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1))


def _blob(outline: Points, side: int, unit: float, edge: float) -> Field:
    """The inside of a closed outline, with an edge `edge` units wide."""
    canvas = np.zeros((2 * side, 2 * side), np.uint8)
    cv2.fillPoly(canvas, [_fixed(outline, side, unit)], 255, cv2.LINE_AA, SUBPIXEL)
    return np.asarray(cv2.GaussianBlur(_halved(canvas), (0, 0), max(edge * unit / 3, 0.3)), np.float32)


def _strokes(strokes: list[tuple[Points, float, float]], side: int, unit: float) -> Field:
    """Lines, each a path [n, 2], its width in units and its cover."""
    canvas = np.zeros((2 * side, 2 * side), np.uint8)
    for path, width, cover in strokes:
        thickness = max(1, round(2 * width * unit))
        cv2.polylines(canvas, [_fixed(path, side, unit)], False, 255 * cover, thickness, cv2.LINE_AA, SUBPIXEL)
    return _halved(canvas)


def _fixed(points: Points, side: int, unit: float) -> NDArray[np.int32]:
    """Units from the middle as cv2's fixed-point coordinates on a canvas of twice the size."""
    return np.round((2 * unit * points + side) * (1 << SUBPIXEL)).astype(np.int32)


def _halved(canvas: Image) -> Field:
    side = canvas.shape[0] // 2
    return np.asarray(cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)


def _cloud(rng: Random, side: int, size: float) -> Field:
    """Smooth noise of about deviation 1, [side, side], with features of `size` pixels."""
    cells = max(2, round(side / size))
    small = rng.standard_normal((cells, cells), np.float32)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)
