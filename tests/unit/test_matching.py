from __future__ import annotations

from dataclasses import replace

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


def test_it_tells_when_the_next_one_will_have_no_frame():
    made = triggers()
    assert made.next_expiry() == float("inf")
    made.add(trigger(2, 20.0))
    made.add(trigger(1, 10.0))
    assert made.next_expiry() == 11.75
    assert made.match(10.6) == (trigger(1, 10.0), [])
    assert made.next_expiry() == 21.75
    made.fail(trigger(2, 20.0), "it is away")
    assert made.next_expiry() == float("-inf")
    assert [one.fault for one in made.expired(10.6)] == ["it is away"]
    assert made.next_expiry() == float("inf")


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


def test_a_lost_frame_was_the_oldest_triggers_and_the_last_is_left_to_the_frame_that_came():
    made = triggers()
    for number, at in ((1, 10.0), (2, 10.1)):
        made.add(trigger(number, at))
    assert made.lost(10.7) == (True, [trigger(1, 10.0)])
    assert made.lost(10.7) == (False, []), "nobody asked for it"
    assert made.match(10.7) == (trigger(2, 10.1), [])
    balance(made)


def test_a_lost_frame_whose_trigger_was_told_as_missing_has_its_word():
    made = triggers()
    made.add(trigger(1, 10.0))
    assert made.expired(20.0) == [trigger(1, 10.0)]
    made.add(trigger(2, 20.0))
    assert made.lost(20.6) == (True, [])
    assert made.lost(20.6) == (False, [])
    assert made.match(20.6) == (trigger(2, 20.0), [])
    made.add(trigger(3, 30.0))
    assert made.expired(40.0) == [trigger(3, 30.0)]
    assert made.match(40.0) == (None, []), "a camera that did not count it has not lost it"
    assert made.lost(41.0) == (False, [])
    balance(made)


@many
@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(0, 0.99 * WINDOW), st.booleans()), max_size=40), st.booleans())
def test_a_camera_that_counts_shifts_no_parts_whatever_is_lost_and_however_windows_overlap(parts, looks):
    """Each trigger's frame is counted; some are lost, which a look at the clock may find before the next one comes."""
    made, at, captured, steps, gone, truth, found = triggers(), 0.0, 0.0, [], [], [], []
    for number, (distance, jitter, comes) in enumerate(parts):
        at += distance
        captured = max(captured, at + DELAY + jitter)
        steps += [(at, number, "told"), (captured, number, "comes" if comes else "lost")]
        truth += [f"part-{number}"] if comes else []
    lost = 0
    for moment, number, what in sorted(steps):
        if looks:
            gone += made.expired(moment + PATIENCE)
        if what == "told":
            made.add(trigger(number, moment))
        elif what == "lost":
            lost += 1
        else:
            for _ in range(lost):
                was_ours, missing = made.lost(moment)
                assert was_ours
                gone += missing
            one, missing = made.match(moment)
            gone, lost = gone + missing, 0
            found.append(None if one is None else one.part)
    gone += made.close()
    assert found == truth
    assert [one.part for one in gone] == [f"part-{n}" for n in range(len(parts)) if f"part-{n}" not in truth]
    balance(made)


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


def test_one_that_failed_is_told_at_once_and_takes_no_others_frame():
    made = triggers()
    for number, at in ((1, 10.0), (2, 10.1)):
        made.add(trigger(number, at))
    made.fail(trigger(1, 10.0), "no light")
    assert made.expired(10.1) == [replace(trigger(1, 10.0), fault="no light")]
    assert made.expired(10.1) == []
    assert made.match(10.65) == (trigger(2, 10.1), [])
    made.fail(trigger(2, 10.1), "too late")
    assert made.expired(10.7) == []
    balance(made)


def test_one_that_failed_explains_no_frame_that_the_camera_counted():
    made = triggers()
    for number, at in ((1, 10.0), (2, 10.1), (3, 10.2)):
        made.add(trigger(number, at))
    made.fail(trigger(1, 10.0), "no light")
    was_ours, gone = made.lost(10.7)
    assert (was_ours, [one.part for one in gone]) == (True, ["part-1", "part-2"])
    assert made.match(10.7) == (trigger(3, 10.2), [])
    balance(made)
