"""What the repairer is shown: windows with holes, as the daemon cuts them, and what belongs into the holes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.inference.repairer import widened
from inspector.training import holes
from inspector.training.augment import Augmentation, random_view
from inspector.training.pictures import Pictures
from inspector.training.synthetic import is_two_toned
from inspector.types import Box, Image, Mask

SHARES = {64: 0.8, 128: 0.2, 256: 0.05}
"""How often each window is drawn, in relation: most defects are small, and small windows teach more in a second."""

BUSY = 0.7
"""Share of the windows on normal pictures that lie where there is something to see: plain ground teaches little."""

GRID = 4
"""Pixels a step of the maps that tell how busy a picture is."""


@dataclass
class RepairBatches:
    """Endless batches, each drawn from its random numbers alone; at the pictures' own resolution.

    Normal pictures get holes. Where a defective picture has a mask and a defect-free twin, half of the windows show
    a real defect, which is the hole, and what the twin has there is wanted.
    windows: sides of the square windows; each batch has one of them, and as many windows as cost about the same
    batch: windows of 64 pixels in a batch
    augmentation: of these, mirroring and light; turned or sheared pictures are softer than real ones, and what is
    learned from them is too
    """

    pictures: Pictures
    windows: tuple[int, ...]
    batch: int
    augmentation: Augmentation
    _busy: dict[int, NDArray[np.float64]] = field(default_factory=dict, repr=False)
    _boxes: dict[int, list[Box]] = field(default_factory=dict, repr=False)
    _shapes: list[Mask] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        samples = self.pictures.samples
        self._normal = [i for i, sample in enumerate(samples) if sample.good]
        for index in (i for i, sample in enumerate(samples) if sample.mask is not None):
            _, mask, reference = self.pictures.native(index)
            boxes = holes.boxes(mask)
            self._shapes += [mask[y : y + h, x : x + w] for x, y, w, h in boxes]
            if reference is not None and boxes:
                self._boxes[index] = boxes
        self._twins = sorted(self._boxes)
        self._two_toned = is_two_toned(self.pictures.native(self._normal[0])[0])
        self._view = replace(self.augmentation, rotation=0.0, shear=0.0)

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is seen and what is wanted, uint8 [N,S,S,C], and the holes, uint8 [N,S,S]: 0, 255 or `holes.OUTSIDE`."""
        shares = np.array([SHARES.get(side, 0.05) for side in self.windows])
        side = int(rng.choice(self.windows, p=shares / shares.sum()))
        count = max(2, round(self.batch * (64 / side) ** 2))
        triples = [
            self._healed(side, rng) if self._twins and rng.random() < 0.5 else self._punched(side, rng)
            for _ in range(count)
        ]
        seen, wanted, masks = (np.stack(parts) for parts in zip(*triples, strict=True))
        for mask in masks:
            if rng.random() < holes.UNKNOWN:
                holes.cross_the_border(mask, rng)
        return seen, wanted, masks

    def _punched(self, side: int, rng: np.random.Generator) -> tuple[Image, Image, Mask]:
        index = int(rng.choice(self._normal))
        image, mask, _ = self.pictures.native(index)
        around = self._busy_place(index, image, rng) if rng.random() < BUSY else None
        (view,), _ = random_view([image], [mask], (side, side), self._view, rng, around)
        opening = holes.cut(side, self._shapes, rng)
        seen = holes.left_over(view, opening, self._two_toned, rng) if rng.random() < holes.LEFT else view
        return seen, view, opening

    def _healed(self, side: int, rng: np.random.Generator) -> tuple[Image, Image, Mask]:
        index = int(rng.choice(self._twins))
        image, mask, reference = self.pictures.native(index)
        assert reference is not None  # noqa: S101 - so they were chosen
        x, y, w, h = self._boxes[index][rng.integers(len(self._boxes[index]))]
        views, masks = random_view([image, reference], [mask], (side, side), self._view, rng, (x + w / 2, y + h / 2))
        opening = widened(masks[0], int(rng.integers(holes.WIDEST)))
        return (views[0], views[1], opening) if opening.any() else self._punched(side, rng)

    def _busy_place(self, index: int, image: Image, rng: np.random.Generator) -> tuple[float, float]:
        """A place (x, y), the likelier the more the picture changes there."""
        if index not in self._busy:
            self._busy[index] = np.cumsum(_gradients(image))
        running = self._busy[index]
        columns = max(1, image.shape[1] // GRID)
        row, column = divmod(min(int(np.searchsorted(running, rng.random() * running[-1])), running.size - 1), columns)
        return GRID * (column + rng.random()), GRID * (row + rng.random())


def _gradients(image: Image) -> NDArray[np.float64]:
    """How much `image` [H,W,C] changes around each step of the grid, float64 [H // GRID, W // GRID]."""
    grey = image.mean(axis=2, dtype=np.float32)
    change = np.abs(cv2.Sobel(grey, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    size = max(1, image.shape[1] // GRID), max(1, image.shape[0] // GRID)
    return np.asarray(cv2.resize(change, size, interpolation=cv2.INTER_AREA), np.float64)
