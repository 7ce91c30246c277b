"""How a frame becomes the detector's input: shared by the daemon and by training, so that both see the same pixels."""

from __future__ import annotations

import cv2
import numpy as np

from inspector.errors import DataError, ModelError
from inspector.inference.channels import AT_ONCE, converted, in_turns
from inspector.types import Image


def fit(image: Image, into: Image) -> None:
    """Resize `image` [H,W,C] straight into `into` [h,w,c], a row of a batch; grey and colour are converted.

    Raises ModelError where the picture has another number of channels that cannot be converted.
    """
    height, width, channels = into.shape
    image = with_channels(image, channels)
    if image.shape == into.shape:
        np.copyto(into, image)
    elif channels <= AT_ONCE:
        resized(image, (height, width), into)
    else:
        np.copyto(into, in_turns(image, lambda part: resized(part, (height, width))))


def fitted(image: Image, shape: tuple[int, int, int]) -> Image:
    """`image` [H,W,C] as `shape` (height, width, channels): itself where it has that already."""
    if image.shape == shape:
        return image
    into = np.empty(shape, np.uint8)
    fit(image, into)
    return into


def resized(picture: Image, size: tuple[int, int], into: Image | None = None) -> Image:
    """`picture` [H,W] or [H,W,C], C up to AT_ONCE, at `size` = (height, width); written to `into` where that is given.

    Else one channel comes back as [height, width], as OpenCV has it.
    Where a side shrinks areas are averaged (no aliasing, so a thin scratch survives); where one grows it is bilinear.
    OpenCV averages areas only if no side grows: what is squeezed one way and stretched the other takes two steps.
    """
    height, width = size
    least = min(picture.shape[0], height), min(picture.shape[1], width)
    if least not in (size, picture.shape[:2]):
        picture = np.asarray(cv2.resize(picture, least[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    how = cv2.INTER_AREA if least == size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), dst=into, interpolation=how), np.uint8)


def with_channels(image: Image, channels: int) -> Image:
    """`image` [H,W,C] as [H,W,channels]: itself, or grey and BGR of each other; raises ModelError for all else."""
    try:
        return converted(image, channels)
    except DataError as error:
        raise ModelError(f"{error}; give this camera a bundle that was trained on pictures like its own") from error
