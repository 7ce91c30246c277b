"""How long a worker repairs, by a clock that only its models move."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inspector.clock import ManualClock
from inspector.inference.bundle import load
from inspector.inference.engine import Team, start
from inspector.inference.view import View
from inspector.judge import Judge
from inspector.types import Frame, Image, Inspection, Verdict
from inspector.worker import Station, Worker
from tests.bundles import picture

RUN, WINDOW = 0.05, 0.125
"""Seconds that a run of the detector and a window of repair take here."""
SIX_WINDOWS = [(60 * number + 10, 20, 12, 12) for number in range(6)]


class Slow:
    """A model that takes time."""

    def __init__(self, model: Any, clock: ManualClock, seconds: float) -> None:
        self.runs = 0
        self._model, self._clock, self._seconds = model, clock, seconds

    def run(self, **inputs: Any) -> Any:
        self.runs += 1
        self._clock.advance(self._seconds)
        return self._model.run(**inputs)


class Bench:
    """A worker with a detector and a repairer that take time; `settled` has what it said, and when."""

    def __init__(self, folder: Path) -> None:
        bundle = load(folder)
        engine = start(bundle, "cpu", max_batch=4)
        assert engine.repairer is not None
        self.clock = ManualClock(0.0)
        self.windows = Slow(engine.repairer._model, self.clock, WINDOW)
        engine.detector._model = Slow(engine.detector._model, self.clock, RUN)
        engine.repairer._model = self.windows
        self._team, self._worker = Team(bundle, [engine]), Worker(0, self.clock)
        self.settled: list[tuple[Inspection, float]] = []

    def frame(self, image: Image, deadline: float, overlap: int | None = None, number: int = 1) -> Frame:
        station = Station("cam1", self._team, Judge(0.7, 1), True, View((48, 64, 1), overlap))
        return Frame("cam1", number, 0, 0.0, deadline, image, fitted=station.fit(image), standard=station)

    def inspect(self, *frames: Frame, **asked: Any) -> None:
        self._worker.inspect(
            frames, 0.0, 0.0, lambda inspection: self.settled.append((inspection, self.clock.monotonic())), **asked
        )

    def left(self, frame: Frame) -> float:
        return frame.deadline - self.clock.monotonic()


@pytest.fixture
def bench(bright: Path) -> Bench:
    return Bench(bright)


def spotted(boxes: Sequence[tuple[int, int, int, int]]) -> Image:
    """A large picture with a bright square at each of `boxes`."""
    image = picture(96, 400)
    for x, y, w, h in boxes:
        image[y : y + h, x : x + w] = 250
    return image


def test_a_defect_is_repaired_and_looked_at_again_where_there_is_time(bench: Bench) -> None:
    bench.inspect(bench.frame(spotted(SIX_WINDOWS), deadline=2.0), left=bench.left)
    ((found, at),) = bench.settled
    assert found.verdict is Verdict.NG
    assert len(found.patches) == 6
    assert found.residual is not None
    assert found.receipt.repair == pytest.approx(6 * WINDOW + RUN)
    assert at == pytest.approx(RUN + 6 * WINDOW + RUN)


@pytest.mark.parametrize("overlap", [None, 8], ids=["resized", "in tiles"])
@pytest.mark.parametrize("deadline", [0.06, 0.3, 0.7, 0.9, 1.2])
def test_a_defect_leaves_before_its_deadline_without_what_is_left_of_its_repair(
    bench: Bench, overlap: int | None, deadline: float, caplog: pytest.LogCaptureFixture
) -> None:
    image = spotted(SIX_WINDOWS)
    looked = -(-bench.frame(image, 9.0, overlap).standard.rows(image) // 4) * RUN  # type: ignore[union-attr]
    bench.inspect(bench.frame(image, looked + deadline, overlap), left=bench.left)
    ((found, at),) = bench.settled
    assert found.verdict is Verdict.NG
    assert found.mask is not None
    assert at < looked + deadline
    if deadline < 6 * WINDOW:
        assert found.patches == ()
        assert found.residual is None
        assert found.receipt.repair == 0
        assert "there was no time to repair 1 frame(s), last camera cam1, frame 1" in caplog.text


def test_nothing_waits_for_the_repair_of_what_is_due_later(bench: Bench) -> None:
    image = spotted(SIX_WINDOWS)
    late, soon = bench.frame(image, 2.0, number=1), bench.frame(image, 0.5, number=2)
    bench.inspect(late, soon, left=bench.left)
    assert [found.frame.number for found, _ in bench.settled] == [2, 1]
    assert bench.settled[0][1] < 0.5
    assert bench.settled[0][0].patches == ()
    assert len(bench.settled[1][0].patches) == 6


def test_a_defect_that_waits_for_its_repair_leaves_before_its_deadline_while_others_are_looked_at(bench: Bench) -> None:
    large = picture(400, 400)
    hurried = bench.frame(picture(square=(20, 20, 8, 8)), deadline=0.5, number=1)
    bench.inspect(hurried, bench.frame(large, 60.0, overlap=8, number=2), left=bench.left)
    (first, at), (second, _) = bench.settled
    assert (first.frame.number, first.verdict, first.patches) == (1, Verdict.NG, ())
    assert at < 0.5
    assert (second.frame.number, second.verdict) == (2, Verdict.OK)


def test_the_repairs_of_a_batch_hold_the_worker_no_longer_than_they_may(bench: Bench) -> None:
    image = spotted(SIX_WINDOWS[:3])
    bench.inspect(*(bench.frame(image, 60.0, number=number) for number in (1, 2)), left=bench.left, longest_repair=0.6)
    (first, _), (second, at) = bench.settled
    assert len(first.patches) == 3
    assert first.residual is not None
    assert (second.verdict, second.patches, second.residual) == (Verdict.NG, (), None)
    assert at <= RUN + 0.6 + WINDOW


def test_a_frame_without_a_deadline_takes_its_time_and_lets_others_pass_before_each_step(bench: Bench) -> None:
    asked: list[int] = []

    def goes_on(_: Frame) -> bool:
        asked.append(bench.windows.runs)
        return True

    bench.inspect(bench.frame(spotted(SIX_WINDOWS), math.inf), goes_on=goes_on, left=bench.left, longest_repair=WINDOW)
    ((found, _),) = bench.settled
    assert len(found.patches) == 6
    assert sorted(set(asked)) == list(range(7))  # before each window, and before the second look


@pytest.mark.parametrize("ends", ["goes_on", "left"])
def test_it_goes_on_no_longer_than_the_daemon_does(bench: Bench, ends: str) -> None:
    asked: dict[str, Callable[[Frame], object]] = {
        "goes_on": lambda _: bench.windows.runs < 2,
        "left": lambda _: 0.0 if bench.windows.runs >= 2 else math.inf,
    }
    bench.inspect(bench.frame(spotted(SIX_WINDOWS), math.inf), **{ends: asked[ends]})
    ((found, _),) = bench.settled
    assert (found.verdict, found.patches) == (Verdict.NG, ())
    assert bench.windows.runs == 2


def test_a_second_look_that_ends_early_leaves_the_first_as_it_was(bench: Bench) -> None:
    image = spotted(SIX_WINDOWS)
    before = image.copy()
    asked: list[int] = []

    def goes_on(_: Frame) -> bool:
        asked.append(bench.windows.runs)
        return asked.count(6) < 2  # one run of the second look, of two or more

    bench.inspect(bench.frame(image, math.inf, overlap=8), goes_on=goes_on)
    ((found, _),) = bench.settled
    assert (found.verdict, found.patches, found.residual) == (Verdict.NG, (), None)
    assert np.array_equal(image, before)
