"""What a repairer that has a reference is shown: windows with holes, and beside each what a reference shows there."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from inspector.training import holes
from inspector.training.augment import random_view
from inspector.training.exemplars import Disturbance, exemplar, misregistered, relit
from inspector.training.repair_batches import BUSY, RepairBatches
from inspector.types import Image, Mask


@dataclass
class GuidedBatches(RepairBatches):
    """As `RepairBatches`, a registered reference stacked behind each picture that is seen: [N,S,S,2C].

    Where a picture has a reference, what that shows in the hole is wanted, and seen once more as a registration leaves
    it; else the reference is another exemplar of the picture.
    """

    disturbance: Disturbance = field(default_factory=Disturbance)

    def _punched(self, side: int, rng: np.random.Generator) -> tuple[Image, Image, Mask]:
        index = int(rng.choice(self._normal))
        image, _, reference = self.pictures.native(index)
        around = self._busy_place(index, image, rng) if rng.random() < BUSY else None
        pictures = [image] if reference is None else [image, reference]
        views, _ = random_view(pictures, [], (side, side), self._view, rng, around)
        if len(views) == 1:
            views.append(exemplar(views[0], self._two_toned, self.disturbance, rng))
        opening = holes.cut(side, self._shapes, rng)
        seen = holes.left_over(views[0], opening, self._two_toned, rng) if rng.random() < holes.LEFT else views[0]
        return self._stacked(seen, views[1], rng), views[0], opening

    def _healed(self, side: int, rng: np.random.Generator) -> tuple[Image, Image, Mask]:
        seen, wanted, opening = super()._healed(side, rng)
        if seen.shape != wanted.shape:  # no defect was left in the view, and it was punched
            return seen, wanted, opening
        return self._stacked(seen, wanted, rng), wanted, opening

    def _stacked(self, seen: Image, reference: Image, rng: np.random.Generator) -> Image:
        found = relit(misregistered(reference, seen, self.disturbance, rng), self.disturbance, rng)
        return np.concatenate([seen, found], axis=2)
