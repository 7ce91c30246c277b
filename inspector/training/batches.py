"""What the networks are shown: endless batches, each drawn from (seed, epoch, step) alone, so that runs can resume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np

from inspector.training.augment import Augmentation, random_view
from inspector.training.pictures import Pictures
from inspector.training.synthetic import hole, paste_defect
from inspector.types import Image, Mask

Pair: TypeAlias = tuple[Image, Mask]

HEALED = 0.25
"""Share of the real defective views that are shown with their defects healed, where a defect-free twin is known."""


@dataclass
class DetectorBatches:
    """Views for the detector: a third with real defects, a third with synthetic ones, a third normal.

    Where no defective picture has a mask, halves: synthetic and normal.
    view: (height, width) of a view;  batch: views in a batch
    """

    pictures: Pictures
    view: tuple[int, int]
    batch: int
    augmentation: Augmentation

    def __post_init__(self) -> None:
        samples = self.pictures.samples
        self._normal = [i for i, sample in enumerate(samples) if sample.good]
        self._real = [i for i, sample in enumerate(samples) if sample.mask is not None]

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Pictures uint8 [N,H,W,C] and masks uint8 [N,H,W], 0 or 255."""
        kinds: list[Callable[[np.random.Generator], Pair]] = [self._synthetic, self._clean]
        if self._real:
            kinds.append(self._defective)
        pairs = [kinds[i % len(kinds)](rng) for i in range(self.batch)]
        return np.stack([image for image, _ in pairs]), np.stack([mask for _, mask in pairs])

    def _defective(self, rng: np.random.Generator) -> Pair:
        image, mask, reference = self.pictures.fitted(int(rng.choice(self._real)))
        spots = np.argwhere(mask)
        around = None
        if len(spots):
            y, x = spots[rng.integers(len(spots))]
            around = (float(x), float(y))
        if reference is not None and rng.random() < HEALED:
            surroundings = cv2.dilate(mask, np.ones((5, 5), np.uint8))[:, :, None]
            image, mask = np.where(surroundings > 0, reference, image), np.zeros_like(mask)
        views, masks = random_view([image], [mask], self.view, self.augmentation, rng, around)
        return views[0], masks[0]

    def _clean(self, rng: np.random.Generator) -> Pair:
        """The busier of two views: where there is nothing to see, there is little to learn."""
        views = [self._anywhere(rng) for _ in range(2)]
        return max(views, key=lambda view: float(cv2.Laplacian(view[0], cv2.CV_16S).std()))

    def _anywhere(self, rng: np.random.Generator) -> Pair:
        image, mask, _ = self.pictures.fitted(int(rng.choice(self._normal)))
        views, masks = random_view([image], [mask], self.view, self.augmentation, rng)
        return views[0], masks[0]

    def _synthetic(self, rng: np.random.Generator) -> Pair:
        image, mask = self._clean(rng)
        donor, _, _ = self.pictures.fitted(int(rng.choice(self._normal)))
        for _ in range(rng.integers(1, 4)):
            image, added = paste_defect(image, donor, rng)
            mask = mask | added
        return image, mask


@dataclass
class RepairBatches:
    """Views for the repairer, at the pictures' own resolution, with holes and what belongs into them.

    Normal pictures get random holes. Where a defective picture has a mask and a defect-free twin, the defect itself
    is the hole, and what the twin shows there is wanted.
    windows: sides of the square views; each batch has one of them, and as many views as cost about the same
    """

    pictures: Pictures
    windows: tuple[int, ...]
    batch: int
    augmentation: Augmentation

    def __post_init__(self) -> None:
        samples = self.pictures.samples
        self._normal = [i for i, sample in enumerate(samples) if sample.good]
        self._twins = [
            i for i, sample in enumerate(samples) if sample.mask is not None and sample.reference is not None
        ]

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Wanted pictures uint8 [N,S,S,C] and holes uint8 [N,S,S], 0 or 255."""
        side = int(rng.choice(self.windows))
        count = int(np.clip(self.batch * (128 / side) ** 2, 4, self.batch))
        pairs = []
        for i in range(count):
            twin = bool(self._twins) and i % 2 == 1
            pairs.append(self._healed(side, rng) if twin else self._punched(side, rng))
        return np.stack([wanted for wanted, _ in pairs]), np.stack([mask for _, mask in pairs])

    def _punched(self, side: int, rng: np.random.Generator) -> Pair:
        image, mask, _ = self.pictures.native(int(rng.choice(self._normal)))
        (view,), _ = random_view([image], [mask], (side, side), self.augmentation, rng)
        return view, hole((side, side), rng)

    def _healed(self, side: int, rng: np.random.Generator) -> Pair:
        image, mask, reference = self.pictures.native(int(rng.choice(self._twins)))
        spots = np.argwhere(mask)
        if reference is None or not len(spots):
            return self._punched(side, rng)
        y, x = spots[rng.integers(len(spots))]
        views, masks = random_view(
            [image, reference], [mask], (side, side), self.augmentation, rng, (float(x), float(y))
        )
        grow = int(rng.integers(1, 4))
        opening = cv2.dilate(masks[0], cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grow + 1, 2 * grow + 1)))
        if not opening.any():
            return self._punched(side, rng)
        return np.where(opening[:, :, None] > 0, views[1], views[0]), np.asarray(opening, np.uint8)
