"""Random views of a picture: turned, shifted, sheared, mirrored, cut and relit in one step, the mask alongside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.inference.channels import in_turns
from inspector.types import Image, Mask

Flips: TypeAlias = Literal["none", "horizontal", "vertical", "both", "all"]
"""How a view may be mirrored; "all" also turns it by a quarter, for parts that lie in any of eight ways."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far views may stray.

    rotation: degrees either way;  shift, shear: share of the view's size;  flips: "none" where a mirrored part is wrong
    brightness: share by which contrast and brightness may change
    """

    rotation: float = 15.0
    shift: float = 0.1
    shear: float = 0.1
    flips: Flips = "both"
    brightness: float = 0.15


def random_view(
    images: list[Image],
    masks: list[Mask],
    size: tuple[int, int],
    settings: Augmentation,
    rng: np.random.Generator,
    around: tuple[float, float] | None = None,
) -> tuple[list[Image], list[Mask]]:
    """The same random view of aligned `images` [H,W,C] and `masks` [H,W], each `size` = (height, width) big.

    around: (x, y) in the picture that the view should hold; anywhere else
    Pixels beyond the picture's border are mirrored. Colours are interpolated, masks stay 0 or 255.
    """
    matrix = _matrix(images[0].shape[:2], size, settings, rng, around)
    lut = _relight(settings.brightness, rng)
    target = (size[1], size[0])
    views = []
    for image in images:
        view = in_turns(
            image,
            lambda part: cv2.warpAffine(
                part, matrix, target, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101
            ),
        )
        views.append(np.asarray(cv2.LUT(view, lut), np.uint8).reshape(view.shape))
    warped = [
        np.asarray(
            cv2.warpAffine(
                mask, matrix, target, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101
            ),
            np.uint8,
        )
        for mask in masks
    ]
    return views, warped


def _matrix(
    shape: tuple[int, ...],
    size: tuple[int, int],
    settings: Augmentation,
    rng: np.random.Generator,
    around: tuple[float, float] | None,
) -> NDArray[np.float64]:
    """2x3, from pixels of the view to pixels of the picture."""
    height, width = size
    angle = np.deg2rad(rng.uniform(-settings.rotation, settings.rotation))
    shear = rng.uniform(-settings.shear, settings.shear)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.array([[1.0, shear], [0.0, 1.0]])
    if settings.flips in ("horizontal", "both", "all") and rng.random() < 0.5:
        linear[:, 0] *= -1
    if settings.flips in ("vertical", "both", "all") and rng.random() < 0.5:
        linear[:, 1] *= -1
    if settings.flips == "all" and rng.random() < 0.5:
        linear = linear[:, ::-1]
    x, y = (None, None) if around is None else around
    centre = np.array(
        [_centre(shape[1], width, x, settings.shift, rng), _centre(shape[0], height, y, settings.shift, rng)]
    )
    if settings.rotation == 0 and settings.shear == 0:
        centre = np.round(centre * 2) / 2  # whole pixels: nothing is interpolated, edges stay as sharp as they are
        centre += (np.array([width, height]) / 2 - 0.5 - centre) % 1.0
    offset = centre - linear @ np.array([(width - 1) / 2, (height - 1) / 2])
    return np.hstack([linear, offset[:, None]])


def _centre(length: int, view: int, around: float | None, shift: float, rng: np.random.Generator) -> float:
    """Where along one axis the view's centre lies in the picture."""
    if length <= view:
        return (length - 1) / 2 + rng.uniform(-shift, shift) * view
    low, high = (view - 1) / 2, length - 1 - (view - 1) / 2
    if around is None:
        return float(rng.uniform(low, high))
    return float(np.clip(around + rng.uniform(-0.4, 0.4) * view, low, high))


def _relight(amount: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    gain, offset = 1 + rng.uniform(-amount, amount), 128 * rng.uniform(-amount, amount)
    curve = gain * (np.arange(256, dtype=np.float32) - 128) + 128 + offset
    return np.asarray(np.clip(curve, 0, 255), np.uint8)
