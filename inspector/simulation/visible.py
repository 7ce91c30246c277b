"""What an ordinary camera of the line looks at: metal on woven rubber, under a lamp and through a lens."""

from __future__ import annotations

import cv2
import numpy as np

from inspector.simulation.plate import Plate
from inspector.simulation.scene import LIGHT_UNITY, SLACK, Scene
from inspector.types import Image

BLACK_LEVEL, NOISE = 10.0, 2.2  # the sensor's, in grey levels


def visible_scene(rng: np.random.Generator, plate: Plate, size: tuple[int, int, int], unit: float) -> Scene:
    """size: height, width and channels of the picture."""
    height, width, channels = size
    belt = _belt(rng, height + SLACK, width + SLACK, unit)
    light = _light(rng, height, width)
    noise = np.round(rng.normal(BLACK_LEVEL, NOISE, (height + SLACK, width + SLACK, channels)))
    return Scene(plate.sprites, plate.solid, belt, light, np.clip(noise, 0, 255).astype(np.uint8))


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
