"""The whole pipeline with a real model, hand-fed cameras and a memory output.

Every scenario ends with the same account: captured = ok + ng + unknown, one verdict message a frame, sequences
without gaps.

 1. good and defective frames of several cameras           -> ok and ng with mask, patches and residual
 2. a worker that hangs                                     -> unknown: deadline at the deadline, its result is late
 3. a live camera faster than the model                     -> unknown: overload, oldest first
 4. a model that fails                                      -> unknown: model, the line goes on
 5. a drain with time                                       -> every captured frame is judged
 6. a drain without time                                    -> unknown: shutdown
 7. two models                                              -> no batch mixes them
 8. a stage that raises                                     -> it is told, and remembers the error
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from inspector.clock import SystemClock
from inspector.codecs import Formats
from inspector.errors import ModelError
from inspector.inference.bundle import load
from inspector.inference.engine import Engine, start
from inspector.judge import Judge
from inspector.mailbox import BatchEnd
from inspector.outputs.memory import MemoryOutput
from inspector.pipeline import Camera, Pipeline
from inspector.publisher import Publisher
from inspector.types import Detection, Reason, Verdict
from inspector.wire import Encoder, ResultMessage, VerdictMessage, decode
from inspector.worker import Station, Worker
from tests.bundles import FILL, picture
from tests.sources import HandSource

GOOD, BAD = picture(), picture(square=(20, 20, 8, 8))


class Gate:
    """Stands before a real detector: `open` lets batches through, `fail` makes the next ones fail."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.open = threading.Event()
        self.entered = threading.Event()
        self.fail = False

    def detect(self, images: list[np.ndarray]) -> list[Detection]:
        self.entered.set()
        assert self.open.wait(30)
        if self.fail:
            raise ModelError("out of memory")
        return self.engine.detector.detect(images)

    @property
    def detector(self) -> Gate:
        return self

    @property
    def repairer(self) -> object:
        return self.engine.repairer

    @property
    def tag(self) -> object:
        return self.engine.tag


class Recorder(MemoryOutput):
    """A memory output that tells of each message."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def write(self, topic: str, parts: Sequence[bytes]) -> None:
        with self._changed:
            super().write(topic, parts)
            self._changed.notify_all()

    def all(self) -> list[list[bytes]]:
        with self._changed:
            return list(self.messages)

    def wait_for(self, kind: type, number: int) -> None:
        def enough() -> bool:
            return sum(isinstance(decode(parts), kind) for parts in self.messages) >= number

        with self._changed:
            assert self._changed.wait_for(enough, 30)


class Line:
    """A pipeline under test, and what it published."""

    def __init__(
        self, engine: Engine, cameras: dict[str, str], deadline: float = 60.0, queue: int = 100, live: bool = True
    ) -> None:
        self.sources = {name: HandSource(live) for name in cameras}
        self.output = Recorder()
        self.gates = {model: Gate(engine) for model in set(cameras.values())}
        for gate in self.gates.values():
            gate.open.set()
        self.batches: list[tuple[str, int, BatchEnd]] = []
        self.ended = threading.Event()
        clock = SystemClock()
        publisher = Publisher(
            [self.output], Encoder("line1", 1, "0" * 64), list(cameras), Formats(), clock, lambda *_: None
        )
        stations = {name: Station(model, Judge(0.7, 4), True) for name, model in cameras.items()}
        self.pipeline = Pipeline(
            [Camera(name, self.sources[name], model, deadline, queue) for name, model in cameras.items()],
            [Worker(self.gates, stations)],  # type: ignore[arg-type]
            publisher,
            max_batch=4,
            max_wait=0.0,
            on_batch=lambda *batch: self.batches.append(batch),
            on_stage_end=self.ended.set,
            clock=clock,
        )
        self.pipeline.start()

    def messages(self, kind: type[VerdictMessage] | type[ResultMessage]) -> list[VerdictMessage]:
        return [m for m in map(decode, self.output.all()) if isinstance(m, kind)]

    def verdicts(self) -> list[tuple[str, int, Verdict, Reason | None]]:
        return [(m.camera, m.frame, m.verdict, m.reason) for m in self.messages(VerdictMessage)]

    def wait_for(self, frames: int) -> None:
        """Until that many verdicts are out."""
        self.output.wait_for(VerdictMessage, frames)

    def balance(self) -> None:
        verdicts = self.messages(VerdictMessage)
        for camera, counts in self.pipeline.ledger.counts().items():
            mine = [m for m in verdicts if m.camera == camera]
            assert counts.in_flight == 0
            assert counts.captured == sum(counts.verdicts.values()) == len(mine)
            assert sorted(m.frame for m in mine) == list(range(1, counts.captured + 1))
            assert [m.sequence for m in mine] == list(range(1, len(mine) + 1))


@pytest.fixture(scope="module")
def engine(bright: Path) -> Engine:
    return start(load(bright), "cpu", max_batch=4)


@pytest.fixture
def line(engine: Engine) -> Iterator[Callable[..., Line]]:
    made: list[Line] = []

    def make(cameras: dict[str, str] | None = None, **options: object) -> Line:
        made.append(Line(engine, cameras or {"cam1": "m"}, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        for gate in one.gates.values():
            gate.open.set()
        one.pipeline.drain(10.0)
        one.balance()


def test_1_verdicts_masks_and_repairs(line: Callable[..., Line]) -> None:
    one = line({"cam1": "m", "cam2": "m"})
    for image in (GOOD, BAD, GOOD):
        one.sources["cam1"].show(image)
    one.sources["cam2"].show(BAD)
    one.wait_for(4)
    assert sorted(one.verdicts()) == [
        ("cam1", 1, Verdict.OK, None),
        ("cam1", 2, Verdict.NG, None),
        ("cam1", 3, Verdict.OK, None),
        ("cam2", 1, Verdict.NG, None),
    ]
    one.output.wait_for(ResultMessage, 2)  # results follow the verdicts
    result = next(m for m in one.messages(ResultMessage) if m.camera == "cam1")
    assert isinstance(result, ResultMessage)
    assert result.frame == 2
    assert np.array_equal(result.mask() != 0, BAD[:, :, 0] == 250)
    repaired = result.repaired(BAD)
    assert repaired is not None
    assert np.array_equal(repaired, np.where(BAD == 250, FILL, BAD))
    assert result.residual == pytest.approx(FILL / 255)
    assert [tuple(defect.box) for defect in result.defects] == [(20, 20, 8, 8)]


def test_2_a_hanging_worker_cannot_hold_a_verdict_back(line: Callable[..., Line]) -> None:
    one = line(deadline=0.05)
    one.gates["m"].open.clear()
    one.sources["cam1"].show(GOOD)
    assert one.gates["m"].entered.wait(30)
    one.wait_for(1)
    assert one.verdicts() == [("cam1", 1, Verdict.UNKNOWN, Reason.DEADLINE)]
    one.gates["m"].open.set()
    one.pipeline.drain(10.0)
    assert one.pipeline.ledger.counts()["cam1"].late == 1
    assert len(one.verdicts()) == 1


def test_3_a_camera_that_is_too_fast_loses_its_oldest(line: Callable[..., Line]) -> None:
    one = line(queue=2)
    one.gates["m"].open.clear()
    one.sources["cam1"].show(GOOD)
    assert one.gates["m"].entered.wait(30)
    for _ in range(5):
        one.sources["cam1"].show(GOOD)
    one.wait_for(3)
    assert one.verdicts() == [("cam1", number, Verdict.UNKNOWN, Reason.OVERLOAD) for number in (2, 3, 4)]
    one.gates["m"].open.set()
    one.wait_for(6)
    assert [v for v in one.verdicts() if v[2] is Verdict.OK] == [("cam1", n, Verdict.OK, None) for n in (1, 5, 6)]


def test_3b_a_file_waits_instead(line: Callable[..., Line]) -> None:
    one = line(queue=2, live=False, deadline=0.01)
    one.gates["m"].open.clear()
    for _ in range(8):
        one.sources["cam1"].show(GOOD)
    one.sources["cam1"].end()
    assert one.gates["m"].entered.wait(30)
    one.gates["m"].open.set()
    one.wait_for(8)
    assert {verdict for _, _, verdict, _ in one.verdicts()} == {Verdict.OK}


def test_4_a_failing_model_makes_unknown_and_the_line_goes_on(line: Callable[..., Line]) -> None:
    one = line()
    one.gates["m"].fail = True
    one.sources["cam1"].show(BAD)
    one.wait_for(1)
    one.gates["m"].fail = False
    one.sources["cam1"].show(GOOD)
    one.wait_for(2)
    assert [v[2:] for v in one.verdicts()] == [(Verdict.UNKNOWN, Reason.MODEL), (Verdict.OK, None)]


def test_5_a_drain_judges_what_was_captured(line: Callable[..., Line]) -> None:
    one = line()
    one.gates["m"].open.clear()
    for _ in range(7):
        one.sources["cam1"].show(GOOD)
    assert one.gates["m"].entered.wait(30)
    threading.Timer(0.05, one.gates["m"].open.set).start()
    assert one.pipeline.drain(30.0) == 0
    assert {verdict for _, _, verdict, _ in one.verdicts()} == {Verdict.OK}


def test_6_a_drain_without_time_says_shutdown(line: Callable[..., Line]) -> None:
    one = line()
    one.gates["m"].open.clear()
    one.sources["cam1"].show(GOOD)
    assert one.gates["m"].entered.wait(30)
    assert one.pipeline.drain(0.1) == 1
    assert one.verdicts() == [("cam1", 1, Verdict.UNKNOWN, Reason.SHUTDOWN)]


def test_7_a_batch_never_mixes_models(line: Callable[..., Line]) -> None:
    one = line({"a": "m1", "b": "m2", "c": "m1"})
    for gate in one.gates.values():
        gate.open.clear()
    for _ in range(6):
        for source in one.sources.values():
            source.show(GOOD)
    for gate in one.gates.values():
        gate.open.set()
    one.wait_for(18)
    assert sum(frames for model, frames, _ in one.batches if model == "m1") == 12
    assert sum(frames for model, frames, _ in one.batches if model == "m2") == 6
    assert max(frames for _, frames, _ in one.batches) <= 4


def test_8_a_stage_that_raises_is_told_and_remembered(line: Callable[..., Line]) -> None:
    one = line()

    def broken(_: object) -> None:
        raise RuntimeError("a bug")

    one.gates["m"].detect = broken  # type: ignore[method-assign, assignment]
    one.sources["cam1"].show(GOOD)
    assert one.ended.wait(30)
    assert isinstance(one.pipeline.working[0].error, RuntimeError)
    assert one.pipeline.drain(0.2) == 1
    assert one.verdicts() == [("cam1", 1, Verdict.UNKNOWN, Reason.SHUTDOWN)]
