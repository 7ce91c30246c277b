"""What suits the pictures, where nobody says it: how views stray, the detector, its input, the repairer's windows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import cv2
import numpy as np

from inspector.training.augment import Augmentation
from inspector.training.data import Sample, read_as_stored, read_mask
from inspector.training.networks import DETECTORS, STRIDE
from inspector.training.pictures import SPECK
from inspector.training.settings import Mode
from inspector.training.synthetic import is_two_toned
from inspector.types import MAX_INPUT

_Any = TypeVar("_Any")

SMALL = 6.0
"""Side of a square, in pixels of the usual detector's input; of a defect that covers less no outline is left."""

LOOKED_AT = 32
"""Pictures, or masks, that are looked at."""

WINDOWS = (64, 128, 256)
"""Sides of the repairer's windows, in pixels of the frame."""

BEST_FOR: Mapping[Mode, str] = {"normal": "discover", "masks": "segmenter", "reference": "paired"}
"""The detector of each mode, by its name in `DETECTORS`, or in `COMPARERS` for the last."""

BINARISED = Augmentation(rotation=0.0, shear=0.0, flips="all", brightness=0.0)
"""For pictures of two tones: a turn blurs their edges, another light greys them, and no camera will show either."""


def choose_augmentation(samples: Sequence[Sample], told: Mapping[str, Any]) -> tuple[Augmentation, str]:
    """How far views stray, but for what is `told` by the names of its fields, and why, in a sentence."""
    seen = [is_two_toned(read_as_stored(sample.picture)) for sample in _spread(samples)]
    suited = BINARISED if 2 * sum(seen) > len(seen) else Augmentation()
    strays = replace(suited, **told)
    because = ", as the pictures are binarised" if suited is BINARISED else ""
    return strays, (
        f"views: turned by up to {strays.rotation:g} degrees, shifted by {strays.shift:g} and sheared by "
        f"{strays.shear:g} of their size, flips {strays.flips}, light changed by {strays.brightness:g}{because}"
    )


def choose_detector(samples: Sequence[Sample], mode: Mode) -> tuple[str, str]:
    """The detector's name, and why, in a sentence."""
    usual = BEST_FOR[mode]
    if mode == "masks" and all(sample.good or sample.mask is not None for sample in samples):
        side = usual_side(samples, DETECTORS[usual].pixels)
        if side < SMALL:
            return "closeup", (
                f"detector closeup, for small defects: in the pictures that {usual} sees, half of the marked ones "
                f"would cover less than {side:.1f}x{side:.1f} pixels"
            )
    return usual, f"detector {usual}: the usual one of this mode"


def usual_side(samples: Sequence[Sample], pixels: int) -> float:
    """The side of a square as large as the median marked defect of the pictures that are made as small as `pixels`.

    Infinite where none of these is marked.
    """
    sides: list[float] = []
    for picture, path in _spread([(sample.picture, sample.mask) for sample in samples if sample.mask is not None]):
        height, width, _ = read_as_stored(picture).shape
        if height * width <= pixels:
            continue
        mask = read_mask(path, (height, width))
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        areas = stats[1:, cv2.CC_STAT_AREA]
        sides += list(np.sqrt(areas[areas >= SPECK] * (pixels / mask.size)))
    return float(np.median(sides)) if sides else math.inf


def choose_size(samples: Sequence[Sample], most: int) -> tuple[int, int]:
    """(height, width) for the detector: the median picture's aspect, at most `most` pixels in all, multiples of 16."""
    shapes = np.array([read_as_stored(sample.picture).shape[:2] for sample in _spread(samples)])
    aspect = float(np.median(shapes[:, 0] / shapes[:, 1]))
    pixels = min(float(np.median(shapes.prod(axis=1))), most)
    return _multiple(math.sqrt(pixels * aspect)), _multiple(math.sqrt(pixels / aspect))


def choose_windows(samples: Sequence[Sample]) -> tuple[int, ...]:
    """The repairer's windows that the first picture can hold."""
    shorter = min(read_as_stored(samples[0].picture).shape[:2])
    return tuple(side for side in WINDOWS if side <= shorter) or WINDOWS[:1]


def _multiple(length: float) -> int:
    return min(MAX_INPUT, max(STRIDE, round(length / STRIDE) * STRIDE))


def _spread(of: Sequence[_Any]) -> Sequence[_Any]:
    return of[:: max(1, len(of) // LOOKED_AT)]
