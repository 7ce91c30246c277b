"""Pictures on the disk, for data sets made by hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def write(path: Path, image: np.ndarray) -> Path:
    """Write `image` where `path` says, folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


def noise(seed: int, height: int = 48, width: int = 64, channels: int = 1) -> np.ndarray:
    """A picture that is like no other."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
