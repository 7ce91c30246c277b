"""Pictures in memory: each as the detector sees it, and at its own resolution while there is room."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from inspector.inference.fit import fitted, resized
from inspector.training.data import Sample, read_mask, read_picture
from inspector.types import Image, Mask

SPECK = 9
"""Pixels of a mask's region below which it may be a slip of the pen."""

NATIVE_BYTES = 3 << 30
"""Pictures at their own resolution are kept up to this many bytes, and read again from the disk beyond."""


@dataclass
class Pictures:
    """A list of samples that hands out decoded pictures.

    size: (height, width) of the detector's input;  channels: 1, 3, or those of the stack
    """

    samples: list[Sample]
    size: tuple[int, int]
    channels: int
    _fitted: dict[int, tuple[Image, Mask, Image | None]] = field(default_factory=dict, repr=False)
    _native: dict[int, tuple[Image, Mask, Image | None]] = field(default_factory=dict, repr=False)
    _native_bytes: int = 0

    def __len__(self) -> int:
        return len(self.samples)

    def joined(self, other: Pictures) -> Pictures:
        """These pictures and those of `other` behind them; what either holds in memory is shared."""
        both = Pictures(self.samples + other.samples, self.size, self.channels)
        for pictures, first in ((self, 0), (other, len(self))):
            both._fitted |= {first + index: kept for index, kept in pictures._fitted.items()}
            both._native |= {first + index: kept for index, kept in pictures._native.items()}
            both._native_bytes += pictures._native_bytes
        return both

    def native(self, index: int) -> tuple[Image, Mask, Image | None]:
        """Picture [H,W,C], mask [H,W] (all 0 where there is none) and defect-free twin, at their own resolution."""
        if index in self._native:
            return self._native[index]
        sample = self.samples[index]
        image = read_picture(sample.picture, self.channels)
        shape = (image.shape[0], image.shape[1])
        mask = np.zeros(shape, np.uint8) if sample.mask is None else read_mask(sample.mask, shape)
        reference = None if sample.reference is None else read_picture(sample.reference, self.channels)
        if reference is not None and reference.shape != image.shape:
            reference = None
        if self._native_bytes < NATIVE_BYTES:
            self._native[index] = image, mask, reference
            self._native_bytes += image.nbytes + mask.nbytes + (0 if reference is None else reference.nbytes)
        return image, mask, reference

    def fitted(self, index: int) -> tuple[Image, Mask, Image | None]:
        """The same three at the detector's size, resized as the daemon does it."""
        if index not in self._fitted:
            image, mask, reference = self.native(index)
            small = shrunk(mask, self.size)
            shape = (*self.size, self.channels)
            twin = None if reference is None else fitted(reference, shape)
            self._fitted[index] = fitted(image, shape), small, twin
        return self._fitted[index]


def shrunk(mask: Mask, size: tuple[int, int]) -> Mask:
    """`mask` [H,W] at `size` = (height, width): the pixels of which it covers half.

    Of a region that covers half of none, such as a hairline's, those that it covers most: without any, a defective
    picture would be taken for a good one. What has fewer than SPECK pixels in `mask` may go.
    """
    cover = resized(mask, size)
    kept = cover > 127
    count, regions = cv2.connectedComponents((cover > 0).astype(np.uint8), connectivity=8)
    for region in set(range(1, count)) - set(np.unique(regions[kept]).tolist()):
        own = np.where(regions == region, cover, 0)
        if float(own.sum()) / 255 * mask.size / cover.size >= SPECK:
            kept |= own > own.max() // 2
    return np.where(kept, 255, 0).astype(np.uint8)
