"""What a trial shows in a camera's place: its own pictures where there are some, and defective ones of its bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inspector.inference.bundle import Bundle
from inspector.inference.channels import decode
from inspector.inference.fit import fitted
from inspector.pictures import SUFFIXES
from inspector.settings import Camera
from inspector.types import Image, Verdict

MOST = 16
"""Pictures of a kind."""
MOST_BYTES = 256 << 20
"""Of all cameras' pictures of a kind."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """good: what the camera shows, its own pictures if `own`;  bad: what its model should find defects in"""

    good: list[Image]
    bad: list[Image]
    own: bool


def pictures(camera: Camera, bundle: Bundle, seen: Sequence[Image], cameras: int) -> Pictures:
    """For a camera of so many, from what it has shown, its references and the bundle's golden pictures."""
    golden = [(one.verdict, image) for one, image, _ in bundle.golden()]
    good = [image for verdict, image in golden if verdict is Verdict.OK] or [image for _, image in golden]
    if camera.reference is not None:
        good = _references(camera.reference, bundle.channels)
    if seen:
        good = list(seen)
    shape = _shape(camera, bundle, good[0], bool(seen))
    most = max(min(MOST, MOST_BYTES // (cameras * shape[0] * shape[1] * shape[2])), 2)
    good = [fitted(image, shape) for image in good[:most]]
    bad = [fitted(image, shape) for verdict, image in golden[:most] if verdict is Verdict.NG]
    if camera.reference is not None or not bad:  # golden defects lie on no picture of this camera's references
        bad = [spoilt(image) for image in good]
    return Pictures(good, bad, bool(seen))


def spoilt(image: Image) -> Image:
    """A copy with a blot in the middle, a tenth as long as the picture, dark where that is bright."""
    height, width = image.shape[:2]
    side = max(min(height, width) // 10, 1)
    top, left = (height - side) // 2, (width - side) // 2
    blot = image.copy()
    inside = (slice(top, top + side), slice(left, left + side))
    blot[inside] = 0 if blot[inside].mean() > 127 else 255
    return blot


def _shape(camera: Camera, bundle: Bundle, picture: Image, is_own: bool) -> tuple[int, int, int]:
    if is_own:
        height, width, channels = picture.shape
        return height, width, channels
    height, width, channels = bundle.card.input.shape if camera.reference is None else picture.shape
    if camera.size is not None:
        width, height = camera.size
    return (height if camera.scan_rows is None else camera.scan_rows), width, channels


def _references(path: Path, channels: int) -> list[Image]:
    files = [path] if path.is_file() else sorted(one for one in path.iterdir() if one.suffix.lower() in SUFFIXES)
    decoded = (decode(file.read_bytes(), channels) for file in files[:MOST])
    return [image for image in decoded if image is not None]


def save(folder: Path, shown: Pictures, channels: slice = slice(None)) -> None:
    """Write them for a rehearsal; `channels`: those of one modality."""
    folder.mkdir(parents=True)
    for kind, images in (("good", shown.good), ("bad", shown.bad)):
        np.save(folder / f"{kind}.npy", np.stack([image[:, :, channels] for image in images]))
