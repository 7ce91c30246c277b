from __future__ import annotations

from types import SimpleNamespace

import pytest

from inspector.clock import ManualClock
from inspector.condition.presence import State
from inspector.status import MOST_FRAMES, WINDOW, Recent, Status
from inspector.types import Cause, Frame, Inspection, Reason, Verdict


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def recent(clock):
    return Recent(clock)


def observe(recent, clock, verdict=Verdict.OK, latency=0.02):
    """A verdict is handed over now, so many seconds after its capture."""
    now = clock.monotonic()
    frame = Frame("cam1", 1, 0, now - latency, float("inf"), None)
    recent.observe(Inspection(frame, verdict, Reason.CAMERA if verdict is Verdict.UNKNOWN else None), now)


def reader(name, state=State.STREAMING, *failing):
    up = state in (State.STREAMING, State.FROZEN)
    return SimpleNamespace(camera=name, state=SimpleNamespace(state=state, up=up, failing=frozenset(failing)))


def test_before_the_first_verdict(recent):
    assert recent.figures() == "no verdicts in 10 s"


def test_the_figures_are_of_the_last_seconds(recent, clock):
    for _ in range(100):
        observe(recent, clock, Verdict.UNKNOWN, latency=5.0)
    clock.advance(20.0)
    for number in range(1000):
        clock.advance(0.01)
        observe(recent, clock, Verdict.NG if number % 100 == 0 else Verdict.OK, 0.1 if number > 985 else 0.02)
    assert recent.figures() == "100 frames/s, p99 100 ms, 10 ng, 0 unknown in 10 s"
    clock.advance(11.0)
    assert recent.figures() == "no verdicts in 10 s"


def test_a_line_that_just_began_is_not_slow(recent, clock):
    for _ in range(20):
        observe(recent, clock)
        clock.advance(0.1)
    assert recent.figures() == "10 frames/s, p99 20 ms, 0 ng, 0 unknown in 2 s"


def test_a_flood_takes_no_more_memory(recent, clock):
    for _ in range(2 * MOST_FRAMES):
        clock.advance(0.0001)
        observe(recent, clock, latency=0.001)
    assert len(recent._rows) == MOST_FRAMES
    assert recent.figures().startswith("10001 frames/s")


def test_a_slow_line_is_told_in_plain_numbers(recent, clock):
    observe(recent, clock, latency=1.25)
    clock.advance(10.0)
    assert recent.figures() == "0.1 frames/s, p99 1250 ms, 0 ng, 0 unknown in 10 s"


def test_what_is_wrong_comes_first(recent):
    readers = [reader("cam1"), reader("cam2", State.LOST), reader("cam3", State.STREAMING, Cause.SHIFTED)]
    assert Status(readers, recent, lambda: False)() == "cam2 lost, cam3 shifted; 2/3 cameras, no verdicts in 10 s"
    assert Status(readers[:1], recent, lambda: True)() == "the journal fails; 1/1 cameras, no verdicts in 10 s"


def test_a_line_stays_a_line(recent):
    readers = [reader(f"cam{number}", State.CONNECTING) for number in range(16)]
    line = Status(readers, recent, lambda: False)()
    assert line == "cam0 connecting, cam1 connecting, cam2 connecting, 13 more; 0/16 cameras, no verdicts in 10 s"


def test_what_is_older_than_the_window_is_let_go(clock, recent):
    for _ in range(100):
        observe(recent, clock)
        clock.advance(1.0)
    assert len(recent._rows) <= WINDOW + 1
