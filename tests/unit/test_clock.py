from __future__ import annotations

import logging

import pytest

from inspector.clock import DOUBT_SECONDS, STEP_SECONDS, AgeClock, ManualClock


def test_ages_go_by_the_wall_clock(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    ages = AgeClock(clock, "the journal j")
    for seconds in (1.0, STEP_SECONDS - 1, -10 * STEP_SECONDS, STEP_SECONDS):
        clock.advance(1e6)
        clock.step(seconds)
        assert ages.now_ns() == clock.wall_ns()
    assert not caplog.records


def test_a_jump_ahead_is_no_age_for_a_day(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    ages = AgeClock(clock, "the journal j")
    true = clock.wall_ns()
    clock.step(1e9)
    for _ in range(3):
        assert ages.now_ns() == true
    clock.advance(DOUBT_SECONDS - 1)
    assert ages.now_ns() == true + round((DOUBT_SECONDS - 1) * 1e9)
    with caplog.at_level(logging.WARNING):
        clock.advance(1.0)
        assert ages.now_ns() == clock.wall_ns()
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "jumped ahead by 277777.8 h: for 24 h, or until a restart, the journal j does not count that" in warning


def test_each_jump_ahead_has_a_day_of_its_own_and_one_that_is_taken_back_is_forgotten() -> None:
    clock = ManualClock()
    ages = AgeClock(clock, "the journal j")
    true = clock.wall_ns()
    for wait in (0.9, 0.9):
        clock.step(7200.0)
        ages.now_ns()
        clock.advance(wait * DOUBT_SECONDS)
        assert ages.now_ns() == true + round(wait * DOUBT_SECONDS * 1e9)
        clock.step(-7200.0)
        assert ages.now_ns() == clock.wall_ns()
        true = clock.wall_ns()
    clock.step(7200.0)
    ages.now_ns()
    clock.advance(0.9 * DOUBT_SECONDS)
    clock.step(7200.0)
    ages.now_ns()
    clock.advance(0.9 * DOUBT_SECONDS)
    assert ages.now_ns() == true + round(1.8 * DOUBT_SECONDS * 1e9)
