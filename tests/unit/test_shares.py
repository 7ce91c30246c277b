from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector.shares import MARGIN, MEMORY, Shares

CAMERAS = ("a", "b", "c")
fates = st.lists(st.tuples(st.sampled_from(CAMERAS), st.booleans(), st.floats(0, 1)), max_size=80)


def after(steps: list[tuple[str, bool, float]]) -> Shares:
    shares, now = Shares(CAMERAS), 1000.0
    for camera, lost, later in steps:
        now += later
        shares.count(camera, lost, now)
    return shares


@given(fates, st.sampled_from(CAMERAS), st.sets(st.sampled_from(CAMERAS)))
def test_whoever_is_served_loses_no_clearly_smaller_share_than_anybody(
    steps: list[tuple[str, bool, float]], due: str, others: set[str]
) -> None:
    shares = after(steps)
    turn = shares.turn(due, {due, *others})
    assert turn in {due, *others}
    assert all(shares[turn] >= shares[other] - MARGIN for other in others)
    assert turn == due or shares[turn] > shares[due] + MARGIN


@given(fates, st.sampled_from(CAMERAS))
def test_where_nothing_is_lost_it_is_the_turn_of_whoever_is_due(steps: list[tuple[str, bool, float]], due: str) -> None:
    assert after([(camera, False, later) for camera, _, later in steps]).turn(due, CAMERAS) == due


@given(fates)
def test_a_share_is_one_and_counts_its_own_camera_alone(steps: list[tuple[str, bool, float]]) -> None:
    shares = after(steps)
    assert all(0 <= shares[camera] < 1 for camera in CAMERAS)
    alone = after([step if step[0] == "a" else ("b", not step[1], step[2]) for step in steps])
    assert alone["a"] == shares["a"]


def test_what_is_long_over_does_not_count() -> None:
    shares = after([("a", True, 0.1)] * 100)
    assert shares["a"] > 0.9
    shares.count("a", False, now=1010.0 + 4 * MEMORY)
    assert 0 < shares["a"] < MARGIN + 0.5
    for step in range(20):
        shares.count("a", False, now=1011.0 + 4 * MEMORY + step)
    assert shares["a"] < MARGIN


def test_a_slow_camera_is_helped_after_a_few_frames() -> None:
    shares = after([("a", index % 3 > 0, 0.01) for index in range(600)])  # a hundred frames a second, 2 of 3 lost
    for second in range(4):
        shares.count("b", True, now=1006.0 + second)
    assert shares.turn("a", "ab") == "b"
