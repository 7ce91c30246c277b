"""Stream time mapped to ours, over any stream that a camera and a network can make."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.sources.streamtime import JUMP, MOST_DRIFT, SETTLED, StreamTime

BASE = 0.03
"""Seconds that the fastest frame is on its way."""


@dataclass(frozen=True)
class Seen:
    """One frame: when it was captured, when it arrived, and when we say that it was captured."""

    taken: float
    arrival: float
    told: float | None


def stream(
    delays: list[float], period: float = 0.04, drift: float = 0.0, begin: float = 1e4, backlog: int = 0
) -> list[Seen]:
    """Frames in order, each delayed by BASE and its own delay at the least; `backlog` of them wait at the beginning.

    drift: how much faster the camera's clock runs;  begin: what it says at the first frame
    """
    time = StreamTime()
    seen: list[Seen] = []
    arrival = backlog * period
    for number, delay in enumerate(delays):
        taken = number * period
        arrival = max(arrival + 0.001, taken + BASE + delay)
        seen.append(Seen(taken, arrival, time.captured(begin + taken * (1 + drift), arrival)))
    return seen


delays = st.lists(st.one_of(st.just(0.0), st.floats(0, 0.5), st.floats(0, 3)), min_size=1, max_size=300)
drifts = st.floats(-MOST_DRIFT, MOST_DRIFT)


@given(delays, st.floats(0.001, 2), drifts, st.floats(-1e9, 1e9), st.integers(0, 60))
def test_it_never_goes_back_and_is_never_in_the_future(
    delays: list[float], period: float, drift: float, begin: float, backlog: int
) -> None:
    told = [(one.told, one.arrival) for one in stream(delays, period, drift, begin, backlog) if one.told is not None]
    assert all(moment <= arrival for moment, arrival in told)
    assert [moment for moment, _ in told] == sorted(moment for moment, _ in told)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.lists(st.floats(0, 10), min_size=1))
def test_so_it_is_for_a_stream_without_sense(times: list[float], pauses: list[float]) -> None:
    time, arrival, latest = StreamTime(), 0.0, float("-inf")
    for moment, pause in zip(times, pauses, strict=False):
        arrival += pause
        told = time.captured(moment, arrival)
        if told is not None:
            assert latest <= told <= arrival
            latest = told


@given(delays, drifts)
@settings(max_examples=200)
def test_no_frame_is_told_fresher_than_it_is_against_the_fastest_before_it(delays: list[float], drift: float) -> None:
    """Once frames have come without delay; the clocks may have drifted apart since."""
    lead = [0.0] * 20
    for one in stream([*lead, *delays], drift=drift)[len(lead) :]:
        assert one.told is not None
        slack = 2 * MOST_DRIFT * one.arrival + 1e-6
        assert one.told - (one.taken + BASE) <= slack
        assert one.told - (one.taken + BASE) >= -slack


def test_a_burst_after_a_stall_is_as_old_as_it_is() -> None:
    stall = [max(0.0, 1.2 - 0.04 * number) for number in range(40)]
    seen = stream([*[0.0] * 50, *stall, *[0.0] * 50])[20:]
    for one in seen:
        assert one.told == pytest.approx(one.taken + BASE, abs=0.01)


@pytest.mark.parametrize("backlog", [5, 30, 200])
def test_what_waited_in_buffers_at_the_beginning_is_not_told(backlog: int) -> None:
    seen = stream([0.0] * (backlog + 50), backlog=backlog)
    told = [one for one in seen if one.told is not None]
    assert all(one.told == pytest.approx(one.taken + BASE, abs=0.03) for one in told)
    fresh = next(one for one in seen if one.arrival - one.taken < BASE + 0.01)
    assert told[0].arrival - fresh.arrival <= SETTLED + 0.1


@given(st.floats(-0.9 * MOST_DRIFT, 0.9 * MOST_DRIFT))
@settings(max_examples=20, deadline=None)
def test_it_follows_a_clock_that_drifts_for_hours(drift: float) -> None:
    last = stream([0.0] * 20_000, period=1.0, drift=drift)[-1]
    assert last.told == pytest.approx(last.arrival, abs=0.01)


@given(st.floats(-1e9, 1e9).filter(lambda jump: abs(jump) > 2 * JUMP))
@settings(max_examples=50)
def test_after_a_jump_of_the_cameras_clock_it_is_right_again(jump: float) -> None:
    time = StreamTime()
    told = [time.captured(number * 0.04 + (jump if number >= 50 else 0), number * 0.04 + BASE) for number in range(100)]
    untold = [number for number, moment in enumerate(told) if moment is None]
    assert {number for number in untold if number >= 10} == set(range(50, 50 + round(SETTLED / 0.04) + 1))
    assert told[-1] == pytest.approx(99 * 0.04 + BASE, abs=1e-3)


def test_a_slow_camera_is_told_from_its_second_frame_on() -> None:
    assert [one.told is None for one in stream([0.0] * 4, period=2.0)] == [True, False, False, False]
