from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.condition.presence import INTERVALS, PERIODS, SHORTEST_SILENCE, Presence, State


def streaming(period: float, frames: int = 20, silence: float = SHORTEST_SILENCE) -> Presence:
    """A live camera that has delivered so many frames, the last at 0."""
    presence = Presence(live=True, silence=silence)
    for number in range(frames):
        presence.frame(period * (number - frames + 1))
    return presence


def test_a_camera_connects_streams_and_ends() -> None:
    presence = Presence(live=True)
    assert presence.state is State.CONNECTING
    assert presence.frame(0.0) is State.STREAMING
    assert presence.frame(0.1) is None
    assert presence.ended() is State.ENDED
    assert presence.ended() is None


@given(st.floats(0.03, 10))
def test_an_unplugged_camera_stalls_within_ten_of_its_frames(period: float) -> None:
    presence = streaming(period)
    assert presence.look(0.99 * PERIODS * period) is None
    assert presence.look(10 * period) is State.STALLED
    assert presence.look(20 * period) is None, "told once"
    assert presence.silent(20 * period) == 20 * period
    assert presence.frame(30 * period) is State.STREAMING


def test_a_fast_camera_is_given_a_moment() -> None:
    presence = streaming(0.001)
    assert presence.look(0.99 * SHORTEST_SILENCE) is None
    assert presence.look(SHORTEST_SILENCE) is State.STALLED


def test_a_camera_that_waits_for_parts_stalls_when_asked_to() -> None:
    presence = streaming(0.1, silence=600)
    assert presence.due == 600
    assert presence.look(599) is None
    assert presence.look(600) is State.STALLED


def test_a_pause_or_a_bunch_does_not_change_the_usual_pace() -> None:
    presence = streaming(0.1)
    presence.look(30.0)
    presence.frame(30.0)
    presence.frame(30.0001)
    assert presence.patience == pytest.approx(0.8)


def test_a_camera_that_slows_down_for_good_stalls_no_more() -> None:
    presence = streaming(0.04)
    told = []
    for second in range(1, INTERVALS + 1):
        told.append(presence.look(second - 0.01))
        presence.frame(second)
    assert told == 8 * [State.STALLED] + (INTERVALS - 8) * [None]
    assert presence.patience == PERIODS


def test_nothing_stalls_before_its_pace_is_known_nor_what_waits_for_us() -> None:
    connecting, first, file = Presence(live=True), Presence(live=True), Presence(live=False)
    first.frame(0.0)
    for number in range(20):
        file.frame(0.1 * number)
    assert {one.due for one in (connecting, first, file)} == {math.inf}
    assert [one.look(1e9) for one in (connecting, first, file)] == [None, None, None]


def test_a_camera_that_hangs_after_its_first_frame_stalls_when_asked_to() -> None:
    presence = Presence(live=True, silence=5)
    presence.frame(0.0)
    assert presence.look(4.9) is None
    assert presence.look(5) is State.STALLED
    assert presence.frame(6) is State.STREAMING
    assert presence.patience == 6 * PERIODS, "which is its pace, as far as is known"


def test_a_lost_camera_is_lost_until_it_streams_and_its_pause_is_no_interval() -> None:
    presence = streaming(0.1)
    assert presence.lost() is State.LOST
    assert presence.lost() is None
    assert presence.look(1e6) is None
    assert presence.frame(1e6) is State.STREAMING
    assert presence.patience == pytest.approx(0.8)


def test_a_camera_that_waits_for_its_trigger_does_so_until_its_first_frame() -> None:
    presence = Presence(live=True)
    assert presence.waits() is State.WAITING
    assert presence.waits() is None
    assert presence.look(1e6) is None
    assert presence.frame(1e6) is State.STREAMING
    assert presence.waits() is None
    assert presence.lost() is State.LOST
    assert presence.waits() is State.WAITING
    assert presence.lost() is State.LOST
    assert presence.ended() is State.ENDED
    assert presence.waits() is None


def test_a_frozen_camera_delivers_and_may_stall() -> None:
    presence = streaming(0.1)
    assert presence.repeating(True) is State.FROZEN
    assert presence.repeating(True) is None
    assert presence.frame(0.1) is None
    assert presence.repeating(False) is State.STREAMING
    presence.repeating(True)
    assert presence.look(1.0) is State.STALLED
    assert presence.repeating(True) is None, "a frame must come first"
