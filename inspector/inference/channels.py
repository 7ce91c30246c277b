"""Pictures of 1 to 16 channels as files and back; the one place that knows how stacked modalities are stored.

Grey and colour are what every format holds. Any other count is a stack: a TIFF with one grey page a channel (TIFF 6.0,
"multiple images"), or, of four channels, a PNG or TIFF whose fourth is not just an opaque alpha.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector import pictures
from inspector.errors import DataError
from inspector.types import MAX_CHANNELS, Image

Stored: TypeAlias = NDArray[Any]
"""A picture as its file holds it, [height, width, channels], mostly uint8 or uint16."""

MOST_VALUES = 3 * pictures.MAX_PIXELS
"""Of all of a stack's pages together: as many as the largest colour picture has."""

AT_ONCE = 4
"""Channels that every function of OpenCV takes; more are done in turns."""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_ALPHA = b"\x06"  # colour type "truecolour with alpha" (PNG specification, 11.2.2), in byte 25


def stored(data: bytes) -> Stored | None:
    """The picture in a file's bytes; None where it is none.

    A camera's note on orientation is applied. Raises DataError for a stack that does not fit together.
    """
    stack = _stack(data)
    if stack is not None:
        return stack
    if data.startswith(_TIFF) or (data.startswith(_PNG) and data[25:26] == _PNG_ALPHA):
        image = _decoded(data, cv2.IMREAD_UNCHANGED)
        if image is not None and image.shape[2] == 4 and image[:, :, 3].min() < _white(image.dtype):
            return image  # the fourth is more than an alpha that hides nothing
    return _decoded(data, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)


def _decoded(data: bytes, flags: int) -> Stored | None:
    image = pictures.decode(data, flags)
    return None if image is None else np.asarray(image.reshape(*image.shape[:2], -1))


def _stack(data: bytes) -> Stored | None:
    """The pages of a TIFF that has several, [H,W,pages]; else None."""
    if not data.startswith(_TIFF) or pictures.decode_page(data, 1) is None:
        return None
    pages: list[Stored] = []
    while (page := pictures.decode_page(data, len(pages))) is not None:
        pages.append(page)
        if len(pages) > MAX_CHANNELS:
            raise DataError(
                f"a stack of more than {MAX_CHANNELS} pages; a picture has at most so many channels, one page each"
            )
        if page.ndim != 2 or (page.shape, page.dtype) != (pages[0].shape, pages[0].dtype):
            shapes = ", ".join(sorted({f"{page.dtype} {page.shape}" for page in pages}))
            raise DataError(
                f"a stack whose pages are {shapes}; each page is one grey channel, all of one size and depth"
            )
        if page.size * len(pages) > MOST_VALUES:
            raise DataError(f"a stack of more than {MOST_VALUES // 10**6} million values in all; give a smaller one")
    return np.dstack(pages)


def _white(dtype: np.dtype[Any]) -> float:
    return float(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1.0


def to_bytes(image: Stored) -> Image:
    """`image` as uint8: of 16 bits the upper 8 are kept, as OpenCV does it; raises DataError for other depths."""
    if image.dtype == np.uint8:
        return np.asarray(image, np.uint8)
    if image.dtype == np.uint16:
        return np.asarray(image >> 8, np.uint8)
    raise DataError(f"a picture of {image.dtype}; save it with 8 or 16 bits a channel, unsigned")


def decode(data: bytes, channels: int, convert: bool = True) -> Image | None:
    """The picture in a file's bytes, uint8 [H,W,channels]; None where it is none.

    Grey and colour are made of each other, unless `convert` is not wished: either is then as the file has it. Raises
    DataError where the file holds, or is wanted with, another number.
    """
    stack = _stack(data)
    if stack is None and channels in (1, 3):  # OpenCV's own way from colour to grey: transparency is dropped
        made = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR
        image = _decoded(data, made if convert else cv2.IMREAD_ANYCOLOR)
        return None if image is None else np.asarray(image, np.uint8)
    found = stored(data) if stack is None else stack
    return None if found is None else converted(to_bytes(found), channels)


def converted(image: Image, channels: int) -> Image:
    """`image` [H,W,C] as [H,W,channels]: itself, or grey and BGR of each other; raises DataError for all else."""
    have = image.shape[2]
    if have == channels:
        return image
    if {have, channels} != {1, 3}:
        raise DataError(f"a picture of {have} channel(s) where {channels} are wanted; only grey and colour convert")
    code = cv2.COLOR_BGR2GRAY if channels == 1 else cv2.COLOR_GRAY2BGR
    return np.asarray(cv2.cvtColor(image, code), np.uint8).reshape(*image.shape[:2], channels)


def grey(image: Image) -> Image:
    """Any picture [H,W,C] as grey [H,W,1]; the channels of a stack count alike."""
    if image.shape[2] in (1, 3):
        return converted(image, 1)
    return np.asarray(image.mean(axis=2, keepdims=True).round(), np.uint8)


def viewable(image: Image) -> Image:
    """Any picture [H,W,C] as colour [H,W,3] for people: of a stack the first three channels, or the first alone."""
    return (
        converted(image, 3) if image.shape[2] in (1, 3) else converted(image[:, :, : 3 if image.shape[2] > 3 else 1], 3)
    )


def in_turns(image: Image, work: Callable[[Image], NDArray[np.uint8]], at_once: int = AT_ONCE) -> Image:
    """`work` done on `image` [H,W,C], at most `at_once` channels at a time; `work` gives [h,w] or [h,w,c]."""
    channels = image.shape[2]
    if channels <= at_once:
        result = work(image)
        return result.reshape(*result.shape[:2], channels)
    parts = [work(np.ascontiguousarray(image[:, :, first : first + at_once])) for first in range(0, channels, at_once)]
    return np.concatenate([part.reshape(*part.shape[:2], -1) for part in parts], axis=2)


def suffix(channels: int) -> str:
    """How the name of a lossless file of that many channels ends."""
    return ".png" if channels in (1, 3) else ".tiff"


def encoded(image: Image) -> bytes:
    """`image` [H,W,C] as a file without loss, a stack where it is one, as `suffix(C)` says. Raises DataError."""
    if suffix(image.shape[2]) == ".png":
        done, content = cv2.imencode(".png", image)
    else:
        pages = [np.ascontiguousarray(image[:, :, i]) for i in range(image.shape[2])]
        done, content = cv2.imencodemulti(".tiff", pages)
    if not done:
        raise DataError(f"a picture of shape {image.shape} cannot be written: OpenCV cannot encode it")
    return content.tobytes()


def write(path: Path, image: Image) -> None:
    """Write `image` [H,W,C] without loss; `path` ends in `suffix(C)`. Raises OSError and DataError."""
    path.write_bytes(encoded(image))  # OpenCV itself crashes on a path that is not UTF-8
