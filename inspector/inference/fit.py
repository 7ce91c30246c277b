"""How a frame becomes the detector's input: shared by the daemon and by training, so that both see the same pixels."""

from __future__ import annotations

import cv2
import numpy as np

from inspector.types import Image


def fit(image: Image, into: Image) -> None:
    """Resize `image` [H,W,C] straight into `into` [h,w,c], a row of a batch; grey and colour are converted.

    Shrinking averages areas (no aliasing, so a thin scratch survives); enlarging is bilinear.
    """
    height, width, channels = into.shape
    image = with_channels(image, channels)
    if image.shape == into.shape:
        np.copyto(into, image)
        return
    shrinks = image.shape[0] >= height and image.shape[1] >= width
    cv2.resize(image, (width, height), dst=into, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def fitted(image: Image, shape: tuple[int, int, int]) -> Image:
    """`image` [H,W,C] as `shape` (height, width, channels): itself where it has that already."""
    if image.shape == shape:
        return image
    into = np.empty(shape, np.uint8)
    fit(image, into)
    return into


def with_channels(image: Image, channels: int) -> Image:
    """`image` [H,W,1 or 3] as [H,W,channels], by OpenCV's BGR and grey conversion; itself where nothing is to do."""
    if image.shape[2] == channels:
        return image
    code = cv2.COLOR_BGR2GRAY if channels == 1 else cv2.COLOR_GRAY2BGR
    converted: Image = cv2.cvtColor(image, code)
    return converted.reshape(*image.shape[:2], channels)
