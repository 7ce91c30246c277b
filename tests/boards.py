"""Pieces of a drawn board, for tests of what compares: each is another place, and can be scanned more than once."""

from __future__ import annotations

import cv2
import numpy as np

from models.draw_board import add_defects, draw_board

PLACES = {"bus": (40, 40), "bend": (250, 400), "pads": (40, 340), "vias": (440, 330)}
"""Names of places, and their top left corners (x, y) on the board; each has a defect where the board is defective."""


def piece(place: str, scan: int = 5, defective: bool = False, side: int = 192) -> np.ndarray:
    """A place on the board as `scan` (a seed) shows it, uint8 [side, side, 1]; one scan differs from the next."""
    board = draw_board(scan)
    x, y = PLACES[place]
    return (add_defects(board) if defective else board)[y : y + side, x : x + side, None].copy()


def moved(image: np.ndarray, x: float, y: float, degrees: float = 0.0) -> np.ndarray:
    """The picture [H,W,C] turned about its middle and shifted; beyond its border it is mirrored."""
    height, width = image.shape[:2]
    warped = cv2.warpAffine(image, moving(image, x, y, degrees), (width, height), borderMode=cv2.BORDER_REFLECT_101)
    return warped.reshape(image.shape)


def moving(image: np.ndarray, x: float, y: float, degrees: float) -> np.ndarray:
    """The matrix of `moved`, 2x3, float64."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    matrix[:, 2] += x, y
    return matrix
