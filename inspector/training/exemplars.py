"""Makes another exemplar of a good picture: as the next good part of the same place would look, registered as well as
it may be.

Registration leaves a part of a pixel, sometimes more; no two parts have the same edges, and light and noise differ.
What a network that compares pictures learns from these is to overlook all that.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.inference.channels import in_turns
from inspector.inference.registration import laid
from inspector.types import Image


@dataclass(frozen=True, slots=True)
class Disturbance:
    """How far an exemplar may stray.

    near, far: pixels by which registration misses, mostly and now and then;  rotation: degrees, now and then
    edges: pixels by which edges wander (1: about as much as boards differ from their templates)
    light: share by which contrast and brightness change;  noise: grey levels
    """

    near: float = 0.25
    far: float = 2.0
    rotation: float = 0.5
    edges: float = 1.0
    light: float = 0.05
    noise: float = 3.0


SOFT = 1.0
"""Deviation of the blur before a binarised picture is cut anew: a line of two pixels survives it."""

EXACT, FAR = 0.25, 0.25
"""Share of the exemplars that are registered exactly, and of those that are off by up to `far`."""


def exemplar(image: Image, two_toned: bool, settings: Disturbance, rng: np.random.Generator) -> Image:
    """Another part's picture of the same place as `image` [H,W,C], not yet shifted; `two_toned`: it is binarised."""
    return _rough(image, settings, rng) if two_toned else _uneven(image, settings, rng)


def misregistered(reference: Image, frame: Image, settings: Disturbance, rng: np.random.Generator) -> Image:
    """`reference` [H,W,C] as a registration onto `frame` [H,W,C] may leave it.

    Where nothing of the reference comes to lie stands the frame itself, as it does at run time.
    """
    luck = rng.random()
    if luck < EXACT:
        return reference
    height, width = frame.shape[:2]
    if luck < 1 - FAR:
        shift, angle = rng.normal(0, settings.near, 2), 0.0
    else:
        shift, angle = rng.uniform(-settings.far, settings.far, 2), rng.uniform(-1, 1) * settings.rotation
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    matrix[:, 2] += shift
    return laid(reference, cv2.invertAffineTransform(matrix), frame)


def relit(image: Image, settings: Disturbance, rng: np.random.Generator) -> Image:
    """`image` [H,W,C] in a little other light, and with other noise."""
    gain, offset = 1 + rng.uniform(-settings.light, settings.light), 128 * rng.uniform(-settings.light, settings.light)
    level = rng.uniform(0, settings.noise)
    lit = gain * (image.astype(np.float32) - 128) + 128 + offset
    return np.clip(lit + level * rng.standard_normal(image.shape, np.float32), 0, 255).astype(np.uint8)


def _rough(image: Image, settings: Disturbance, rng: np.random.Generator) -> Image:
    """Edges of a binarised picture, moved by a grain that is as coarse as a pixel or two: blurred, and cut anew."""
    grain = _field(image.shape[:2], rng.uniform(0.6, 2.0), rng)
    moves = settings.edges * (rng.uniform(0, 0.6) * grain + rng.uniform(-1, 1))
    # Where a blurred edge must be cut to move it so far; tanh is close to the error function, and below 1: what lies
    # in the middle of a plain stays as it is.
    level = 127 * np.tanh(0.85 * moves / SOFT)
    soft = cv2.GaussianBlur(image, (0, 0), SOFT).reshape(image.shape).astype(np.float32)
    return np.where(soft + level[:, :, None] > 127, 255, 0).astype(np.uint8)


def _uneven(image: Image, settings: Disturbance, rng: np.random.Generator) -> Image:
    """Every point moved a little, neighbours alike."""
    height, width = image.shape[:2]
    amount, coarse = rng.uniform(0, settings.edges), rng.uniform(2.0, 6.0)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x = columns + np.float32(amount) * _field((height, width), coarse, rng)
    y = rows + np.float32(amount) * _field((height, width), coarse, rng)
    return in_turns(image, lambda part: cv2.remap(part, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101))


def _field(shape: tuple[int, ...], coarse: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth noise of mean 0 and deviation 1, float32 [H,W]; `coarse`: pixels."""
    field = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), coarse)
    return np.asarray(field / max(float(field.std()), 1e-6), np.float32)
