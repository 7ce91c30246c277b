"""Pictures with holes of which it is known what belongs into them: what repairs are measured on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import TypeAlias

import cv2
import numpy as np

from inspector.training import data
from inspector.training.data import Sample
from inspector.training.pictures import Pictures
from inspector.training.synthetic import hole
from inspector.types import Image, Mask

Trial: TypeAlias = tuple[Image, Image, Mask]
"""What is seen, what is wanted, both uint8 [H,W,C], and the hole, uint8 [H,W], 0 or 255."""


def trials(pictures: Pictures, most: int) -> Iterator[Trial]:
    """Defective pictures with their defect-free twins; where there are none, good ones `punched` again and again."""
    natives = (pictures.native(i) for i, sample in enumerate(pictures.samples) if sample.mask is not None)
    twins = [(image, twin, mask) for image, mask, twin in natives if twin is not None and mask.any()]
    if twins:
        return iter(twins[:most])
    good = sum(sample.good for sample in pictures.samples)
    masks = sum(sample.mask is not None for sample in pictures.samples)
    rounds = range((masks or most) if good else 0)  # more would show the same holes in the same pictures again
    all_rounds = chain.from_iterable(punched(pictures.samples, pictures.channels, turn * good) for turn in rounds)
    return ((image, image, opening) for image, opening in islice(all_rounds, most))


def punched(samples: list[Sample], channels: int, first: int = 0) -> Iterator[tuple[Image, Mask]]:
    """Good pictures [H,W,C], each with a hole [H,W], numbered from `first` on.

    The holes have the shapes and places of the samples' own defects, by turns; without masks, drawn ones.
    """
    masks = [sample.mask for sample in samples if sample.mask is not None]
    goods = sum(sample.good for sample in samples)
    for number, sample in enumerate((sample for sample in samples if sample.good), first):
        image = data.read_picture(sample.picture, channels)
        shape = (image.shape[0], image.shape[1])
        if not masks:
            mask = hole(shape, np.random.default_rng(number))
        else:
            own = data.read_picture(masks[(number % goods + number // goods) % len(masks)], 1)[:, :, 0]
            fitted = cv2.resize(own, shape[::-1], interpolation=cv2.INTER_NEAREST)
            mask = np.where(fitted > 127, 255, 0).astype(np.uint8)
        if mask.any():
            yield image, mask
