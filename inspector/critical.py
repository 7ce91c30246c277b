"""A picture's critical threshold: from it on the daemon's rule says `ok`, below it `ng` (pure).

The pixels above a threshold shrink as it rises, and so do their connected regions: for a given minimum area each
picture has one such threshold, the level at which its last large region falls apart. It is the picture's
nonconformity score: how defective the daemon takes it for, on the scale on which it decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.errors import ModelError
from inspector.judge import above, enlarged
from inspector.types import Detection

_ONE = int(np.float32(1).view(np.int32))


def critical_thresholds(
    detection: Detection, height: int, width: int, areas: Sequence[int], ignored: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """For each of `areas` (pixels of the detector's input) the critical threshold of a frame of that size.

    ignored: [height, width], where nothing is a defect

    float32 [len(areas)], each exact: Judge(t, area) says `ng` for every float32 t below it and `ok` from it on; 0 for
    a frame that is always `ok`. Raises ModelError where the map is no probability.
    """
    peak = float(detection.map.max())
    if not (0.0 <= peak <= 1.0 and math.isfinite(detection.score)):
        raise ModelError(f"the model answered with something that is no probability (up to {peak:g})")
    probability, scale = enlarged(detection.map, height, width, ignored)

    @cache  # the searches for several areas begin alike
    def largest(bits: int) -> int:
        return _largest_region(probability, float(np.int32(bits).view(np.float32)))

    # Enlarging may round up beyond the peak, at which the judge looks first.
    found = [min(_first_ok(largest, area * scale), np.float32(peak)) for area in areas]
    return np.array(found, np.float32)


def _first_ok(largest: Callable[[int], int], min_area: float) -> np.float32:
    """The lowest threshold that leaves no region of `min_area`, by bisection over the bits of float32.

    Those of positive numbers are in the numbers' order, so that 30 steps are exact, near 0 as near 1.
    """
    ng, ok = -1, _ONE
    while ok - ng > 1:
        middle = (ng + ok) // 2
        ng, ok = (middle, ok) if largest(middle) >= min_area else (ng, middle)
    return np.float32(np.int32(ok).view(np.float32))


def _largest_region(probability: NDArray[np.float32], threshold: float) -> int:
    """Pixels of the largest connected region (8 neighbours) above `threshold`."""
    mask = above(probability, threshold)
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return 0
    inside = mask[top : top + height, left : left + width]
    _, _, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    return int(stats[1:, cv2.CC_STAT_AREA].max())
