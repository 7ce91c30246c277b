from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector.inference.windows import MARGIN, plan

SIZES = (64, 128, 256)


def test_the_smallest_size_that_holds_the_defect_with_its_margin() -> None:
    (window,) = plan([(300, 200, 10, 10)], 480, 640, SIZES)
    assert (window.side, window.size, window.hole) == (64, 64, (300, 200, 10, 10))
    (window,) = plan([(300, 200, 64 - 2 * MARGIN + 1, 3)], 480, 640, SIZES)
    assert window.side == 128


def test_neighbours_share_a_window_and_strangers_do_not() -> None:
    assert len(plan([(300, 200, 8, 8), (312, 205, 6, 6)], 480, 640, SIZES)) == 1
    assert len(plan([(300, 200, 8, 8), (10, 10, 6, 6)], 480, 640, SIZES)) == 2


def test_a_window_stays_inside_the_frame() -> None:
    (window,) = plan([(0, 470, 8, 8)], 480, 640, SIZES)
    assert (window.x, window.y) == (0, 480 - 64)


def test_a_defect_larger_than_every_size_is_scaled() -> None:
    (window,) = plan([(10, 10, 400, 20)], 480, 640, SIZES)
    assert (window.side, window.size) == (400 + 2 * MARGIN, 256)


boxes = st.tuples(st.integers(0, 300), st.integers(0, 200), st.integers(1, 150), st.integers(1, 150))


@given(st.lists(boxes, max_size=12), st.integers(20, 500), st.integers(20, 500))
def test_every_defect_lies_in_a_window_and_every_hole_in_the_frame(
    found: list[tuple[int, int, int, int]], height: int, width: int
) -> None:
    inside = [(x, y, min(w, width - x), min(h, height - y)) for x, y, w, h in found if x < width and y < height]
    windows = plan(inside, height, width, SIZES)
    assert len(windows) <= len(inside)
    for x, y, w, h in inside:
        assert any(
            hx <= x and hy <= y and x + w <= hx + hw and y + h <= hy + hh
            for hx, hy, hw, hh in (window.hole for window in windows)
        )
    for window in windows:
        x, y, w, h = window.hole
        assert window.x <= x and window.y <= y  # noqa: PT018
        assert x + w <= window.x + window.side
        assert y + h <= window.y + window.side
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height  # noqa: PT018
        assert window.size in SIZES
