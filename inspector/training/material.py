"""What both networks of a bundle are made from."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.training.augment import Augmentation
from inspector.training.batches import Pair
from inspector.training.pictures import Pictures
from inspector.training.settings import Mode


@dataclass(frozen=True, slots=True)
class Material:
    """Both sides of the pictures, and what is known of them.

    training: what networks learn from first;  validation: what is held back until they are judged
    pairs: what a detector is shown of the latter [H,W,C], each with the true mask [H,W]
    real: whether those are of real defects, not of synthetic ones
    augmentation: how far views of the pictures stray
    """

    mode: Mode
    training: Pictures
    validation: Pictures
    pairs: list[Pair]
    real: bool
    augmentation: Augmentation
