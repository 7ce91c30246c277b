from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.sources.frame_ids import MOST, SHORT, FrameIds


def missing(ids: FrameIds, number: int) -> int:
    shots = list(ids.missing(number, 17))
    assert all(shot.image is None and shot.fault and shot.captured_ns == 17 for shot in shots)
    return len(shots)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([7, 8, 9], [0, 0, 0]),
        ([7, 10, 11], [0, 2, 0]),
        ([SHORT - 1, SHORT, 1, 2], [0, 0, 0, 0]),
        ([SHORT - 1, 2], [0, 2]),
        ([SHORT, SHORT + 1, SHORT + 3], [0, 0, 1]),  # a camera with long ids
        ([500, 1, 2], [0, 0, 0]),  # a camera that was set back
        ([5, 5, 6], [0, 0, 0]),
        ([0, 1, 2], [0, 0, 0]),
    ],
)
def test_holes_in_the_count_are_missing_frames(numbers: list[int], expected: list[int]) -> None:
    ids = FrameIds()
    assert [missing(ids, number) for number in numbers] == expected


def test_what_was_told_already_is_not_missing() -> None:
    ids = FrameIds()
    assert missing(ids, 1) == 0
    ids.spoilt()
    ids.spoilt()
    assert missing(ids, 5) == 1
    assert missing(ids, 7) == 1


def test_a_large_hole_is_bounded_and_says_so() -> None:
    ids = FrameIds()
    list(ids.missing(1, None))
    shots = list(ids.missing(1_000_000, None))
    assert len(shots) == MOST
    assert shots[-1].fault == f"a frame was lost on the way from the camera, and {999_998 - MOST} more with it"


@given(st.integers(1, SHORT), st.lists(st.integers(1, MOST), max_size=50))
def test_every_frame_of_a_camera_with_short_ids_is_accounted_for(first: int, steps: list[int]) -> None:
    ids, number, seen = FrameIds(), first, 1
    list(ids.missing(first, None))
    for step in steps:
        number = (number + step - 1) % SHORT + 1
        seen += missing(ids, number) + 1
    assert seen == 1 + sum(steps)
