"""What one camera of the line looks at: a belt under a lamp, and a sensor with its noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.simulation.defects import Layer, damage
from inspector.types import Box, Image, Mask

Pose: TypeAlias = NDArray[np.float64]  # [2, 3], cv2's affine matrix from the sprite to the picture
Offset: TypeAlias = tuple[int, int]  # y, x of a cut

SLACK = 64  # pixels by which belt and noise are larger than the picture, to be cut out at random
LIGHT_UNITY = 200.0  # the value in the light field that leaves a pixel as it is
CHANGE = 8  # grey levels: a pixel that a defect changes by less is not defective (about 3 deviations of the noise)


@dataclass(frozen=True)
class Scene:
    """What stays the same from part to part.

    sprites: uint8 [h, w, 4], as a `Plate` has them;  solid: uint8 [h, w], how much of each pixel is metal
    belt: [height + SLACK, width + SLACK, 3];  light: [height, width, 3]
    noise: of the belt's size, with the sensor's channels;  warm: whether it is heat that is seen
    """

    sprites: tuple[Image, ...]
    solid: Mask
    belt: Image
    light: Image
    noise: Image
    warm: bool = False

    @property
    def channels(self) -> int:
        """Of its pictures."""
        return int(self.noise.shape[2])

    def through(self, channels: int) -> Scene:
        """The same through a sensor of as many channels."""
        return replace(self, noise=np.ascontiguousarray(self.noise[:, :, [0] * channels]))

    def mirrored(self, down: bool, across: bool) -> Scene:
        """The same, belt and light turned upside down, and left to right; it has no slack to be cut at random."""
        turn = slice(None, None, -1 if down else 1), slice(None, None, -1 if across else 1)
        height, width = self.light.shape[:2]
        belt = self.belt[:height, :width]
        return replace(self, belt=np.ascontiguousarray(belt[turn]), light=np.ascontiguousarray(self.light[turn]))

    def view(self, sprite: Image, pose: Pose, gain: float, belt_at: Offset, noise_at: Offset) -> View:
        """One part in this scene; `gain` is the lamp's, for a light field of LIGHT_UNITY."""
        return View(self, sprite, pose, gain, self._cut(self.belt, belt_at), self._cut(self.noise, noise_at))

    def _cut(self, larger: Image, at: Offset) -> Image:
        (y, x), (height, width) = at, self.light.shape[:2]
        return larger[y : y + height, x : x + width]


@dataclass(frozen=True)
class View:
    """A part under the camera."""

    scene: Scene
    sprite: Image
    pose: Pose
    gain: float
    belt: Image
    noise: Image

    def lit(self) -> Image:
        """The part under its light, before the sensor: uint8 [height, width, channels]."""
        return self._photograph(self.sprite, self.pose, self.belt, self.scene.light)

    def damaged(self, good: Image, at: tuple[int, int], layers: list[Layer], gap: int) -> tuple[Image, Mask]:
        """`good` (as `lit` gave it) with the layers at `at` of the sprite, and where they can be seen.

        gap: pixels up to which gaps in that are closed
        """
        height, width = good.shape[:2]
        sprite = damage(self.sprite, self.scene.solid, at, layers)
        x, y, columns, rows = _seen(_square(at, layers[0].cover.shape[0]), self.pose, width, height)
        window = slice(y, y + rows), slice(x, x + columns)
        bad = good.copy()
        bad[window] = self._photograph(sprite, _moved(self.pose, x, y), self.belt[window], self.scene.light[window])
        mask = np.zeros((height, width), np.uint8)
        mask[window] = _difference(good[window], bad[window], gap)
        return bad, mask

    def developed(self, lit: Image) -> Image:
        """What the sensor makes of it."""
        developed: Image = cv2.add(lit, self.noise)
        return np.asarray(developed.reshape(self.noise.shape))

    def _photograph(self, sprite: Image, pose: Pose, belt: Image, light: Image) -> Image:
        """uint8 [h, w, channels], of the belt's size."""
        rows, columns = sprite.shape[:2]
        corners = np.array([[0, 0], [columns, 0], [0, rows], [columns, rows]], np.float64)
        x, y, columns, rows = _seen(corners, pose, belt.shape[1], belt.shape[0])
        part = cv2.warpAffine(sprite, _moved(pose, x, y), (columns, rows), flags=cv2.INTER_LINEAR)
        clear = cv2.cvtColor(cv2.bitwise_not(cv2.extractChannel(part, 3)), cv2.COLOR_GRAY2BGR)
        scene = belt.copy()
        behind = cv2.multiply(belt[y : y + rows, x : x + columns], clear, scale=1 / 255)
        scene[y : y + rows, x : x + columns] = cv2.add(behind, cv2.cvtColor(part, cv2.COLOR_BGRA2BGR))
        lit = cv2.multiply(scene, light, scale=self.gain)
        return np.asarray(lit if self.noise.shape[2] == 3 else cv2.cvtColor(lit, cv2.COLOR_BGR2GRAY)[:, :, None])


def _difference(good: Image, bad: Image, gap: int) -> Mask:
    """Where the defect can be seen, its small gaps closed."""
    channels = good.shape[2]
    same = cv2.inRange(cv2.absdiff(good, bad), np.zeros(channels), np.full(channels, CHANGE - 1.0))
    seen = cv2.bitwise_not(same)
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
