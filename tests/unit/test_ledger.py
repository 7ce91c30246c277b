from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.ledger import Ledger
from inspector.mailbox import Closed
from inspector.types import Frame, Inspection, Late, Reason, Verdict


def frame(number: int, camera: str = "cam", deadline: float = 10.0) -> Frame:
    return Frame(camera, number, 0, 0.0, deadline, np.zeros((2, 2, 1), np.uint8))


def test_the_first_to_settle_wins_and_the_second_is_late() -> None:
    ledger = Ledger(["cam"])
    ledger.open(frame(1))
    ok, ng = Inspection(frame(1), Verdict.OK), Inspection(frame(1), Verdict.NG)
    assert ledger.settle(ok, now=1.0) == (ok,)
    assert ledger.settle(ng, now=2.0) == (Late(ng),)
    counts = ledger.counts()["cam"]
    assert (counts.captured, counts.in_flight, counts.late) == (1, 0, 1)
    assert counts.verdicts == {(Verdict.OK, None): 1}


def test_ok_after_the_deadline_is_unknown() -> None:
    ledger = Ledger(["cam"])
    ledger.open(frame(1, deadline=5.0))
    ok = Inspection(frame(1, deadline=5.0), Verdict.OK)
    settled, late = ledger.settle(ok, now=5.1)
    assert settled == Inspection(ok.frame, Verdict.UNKNOWN, Reason.DEADLINE)
    assert late == Late(ok)
    assert ledger.counts()["cam"].late == 1


@pytest.mark.parametrize("reason", Reason)
def test_an_unknown_that_comes_second_is_no_late_result(reason: Reason) -> None:
    ledger = Ledger(["cam"])
    ledger.open(frame(1))
    ledger.settle(Inspection(frame(1), Verdict.UNKNOWN, Reason.DEADLINE), now=10.1)
    assert ledger.settle(Inspection(frame(1), Verdict.UNKNOWN, reason), now=10.2) == ()
    assert ledger.counts()["cam"].late == 0


def test_overdue_and_next_deadline() -> None:
    ledger = Ledger(["a", "b"])
    assert ledger.next_deadline() == float("inf")
    for one in (frame(1, "a", 3.0), frame(2, "a", 7.0), frame(1, "b", 5.0)):
        ledger.open(one)
    assert ledger.next_deadline() == 3.0
    assert [(f.camera, f.number) for f in ledger.overdue(5.0)] == [("a", 1), ("b", 1)]


def test_a_closed_ledger_captures_nothing() -> None:
    ledger = Ledger(["cam"])
    ledger.close()
    with pytest.raises(Closed):
        ledger.open(frame(1))
    assert ledger.counts()["cam"].captured == 0


VERDICTS = [(Verdict.OK, None), (Verdict.NG, None), *((Verdict.UNKNOWN, reason) for reason in Reason)]


@given(st.lists(st.tuples(st.integers(1, 20), st.sampled_from(VERDICTS), st.floats(0, 20)), max_size=60))
def test_the_account_always_balances(steps: list[tuple[int, tuple[Verdict, Reason | None], float]]) -> None:
    ledger = Ledger(["cam"])
    opened: set[int] = set()
    published = late = 0
    for number, (verdict, reason), now in steps:
        if number not in opened:
            opened.add(number)
            ledger.open(frame(number))
        else:
            told = ledger.settle(Inspection(frame(number), verdict, reason), now)
            published += sum(isinstance(one, Inspection) for one in told)
            late += sum(isinstance(one, Late) for one in told)
        counts = ledger.counts()["cam"]
        assert counts.captured == len(opened) == counts.in_flight + sum(counts.verdicts.values())
        assert sum(counts.verdicts.values()) == published
        assert counts.late == late
