"""Folders of challenges for the tiny bundle, to whom bright pixels are defects."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tests.bundles import picture

DEFECT = (20, 10, 9, 9)
"""x, y, width, height in the defective picture."""


def make_challenges(folder: Path, mask: bool = True) -> Path:
    """A good part and a defective one, perhaps with its mask."""
    folder = folder / "challenges"
    for name in ("good", "defective", "mask"):
        (folder / name).mkdir(parents=True)
    cv2.imwrite(str(folder / "good" / "0.png"), picture())
    bad = picture(square=DEFECT)
    cv2.imwrite(str(folder / "defective" / "0.png"), bad)
    if mask:
        cv2.imwrite(str(folder / "mask" / "0_mask.png"), np.where(bad > 200, 255, 0).astype(np.uint8))
    return folder
