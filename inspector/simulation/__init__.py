"""A simulated production line: pictures of machined plates on a belt, with defects whose true masks are known.

For tests, benchmarks, a first try without a camera, and training. Pure: a part depends on the line's seed and the
part's number alone (and on the version of OpenCV, whose drawing changes a little between versions).
"""

from __future__ import annotations

from inspector.simulation.dataset import write_dataset
from inspector.simulation.defects import HIDDEN, KINDS
from inspector.simulation.line import INFRARED, MAX_SIDE, MIN_SIDE, MODALITIES, Line, Part
from inspector.simulation.tray import Tray, check_plates, make_line

__all__ = [
    "HIDDEN",
    "INFRARED",
    "KINDS",
    "MAX_SIDE",
    "MIN_SIDE",
    "MODALITIES",
    "Line",
    "Part",
    "Tray",
    "check_plates",
    "make_line",
    "write_dataset",
]
