"""Which windows of a frame to repair (pure): small ones around the defects, from a few fixed sizes.

A window costs by its area (measured: 128 pixels square 3 ms, 256 square 11 ms), so each is the smallest that holds
its defects with enough healthy surroundings to continue from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from inspector.types import Box

MARGIN = 12
"""Healthy pixels wanted on each side of a defect."""


@dataclass(frozen=True, slots=True)
class Window:
    """A square of `side` pixels, shown to the model at `size` pixels, that repairs what lies in `hole`.

    `x` and `y` may be negative, or the square reach past the frame, where the frame is smaller than the square.
    """

    x: int
    y: int
    side: int
    size: int
    hole: Box


def plan(
    defects: Iterable[Box],
    height: int,
    width: int,
    sizes: Sequence[int],
    between: Callable[[], None] = lambda: None,
) -> list[Window]:
    """Windows that together hold every box of `defects` in a frame of `height` x `width` pixels.

    Large defects come first; a smaller one joins the first window that holds it with its margin. A defect that
    the largest of `sizes` cannot hold gets a larger square, which is scaled down for the model.
    between: called before each defect, of which there may be thousands; what it raises ends the planning
    """
    windows: list[Window] = []
    for box in sorted(defects, key=lambda box: (-max(box[2], box[3]), box)):
        between()
        for index, window in enumerate(windows):
            if _holds(window, box):
                windows[index] = Window(window.x, window.y, window.side, window.size, _union(window.hole, box))
                break
        else:
            windows.append(_around(box, height, width, sizes))
    return windows


def _around(box: Box, height: int, width: int, sizes: Sequence[int]) -> Window:
    x, y, w, h = box
    needed = max(w, h) + 2 * MARGIN
    side = next((size for size in sizes if size >= needed), needed)
    return Window(_place(x, w, side, width), _place(y, h, side, height), side, min(side, sizes[-1]), box)


def _place(start: int, length: int, side: int, limit: int) -> int:
    """Centre a square of `side` on the defect, moved inside the frame; centre the frame in it where it is smaller."""
    if side >= limit:
        return (limit - side) // 2
    return min(max(start + length // 2 - side // 2, 0), limit - side)


def _holds(window: Window, box: Box) -> bool:
    x, y, w, h = box
    return (
        x - MARGIN >= window.x
        and y - MARGIN >= window.y
        and x + w + MARGIN <= window.x + window.side
        and y + h + MARGIN <= window.y + window.side
    )


def _union(a: Box, b: Box) -> Box:
    left, top = min(a[0], b[0]), min(a[1], b[1])
    right, bottom = max(a[0] + a[2], b[0] + b[2]), max(a[1] + a[3], b[1] + b[3])
    return left, top, right - left, bottom - top
