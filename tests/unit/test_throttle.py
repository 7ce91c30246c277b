"""A camera's frames let through at a rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.sources.throttle import Throttle


@given(st.floats(0.1, 1000), st.integers(1, 100), st.lists(st.floats(0, 10), min_size=1, max_size=200))
def test_in_no_time_it_lets_more_through_than_its_rate_and_one_burst(
    rate: float, burst: int, gaps: list[float]
) -> None:
    throttle, now, passed = Throttle(rate, burst), 1e6, list[float]()
    for gap in gaps:
        now += gap
        if throttle.passes(now):
            passed.append(now)
    for first, begin in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + rate * (passed[last] - begin) * (1 + 1e-6) + 1e-3


@given(st.floats(0.1, 1000), st.integers(1, 100))
def test_a_camera_that_keeps_to_its_rate_loses_nothing(rate: float, burst: int) -> None:
    throttle = Throttle(rate, burst)
    assert all(throttle.passes(number / rate * (1 + 1e-9)) for number in range(500))


@pytest.mark.parametrize("rate", [10.0, 100.0])
def test_of_a_flood_it_lets_its_rate_through(rate: float) -> None:
    throttle = Throttle(rate, 4)
    passed = sum(throttle.passes(number / 1000) for number in range(10_000))
    assert passed == pytest.approx(10 * rate, abs=5)


@pytest.mark.parametrize(("rate", "nap"), [(2.0, 0.010), (25.0, 0.010), (100.0, 0.0025)])
def test_a_camera_is_left_alone_for_a_moment_that_its_driver_has_room_for(rate: float, nap: float) -> None:
    """A quarter of the time between two frames, and no more than 10 ms."""
    assert Throttle(rate, 4).nap == nap
