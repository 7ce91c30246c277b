"""Draws the golden pictures of the bundle `pcb`: a piece of a bare board, once whole and once with defects.

    python models/draw_board.py FOLDER

Below FOLDER/reference each has its reference: the whole board, scanned once more.

The pictures look like those of a binarised line scan of a bare board (about 48 pixels a millimetre): copper is black
on white, tracks run at multiples of 45 degrees between pads and vias. The defects are the six classical ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

SIDE = 640
COPPER, BARE = 0, 255


def draw_board(seed: int = 5) -> np.ndarray:
    """A board without defects, uint8 [640, 640], 0 or 255."""
    board = np.full((SIDE, SIDE), BARE, np.uint8)
    for number in range(6):  # a bus that turns twice
        step = 32 * number
        track(board, [(60 + step, -20), (60 + step, 180 - step // 3), (300 + step, 420 - step // 3), (300 + step, 660)])
    for x, y in ((90, 390), (90, 480), (90, 570)):
        track(board, [(x, y), (x + 90, y), (x + 120, y + 30)])
        cv2.rectangle(board, (x - 30, y - 22), (x + 30, y + 22), COPPER, -1)
        via(board, x + 120, y + 30)
    for x, y in ((420, 90), (540, 270)):
        track(board, [(x, y), (x, y + 60), (x + 40, y + 100), (SIDE + 20, y + 100)], width=20)
        cv2.circle(board, (x, y), 36, COPPER, -1)
        cv2.circle(board, (x, y), 14, BARE, -1)
    return scanned(board, np.random.default_rng(seed))


def add_defects(board: np.ndarray, seed: int = 6) -> np.ndarray:
    """The same board with an open, a short, a mouse bite, a spur, spurious copper and a pin hole."""
    rng = np.random.default_rng(seed)
    broken = board.copy()
    for x, y, across, along, value in (
        (300, 500, 10, 6, BARE),
        (380, 560, 12, 4, COPPER),
        (467, 620, 5, 9, BARE),
        (52, 60, 7, 5, COPPER),
        (560, 480, 7, 9, COPPER),
        (90, 480, 4, 4, BARE),
    ):
        cv2.fillPoly(broken, [ragged(x, y, across, along, rng)], value)
    return broken


def track(board: np.ndarray, points: list[tuple[int, int]], width: int = 14) -> None:
    """A line of copper, in place."""
    cv2.polylines(board, [np.array(points, np.int32)], False, COPPER, width)


def via(board: np.ndarray, x: int, y: int) -> None:
    """A small round pad whose hole is plugged, in place."""
    cv2.circle(board, (x, y), 15, COPPER, -1)


def ragged(x: int, y: int, across: float, along: float, rng: np.random.Generator) -> np.ndarray:
    """The outline of a spot of about 2 `across` x 2 `along` pixels around (x, y), int32 [24, 2]."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    rim = rng.uniform(0.8, 1.2, 24)
    return np.round(np.stack([x + across * rim * np.cos(angles), y + along * rim * np.sin(angles)], 1)).astype(np.int32)


def scanned(board: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Binarised after a slightly noisy scan: edges are a little rough."""
    grain = cv2.GaussianBlur(rng.standard_normal(board.shape).astype(np.float32), (0, 0), 1.5)
    rough = cv2.GaussianBlur(board, (0, 0), 2.0).astype(np.float32) + 10 * grain / grain.std()
    return np.where(rough > 127, 255, 0).astype(np.uint8)


def main() -> None:
    """Write both pictures."""
    parser = argparse.ArgumentParser(description="Draw the golden pictures of the bundle pcb.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    (folder / "reference").mkdir(parents=True, exist_ok=True)
    board = draw_board()
    for name, picture in (("board.png", board), ("broken.png", add_defects(board))):
        cv2.imwrite(str(folder / name), picture)
        cv2.imwrite(str(folder / "reference" / name), draw_board(seed=7))


if __name__ == "__main__":
    main()
