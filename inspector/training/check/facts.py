"""What a picture, its mask and its defect-free twin are like: each file is read and decoded once, and measured."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector import files
from inspector.errors import DataError
from inspector.inference import channels
from inspector.training.data import Sample, is_grey
from inspector.training.modalities import files_of, stacked
from inspector.training.split import thumbnail
from inspector.training.synthetic import is_two_toned
from inspector.types import Image, Mask

RIM = 15
"""Pixels around a defect that are not measured either, of a picture's brightness and sharpness."""


BLANK = 2.0
"""Standard deviation of a picture's values, of 255, below which it shows nothing but noise."""


@dataclass(frozen=True, slots=True)
class MaskFacts:
    """size: (width, height);  peak: highest value;  share: of pixels that are defective;  soft: neither 0 nor 255."""

    size: tuple[int, int]
    peak: int
    share: float
    soft: float


@dataclass(frozen=True, slots=True)
class Facts:
    """A picture that can be read. What is measured is measured outside the mask's defects, the confounder's control.

    name: its path relative to the data's folder;  size: (width, height);  channels, depth: as its file has them
    grey: whether it has no colour;  peak: the highest value, of the depth's own range
    blank: whether it shows nothing;  two_toned: whether it is binarised, so that light and focus say nothing
    brightness: mean, 0 to 255;  clipped: share of values at 0 or 255;  sharpness: log2 of the Laplacian's variance
    pixels: hash over the decoded picture;  detail: its thumbnail, see split.py
    mask_problem, twin_problem: why the mask or the twin cannot be read
    """

    sample: Sample
    name: str
    size: tuple[int, int]
    channels: int
    depth: str
    peak: float
    grey: bool
    blank: bool
    two_toned: bool
    brightness: float
    clipped: float
    sharpness: float
    pixels: bytes = field(repr=False)
    detail: NDArray[np.float32] = field(repr=False, compare=False)
    sums: dict[Path, str] = field(repr=False, compare=False)
    mask: MaskFacts | None = None
    mask_problem: str | None = None
    twin_size: tuple[int, int] | None = None
    twin_same: bool = False
    twin_problem: str | None = None


class Unusable(NamedTuple):
    """Why a picture cannot be used, to go on after "since", what to do, and which rule says so."""

    why: str
    remedy: str = "copy them again from where they came from, or remove them"
    rule: str = "unreadable"


def measure(sample: Sample, root: Path) -> Facts | Unusable:
    """The facts, or why there are none."""
    sums: dict[Path, str] = {}
    opened = _opened(sample.picture, sums)
    if isinstance(opened, Unusable):
        return opened
    image, stored = opened
    grey = channels.grey(image)
    mask, mask_facts, mask_problem = _mask(sample.mask, sums)
    brightness, sharpness = _light(grey, mask)
    depth = next((deep for one in stored if (deep := str(one.dtype)) != "uint8"), "uint8")
    peak = min(float(one.max()) for one in stored if str(one.dtype) == depth)
    pixels = _hash(image)
    twin_size, twin_same, twin_problem = _twin(sample.reference, pixels, sums)
    return Facts(
        sample=sample, name=sample.picture.relative_to(root).as_posix(), size=_size(image), channels=image.shape[2],
        depth=depth, peak=peak, grey=is_grey(_sample(image)),
        blank=float(_sample(grey).std()) < BLANK,
        two_toned=is_two_toned(image), brightness=brightness, clipped=_clipped(grey), sharpness=sharpness,
        pixels=pixels, detail=thumbnail(grey), sums=sums, mask=mask_facts, mask_problem=mask_problem,
        twin_size=twin_size, twin_same=twin_same, twin_problem=twin_problem,
    )  # fmt: skip


def _opened(picture: Path, sums: dict[Path, str]) -> tuple[Image, list[channels.Stored]] | Unusable:
    """A picture, and what its files hold."""
    stored: dict[str, channels.Stored] = {}
    paths = files_of(picture)
    for path in paths:
        if len(paths) > 1 and not path.is_file():
            return Unusable(
                f"{path.parent.name} has none of that name",
                "add the pictures of that modality, or remove those of the others", "modality-missing",
            )  # fmt: skip
        found = _stored(path, sums)
        if isinstance(found, Unusable):
            return found
        stored[path.parent.name] = found
    if len({one.shape[:2] for one in stored.values()}) > 1:
        sizes = ", ".join(f"{name} {one.shape[1]}x{one.shape[0]}" for name, one in stored.items())
        return Unusable(
            f"their modalities have different sizes ({sizes})",
            "cut and scale them so that all show the same view at one size, as the cameras will", "modality-size",
        )  # fmt: skip
    try:
        images = {name: channels.to_bytes(one) for name, one in stored.items()}
        image = stacked(picture, images) if len(images) > 1 else next(iter(images.values()))
    except DataError as error:
        return Unusable(f"it is {error}")
    return image, list(stored.values())


def _stored(path: Path, sums: dict[Path, str]) -> channels.Stored | Unusable:
    """A file's picture as it holds it; its checksum is noted in `sums`."""
    try:
        data = files.read(path)
        sums[path] = hashlib.sha256(data).hexdigest()
        found = channels.stored(data)
    except DataError as error:
        return Unusable(f"it is {error}")
    except OSError as error:
        return Unusable(f"it cannot be read: {error.strerror}")
    if found is None:
        return Unusable("OpenCV cannot read it" if data else "the file is empty")
    return found


def _sample(image: Image) -> Image:
    """About a megapixel of the picture, evenly spread: enough to tell whether there is colour, or anything."""
    step = max(1, round(math.sqrt(image.shape[0] * image.shape[1] / 1e6)))
    return image[::step, ::step]


def _size(image: Image) -> tuple[int, int]:
    return image.shape[1], image.shape[0]


def _hash(image: Image) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16, key=repr(image.shape).encode()).digest()


def _clipped(grey: Image) -> float:
    counts = np.bincount(grey.ravel(), minlength=256)
    return float(counts[0] + counts[255]) / grey.size


def _light(grey: Image, mask: Mask | None) -> tuple[float, float]:
    """Mean and log2 of the Laplacian's variance, away from what `mask` says is defective."""
    around = None
    if mask is not None and mask.shape == grey.shape[:2]:
        grown = cv2.dilate(mask, np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8))
        around = cv2.bitwise_not(grown) if not grown.all() else None
    mean, _ = cv2.meanStdDev(grey, mask=around)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S), mask=around)
    return float(mean[0, 0]), 2 * math.log2(max(float(deviation[0, 0]), 0.1))


def _mask(path: Path | None, sums: dict[Path, str]) -> tuple[Mask | None, MaskFacts | None, str | None]:
    """The mask as training reads it, what it is like, and why it cannot be read."""
    if path is None:
        return None, None, None
    try:
        data = files.read(path)
        sums[path] = hashlib.sha256(data).hexdigest()
        image = channels.decode(data, 1)
    except DataError as error:
        return None, None, f"it is {error}"
    except OSError as error:
        return None, None, f"it cannot be read: {error.strerror}"
    if image is None:
        return None, None, "OpenCV cannot read it"
    counts = np.bincount(image.ravel(), minlength=256)
    facts = MaskFacts(
        size=_size(image),
        peak=int(image.max()),
        share=float(counts[128:].sum()) / image.size,
        soft=float(counts[1:255].sum()) / image.size,
    )
    return np.where(image[:, :, 0] > 127, 255, 0).astype(np.uint8), facts, None


def _twin(path: Path | None, pixels: bytes, sums: dict[Path, str]) -> tuple[tuple[int, int] | None, bool, str | None]:
    """The twin's (width, height), whether it is the picture itself, and why it cannot be read."""
    if path is None:
        return None, False, None
    opened = _opened(path, sums)
    if isinstance(opened, Unusable):
        return None, False, opened.why
    image, _ = opened
    return _size(image), _hash(image) == pixels, None
