"""Whether the shares come out max-min fair, whatever else decides among those who are within theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.shares import Shares
from tests.inspections import few

QUEUE = 1.0
"""Seconds for which a piece may wait: longer than the longest of another, which nothing interrupts."""


@dataclass(frozen=True)
class Asker:
    """rate: pieces of work a second;  work: seconds for each"""

    rate: float
    work: float

    @property
    def asks(self) -> float:
        return self.rate * self.work


askers = st.lists(st.builds(Asker, st.floats(0.5, 60), st.floats(0.005, 0.2)), min_size=2, max_size=6)


def level_of(asks: Sequence[float], capacity: float) -> float:
    """What an asker gets at the most where all is shared max-min fair."""
    left = capacity
    for index, one in enumerate(sorted(asks)):
        if one * (len(asks) - index) > left:
            return left / (len(asks) - index)
        left -= one
    return max(asks)


def serve(askers: Sequence[Asker], seconds: float, begin: float = 0.0, shares: Shares | None = None) -> list[float]:
    """Seconds that one worker spends for each; of those within their shares it always prefers the first."""
    names = [str(index) for index in range(len(askers))]
    shares = Shares(names) if shares is None else shares
    now, got, came, gone = begin, dict.fromkeys(names, 0.0), dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    while now < begin + seconds:
        for name, asker in zip(names, askers, strict=True):
            came[name] = int((now - begin) * asker.rate) + 1
            gone[name] = max(gone[name], came[name] - max(int(asker.rate * QUEUE), 1))  # the others are lost
        waiting = [name for name in names if came[name] > gone[name]]
        if not waiting:
            now += 0.001
            continue
        turn = shares.within(waiting)[0]
        work = askers[int(turn)].work
        shares.charge(turn, work)
        gone[turn] += 1
        got[turn] += work
        now += work
    return list(got.values())


@few
@given(askers)
def test_shares_come_out_max_min_fair(askers: list[Asker]) -> None:
    seconds = 60.0
    got = serve(askers, seconds)
    asks = [asker.asks for asker in askers]
    level, pieces = level_of(asks, 1.0), sum(asker.work for asker in askers)
    for one, served in zip(asks, got, strict=True):
        assert served == pytest.approx(min(one, level) * seconds, abs=pieces + min(one, level) * QUEUE)


@few
@given(askers)
def test_the_same_again_comes_out_the_same(askers: list[Asker]) -> None:
    assert serve(askers, 5.0) == serve(askers, 5.0)


def test_whoever_asks_for_little_loses_nothing_by_who_asks_for_much() -> None:
    small, flood = Asker(5, 0.02), Asker(1000, 0.02)
    got = serve([flood, small, small, small], 60.0)
    assert got[1:] == pytest.approx([5 * 0.02 * 60] * 3, abs=0.05)
    assert sum(got) == pytest.approx(60, abs=0.05)


def test_it_goes_by_work_and_not_by_pieces() -> None:
    tiled, plain = serve([Asker(100, 0.4), Asker(100, 0.02)], 60.0)
    assert tiled == pytest.approx(plain, abs=0.5)


def test_nobody_saves_up_while_idle() -> None:
    shares = Shares("01")
    alone = serve([Asker(100, 0.02), Asker(0.001, 0.02)], 60.0, shares=shares)
    assert alone[0] > 59
    first, second = serve([Asker(100, 0.02), Asker(100, 0.02)], 2.0, shares=shares)
    assert first == pytest.approx(second, abs=0.05)
