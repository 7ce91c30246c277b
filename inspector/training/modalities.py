"""Pictures whose modalities lie in folders of their own, stacked by file name.

    normal/infrared/0001.png
    normal/visible/0001.png     together are the picture normal/0001.png

The channels follow each other in the order of the folders' names; a colour picture brings three. A folder is divided
like that where no picture lies in it itself, and in folders below it some do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from inspector.errors import DataError
from inspector.inference.bundle import MODALITY
from inspector.types import MAX_CHANNELS, Image

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})

SAME_FOLDERS = (
    "give each folder of pictures the same folders, one a modality; kinds of defects are no modalities and belong "
    "below train_defective/ and test/"
)
"""The remedy where folders are divided differently."""


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder by name; those of a divided one have names of their own, and `files_of` has their files.

    A picture that one modality lacks is among them.
    """
    divided = divisions(folder)
    if not divided:
        return sorted(_pictures(folder))
    by_stem = {path.stem: folder / path.name for below in reversed(divided) for path in _pictures(below)}
    return sorted(by_stem.values())


def divisions(folder: Path) -> list[Path]:
    """The folders of the modalities, in the order of their channels; none where `folder` is not divided."""
    if next(_pictures(folder), None) is not None or not folder.is_dir():
        return []
    below = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(path for path in below if next(_pictures(path), None) is not None)


def files_of(picture: Path) -> list[Path]:
    """The files that make a picture: itself, or one a modality, also such as are not there."""
    if picture.is_file():
        return [picture]
    return [_of_stem(folder, picture) for folder in divisions(picture.parent)] or [picture]


def stacked(picture: Path, images: Mapping[str, Image]) -> Image:
    """The images [H,W,C] of its modalities as one [H,W,N]; raises DataError where they do not fit together."""
    if len({image.shape[:2] for image in images.values()}) > 1:
        sizes = ", ".join(f"{name} {image.shape[1]}x{image.shape[0]}" for name, image in images.items())
        raise DataError(f"{picture} has modalities of different sizes ({sizes}); make them equal, of the same view")
    if (total := sum(image.shape[2] for image in images.values())) > MAX_CHANNELS:
        raise DataError(f"{picture} has {total} channels in all; a picture has at most {MAX_CHANNELS}")
    return np.concatenate(list(images.values()), axis=2)


def check_name(folder: Path) -> str:
    """The modality's name, which is its folder's; raises DataError where a bundle's card cannot have it."""
    if not MODALITY.fullmatch(folder.name):
        raise DataError(f"{folder} names a modality: use 1 to 64 letters, digits, - and _, the first a letter or digit")
    return folder.name


def _of_stem(folder: Path, picture: Path) -> Path:
    """The picture of that stem in a modality's folder, whatever it ends in."""
    names = (picture.name, *(f"{picture.stem}{suffix}" for suffix in sorted(PICTURES)))
    return next((folder / name for name in names if (folder / name).is_file()), folder / picture.name)


def _pictures(folder: Path) -> Iterator[Path]:
    """In no order, and none from what is no folder: large ones are looked into again and again."""
    if folder.is_dir():
        with os.scandir(folder) as entries:
            for entry in entries:
                if os.path.splitext(entry.name)[1].lower() in PICTURES and entry.is_file():  # noqa: PTH122 - quick
                    yield folder / entry.name
