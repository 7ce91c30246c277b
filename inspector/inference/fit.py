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

    Shrinking averages areas (no aliasing, so a thin scratch survives); enlarging is bilinear.
    """
    height, width, channels = into.shape
    image = with_channels(image, channels)
    if image.shape == into.shape:
        np.copyto(into, image)
        return
    shrinks = image.shape[0] >= height and image.shape[1] >= width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    if channels <= AT_ONCE:
        cv2.resize(image, (width, height), dst=into, interpolation=how)
    else:
        np.copyto(into, in_turns(image, lambda part: cv2.resize(part, (width, height), interpolation=how)))


def fitted(image: Image, shape: tuple[int, int, int]) -> Image:
    """`image` [H,W,C] as `shape` (height, width, channels): itself where it has that already."""
    if image.shape == shape:
        return image
    into = np.empty(shape, np.uint8)
    fit(image, into)
    return into


def with_channels(image: Image, channels: int) -> Image:
    """`image` [H,W,C] as [H,W,channels]: itself, or grey and BGR of each other; raises ModelError for all else."""
    try:
        return converted(image, channels)
    except DataError as error:
        raise ModelError(f"{error}; give this camera a bundle that was trained on pictures like its own") from error
