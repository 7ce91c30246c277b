"""The simulated line: a belt, a lamp and a camera, and part after part under it.

What is costly (metal, belt, light, noise) is drawn once a line; a part is then one warp, one blend, one
multiplication by the light and one addition of noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.errors import ConfigError
from inspector.simulation.defects import KINDS, REACH, Layer, damage
from inspector.simulation.plate import draw_plate
from inspector.types import Box, Image, Mask

Pose: TypeAlias = NDArray[np.float64]  # [2, 3], cv2's affine matrix from the sprite to the picture

MIN_SIDE, MAX_SIDE = 96, 8192
VARIANTS = 6  # pieces of metal that the parts are made of
SLACK = 64  # pixels by which belt and noise are larger than the picture, to be cut out at random
BLACK_LEVEL, NOISE = 10.0, 2.2  # the sensor's, in grey levels
ENGRAVED = (84, 84, 86, 255)
LIGHT_UNITY = 200.0  # the value in the light field that leaves a pixel as it is
VISIBLE = 8  # grey levels: a pixel that a defect changes by less is not defective (about 3 deviations of the noise)
SMALLEST = 20.0  # square units: a mark of less is not a defect


@dataclass(frozen=True, slots=True)
class Part:
    """A picture of a part, and the truth about it.

    image: [height, width, channels];  mask: [height, width], the pixels that the defect visibly changed
    kind: the defect's, None for a good part;  reference: the same picture of the same part without its defect,
        bit for bit that of `image` outside the mask
    """

    number: int
    image: Image
    mask: Mask
    kind: str | None
    reference: Image


class Line:
    """A line whose every part follows from (seed, number) and the light; safe to share between threads.

    seed, defect_share: a non-negative integer; the share of defective parts, 0 to 1
    width, height: of the picture, 96 to 8192 pixels;  channels: 1 (grey) or 3
    light: the lamp's brightness, 1 when it was new; another day's session of the same line has another
    Raises ConfigError for anything else.
    """

    def __init__(
        self,
        seed: int,
        width: int = 640,
        height: int = 480,
        defect_share: float = 0.1,
        channels: int = 3,
        light: float = 1.0,
    ) -> None:
        _check(seed, width, height, defect_share, channels, light)
        self.seed, self.width, self.height = seed, width, height
        self.defect_share, self.channels = defect_share, channels
        self._brightness = light
        self._unit = min(width / 640, height / 480)
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        self._plate = draw_plate(rng, self._unit, VARIANTS)
        self._belt = _belt(rng, height + SLACK, width + SLACK, self._unit)
        self._light = _light(rng, height, width)
        noise = rng.normal(BLACK_LEVEL, NOISE, (height + SLACK, width + SLACK, channels))
        self._noise = np.clip(np.round(noise), 0, 255).astype(np.uint8)
        margin = 2 * round(6 * self._unit) + 1
        self._rim = _points(cv2.morphologyEx(self._plate.solid, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)))
        self._inner = _points(cv2.erode(self._plate.solid, np.ones((margin, margin), np.uint8)))

    def part(self, number: int, defective: bool | None = None) -> Part:
        """The part of that number (0 or more), `defective` or good as asked; by default as the line's share has it."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(number,)))
        pose = self._pose(rng)
        gain = float(rng.normal(1.0, 0.035)) * self._brightness / LIGHT_UNITY
        belt = self._cut(rng, self._belt)
        noise = self._cut(rng, self._noise)
        sprite = self._engraved(rng, number)
        good = self._photograph(sprite, pose, belt, self._light, gain)
        reference = self._developed(good, noise)
        by_share = bool(rng.random() < self.defect_share)
        if not (by_share if defective is None else defective):
            return Part(number, reference, np.zeros((self.height, self.width), np.uint8), None, reference)

        kind = str(rng.choice(list(KINDS)))
        while True:  # until it can be seen: a faint mark on a bright edge may leave no trace
            at, layers = self._defect(rng, kind)
            damaged = damage(sprite, self._plate.solid, at, layers)
            x, y, columns, rows = _seen(_square(at, layers[0].cover.shape[0]), pose, self.width, self.height)
            window = slice(y, y + rows), slice(x, x + columns)
            bad = good.copy()
            bad[window] = self._photograph(damaged, _moved(pose, x, y), belt[window], self._light[window], gain)
            mask = np.zeros((self.height, self.width), np.uint8)
            mask[window] = self._difference(good[window], bad[window])
            if np.count_nonzero(mask) >= SMALLEST * self._unit**2:
                break
        image: Image = cv2.copyTo(self._developed(bad, noise), mask, reference.copy())
        image = image.reshape(reference.shape)
        return Part(number, image, mask, kind, reference)

    def _pose(self, rng: np.random.Generator) -> Pose:
        """The warp from the sprite to the picture: shift and a small rotation."""
        rows, columns = self._plate.solid.shape
        pose = cv2.getRotationMatrix2D((columns / 2, rows / 2), float(np.clip(rng.normal(0, 1.6), -5, 5)), 1.0)
        shift = np.clip(rng.normal(0, (9, 7)), (-24, -18), (24, 18)) * self._unit
        pose[:, 2] += ((self.width - columns) / 2 + shift[0], (self.height - rows) / 2 + shift[1])
        return np.asarray(pose)

    def _cut(self, rng: np.random.Generator, larger: Image) -> Image:
        y, x = rng.integers(0, SLACK + 1, 2)
        return larger[y : y + self.height, x : x + self.width]

    def _engraved(self, rng: np.random.Generator, number: int) -> Image:
        """A piece of metal with the part's number on it."""
        sprite = self._plate.sprites[rng.integers(VARIANTS)].copy()
        rows, columns = self._plate.solid.shape
        at = round(columns / 2 - 150 * self._unit), round(rows / 2 - 108 * self._unit)
        size, thickness = 0.42 * self._unit, max(1, round(self._unit))
        text, font = f"{number % 1_000_000:06d}", cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(sprite, text, at, font, size, ENGRAVED, thickness, cv2.LINE_AA)
        return sprite

    def _defect(self, rng: np.random.Generator, kind: str) -> tuple[tuple[int, int], list[Layer]]:
        """Where on the sprite (x, y), and its layers."""
        places = self._rim if kind == "chip" else self._inner
        x, y = places[rng.integers(len(places))]
        layers = KINDS[kind](rng, 2 * round(REACH * self._unit), self._unit, float(rng.uniform(0.05, 1.0)))
        return (int(x), int(y)), layers

    def _photograph(self, sprite: Image, pose: Pose, belt: Image, light: Image, gain: float) -> Image:
        """The scene under its light, before the sensor: uint8 [h, w, channels], of the belt's size."""
        rows, columns = sprite.shape[:2]
        corners = np.array([[0, 0], [columns, 0], [0, rows], [columns, rows]], np.float64)
        x, y, columns, rows = _seen(corners, pose, belt.shape[1], belt.shape[0])
        part = cv2.warpAffine(sprite, _moved(pose, x, y), (columns, rows), flags=cv2.INTER_LINEAR)
        clear = cv2.cvtColor(cv2.bitwise_not(cv2.extractChannel(part, 3)), cv2.COLOR_GRAY2BGR)
        scene = belt.copy()
        behind = cv2.multiply(belt[y : y + rows, x : x + columns], clear, scale=1 / 255)
        scene[y : y + rows, x : x + columns] = cv2.add(behind, cv2.cvtColor(part, cv2.COLOR_BGRA2BGR))
        lit = cv2.multiply(scene, light, scale=gain)
        return np.asarray(lit if self.channels == 3 else cv2.cvtColor(lit, cv2.COLOR_BGR2GRAY)[:, :, None])

    def _developed(self, lit: Image, noise: Image) -> Image:
        developed: Image = cv2.add(lit, noise)
        return np.asarray(developed.reshape(self.height, self.width, self.channels))

    def _difference(self, good: Image, bad: Image) -> Mask:
        """Where the defect can be seen, its small gaps closed."""
        same = cv2.inRange(cv2.absdiff(good, bad), np.zeros(self.channels), np.full(self.channels, VISIBLE - 1.0))
        seen = cv2.bitwise_not(same)
        gap = 2 * max(1, round(1.5 * self._unit)) + 1
        seen = cv2.morphologyEx(seen, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (gap, gap)))
        return np.asarray(seen, np.uint8)


def _square(middle: tuple[int, int], side: int) -> NDArray[np.float64]:
    return np.array([middle], np.float64) + side / 2 * np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]])


def _seen(corners: NDArray[np.float64], pose: Pose, width: int, height: int) -> Box:
    """What a picture shows of the region between `corners` [4, 2] of the sprite."""
    left, top, columns, rows = cv2.boundingRect(cv2.transform(corners[None], pose).astype(np.float32))
    x, y = max(left, 0), max(top, 0)
    return x, y, min(left + columns, width) - x, min(top + rows, height) - y


def _moved(pose: Pose, x: int, y: int) -> Pose:
    """The pose in a picture that begins at (x, y)."""
    return np.asarray(pose - np.array([[0, 0, x], [0, 0, y]]))


def _points(mask: Mask) -> NDArray[np.intp]:
    """The set pixels as [n, 2] (x, y)."""
    return np.argwhere(mask > 127)[:, ::-1]


def _belt(rng: np.random.Generator, height: int, width: int, unit: float) -> Image:
    """Woven dark rubber with dirt in it, [height, width, 3]."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / unit
    weave = 4.5 * np.sin(1.05 * (x + y)) * np.sin(1.05 * (x - y)) + 2.0 * np.sin(0.22 * y)
    dirt = cv2.resize(rng.standard_normal((9, 12)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    grit = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), 0.8 * unit) * unit
    grey = 60 + weave + 5 * dirt + 9 * grit
    return np.asarray(np.clip(grey[:, :, None] * np.array([0.98, 1.04, 0.9]), 5, 120), np.uint8)


def _light(rng: np.random.Generator, height: int, width: int) -> Image:
    """The lamp's gradient times the lens's vignetting, [height, width, 3]; LIGHT_UNITY is 1."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width - 0.5, y / height - 0.5
    angle = rng.uniform(np.pi * 0.9, np.pi * 1.6)
    gradient = 1 + rng.uniform(0.18, 0.32) * (np.cos(angle) * x + np.sin(angle) * y)
    vignetting = 1 - rng.uniform(0.30, 0.45) * (x * x + y * y)
    field = np.clip(LIGHT_UNITY * 1.02 * gradient * vignetting + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(field, cv2.COLOR_GRAY2BGR))


def _check(seed: int, width: int, height: int, defect_share: float, channels: int, light: float) -> None:
    problems = []
    if seed < 0:
        problems.append(f"seed = {seed} of the simulated line is negative; give 0 or more")
    for name, side in (("width", width), ("height", height)):
        if not MIN_SIDE <= side <= MAX_SIDE:
            problems.append(f"{name} = {side} of the simulated line is not {MIN_SIDE} to {MAX_SIDE} pixels")
    if not 0 <= defect_share <= 1:
        problems.append(f"defect share = {defect_share} of the simulated line is not between 0 and 1")
    if not 0 < light <= 4:
        problems.append(f"light = {light} of the simulated line is not above 0 and up to 4")
    if channels not in (1, 3):
        problems.append(f"channels = {channels} of the simulated line is neither 1 (grey) nor 3 (colour)")
    if problems:
        raise ConfigError(*problems)
