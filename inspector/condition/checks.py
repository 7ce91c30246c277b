"""The checks of a camera's pictures: one number a frame each, and a range in which it is healthy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from inspector.types import Cause


@dataclass(frozen=True, slots=True)
class Check:
    """unit: the value's;  says: what it says, to stand behind value and unit in a sentence;  measures: for people."""

    unit: str
    says: str
    measures: str


CHECKS: Mapping[Cause, Check] = {
    Cause.BLACK: Check("%", "of the picture is dark", "share of the picture that is dark, in %"),
    Cause.SATURATED: Check(
        "%",
        "of the picture, or of one of its colours, is as bright as can be",
        "share of the picture, or of one of its colours, that is as bright as can be, in %",
    ),
    Cause.FROZEN: Check(
        "frame(s)", "in a row repeat the one before", "frames in a row that repeat the one before, sensor noise and all"
    ),
    Cause.DRIFTED: Check(
        "grey levels", "is the brightness of the last frames", "median brightness of the last frames, in grey levels"
    ),
    Cause.SHIFTED: Check(
        "px", "lies the scene off its place", "pixels of the frame by which the scene lies off its place"
    ),
    Cause.DEFOCUSED: Check(
        "%", "of the contrast is in fine detail", "contrast over 2 pixels as a share of that over 8, in %"
    ),
}
"""In the order in which they are asked, and the first that fails is the cause: a black picture is not defocused too."""

Values: TypeAlias = Mapping[Cause, float]
"""A frame's values by check, in its unit; NaN for what cannot be told of it, or not yet."""
