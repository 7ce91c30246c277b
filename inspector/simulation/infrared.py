"""The line's second modality: heat. A warm part on a cool belt, its surface unseen and what lies below it seen."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.simulation.plate import as_bytes, grain
from inspector.simulation.scene import LIGHT_UNITY, SLACK, Scene
from inspector.types import Image, Mask

COOL, WARM, WARMER = 52.0, 128.0, 22.0  # the belt, the part's rim, and by how much its middle is warmer
CLOUD = 3.0  # deviation of the heat over a part
SOFTNESS = 1.6  # units by which heat images are blurred
BLACK_LEVEL, NOISE = 10.0, 2.0  # the sensor's, in grey levels


def thermal_scene(
    rng: np.random.Generator, solid: Mask, variants: int, size: tuple[int, int, int], unit: float
) -> Scene:
    """The scene of an infrared camera.

    solid: uint8 [h, w], the plate as it is drawn;  size: height, width and channels of the picture
    """
    height, width, channels = size
    shape = height + SLACK, width + SLACK
    belt = COOL + 4 * grain(rng, shape, 60 * unit, 60 * unit) + grain(rng, shape, 3 * unit, 3 * unit)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    vignetting = 1 - rng.uniform(0.10, 0.15) * ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2)
    noise = np.round(rng.normal(BLACK_LEVEL, NOISE, (*shape, channels)))
    return Scene(
        sprites=tuple(_sprite(rng, solid, unit) for _ in range(variants)),
        solid=solid,
        belt=_grey(belt),
        light=_grey(LIGHT_UNITY * vignetting),
        noise=np.clip(noise, 0, 255).astype(np.uint8),
        warm=True,
    )


def _sprite(rng: np.random.Generator, solid: Mask, unit: float) -> Image:
    """One part's heat, uint8 [h, w, 4] as a plate's sprites are: warm, warmer far from its rims, blurred."""
    depth = cv2.distanceTransform(np.where(solid > 127, 255, 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    heat = WARM + WARMER * np.tanh(depth / (40 * unit)) + CLOUD * grain(rng, solid.shape, 40 * unit, 40 * unit)
    alpha = cv2.GaussianBlur(solid.astype(np.float32) / 255, (0, 0), SOFTNESS * unit)
    heat = cv2.GaussianBlur(heat.astype(np.float32), (0, 0), SOFTNESS * unit) * alpha
    return as_bytes(np.dstack([heat, heat, heat, 255 * alpha]))


def _grey(field: NDArray[np.floating]) -> Image:
    return np.asarray(cv2.cvtColor(as_bytes(np.asarray(field, np.float32)), cv2.COLOR_GRAY2BGR))
