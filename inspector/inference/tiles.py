"""A frame cut into overlapping tiles of the model's size, and their maps put together again without seams (pure).

Along each side the tiles are spread evenly and overlap by at least `overlap` pixels; the outermost lie flush with the
frame's border, so that nothing is padded unless the frame is smaller than a tile. What a network says close to a tile's
border it says without having seen what lies beyond. So a tile's weight is 0 for a quarter of the overlap from its
border, rises over the next half, and is then full; at the frame's own border, beyond which there is nothing to be seen,
it is full at once. The weights of all tiles sum to 1 at every pixel. A network that looks no further than that quarter
gives, tile by tile, what it would give of the whole frame in one pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.types import Box, Map

Weights: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Side:
    """One side of a frame, `length` pixels long: where tiles of at most `tile` pixels begin on it."""

    length: int
    tile: int
    overlap: int

    @property
    def shown(self) -> int:
        """How many pixels of the frame a tile shows."""
        return min(self.tile, self.length)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The first pixel of each tile, in order."""
        spare = self.length - self.tile
        if spare <= 0:
            return (0,)
        steps = math.ceil(spare / (self.tile - self.overlap))
        return tuple(round(step * spare / steps) for step in range(steps + 1))

    @cached_property
    def weights(self) -> tuple[Weights, ...]:
        """Each tile's weights, float32 [shown]."""
        pixels = np.arange(self.shown) + 0.5
        margin, ramp = self.overlap / 4, max(self.overlap / 2, 1.0)
        total = np.zeros(self.length)
        raw = []
        for start in self.starts:
            before = np.inf if start == 0 else pixels
            after = np.inf if start + self.shown == self.length else self.shown - pixels
            weight = np.clip((np.minimum(before, after) * np.ones(self.shown) - margin) / ramp, 0.0, 1.0)
            total[start : start + self.shown] += weight
            raw.append(weight)
        return tuple(
            (weight / total[start : start + self.shown]).astype(np.float32)
            for start, weight in zip(self.starts, raw, strict=True)
        )


@dataclass(frozen=True)
class Plan:
    """How a frame is cut; make it with `plan`."""

    rows: Side
    columns: Side

    @cached_property
    def boxes(self) -> tuple[Box, ...]:
        """The tiles, row by row; each of the model's size, or the frame's where that is smaller."""
        return tuple((x, y, self.columns.shown, self.rows.shown) for y in self.rows.starts for x in self.columns.starts)

    def add(self, index: int, tile: Map, into: Map) -> None:
        """Add a tile's map [h,w], of the model's size, by its weights to the frame's map [H,W], which began as 0."""
        x, y, width, height = self.boxes[index]
        row, column = divmod(index, len(self.columns.starts))
        piece = into[y : y + height, x : x + width]
        weighted = cv2.multiply(
            tile[:height, :width], self.rows.weights[row][:, np.newaxis] * self.columns.weights[column]
        )
        cv2.add(piece, weighted, dst=piece)

    def touching(self, boxes: Sequence[Box]) -> list[int]:
        """The tiles that show a pixel of one of `boxes`."""
        return [index for index, tile in enumerate(self.boxes) if any(_meet(tile, box) for box in boxes)]


@lru_cache(maxsize=64)
def plan(height: int, width: int, tile_height: int, tile_width: int, overlap: int) -> Plan:
    """How a frame of `height` x `width` pixels is cut; `overlap` is at most half a tile's shorter side."""
    return Plan(Side(height, tile_height, overlap), Side(width, tile_width, overlap))


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
