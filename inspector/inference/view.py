"""What of a camera's frames the detector is shown and judged by, and how: resized or in tiles, whole or a region."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector import files
from inspector.errors import ConfigError, DataError, ModelError
from inspector.inference.bundle import Card
from inspector.inference.channels import decode
from inspector.inference.fit import fitted, with_channels
from inspector.inference.tiles import plan
from inspector.judge import Judge, Judgement, enlarged
from inspector.types import Box, Detection, Image, Mask, Span

USUAL_OVERLAP = 8
"""What part of the shorter side of the model's input tiles overlap by, unless configured."""

Polygon: TypeAlias = tuple[tuple[int, int], ...]
"""Corners, x and y in pixels of the frame."""


class Ignored:
    """Areas of a frame in which nothing is a defect: the 255s of `mask` [H,W], and what the polygons enclose."""

    def __init__(self, mask: Mask | None, polygons: Sequence[Polygon] = ()) -> None:
        self._mask = mask
        self._polygons = tuple(polygons)
        self.sha256 = hashlib.sha256(
            repr((None if mask is None else (mask.shape, mask.tobytes()), self._polygons)).encode()
        ).hexdigest()
        self.over = lru_cache(maxsize=2)(self._over)
        """`over(height, width)`: bool [H,W] for frames of that size. Raises ModelError where it does not fit them."""

    def _over(self, height: int, width: int) -> NDArray[np.bool_]:
        mask = np.zeros((height, width), np.uint8)
        if self._mask is not None:
            if self._mask.shape != (height, width):
                found = f"{self._mask.shape[1]}x{self._mask.shape[0]}"
                raise ModelError(f"a frame of {width}x{height} pixels, and the ignore mask has {found}; draw it anew")
            mask[self._mask != 0] = 255
        for polygon in self._polygons:
            if any(x > width or y > height for x, y in polygon):
                raise ModelError(f"a frame of {width}x{height} pixels, and an ignored polygon lies outside: {polygon}")
            cv2.fillPoly(mask, [np.array(polygon, np.int32)], 255)
        return np.asarray(mask != 0)


@dataclass(frozen=True)
class View:
    """How frames become the detector's input, and its answer theirs; may be shared between threads.

    shape: height, width, channels of the detector's input
    overlap: pixels by which tiles overlap; None: frames are resized
    region: what alone is looked at;  size: width and height that frames must have
    """

    shape: tuple[int, int, int]
    overlap: int | None = None
    region: Box | None = None
    ignored: Ignored | None = None
    size: tuple[int, int] | None = None

    def fit(self, image: Image) -> Image:
        """What the detector is shown of `image` [H,W,C]: at its size, or a view of the image to be cut into tiles.

        Raises ModelError where the image has another size, or other channels, than can be judged.
        """
        self.check(*image.shape[:2])
        inside = self.crop(image)
        if self.overlap is None:
            return fitted(inside, self.shape)
        with_channels(inside[:1, :1], self.shape[2])  # each tile is converted by itself: here it is only tried
        return inside

    @property
    def traits(self) -> tuple[int | None, Box | None, str]:
        """What tells this view of frames from another: overlap, region, and a checksum over what is ignored."""
        return self.overlap, self.region, "" if self.ignored is None else self.ignored.sha256

    def check(self, height: int, width: int) -> None:
        """Raise ModelError where frames of that size are not what was configured."""
        if self.size is not None and self.size != (width, height):
            raise ModelError(f"a frame of {width}x{height} pixels where size = {list(self.size)}; mend either")
        if self.region is not None:
            x, y, w, h = self.region
            if x + w > width or y + h > height:
                raise ModelError(f"a frame of {width}x{height} pixels does not hold region = {list(self.region)}")
        if self.ignored is not None:
            self.ignored.over(height, width)

    def crop(self, picture: Image) -> Image:
        """The region of a picture [H,W,...] of the frame's size: a view of it."""
        if self.region is None:
            return picture
        x, y, width, height = self.region
        return picture[y : y + height, x : x + width]

    def rows(self, shown: Image) -> int:
        """How many rows of a batch it takes to look at what `fit` gave."""
        if self.overlap is None:
            return 1
        return len(plan(*shown.shape[:2], *self.shape[:2], self.overlap).boxes)

    def inside(self, boxes: Sequence[Box]) -> list[Box]:
        """What of boxes in the frame lies in the region, in the region's coordinates."""
        if self.region is None:
            return list(boxes)
        left, top, width, height = self.region
        found = []
        for x, y, w, h in boxes:
            x, y, right, bottom = max(x - left, 0), max(y - top, 0), x - left + w, y - top + h
            found.append((x, y, min(right, width) - x, min(bottom, height) - y))
        return [box for box in found if box[2] > 0 and box[3] > 0]

    def score(self, detection: Detection, height: int, width: int) -> float:
        """The score of a frame of that size: where something is ignored, no higher than the peak of what is not."""
        ignored = self.ignored_in(height, width)
        if ignored is None:
            return detection.score
        probability, _ = enlarged(detection.map, ignored.shape[0], ignored.shape[1], ignored)
        return float(np.minimum(detection.score, probability.max()))

    def ignored_in(self, height: int, width: int) -> NDArray[np.bool_] | None:
        """Where nothing is a defect: bool [H,W] of the region of a frame of that size."""
        if self.ignored is None:
            return None
        over = self.ignored.over(height, width)
        return over if self.region is None else over[_slices(self.region)]

    def judge(
        self, judge: Judge, detection: Detection, height: int, width: int, reports: Span | None = None
    ) -> Judgement:
        """Judge a frame of `height` x `width` pixels; mask and regions come in its coordinates."""
        x, y, w, h = self.region or (0, 0, width, height)
        if reports is not None:
            reports = reports[0] - y, reports[1] - y
        judgement = judge(detection, h, w, self.ignored_in(height, width), reports)
        return judgement if self.region is None else judgement.placed(x, y, height, width)


def view_of(
    card: Card,
    fit: str,
    overlap: int | None = None,
    region: Box | None = None,
    ignored: Ignored | None = None,
    size: tuple[int, int] | None = None,
) -> View:
    """The view for a bundle with that card.

    fit: "resize" or "tile";  overlap: of tiles, None for the usual one;  size: width and height, where it is known
    Raises ConfigError where these do not go together.
    """
    if overlap is not None and fit == "resize":
        raise ConfigError(f"overlap = {overlap}: only tiles overlap; ask for fit tile, or leave the overlap out")
    height, width, _ = card.input.shape
    most = min(height, width) // 2
    if overlap is not None and overlap > most:
        raise ConfigError(
            f"overlap = {overlap}: tiles have the size of the model's input, which is {width}x{height} of bundle "
            f"{card.name!r}, and may overlap by half of that; use 0 to {most}"
        )
    usual = min(height, width) // USUAL_OVERLAP
    view = View(
        card.input.shape, None if fit == "resize" else usual if overlap is None else overlap, region, ignored, size
    )
    if size is not None:
        try:
            view.check(size[1], size[0])
        except ModelError as error:
            raise ConfigError(str(error)) from error
    return view


def ignore_mask(path: Path) -> Mask:
    """The mask in a picture file, uint8 [H,W], 255 where that is white (above 127). Raises ConfigError."""
    try:
        image = decode(files.read(path), 1)
    except OSError as error:
        raise ConfigError(f"ignore = {str(path)!r} cannot be read ({error.strerror}); give a PNG") from error
    except DataError as error:
        raise ConfigError(f"ignore = {str(path)!r} is {error}") from error
    if image is None:
        raise ConfigError(f"ignore = {str(path)!r} is no picture, or a damaged one; give a PNG of the frame's size")
    return np.asarray(cv2.compare(image, 127, cv2.CMP_GT), np.uint8)


def _slices(box: Box) -> tuple[slice, slice]:
    x, y, width, height = box
    return slice(y, y + height), slice(x, x + width)
