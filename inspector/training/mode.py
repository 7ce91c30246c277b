"""Which way to train: told, or chosen from what the pictures have."""

from __future__ import annotations

import cv2
import numpy as np

from inspector.errors import DataError
from inspector.training.data import Sample, read_grey, read_mask
from inspector.training.settings import Mode

LOOKED_AT = 16
"""Pictures whose references are looked at."""

DIFFERENT = 16
"""Grey levels from which two pixels differ by more than a picture's compression."""


def choose(samples: list[Sample], wish: Mode | None) -> tuple[Mode, str]:
    """The mode, `wish` where it is given, and why, in a sentence. Raises DataError where the wish cannot be met."""
    masked = [sample for sample in samples if sample.mask is not None]
    defective = sum(not sample.good for sample in samples)
    if wish == "masks" and not defective:
        raise DataError("--mode masks: there is no defective picture; add some, or train with --mode normal")
    if wish == "reference" and not any(map(_has_reference, samples)):
        raise DataError(
            "--mode reference: no good picture, and no defective one with a mask, has a reference of its size; put "
            "some into train_reference, or train without --mode"
        )
    if wish is not None:
        return wish, f"mode {wish}: it was asked for"
    referred = [sample for sample in samples if sample.reference is not None]
    if len(referred) > len(masked) / 2:
        if _are_exemplars(referred):
            return "reference", (
                f"mode reference: references are there ({len(referred)}), pictures of other good parts: each frame "
                "will be compared with one, and each camera will need its own; --mode masks does without"
            )
        why = (
            "mode masks: the references are the defective pictures themselves without the defect, which a camera will "
            "not have; they serve the repairer alone; --mode reference compares with them"
        )
        return "masks", why
    if defective:
        return "masks", f"mode masks: there are {defective} defective pictures, {len(masked)} of them with a mask"
    return "normal", "mode normal: there is no defective picture"


def _has_reference(sample: Sample) -> bool:
    """Whether it has one to learn from: of its own size, and of a defective picture only beside a mask."""
    if sample.reference is None or not (sample.good or sample.mask is not None):
        return False
    return read_grey(sample.reference).shape == read_grey(sample.picture).shape


def _are_exemplars(samples: list[Sample]) -> bool:
    """Whether most references differ from their pictures beyond the defect, as another good part's picture does."""
    seen = samples[:: max(1, len(samples) // LOOKED_AT)]
    return 2 * sum(_differs_elsewhere(sample) for sample in seen) > len(seen)


def _differs_elsewhere(sample: Sample) -> bool:
    image = read_grey(sample.picture)
    reference = image if sample.reference is None else read_grey(sample.reference)
    if reference.shape != image.shape:
        return False
    different = cv2.absdiff(image, reference).reshape(image.shape[:2]) >= DIFFERENT
    if sample.mask is not None:
        mask = read_mask(sample.mask, (image.shape[0], image.shape[1]))
        different &= cv2.dilate(mask, np.ones((5, 5), np.uint8)) == 0
    elif not sample.good:
        return False  # without a mask nothing tells the defect's pixels from the rest
    return bool(different.any())
