"""Pacing by absolute times, on a clock of the test's own."""

from __future__ import annotations

import math
import threading

import pytest

from inspector.clock import ManualClock
from inspector.sources.pace import BACKLOG, Pace


class Waiting(threading.Event):
    """An event whose `wait` moves the clock instead; it returns `slip` seconds late, as threads do."""

    def __init__(self, clock: ManualClock, slip: float = 0.0) -> None:
        super().__init__()
        self.clock, self.slip = clock, slip

    def wait(self, timeout: float | None = None) -> bool:
        if timeout:
            self.clock.advance(timeout + self.slip)
        return self.is_set()


def times(clock: ManualClock, pace: Pace, count: int) -> list[float]:
    start, found = clock.monotonic(), []
    for _ in range(count):
        assert pace.wait()
        found.append(clock.monotonic() - start)
    return found


def test_the_first_comes_at_once_and_lateness_does_not_add_up() -> None:
    clock = ManualClock()
    found = times(clock, Pace(10, Waiting(clock, slip=0.03), clock), 101)
    assert found[0] == 0
    assert found[100] == pytest.approx(100 * 0.1 + 0.03)


def test_infinity_never_waits() -> None:
    clock = ManualClock()
    assert times(clock, Pace(math.inf, Waiting(clock), clock), 1000)[-1] == 0


def test_a_long_delay_is_not_made_up_for() -> None:
    clock = ManualClock()
    pace = Pace(10, Waiting(clock), clock)
    times(clock, pace, 5)
    clock.advance(3600)
    at_once = sum(time == 0 for time in times(clock, pace, 100))
    assert at_once == pytest.approx(BACKLOG * 10, abs=1)


def test_closed_it_lets_nothing_through() -> None:
    clock = ManualClock()
    closed = Waiting(clock)
    pace = Pace(10, closed, clock)
    assert pace.wait()
    closed.set()
    assert not pace.wait()
