"""The simulated line: a belt, a lamp and a camera, and part after part under it.

What is costly (metal, belt, light, noise) is drawn once a line; a part is then one warp, one blend, one
multiplication by the light and one addition of noise. A second modality is another scene around the same parts.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.errors import ConfigError
from inspector.simulation.defects import HIDDEN, KINDS, REACH, Layer
from inspector.simulation.infrared import thermal_scene
from inspector.simulation.plate import draw_plate
from inspector.simulation.scene import LIGHT_UNITY, SLACK, Offset, Pose, Scene, View
from inspector.simulation.visible import visible_scene
from inspector.types import Image, Mask

MIN_SIDE, MAX_SIDE = 96, 8192
VARIANTS = 6  # pieces of metal that the parts are made of
ENGRAVED = (84, 84, 86, 255)
COVERED = 0.1  # least paint that counts when a defect's size is measured
LEAST_SCALE, MOST_SCALE = 0.7, 1.5  # by which a defect is made smaller or larger: a scratch must not become a hair
SIZES = 22.0, 75.0  # units, from and to which every kind can be drawn by such a scale before long
FEWEST = 7.0  # pixels of a defect's longer side: with fewer, rounding to whole ones may let no defect have a size
SIZE_TOLERANCE = 0.25  # of the size that was asked for, by which what is seen of a defect may differ
SMALLEST = 20.0  # square units: a mark of less is not a defect
NEW = 1.0  # the light of a lamp that nothing has dimmed yet
VISIBLE, INFRARED = MODALITIES = ("visible", "infrared")


@dataclass(frozen=True, slots=True)
class Part:
    """A picture of a part, and the truth about it.

    image: [height, width, channels];  mask: [height, width], the pixels that the defect changes in the modality that
        shows it, under a lamp as bright as a new one: what is true of a part may not depend on the light
    kind: the defect's, None for a good part;  reference: the same picture of the same part without its defect,
        bit for bit that of `image` outside the mask, and everywhere where another modality shows the defect
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
    light: the lamp's brightness, 1 when it was new; another day's session of the same line has another, and the same
        defects in the same places, whether or not they can be seen by it
    modality: None for a line of one camera; else what this camera of several sees, and the parts have hidden defects
        too: part n of a seed is the same part in each, whatever the channels
    defect_size: pixels of the picture that a defect's longer side has, about; None: as they come
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
        modality: str | None = None,
        defect_size: float | None = None,
    ) -> None:
        _check(seed, width, height, defect_share, channels, light, modality)
        if defect_size is not None:
            check_defect_size(defect_size, width, height)
        self.seed, self.width, self.height = seed, width, height
        self.defect_share, self.channels, self.modality = defect_share, channels, modality
        self._brightness = light
        self._defect_size = defect_size
        self._unit = _unit(width, height)
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        plate = draw_plate(rng, self._unit, VARIANTS)
        # The noise's channels are the sensor's. What is true of a part may not depend on who looks.
        visible = visible_scene(rng, plate, (height, width, channels if modality is None else 3), self._unit)
        self._shows = dict.fromkeys(KINDS, visible)
        self._scene = visible
        if modality is not None:
            own = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0, 1)))
            infrared = thermal_scene(own, plate.solid, VARIANTS, (height, width, 1), self._unit)
            self._shows |= dict.fromkeys(HIDDEN, infrared)
            self._scene = infrared if modality == INFRARED else visible
            self._scene = self._scene if self._scene.channels == channels else self._scene.through(channels)
        margin = 2 * round(6 * self._unit) + 1
        self._rim = _points(cv2.morphologyEx(plate.solid, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)))
        self._inner = _points(cv2.erode(plate.solid, np.ones((margin, margin), np.uint8)))
        self._extent = plate.solid.shape

    def part(self, number: int, defective: bool | None = None, mirrored: tuple[bool, bool] | None = None) -> Part:
        """The part of that number (0 or more), `defective` or good as asked; by default as the line's share has it.

        mirrored: whether belt and light are turned upside down, and left to right: pictures beside each other, every
        second one mirrored, then have no seam between them
        """
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(number,)))
        pose = self._pose(rng)
        gain = float(rng.normal(1.0, 0.035))
        belt_at, noise_at = _offset(rng), _offset(rng)
        variant = int(rng.integers(VARIANTS))
        if mirrored is not None:
            gain, belt_at = 1.0, (0, 0)

        def seen(scene: Scene, light: float) -> View:
            scene = scene if mirrored is None else scene.mirrored(*mirrored)
            if scene.warm:
                return scene.view(scene.sprites[variant], pose, 1 / LIGHT_UNITY, belt_at, noise_at)
            sprite = self._engraved(scene.sprites[variant], number)
            return scene.view(sprite, pose, gain * light / LIGHT_UNITY, belt_at, noise_at)

        view = seen(self._scene, self._brightness)
        good = view.lit()
        reference = view.developed(good)
        by_share = bool(rng.random() < self.defect_share)
        if not (by_share if defective is None else defective):
            return Part(number, reference, np.zeros((self.height, self.width), np.uint8), None, reference)

        kind = str(rng.choice(list(self._shows)))
        telling = self._shows[kind]
        # Under a dim or a glaring lamp no defect of a size might ever be seen: a new one decides.
        teller = view if telling is self._scene and self._brightness == NEW else seen(telling, NEW)
        spotless = good if teller is view else teller.lit()
        gap = 2 * max(1, round(1.5 * self._unit)) + 1
        while True:  # until it can be seen: a faint mark on a bright edge may leave no trace
            at, layers = self._defect(rng, kind)
            bad, mask = teller.damaged(spotless, at, layers, gap)
            if self._is_seen(mask):
                break
        if telling.warm is not self._scene.warm:
            return Part(number, reference, mask, kind, reference)
        if teller is not view:
            bad, _ = view.damaged(good, at, layers, gap)
        image: Image = cv2.copyTo(view.developed(bad), mask, reference.copy())
        return Part(number, image.reshape(reference.shape), mask, kind, reference)

    def _pose(self, rng: np.random.Generator) -> Pose:
        """The warp from the sprite to the picture: shift and a small rotation."""
        rows, columns = self._extent
        pose = cv2.getRotationMatrix2D((columns / 2, rows / 2), float(np.clip(rng.normal(0, 1.6), -5, 5)), 1.0)
        shift = np.clip(rng.normal(0, (9, 7)), (-24, -18), (24, 18)) * self._unit
        pose[:, 2] += ((self.width - columns) / 2 + shift[0], (self.height - rows) / 2 + shift[1])
        return np.asarray(pose)

    def _engraved(self, metal: Image, number: int) -> Image:
        """A piece of metal with the part's number on it."""
        sprite = metal.copy()
        rows, columns = self._extent
        at = round(columns / 2 - 150 * self._unit), round(rows / 2 - 108 * self._unit)
        size, thickness = 0.42 * self._unit, max(1, round(self._unit))
        text, font = f"{number % 1_000_000:06d}", cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(sprite, text, at, font, size, ENGRAVED, thickness, cv2.LINE_AA)
        return sprite

    def _defect(self, rng: np.random.Generator, kind: str) -> tuple[tuple[int, int], list[Layer]]:
        """Where on the sprite (x, y), and its layers."""
        places = self._rim if kind == "chip" else self._inner
        x, y = places[rng.integers(len(places))]
        draw = (KINDS | HIDDEN)[kind]
        side, strength = 2 * round(REACH * self._unit), float(rng.uniform(0.05, 1.0))
        if self._defect_size is None:
            return (int(x), int(y)), draw(rng, side, self._unit, strength)
        while True:
            again = copy.deepcopy(rng)  # for the same strokes, drawn larger or smaller
            covered = np.max([cover for cover, _ in draw(rng, side, self._unit, strength)], axis=0) > COVERED
            scale = self._defect_size / max(*cv2.boundingRect(covered.astype(np.uint8))[2:], 1)
            if LEAST_SCALE <= scale <= MOST_SCALE:
                return (int(x), int(y)), draw(again, side, self._unit * scale, strength)

    def _is_seen(self, mask: Mask) -> bool:
        """Whether a defect's mask is one that somebody could find, and of the size that was asked for."""
        longer = max(cv2.boundingRect(mask)[2:])
        wished = longer if self._defect_size is None else self._defect_size
        as_wished = abs(longer - wished) <= SIZE_TOLERANCE * wished
        return as_wished and bool(np.count_nonzero(mask) >= SMALLEST * self._unit**2)


def _offset(rng: np.random.Generator) -> Offset:
    y, x = rng.integers(0, SLACK + 1, 2)
    return int(y), int(x)


def _points(mask: Mask) -> NDArray[np.intp]:
    """The set pixels as [n, 2] (x, y)."""
    return np.argwhere(mask > 127)[:, ::-1]


def _unit(width: int, height: int) -> float:
    """Pixels of a picture for one of a picture of 640x480."""
    return min(width / 640, height / 480)


def _check(
    seed: int, width: int, height: int, defect_share: float, channels: int, light: float, modality: str | None
) -> None:
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
    if modality not in (None, *MODALITIES):
        problems.append(f"modality = {modality!r} of the simulated line is not one of {', '.join(MODALITIES)}")
    if problems:
        raise ConfigError(*problems)


def check_defect_size(size: float, width: int, height: int, fewest: float = FEWEST) -> None:
    """Raise ConfigError unless every kind of defect can be drawn in that size on a plate of so many pixels.

    fewest: pixels that a size must have, whatever the plate's
    """
    least, most = (_unit(width, height) * one for one in SIZES)
    least = max(least, fewest)
    if not least <= size <= most:
        raise ConfigError(
            f"a defect of {size:g} pixels cannot be drawn on the simulated line's plate of {width}x{height}; give "
            f"{math.ceil(least)} to {math.floor(most)}"
        )
