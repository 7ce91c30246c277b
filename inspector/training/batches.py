"""What the detector is shown: endless batches, each drawn from (seed, epoch, step) alone, so that runs can resume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np

from inspector.training.augment import Augmentation, random_view
from inspector.training.pictures import Pictures
from inspector.training.synthetic import paste_defects
from inspector.types import Image, Mask

Pair: TypeAlias = tuple[Image, Mask]
View: TypeAlias = tuple[Image, Mask, bool]

HEALED = 0.25
"""Share of the real defective views that are shown with their defects healed, where a defect-free twin is known."""

COPIED = 0.5
"""Share of the normal views of whole pictures that get a real defect from another one."""

RING = 7
"""Pixels around a real defect that tell how bright its own ground is."""


class Views(NamedTuple):
    """A batch for the detector.

    images: uint8 [N,H,W,C];  masks: uint8 [N,H,W], 0 or 255
    known: bool [N]; False where of a defective picture nobody tells where its defect is: its mask is then all 255
    """

    images: np.ndarray
    masks: np.ndarray
    known: np.ndarray


@dataclass
class DetectorBatches:
    """Views for the detector: a third with real defects, a third with synthetic ones, a third normal.

    Where there is no defective picture, halves: synthetic and normal. Where whole pictures are shown and real defects
    have masks, some of the normal ones get one of those, so that it is learned apart from the part that it was on
    (copy-paste, Ghiasi et al. 2021).
    view: (height, width) of a view;  batch: views in a batch
    hard: places (picture, x, y) of normal pictures that were taken for defects; half of the normal views show one
    """

    pictures: Pictures
    view: tuple[int, int]
    batch: int
    augmentation: Augmentation
    hard: list[tuple[int, float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        samples = self.pictures.samples
        self._normal = [i for i, sample in enumerate(samples) if sample.good]
        whole = self.view == self.pictures.size  # a smaller view may well miss a defect whose place nobody tells
        self._defective = [i for i, s in enumerate(samples) if not s.good and (whole or s.mask is not None)]
        self._copied = [i for i in self._defective if whole and self.pictures.fitted(i)[1].any()]

    def draw(self, rng: np.random.Generator) -> Views:
        """The next batch."""
        kinds: list[Callable[[np.random.Generator], View]] = [self._synthetic, self._shown_clean]
        if self._defective:
            kinds.append(self._shown_defective)
        images, masks, known = zip(*(kinds[i % len(kinds)](rng) for i in range(self.batch)), strict=True)
        return Views(np.stack(images), np.stack(masks), np.array(known))

    def _shown_defective(self, rng: np.random.Generator) -> View:
        index = int(rng.choice(self._defective))
        known = self.pictures.samples[index].mask is not None
        image, mask, reference = self.pictures.fitted(index)
        if not known:
            (view,), _ = random_view([image], [], self.view, self.augmentation, rng)
            return view, np.full(self.view, 255, np.uint8), False
        around = place_on(mask, rng) if mask.any() else None
        if reference is not None and rng.random() < HEALED:
            image, mask = np.where(grown(mask)[:, :, None] > 0, reference, image), np.zeros_like(mask)
        views, masks = random_view([image], [mask], self.view, self.augmentation, rng, around)
        return views[0], masks[0], True

    def _shown_clean(self, rng: np.random.Generator) -> View:
        if self._copied and rng.random() < COPIED:
            return *self._with_a_real_one(rng), True
        if not self.hard or rng.random() < 0.5:
            return *self._clean(rng), True
        index, x, y = self.hard[rng.integers(len(self.hard))]
        image, mask, _ = self.pictures.fitted(index)
        (view,), (empty,) = random_view([image], [mask], self.view, self.augmentation, rng, (x, y))
        return view, empty, True

    def _with_a_real_one(self, rng: np.random.Generator) -> Pair:
        image, _ = self._clean(rng)
        donor, mask, _ = self.pictures.fitted(int(rng.choice(self._copied)))
        (view,), (area,) = random_view([donor], [mask], self.view, self.augmentation, rng, place_on(mask, rng))
        return transplanted(image, view, area), area

    def normal(self, count: int, rng: np.random.Generator) -> list[int]:
        """Up to `count` of the normal pictures, by their index."""
        return [int(i) for i in rng.permutation(self._normal)[:count]]

    def whole(self, index: int) -> Image:
        """A picture as the detector sees it, [H,W,C]."""
        return self.pictures.fitted(index)[0]

    def _clean(self, rng: np.random.Generator) -> Pair:
        """The busier of two views: where there is nothing to see, there is little to learn."""
        views = [self._anywhere(rng) for _ in range(2)]
        return max(views, key=lambda view: busyness(view[0]))

    def _anywhere(self, rng: np.random.Generator) -> Pair:
        image, mask, _ = self.pictures.fitted(int(rng.choice(self._normal)))
        views, masks = random_view([image], [mask], self.view, self.augmentation, rng)
        return views[0], masks[0]

    def _synthetic(self, rng: np.random.Generator) -> View:
        image, _ = self._clean(rng)
        donor, _, _ = self.pictures.fitted(int(rng.choice(self._normal)))
        return *pasted(image, donor, rng), True


def pasted(image: Image, donor: Image, rng: np.random.Generator) -> Pair:
    """`image` with one to three synthetic defects."""
    return paste_defects(image, donor, int(rng.integers(1, 4)), rng)


def transplanted(image: Image, donor: Image, mask: Mask) -> Image:
    """`image` with what `donor` shows on `mask`, as bright as its ground is here; [H,W,C], [H,W]."""
    area = grown(mask)
    ring = (cv2.dilate(area, np.ones((2 * RING + 1, 2 * RING + 1), np.uint8)) > 0) & (area == 0)
    brighter = float(image[ring].mean()) - float(donor[ring].mean()) if ring.any() else 0.0
    soft = cv2.GaussianBlur(area, (0, 0), 1.5).astype(np.float32)[:, :, None] / 255
    mixed = image + soft * (donor.astype(np.float32) + brighter - image)
    return np.asarray(np.clip(mixed, 0, 255), np.uint8)


def place_on(mask: Mask, rng: np.random.Generator) -> tuple[float, float]:
    """A pixel (x, y) of `mask` [H,W], which has some."""
    spots = np.argwhere(mask)
    y, x = spots[rng.integers(len(spots))]
    return float(x), float(y)


def grown(mask: Mask) -> Mask:
    """`mask` [H,W] and the soft edge that its defect has."""
    return np.asarray(cv2.dilate(mask, np.ones((5, 5), np.uint8)), np.uint8)


def busyness(image: Image) -> float:
    """How much there is to see in `image` [H,W,C]."""
    edges = cv2.Laplacian(image, cv2.CV_16S)
    return float(cv2.meanStdDev(edges.reshape(len(edges), -1))[1][0, 0])  # a third of the time of numpy's
