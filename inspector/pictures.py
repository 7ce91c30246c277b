"""Pictures from strangers, decoded within limits: one that would be too large is a DataError before it is decoded.

Its sentence goes on after "PATH is", which the caller knows. A small file can unfold into gigabytes, so OpenCV reads
the size first and refuses what OPENCV_IO_MAX_IMAGE_PIXELS forbids, which the package sets before OpenCV is loaded.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.errors import DataError

MAX_PIXELS = 100_000_000
"""Of a picture, however small its file: the value of OPENCV_IO_MAX_IMAGE_PIXELS."""

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Of the files that are taken for pictures, in lower case."""


def decode(data: bytes, flags: int) -> NDArray[Any] | None:
    """The picture in a file's bytes, by OpenCV and its flags; None where it is none. Raises DataError."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error as error:
        _refuse_large(error)
        return None
    return None if image is None else _checked(image)


def decode_page(data: bytes, number: int) -> NDArray[Any] | None:
    """A page, counted from 0, of a picture that may have several, as it is; None where it has no such page.

    Raises DataError. One at a time, since 16 pages at once could be 16 times what a picture may be.
    """
    try:
        done, pages = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED, range=(number, number + 1))
    except cv2.error as error:
        _refuse_large(error)
        return None
    return _checked(pages[0]) if done and pages else None


def too_large() -> str:
    """What is wrong with a larger picture."""
    return f"a picture of more than {MAX_PIXELS // 10**6} megapixels; give a smaller one"


def _refuse_large(error: cv2.error) -> None:
    if "MAX_IMAGE" in error.err:
        raise DataError(too_large()) from error


def _checked(image: NDArray[Any]) -> NDArray[Any]:
    # Where somebody else set OpenCV's own limit higher.
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise DataError(too_large())
    return image
