"""The reference pictures of a camera, one for each position that it sees, and which of them a frame belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector import files
from inspector.errors import ConfigError, DataError, reading
from inspector.inference.channels import decode
from inspector.inference.fit import with_channels
from inspector.inference.registration import Placement, Reduced, Small, laid, moved, place
from inspector.pictures import SUFFIXES
from inspector.types import Image

THUMBNAIL = 40
"""Side of a thumbnail: a shift that registration can undo moves it by a few pixels at most."""

TRIED = 3
"""Positions, the likeliest ones, that a frame is registered to, before and after it was moved onto the best of them."""


@dataclass(frozen=True, slots=True)
class Match:
    """A frame's reference picture, laid under it: `image` has the frame's size and the bundle's channels.

    position: the reference picture's name;  score: how well they correlate, at most 1
    """

    position: str
    image: Image
    score: float


class References:
    """Reference pictures by position; may be shared between threads."""

    def __init__(self, pictures: Sequence[tuple[str, Image]], channels: int) -> None:
        """pictures: at least one position's name and its reference picture, uint8 [H,W,1 or 3]."""
        self.names = [name for name, _ in pictures]
        self._channels = channels
        self._images = [with_channels(image, channels) for _, image in pictures]
        self._reduced = [Reduced(image) for image in self._images]
        self._thumbnails = np.stack([_thumbnail(reduced.detail) for reduced in self._reduced])

    def match(self, frame: Image) -> Match | None:
        """The reference picture that `frame` [H,W,C] shows, laid under it; None where it shows none of them."""
        sized: dict[tuple[int, int], Reduced] = {}
        placements: dict[int, Placement | None] = {}
        for index in self._likeliest(_reduced(frame, self._reduced[0], sized).detail):
            placements[index] = self._place(frame, index, sized)
        found = _best(placements)
        if found is not None and len(placements) < len(self.names):
            # Where positions look alike, it is the shift that their thumbnails were ranked by. On one that looks like
            # its own the frame comes to lie nearly right.
            index, placement = found
            for other in self._likeliest(moved(_reduced(frame, self._reduced[index], sized), placement)):
                if other not in placements:
                    placements[other] = self._place(frame, other, sized)
            found = _best(placements)
        if found is None:
            return None
        index, placement = found
        under = laid(self._images[index], placement.matrix, with_channels(frame, self._channels))
        return Match(self.names[index], under, placement.score)

    def _likeliest(self, detail: Small) -> list[int]:
        if len(self.names) <= TRIED:
            return list(range(len(self.names)))
        alike = self._thumbnails @ _thumbnail(detail)
        return [int(index) for index in np.argsort(-alike)[:TRIED]]

    def _place(self, frame: Image, index: int, sized: dict[tuple[int, int], Reduced]) -> Placement | None:
        reference = self._reduced[index]
        return place(_reduced(frame, reference, sized), reference)


def load(path: Path, channels: int) -> References:
    """The reference picture in the file `path`, or those in the folder; names are those of the files, without suffix.

    Raises ConfigError, naming what cannot be read.
    """
    with reading(path, ConfigError, "reference "):
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
            if not files:
                raise ConfigError(f"folder {str(path)!r} holds no reference picture ({', '.join(SUFFIXES)})")
        elif path.is_file():
            files = [path]
        else:
            raise ConfigError(
                f"{str(path)!r} is neither a reference picture nor a folder of them; give one that is there"
            )
    stems = [file.stem for file in files]
    if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise ConfigError(f"folder {str(path)!r} has more than one reference picture named {twice[0]!r}; rename one")
    return References([(file.stem, _read(file, channels)) for file in files], channels)


def _read(path: Path, channels: int) -> Image:
    try:
        image = decode(files.read(path), channels)
    except OSError as error:
        raise ConfigError(f"reference picture {str(path)!r} cannot be read: {error.strerror}") from error
    except DataError as error:
        raise ConfigError(f"reference picture {str(path)!r} is {error}") from error
    if image is None:
        raise ConfigError(f"reference picture {str(path)!r} is no picture, or a damaged one; replace it")
    return image


def _reduced(frame: Image, reference: Reduced, sized: dict[tuple[int, int], Reduced]) -> Reduced:
    """The frame at the reference picture's reduced size; reference pictures mostly have one size."""
    size = reference.grey.shape[0], reference.grey.shape[1]
    if size not in sized:
        sized[size] = Reduced(frame, size)
    return sized[size]


def _best(placements: Mapping[int, Placement | None]) -> tuple[int, Placement] | None:
    found = [(index, placement) for index, placement in placements.items() if placement is not None]
    return max(found, key=lambda each: each[1].score, default=None)


def _thumbnail(detail: Small) -> NDArray[np.float32]:
    """float32 [THUMBNAIL * THUMBNAIL] of a reduced picture's detail, of length 1 unless there is nothing to see."""
    small = cv2.resize(detail, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), 1.0).ravel()
    soft -= soft.mean()
    return np.asarray(soft / max(float(np.linalg.norm(soft)), 1e-6), np.float32)
