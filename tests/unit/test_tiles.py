from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.inference.tiles import Plan, plan
from tests.inspections import few, many

sides = st.integers(1, 150)


@st.composite
def plans(draw: st.DrawFn) -> tuple[Plan, int, int, int]:
    """A plan, the height and width of its frame, and its overlap."""
    tile_height, tile_width = draw(st.integers(16, 64)), draw(st.integers(16, 64))
    overlap = draw(st.integers(0, min(tile_height, tile_width) // 2))
    height, width = draw(sides), draw(sides)
    return plan(height, width, tile_height, tile_width, overlap), height, width, overlap


@given(plans())
@many
def test_tiles_cover_every_pixel_lie_inside_and_overlap_as_they_should(given: tuple[Plan, int, int, int]) -> None:
    cut, height, width, overlap = given
    seen = np.zeros((height, width), int)
    for x, y, w, h in cut.boxes:
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height
        seen[y : y + h, x : x + w] += 1
    assert seen.min() >= 1
    for side in (cut.rows, cut.columns):
        assert all(a + side.shown - b >= overlap for a, b in zip(side.starts, side.starts[1:], strict=False))
        assert side.starts[0] == 0
        assert side.starts[-1] + side.shown == side.length


@given(plans())
@many
def test_the_weights_of_all_tiles_sum_to_1_at_every_pixel(given: tuple[Plan, int, int, int]) -> None:
    cut, height, width, _ = given
    total = np.zeros((height, width), np.float32)
    tile = np.ones((cut.rows.tile, cut.columns.tile), np.float32)
    for index in range(len(cut.boxes)):
        cut.add(index, tile, total)
    assert total == pytest.approx(1.0, abs=1e-6)


@given(plans(), st.integers(0, 2**32 - 1))
@few
def test_what_a_local_model_says_tile_by_tile_is_what_it_says_of_the_whole(
    given: tuple[Plan, int, int, int], seed: int
) -> None:
    cut, height, width, overlap = given
    reach = overlap // 4
    frame = np.random.default_rng(seed).random((height, width), np.float32)

    def model(picture: np.ndarray) -> np.ndarray:
        """The mean of the neighbours within reach; beyond its border it sees 0, as a convolution does."""
        return cv2.blur(picture, (2 * reach + 1, 2 * reach + 1), borderType=cv2.BORDER_CONSTANT)

    stitched = np.zeros_like(frame)
    for index, (x, y, w, h) in enumerate(cut.boxes):
        tile = np.zeros((cut.rows.tile, cut.columns.tile), np.float32)
        tile[:h, :w] = model(frame[y : y + h, x : x + w])
        cut.add(index, tile, stitched)
    assert np.allclose(stitched, model(frame), atol=1e-5)


def test_a_tile_has_no_say_at_its_border_and_full_say_at_the_frame_s() -> None:
    side = plan(48, 160, 48, 64, 16).columns
    first, second = side.weights[:2]
    assert first[0] == 1
    assert first[-1] == 0  # a quarter of the overlap
    assert second[0] == 0
    assert np.all(np.diff(first) <= 0)


def test_the_tiles_that_show_something() -> None:
    cut = plan(48, 160, 48, 64, 16)
    assert [box[0] for box in cut.boxes] == [0, 48, 96]
    assert cut.touching([(0, 0, 10, 10)]) == [0]
    assert cut.touching([(50, 0, 10, 10)]) == [0, 1]
    assert cut.touching([(63, 0, 40, 1)]) == [0, 1, 2]
