from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.estimate import RECENT, Estimate

seconds = st.floats(0.001, 10.0)


def after(times: list[float]) -> float:
    estimate = Estimate()
    for one in times:
        estimate.add(one)
    return estimate.seconds


def test_it_begins_at_nothing_and_takes_the_first_batch_at_its_word() -> None:
    assert after([]) == 0.0
    assert after([0.25]) == 0.25


@given(st.lists(seconds, min_size=RECENT, max_size=3 * RECENT))
def test_nine_of_ten_recent_batches_stay_within_and_one_of_ten_does_not_count(times: list[float]) -> None:
    recent = times[-RECENT:]
    assert sum(one <= after(times) for one in recent) >= 0.9 * RECENT
    assert sum(one < after(times) for one in recent) < 0.9 * RECENT


@given(st.lists(seconds, max_size=50), st.floats(0.001, 10.0))
def test_it_follows_a_change_within_its_window(before: list[float], now: float) -> None:
    assert after([*before, *[now] * RECENT]) == now


@pytest.mark.parametrize("at", range(RECENT))
def test_one_hiccup_does_not_count_once_there_is_some_experience(at: int) -> None:
    assert after([*[0.01] * RECENT, 5.0, *[0.01] * at]) == 0.01


def test_its_mean_leaves_the_longest_tenth_out_too() -> None:
    estimate = Estimate()
    for seconds in [*[0.01, 0.03] * (RECENT // 2 - 1), 5.0, 7.0]:
        estimate.add(seconds)
    assert estimate.mean == pytest.approx(0.02)
    assert Estimate().mean == 0.0
