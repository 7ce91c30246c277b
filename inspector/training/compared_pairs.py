"""Pairs for the networks that compare: a frame's view and that of its reference picture, stacked channel by channel.

A good picture without a reference of its own is compared with another exemplar of itself (`exemplars`); no pair is
equal bit for bit but now and then.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from inspector.training.augment import random_view
from inspector.training.batches import HEALED, DetectorBatches, Pair, View, busyness, grown, pasted, place_on
from inspector.training.exemplars import Disturbance, exemplar, misregistered, relit
from inspector.training.pairs import interleaved
from inspector.training.pictures import Pictures
from inspector.training.synthetic import is_two_toned
from inspector.types import Image, Mask

SWAPPED = 0.3
"""Share of the pairs whose two pictures change places: what only the reference has is missing, and a defect, too."""

ON_BOTH = 0.3
"""Share of the normal pairs on whose both pictures the same thing was pasted: then it belongs there."""

ANYWHERE = 0.5
"""Share of the real pairs that are seen anywhere and not at a defect: how real exemplars differ is seen there."""

REGISTERED = Disturbance(near=0.15, far=0.5, rotation=0.05)
"""What registration really leaves (measured: tests/unit/test_reference.py); for validation."""


@dataclass
class PairBatches(DetectorBatches):
    """As `DetectorBatches`, each view with that of its reference stacked behind it, [H,W,2C].

    A third each: real defects, synthetic ones, normal pairs.
    """

    disturbance: Disturbance = field(default_factory=Disturbance)

    def __post_init__(self) -> None:
        self._normal = [i for i, sample in enumerate(self.pictures.samples) if sample.good]
        self._defective = with_reference(self.pictures)
        self._two_toned = {i: is_two_toned(self.pictures.fitted(i)[0]) for i in self._normal}

    def whole(self, index: int) -> Image:
        """A picture as the detector sees it, [H,W,2C]: the same at every call."""
        rng = np.random.default_rng(index)
        image, reference = _good_pair(self.pictures, index, rng)
        return _registered(image, reference, rng)

    def _shown_defective(self, rng: np.random.Generator) -> View:
        image, mask, reference = self.pictures.fitted(int(rng.choice(self._defective)))
        reference = image if reference is None else reference  # there is one
        around = place_on(mask, rng) if mask.any() and rng.random() > ANYWHERE else None
        views, masks = random_view([image, reference], [mask], self.view, self.augmentation, rng, around)
        if rng.random() < HEALED:
            healed = np.where(grown(masks[0])[:, :, None] > 0, views[1], views[0])
            return self._stacked(healed, views[1], np.zeros(self.view, np.uint8), rng)
        return self._stacked(views[0], views[1], masks[0], rng)

    def _shown_clean(self, rng: np.random.Generator) -> View:
        if self.hard and rng.random() < 0.5:
            index, x, y = self.hard[rng.integers(len(self.hard))]
            image, reference = self._views(index, rng, (x, y))
            return self._stacked(image, reference, np.zeros(self.view, np.uint8), rng)
        image, reference, donor = self._busier(rng)
        if rng.random() < ON_BOTH:
            image, mask = pasted(image, donor, rng)
            reference = np.where(grown(mask)[:, :, None] > 0, image, reference)
        return self._stacked(image, reference, np.zeros(self.view, np.uint8), rng)

    def _synthetic(self, rng: np.random.Generator) -> View:
        image, reference, donor = self._busier(rng)
        image, mask = pasted(image, donor, rng)
        return self._stacked(image, reference, mask, rng)

    def _busier(self, rng: np.random.Generator) -> tuple[Image, Image, Image]:
        """Of two normal pairs that in which more is to be seen, and a whole picture that lends texture."""
        pairs = [self._views(int(rng.choice(self._normal)), rng, None) for _ in range(2)]
        image, reference = max(pairs, key=lambda pair: busyness(pair[0]))
        donor, _, _ = self.pictures.fitted(int(rng.choice(self._normal)))
        return image, reference, donor

    def _views(self, index: int, rng: np.random.Generator, around: tuple[float, float] | None) -> tuple[Image, Image]:
        """A normal picture and its reference, or else another exemplar of it."""
        image, _, reference = self.pictures.fitted(index)
        pictures = [image] if reference is None else [image, reference]
        views, _ = random_view(pictures, [], self.view, self.augmentation, rng, around)
        if len(views) == 1:
            views.append(exemplar(views[0], self._two_toned[index], self.disturbance, rng))
        return views[0], views[1]

    def _stacked(self, image: Image, reference: Image, mask: Mask, rng: np.random.Generator) -> View:
        if rng.random() < SWAPPED:
            image, reference = reference, image
        reference = relit(misregistered(reference, image, self.disturbance, rng), self.disturbance, rng)
        return np.concatenate([image, reference], axis=2), mask, True


def with_reference(pictures: Pictures) -> list[int]:
    """The defective pictures that have a mask, and a reference of their own size."""
    masked = [i for i, sample in enumerate(pictures.samples) if not sample.good and sample.mask is not None]
    return [i for i in masked if pictures.fitted(i)[2] is not None]


def registered_pairs(pictures: Pictures, seed: int) -> tuple[list[Pair], bool]:
    """What thresholds are chosen on: as `pairs.validation_pairs`, of pictures stacked as they are at run time.

    The flag says whether the defects are real.
    """
    rng = np.random.default_rng(seed)
    good = [_good_pair(pictures, i, rng) for i, sample in enumerate(pictures.samples) if sample.good]
    real = []
    for index in with_reference(pictures):
        image, mask, reference = pictures.fitted(index)
        real.append((_registered(image, image if reference is None else reference, rng), mask))
    clean = [(_registered(image, reference, rng), np.zeros(image.shape[:2], np.uint8)) for image, reference in good]
    if real:
        return interleaved(clean, real), True
    synthetic = []
    for image, reference in good:
        donor, _ = good[rng.integers(len(good))]
        mixed, mask = pasted(image, donor, rng)
        synthetic.append((_registered(mixed, reference, rng), mask))
    return interleaved(clean, synthetic), False


def _good_pair(pictures: Pictures, index: int, rng: np.random.Generator) -> tuple[Image, Image]:
    image, _, reference = pictures.fitted(index)
    return image, exemplar(image, is_two_toned(image), Disturbance(), rng) if reference is None else reference


def _registered(image: Image, reference: Image, rng: np.random.Generator) -> Image:
    return np.concatenate([image, misregistered(reference, image, REGISTERED, rng)], axis=2)
