"""How well defects are repaired, beside OpenCV's two inpainters, where it is known what belongs into the hole."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from inspector.inference.repairer import INPAINTERS, Repairer, inpaint, widened
from inspector.judge import Judgement
from inspector.training.holes import boxes
from inspector.training.metrics import ssim
from inspector.training.synthetic import is_two_toned
from inspector.types import Image, Mask


@dataclass
class RepairScores:
    """Collects repairs. The ideal one is the twin inside the mask and the picture itself outside.

    All is measured inside the mask: PSNR and the mean absolute error over the pooled pixels, SSIM as the mean over
    pictures, and for two-toned pictures the share of pixels on the right side of the middle grey. The figures come in
    two kinds: with the true mask as the hole, all three alike, its rim hidden from each; and `as_run`, with the
    detector's mask as the hole, measured over both masks together, so that an overlooked defect counts.
    """

    pictures: int = 0
    two_toned: bool = True
    _squares: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _distances: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _agreeing: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _values: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _similarities: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, repairer: Repairer, image: Image, truth: Mask, judgement: Judgement | None, twin: Image) -> None:
        """Repair `image` [H,W,C] in every way and compare with its defect-free `twin` [H,W,C].

        judgement: the detector's, for the figures `as_run`; None leaves them out
        """
        self.pictures += 1
        self.two_toned = self.two_toned and is_two_toned(twin)
        inside = truth[:, :, None] > 0
        ideal = np.where(inside, twin, image)
        hole = widened(truth, repairer.rim)
        repaired, _ = repairer.repair(image, truth, boxes(truth))
        self._count("repair", repaired, ideal, truth)
        for name in INPAINTERS:
            self._count(name, np.where(inside, inpaint(image, hole, name), image), ideal, truth)
        if judgement is None:
            return
        found = np.zeros_like(truth) if judgement.mask is None else judgement.mask
        if judgement.mask is not None:
            image, _ = repairer.repair(image, found, [region.box for region in judgement.regions])
        self._count("repair_as_run", image, np.where((truth | found)[:, :, None] > 0, twin, ideal), truth | found)

    def _count(self, name: str, image: Image, ideal: Image, mask: Mask) -> None:
        inside = mask > 0
        error = image[inside].astype(np.float64) - ideal[inside]
        self._squares[name] += float(np.square(error).sum())
        self._distances[name] += float(np.abs(error).sum())
        self._agreeing[name] += int(np.count_nonzero((image[inside] > 127) == (ideal[inside] > 127)))
        self._values[name] += error.size
        self._similarities[name].append(ssim(image, ideal, mask))

    def figures(self) -> dict[str, float]:
        """`<way>_psnr` in dB, `_ssim`, `_l1` in grey levels, `_binary_accuracy`; empty where nothing was repaired."""
        figures = {}
        for name, squares in self._squares.items():
            mean = squares / self._values[name]
            figures[f"{name}_psnr"] = 10 * math.log10(255**2 / mean) if mean else math.inf
            figures[f"{name}_ssim"] = float(np.mean(self._similarities[name]))
            figures[f"{name}_l1"] = self._distances[name] / self._values[name]
            if self.two_toned:
                figures[f"{name}_binary_accuracy"] = self._agreeing[name] / self._values[name]
        return figures
