from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.mailbox import Closed
from inspector.matching import MOST_WAITING, Trigger, Triggers
from tests.inspections import many

DELAY, WINDOW, PATIENCE = 0.5, 0.25, 1.0


def triggers() -> Triggers:
    return Triggers(DELAY, WINDOW, PATIENCE)


def trigger(number: int, at: float) -> Trigger:
    return Trigger(f"part-{number}", at, 0)


def balance(made: Triggers, waiting: int = 0) -> None:
    assert made.taken == made.framed + made.missing + waiting


def test_a_frame_in_the_window_is_the_triggers():
    made = triggers()
    made.add(trigger(1, 10.0))
    assert made.match(10.6) == (trigger(1, 10.0), [])
    assert made.match(10.65) == (None, [])
    balance(made)


@pytest.mark.parametrize(("captured", "is_in"), [(10.49, False), (10.5, True), (10.75, True), (10.76, False)])
def test_the_window_has_two_ends(captured, is_in):
    made = triggers()
    made.add(trigger(1, 10.0))
    found, gone = made.match(captured)
    assert (found is not None) == is_in
    assert gone == ([trigger(1, 10.0)] if captured > 10.75 else [])


def test_a_frame_that_is_under_way_is_waited_for():
    made = triggers()
    made.add(trigger(1, 10.0))
    assert made.expired(11.75) == []
    assert made.match(10.75) == (trigger(1, 10.0), []), "it was captured in time, and is late on its way"
    made.add(trigger(2, 20.0))
    assert made.expired(21.76) == [trigger(2, 20.0)]
    assert made.expired(21.76) == []
    balance(made)


def test_what_waits_at_the_end_is_missing_and_nothing_is_taken_any_more():
    made = triggers()
    made.add(trigger(1, 10.0))
    assert made.close() == [trigger(1, 10.0)]
    with pytest.raises(Closed):
        made.add(trigger(2, 11.0))
    balance(made)


def test_triggers_that_are_told_out_of_order_are_put_in_order():
    made = triggers()
    for number, at in ((2, 20.0), (1, 10.0), (3, 30.0)):
        made.add(trigger(number, at))
    assert [made.match(at + DELAY)[0].part for at in (10.0, 20.0, 30.0)] == ["part-1", "part-2", "part-3"]  # type: ignore[union-attr]


def test_it_says_when_it_is_full():
    made = triggers()
    for number in range(MOST_WAITING):
        assert not made.is_full
        made.add(trigger(number, float(number)))
    assert made.is_full


moments = st.lists(st.tuples(st.sampled_from(["trigger", "frame", "look"]), st.floats(0, 0.6)), max_size=60)


@many
@given(moments)
def test_each_trigger_ends_in_one_frame_or_is_missing_once(steps):
    made, now, ends, shown, frames = triggers(), 0.0, [], [], 0
    told = 0
    for what, pause in steps:
        now += pause
        if what == "trigger":
            told += 1
            made.add(trigger(told, now))
            continue
        if what == "frame":
            frames += 1
            found, gone = made.match(now)
            if found is not None:
                assert now - found.at >= DELAY
                assert now <= found.at + DELAY + WINDOW
                shown.append(found.part)
                gone = [*gone, found]
        else:
            gone = made.expired(now)
        ends += [one.part for one in gone]
        balance(made, told - len(ends))
    ends += [one.part for one in made.close()]
    assert ends == [f"part-{number}" for number in range(1, told + 1)], "each once, and in order"
    assert (made.framed, len(set(shown))) == (len(shown), len(shown))
    assert made.framed <= frames
    balance(made)


@many
@given(st.lists(st.tuples(st.floats(WINDOW + 0.01, 2.0), st.floats(0, WINDOW), st.booleans()), max_size=40), st.data())
def test_jitter_swaps_no_parts_where_windows_do_not_overlap(parts, data):
    """Frames come anywhere in their windows, some never, and some that nobody asked for come between the windows."""
    made, at, truth, found, gone = triggers(), 0.0, {}, {}, []
    for number, (distance, jitter, comes) in enumerate(parts):
        at += distance
        made.add(trigger(number, at))
        stray = at + DELAY - data.draw(st.floats(0.001, (distance - WINDOW) / 2))
        for captured in [stray, at + DELAY + jitter] if comes else [stray]:
            one, lost = made.match(captured)
            gone += lost
            if one is not None:
                found[one.part] = captured
        if comes:
            truth[f"part-{number}"] = at + DELAY + jitter
    gone += made.close()
    assert found == truth
    assert {one.part for one in gone} == {f"part-{number}" for number in range(len(parts))} - truth.keys()
