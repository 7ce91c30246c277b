"""The pictures that a camera is challenged with: a folder with `defective/`, and perhaps `good/` and `mask/`.

They are read once, at the start, and kept as their files hold them: what proves the line all day depends on no disk,
and on nobody who changes a file meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from inspector import files
from inspector.errors import ConfigError, DataError, ModelError, reading
from inspector.inference import channels
from inspector.pictures import SUFFIXES
from inspector.types import Image, Mask, Verdict

GOOD, DEFECTIVE, MASK = "good", "defective", "mask"
ENDING = "_mask.png"
"""Of a mask's name, after the name of its picture without suffix."""
MOST = 64
"""Pictures of a camera."""
UNREAD = (".avif", ".dng", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jxl", ".npy", ".raw", ".tga")
"""Of files that are pictures too, and are not read, in lower case."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A part of which it is known how it must be judged.

    name: folder and file;  content: the file's bytes;  mask: where its defects are, if that is known: all of them must
        be found
    """

    name: str
    expected: Verdict
    content: bytes
    mask: Mask | None = None

    def image(self) -> Image:
        """The picture, uint8 [H,W,C] with the channels that its file has. Raises DataError."""
        stored = channels.stored(self.content)
        if stored is None:
            raise DataError("no picture, or a damaged one; replace it")
        return channels.to_bytes(stored)


def load(folder: Path) -> tuple[Picture, ...]:
    """The pictures of `folder`, defective ones first; raises ConfigError with one sentence for each that is wrong."""
    with reading(folder, ConfigError):
        if not (folder / DEFECTIVE).is_dir():
            raise ConfigError(
                f"{str(folder)!r} has no folder {DEFECTIVE!r} in it; put pictures of defective parts there"
            )
        found = [*_listed(folder, DEFECTIVE), *_listed(folder, GOOD)]
        pictures, problems = [], [*_unread(folder), *_strays(folder)]
    if not any(path.parent.name == DEFECTIVE for path in found):
        problems.append(f"folder {str(folder / DEFECTIVE)!r} has no picture in it ({', '.join(SUFFIXES)})")
    if len(found) > MOST:
        raise ConfigError(f"{str(folder)!r} has {len(found)} pictures; {MOST} are the most, so leave the best of them")
    for path in found:
        try:
            pictures.append(_read(folder, path))
        except DataError as error:
            problems.append(f"{str(path)!r} is {error}")
        except OSError as error:
            problems.append(f"{str(path)!r} cannot be read: {error.strerror}")
    if problems:
        raise ConfigError(*problems)
    return tuple(pictures)


def misfits(pictures: Sequence[Picture], fit: Callable[[Image], Image]) -> Iterator[str]:
    """A sentence on each picture that the camera could not have taken, as `fit` finds out."""
    for picture in pictures:
        try:
            fit(picture.image())
        except ModelError as error:
            yield f"{picture.name} is {error}"


def _listed(folder: Path, kind: str) -> list[Path]:
    if not (folder / kind).is_dir():
        return []
    return sorted(path for path in (folder / kind).iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def _unread(folder: Path) -> Iterator[str]:
    """Pictures and folders that nobody would look at: a part that is never shown proves nothing."""
    kinds = [folder / kind for kind in (DEFECTIVE, GOOD, MASK) if (folder / kind).is_dir()]
    taken = {*kinds, *(path for kind in kinds for path in _listed(folder, kind.name))}
    for path in sorted(path for place in (folder, *kinds) for path in place.iterdir()):
        is_meant = path.is_dir() or path.suffix.lower() in (*SUFFIXES, *UNREAD)
        if is_meant and path not in taken and not path.name.startswith("."):
            yield (
                f"{str(path)!r} is not read; put pictures right into {DEFECTIVE}/ and {GOOD}/, and masks into {MASK}/, "
                f"as one of {', '.join(SUFFIXES)}, or take it away"
            )


def _strays(folder: Path) -> Iterator[str]:
    """Masks without a picture: a mistake in the name would leave the place of a defect unchecked."""
    stems = {path.stem for path in _listed(folder, DEFECTIVE)}
    for path in _listed(folder, MASK):
        if path.name.removesuffix(ENDING) not in stems:
            yield f"{str(path)!r} is of no picture in {DEFECTIVE}/; name it as that one, with {ENDING!r} at the end"


def _read(folder: Path, path: Path) -> Picture:
    kind = path.parent.name
    picture = Picture(
        f"{kind}/{path.name}", Verdict.OK if kind == GOOD else Verdict.NG, files.read(path), _mask(folder, path)
    )
    height, width, _ = picture.image().shape
    if picture.mask is not None and picture.mask.shape != (height, width):
        raise DataError(
            f"{width}x{height} pixels, and its mask has {picture.mask.shape[1]}x{picture.mask.shape[0]}; draw it anew"
        )
    return picture


def _mask(folder: Path, path: Path) -> Mask | None:
    """The mask of a defective picture, uint8 [H,W], 255 where it is white (above 127); None where it has none."""
    file = folder / MASK / f"{path.stem}{ENDING}"
    if path.parent.name == GOOD or not file.is_file():
        return None
    image = channels.decode(files.read(file), 1)
    if image is None:
        raise DataError(f"a picture whose mask {file.name!r} is none, or damaged; replace it")
    mask = np.asarray(cv2.compare(image, 127, cv2.CMP_GT), np.uint8).reshape(image.shape[:2])
    if not mask.any():
        raise DataError(f"a picture whose mask {file.name!r} shows no defect; draw it, or remove the file")
    return mask
