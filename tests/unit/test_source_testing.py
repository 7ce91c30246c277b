"""The contract that sources are tested with, held against sources that keep it in other ways, and that break it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from inspector.sources import SCHEMES, Source
from inspector.testing.sources import ENOUGH, Counterpart, SourceContract
from inspector.types import Shot
from tests.waiting import PATIENCE

TESTS = [name for name in vars(SourceContract) if name.startswith("test_")]


class Plain:
    """Its frames are no generator: an iterator that has nothing to close."""

    live = False

    def __init__(self) -> None:
        self.closed = False

    def frames(self) -> Iterator[Shot]:
        shots = [Shot(np.zeros((4, 6, 1), np.uint8)) for _ in range(ENOUGH)]
        return itertools.takewhile(lambda _: not self.closed, shots)

    def close(self) -> None:
        self.closed = True


class Hanging(Plain):
    """Delivers nothing, or what `Plain` does and cannot be closed; until it is let go."""

    def __init__(self, delivers: bool = False) -> None:
        super().__init__()
        self.delivers = delivers
        self.let_go = threading.Event()

    def frames(self) -> Iterator[Shot]:
        if not self.delivers:
            self.let_go.wait()
        return super().frames()

    def close(self) -> None:
        self.let_go.wait()


def run(test: str, source: Source, bound: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run one test of the contract on the source."""
    monkeypatch.setitem(SCHEMES, "stub", lambda _: source)
    contract = SourceContract()
    contract.bound = bound
    getattr(contract, test)(Counterpart("stub:"))


@pytest.mark.parametrize("test", TESTS)
def test_frames_need_not_be_a_generator(test: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(test, Plain(), PATIENCE, monkeypatch)


@pytest.mark.parametrize("test", TESTS)
def test_a_source_that_delivers_nothing_fails_every_test(test: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Hanging()
    with pytest.raises(AssertionError, match=r"^(0 of \d frames came in|the first frame took more than) 0\.1 s"):
        run(test, source, 0.1, monkeypatch)
    source.let_go.set()


@pytest.mark.parametrize("test", ["test_close_ends_it_from_another_thread", "test_closed_it_yields_nothing_more"])
def test_a_source_that_cannot_be_closed_fails(test: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Hanging(delivers=True)
    with pytest.raises(AssertionError, match=r"^close took more than 1 s"):
        run(test, source, 1.0, monkeypatch)
    source.let_go.set()
