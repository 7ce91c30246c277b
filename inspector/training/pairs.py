"""What thresholds are chosen on and losses measured: validation pictures with their true masks."""

from __future__ import annotations

import numpy as np

from inspector.training.batches import Pair
from inspector.training.pictures import Pictures
from inspector.training.synthetic import paste_defects


def validation_pairs(pictures: Pictures, seed: int) -> tuple[list[Pair], bool]:
    """What thresholds are chosen on: pictures with masks at the detector's size, normal ones with empty masks.

    Real defective pictures where they have masks; else synthetic defects on the normal ones. The flag says whether
    the defects are real.
    """
    normal = [pictures.fitted(i) for i, sample in enumerate(pictures.samples) if sample.good]
    real = [pictures.fitted(i) for i, sample in enumerate(pictures.samples) if sample.mask is not None]
    pairs = [(image, mask) for image, mask, _ in normal]
    if real:
        return interleaved(pairs, [(image, mask) for image, mask, _ in real]), True
    rng = np.random.default_rng(seed)
    pasted = [
        paste_defects(image, normal[rng.integers(len(normal))][0], 2, rng) for image, _ in pairs for _ in range(2)
    ]
    return interleaved(pairs, pasted), False


def interleaved(first: list[Pair], second: list[Pair]) -> list[Pair]:
    """Mixed evenly, so that every n-th is a fair sample."""
    keyed = [((i + 0.5) / len(part), pair) for part in (first, second) for i, pair in enumerate(part)]
    return [pair for _, pair in sorted(keyed, key=lambda entry: entry[0])]
