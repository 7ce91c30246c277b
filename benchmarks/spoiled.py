"""What happens to cameras, done to simulated pictures: each fault with a strength, 0 for none.

The sensor comes after lens and light, so what blurs or dims a picture leaves the noise as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import cv2
import numpy as np

from inspector.simulation import Line
from inspector.simulation.scene import Pose
from inspector.simulation.visible import BLACK_LEVEL, NOISE
from inspector.types import Image

Spoil: TypeAlias = Callable[[Image, float, np.random.Generator], Image]


class Fixture(Line):
    """A line whose parts lie in a fixture, to a pixel; the belt behind them moves. moved: pixels to the right."""

    moved = 0.0

    def _pose(self, rng: np.random.Generator) -> Pose:
        super()._pose(rng)
        rows, columns = self._extent
        x = (self.width - columns) / 2 + self.moved + rng.normal()
        y = (self.height - rows) / 2 + rng.normal()
        return np.array([[1, 0, x], [0, 1, y]], np.float64)


def blurred(image: Image, sigma: float, rng: np.random.Generator) -> Image:
    """Out of focus: a Gaussian of so many pixels."""
    return noisy(cv2.GaussianBlur(image, (0, 0), sigma), rng) if sigma else image


def dimmed(image: Image, percent: float, rng: np.random.Generator) -> Image:
    """A lamp that lost so much of its light."""
    return noisy(BLACK_LEVEL + (image - BLACK_LEVEL) * (1 - percent / 100), rng) if percent else image


def exposed(image: Image, factor: float, rng: np.random.Generator) -> Image:
    """An exposure so many times too long."""
    return noisy(BLACK_LEVEL + (image - BLACK_LEVEL) * factor, rng) if factor > 1 else image


def noisy(image: np.ndarray, rng: np.random.Generator) -> Image:
    """With a sensor's noise, as the simulated one has it."""
    noise = rng.normal(0, NOISE, image.shape)
    return np.clip(np.round(image + noise), 0, 255).astype(np.uint8)


SPOILS: Mapping[str, tuple[str, Spoil, tuple[float, ...]]] = {
    "blur": ("sigma, px", blurred, (0.3, 0.4, 0.5, 0.6, 0.7, 1, 2, 4, 8, 16, 24, 32, 48, 64)),
    "less light": ("%", dimmed, (2, 3, 4, 5, 6, 8, 10, 15, 20, 50, 90, 100)),
    "over-exposure": ("times", exposed, (1.02, 1.03, 1.04, 1.05, 1.06, 1.08, 1.1, 1.2, 1.5, 2, 3, 4)),
}
"""By name: what its strength is, how it is done, and the strengths to try. Of the shift, see `Fixture`."""
