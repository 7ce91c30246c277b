"""How well defects are repaired, beside OpenCV's two inpainters, where the defect-free twin is known."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

import cv2
import numpy as np

from inspector.inference.channels import in_turns
from inspector.inference.repairer import RIM, Repairer
from inspector.judge import Judgement
from inspector.training.metrics import ssim
from inspector.types import Box, Image, Mask

INPAINT_RADIUS = 3.0


@dataclass
class RepairScores:
    """Collects repairs. The ideal one is the twin inside the mask and the picture itself outside.

    PSNR is over the pooled pixels, SSIM the mean over pictures, both inside the mask. The figures come in two kinds:
    with the true mask as the hole, all three alike, its rim hidden from each; and `as_run`, with the detector's mask
    as the hole, measured over the true and the found mask together, so that an overlooked defect counts.
    """

    _squares: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _values: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _similarities: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, repairer: Repairer, image: Image, truth: Mask, judgement: Judgement, twin: Image) -> None:
        """Repair `image` [H,W,C] in every way and compare with its defect-free `twin` [H,W,C]."""
        inside = truth[:, :, None] > 0
        ideal = np.where(inside, twin, image)
        side = 2 * RIM + 1
        hole = cv2.dilate(truth, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
        repaired, _ = repairer.repair(image, truth, _boxes(truth))
        self._count("repair", repaired, ideal, truth)
        for name, method in (("telea", cv2.INPAINT_TELEA), ("ns", cv2.INPAINT_NS)):
            painted = inpaint(image, hole, method)
            self._count(name, np.where(inside, painted, image), ideal, truth)
        found = np.zeros_like(truth) if judgement.mask is None else judgement.mask
        if judgement.mask is not None:
            image, _ = repairer.repair(image, found, [region.box for region in judgement.regions])
        self._count("repair_as_run", image, np.where((truth | found)[:, :, None] > 0, twin, ideal), truth | found)

    def _count(self, name: str, image: Image, ideal: Image, mask: Mask) -> None:
        inside = mask > 0
        error = image[inside].astype(np.float64) - ideal[inside]
        self._squares[name] += float(np.square(error).sum())
        self._values[name] += error.size
        self._similarities[name].append(ssim(image, ideal, mask))

    def figures(self) -> dict[str, float]:
        """`<way>_psnr` in dB and `<way>_ssim`; empty where nothing was repaired."""
        figures = {}
        for name, squares in self._squares.items():
            mean = squares / self._values[name]
            figures[f"{name}_psnr"] = 10 * math.log10(255**2 / mean) if mean else math.inf
            figures[f"{name}_ssim"] = float(np.mean(self._similarities[name]))
        return figures


def inpaint(image: Image, hole: Mask, method: int) -> Image:
    """`image` [H,W,C] with the 255s of `hole` filled by OpenCV: grey, colour, or channel by channel."""
    at_once = image.shape[2] if image.shape[2] in (1, 3) else 1
    return in_turns(image, lambda part: cv2.inpaint(part, hole, INPAINT_RADIUS, method), at_once)


def _boxes(mask: Mask) -> list[Box]:
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    return [(int(x), int(y), int(w), int(h)) for x, y, w, h, _ in stats[1:]]
