"""A tray of parts under a camera of many pixels: a frame shows COLUMNS x ROWS plates of a line, drawn small.

Each plate has the scale at which a picture of one plate, shrunk to half, shows it. So a large frame is quickly drawn,
and needs little memory beside itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.errors import ConfigError
from inspector.simulation.line import FEWEST, MAX_SIDE, MIN_SIDE, Line, Part, check_defect_size
from inspector.types import Image

Place: TypeAlias = tuple[slice, slice]

SHARPNESS = 2
"""Plates are drawn so many times larger, and shrunk: as a good lens gives them to the sensor."""


def make_line(
    seed: int,
    width: int = 640,
    height: int = 480,
    defect_share: float = 0.1,
    channels: int = 3,
    light: float = 1.0,
    modality: str | None = None,
    defect_size: float | None = None,
    columns: int = 1,
    rows: int = 1,
) -> Line | Tray:
    """A line as `Line` describes it: of single plates, or of trays of `columns` x `rows`. Raises ConfigError."""
    if columns == rows == 1:
        return Line(seed, width, height, defect_share, channels, light, modality, defect_size)
    check_plates(width, height, columns, rows, defect_size)
    size = None if defect_size is None else SHARPNESS * defect_size
    sides = SHARPNESS * _plate(width, columns), SHARPNESS * _plate(height, rows)
    return Tray(Line(seed, *sides, defect_share, channels, light, modality, size), width, height, columns, rows)


def check_plates(width: int, height: int, columns: int, rows: int, defect_size: float | None) -> None:
    """What `make_line` would find wrong with the plates of a picture, and with defects of that size on them.

    Draws nothing, and leaves the sides of a single plate to `Line`. Raises ConfigError.
    """
    fewest = FEWEST
    if columns * rows > 1:
        fewest /= SHARPNESS
        across = _problems("columns", columns, "width", width)
        if problems := (*across, *_problems("rows", rows, "height", height)):
            raise ConfigError(*problems)
    if defect_size is not None:
        check_defect_size(defect_size, _plate(width, columns), _plate(height, rows), fewest)


def _plate(side: int, count: int) -> int:
    """Pixels of the largest of so many plates along a side."""
    return -(-side // count)


def _problems(name: str, count: int, side: str, pixels: int) -> Iterator[str]:
    """Whether the columns or rows leave a plate as many pixels as it can be drawn with."""
    plate, least, most = _plate(pixels, count), MIN_SIDE // SHARPNESS, MAX_SIDE // SHARPNESS
    if not least <= plate <= most:
        fewer, larger = ("fewer", "larger") if plate < least else ("more", "smaller")
        yield (
            f"{name} = {count} leaves a plate of the simulated line {plate} of {pixels} pixels, and it has {least} to "
            f"{most}; give {fewer} {name} or a {larger} {side}"
        )


class Tray:
    """Trays of `line`, whose parts are larger than their places: one defective plate at the most on each.

    width, height: of the frame, in pixels;  columns, rows: of plates
    """

    def __init__(self, line: Line, width: int, height: int, columns: int, rows: int) -> None:
        self.line, self.width, self.height = line, width, height
        self._columns, self._rows = columns, rows

    def part(self, number: int, defective: bool | None = None) -> Part:
        """The tray of that number (0 or more), `defective` or good as asked; by default as the line's share has it."""
        channels = self.line.channels
        rng = np.random.default_rng(np.random.SeedSequence(self.line.seed, spawn_key=(number, 0)))
        image, reference = np.empty((2, self.height, self.width, channels), np.uint8)
        mask = np.zeros((self.height, self.width), np.uint8)
        wished = bool(rng.random() < self.line.defect_share) if defective is None else defective
        count = self._columns * self._rows
        bad = int(rng.integers(count)) if wished else -1
        kind = None
        for index, place in enumerate(self._places()):
            row, column = divmod(index, self._columns)
            part = self.line.part(number * count + index, index == bad, (row % 2 == 1, column % 2 == 1))
            size = place[1].stop - place[1].start, place[0].stop - place[0].start
            image[place] = _shrunk(part.image, size)
            if index == bad:
                kind = part.kind
                reference[place] = _shrunk(part.reference, size)
                mask[place] = cv2.compare(cv2.resize(part.mask, size, interpolation=cv2.INTER_AREA), 127, cv2.CMP_GT)
            else:
                reference[place] = image[place]
        return Part(number, image, mask, kind, reference)

    def _places(self) -> Iterator[Place]:
        down = np.linspace(0, self.height, self._rows + 1).astype(int)
        across = np.linspace(0, self.width, self._columns + 1).astype(int)
        for (top, bottom), (left, right) in itertools.product(itertools.pairwise(down), itertools.pairwise(across)):
            yield slice(top, bottom), slice(left, right)


def _shrunk(image: Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return small.reshape(size[1], size[0], image.shape[2])
