"""The whole pipeline with a real model, hand-fed cameras and a memory output.

Every scenario ends with the same account: captured = ok + ng + unknown, one verdict message a frame, sequences
without gaps.

 1. good and defective frames of several cameras           -> ok and ng with mask, patches and residual
 2. a worker that hangs                                     -> unknown: deadline at the deadline, its result is evidence
 3. a live camera faster than the model                     -> unknown: overload, oldest first
 4. a model that fails                                      -> unknown: model, the line goes on
 5. a drain with time                                       -> every captured frame is judged
 6. a drain without time                                    -> unknown: shutdown
 7. two models                                              -> no batch mixes them
 8. a stage that raises                                     -> exit code 70, after the drain
 9. a worker that hangs, beside stages that only wait       -> the health check names it alone
10. a repair that fails                                     -> ng with its mask but no patches, the line goes on
11. frames whose deadline passes in the queue               -> unknown: deadline, and no worker looks at them
12. cameras that see the same parts                         -> one verdict a part, after those of its frames
13. a camera that does not see a part                       -> unknown: deadline for it, at the station's deadline
14. triggers, one of them without a frame                   -> its part is unknown: camera
15. a drain with triggers and parts that wait               -> unknown: shutdown, each once
16. a large frame in tiles, and a small one due before it   -> the small one overtakes it
17. a large frame whose deadline passes among its tiles     -> unknown: deadline, and it is given up
18. services beside the flow                                -> each gives way by as much as it says
19. a repair that takes too long                            -> ng in time, with its mask but no patches
20. a drain, and a repair of a file that takes for ever     -> the same
21. frames and parts that come with an age                  -> they are due before the watch would look, and it does
22. a publisher that dies with its queue full               -> exit code 70, nobody waits for it
22b. verdicts while results are owed                       -> they go before the next result
22c. a publisher that does not end                         -> the journal's session stays open, the process ends
22d. a drain of no length                                  -> the last verdicts are published all the same
23. sources that cannot be closed, or hang when they are    -> a drain judges what was captured
24. a flood's refusals wait for more of them                -> no other verdict waits with them
"""

from __future__ import annotations

import gc
import logging
import math
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from inspector import codecs
from inspector.clock import ManualClock, SystemClock
from inspector.codecs import Formats
from inspector.daemon import Daemon
from inspector.errors import DataError, ModelError
from inspector.inference.bundle import load
from inspector.inference.engine import Engine, Team, start
from inspector.judge import Judge
from inspector.mailbox import Closed
from inspector.messages import PartMessage, ResultMessage, VerdictMessage
from inspector.pipeline import OUTBOX_DEPTH
from inspector.stage import Service
from inspector.types import Inspection, Reason, Verdict
from inspector.wire import decode
from tests.bundles import FILL, make_bundle, picture
from tests.line import Line
from tests.waiting import PATIENCE, until

GOOD, BAD = picture(), picture(square=(20, 20, 8, 8))


@pytest.fixture(scope="module")
def engine(bright: Path) -> Engine:
    return start(load(bright), "cpu", max_batch=4)


@pytest.fixture
def line(engine: Engine) -> Iterator[Callable[..., Line]]:
    made: list[Line] = []

    def make(cameras: dict[str, str] | None = None, started: bool = True, **options: object) -> Line:
        made.append(Line(engine, cameras or {"cam1": "m"}, **options))  # type: ignore[arg-type]
        if started:
            made[-1].pipeline.start()
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
    one = line(deadline=1.0)
    one.gates["m"].open.clear()
    one.sources["cam1"].show(BAD)
    assert one.gates["m"].entered.wait(PATIENCE)
    one.wait_for(1)
    assert one.verdicts() == [("cam1", 1, Verdict.UNKNOWN, Reason.DEADLINE)]
    one.gates["m"].open.set()
    one.pipeline.drain(10.0)
    assert one.pipeline.ledger.counts()["cam1"].late == 1
    (late,) = one.publisher.late
    assert (late.frame.number, late.verdict) == (1, Verdict.NG)
    assert np.array_equal(late.mask != 0, BAD[:, :, 0] == 250)
    assert len(one.verdicts()) == 1
    assert not one.messages(ResultMessage)


def test_3_a_camera_that_is_too_fast_loses_what_finds_its_queue_full(line: Callable[..., Line]) -> None:
    one = line(queue=2)
    one.gates["m"].open.clear()
    one.sources["cam1"].show(GOOD)
    assert one.gates["m"].entered.wait(PATIENCE)
    for _ in range(5):
        one.sources["cam1"].show(GOOD)
    one.wait_for(3)
    assert one.verdicts() == [("cam1", number, Verdict.UNKNOWN, Reason.OVERLOAD) for number in (4, 5, 6)]
    one.gates["m"].open.set()
    one.wait_for(6)
    assert [v for v in one.verdicts() if v[2] is Verdict.OK] == [("cam1", n, Verdict.OK, None) for n in (1, 2, 3)]


def test_3b_a_file_waits_instead(line: Callable[..., Line]) -> None:
    one = line(queue=2, live=False, deadline=0.01)
    one.gates["m"].open.clear()
    for _ in range(8):
        one.sources["cam1"].show(GOOD)
    one.sources["cam1"].end()
    assert one.gates["m"].entered.wait(PATIENCE)
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
    assert one.gates["m"].entered.wait(PATIENCE)
    threading.Timer(0.05, one.gates["m"].open.set).start()
    assert one.pipeline.drain(30.0) == 0
    assert {verdict for _, _, verdict, _ in one.verdicts()} == {Verdict.OK}


def test_6_a_drain_without_time_says_shutdown(line: Callable[..., Line]) -> None:
    one = line()
    one.gates["m"].open.clear()
    one.sources["cam1"].show(GOOD)
    assert one.gates["m"].entered.wait(PATIENCE)
    assert one.pipeline.drain(0.1) == 1
    one.wait_for(1)  # the publisher may be at it still
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


def test_7b_another_model_takes_over_between_two_frames(line: Callable[..., Line], tmp_path: Path) -> None:
    """Those that wait keep what they were fitted for, be it of another size, and no batch mixes them."""
    one = line(queue=10)
    one.gates["m"].open.clear()
    one.sources["cam1"].show(GOOD)  # which the worker takes, and waits
    assert one.gates["m"].entered.wait(PATIENCE)
    for shown in (BAD, GOOD):
        one.sources["cam1"].show(shown)
    until(lambda: len(one.pipeline.inbox) == 2)
    other = load(make_bundle(tmp_path / "other", height=24, width=32))
    team = Team(other, [start(other, "cpu", max_batch=4)])
    old = one.stations["cam1"]
    gone = weakref.ref(team.engines[0].detector)
    view = replace(old.view, shape=(24, 32, 1))
    one.stations["cam1"] = replace(old, team=team, view=view, judge=Judge(0.7, 2))
    for shown in (GOOD, BAD, BAD):
        one.sources["cam1"].show(shown)
    until(lambda: len(one.pipeline.inbox) == 5)
    one.stations["cam1"] = old
    del team
    one.sources["cam1"].show(BAD)
    one.gates["m"].open.set()
    one.wait_for(7)
    told = sorted(one.messages(VerdictMessage), key=lambda message: message.frame)
    assert [m.verdict for m in told] == [Verdict.OK, Verdict.NG, Verdict.OK, Verdict.OK, *[Verdict.NG] * 3]
    assert [m.model.sha256 if m.model else "" for m in told] == [*["m"] * 3, *[other.sha256] * 3, "m"]
    assert [(model, frames) for model, frames, _ in one.batches] == [
        ("m", 1), ("m", 2), (other.sha256, 3), ("m", 1),
    ]  # fmt: skip
    one.balance()
    until(lambda: gc.collect() >= 0 and gone() is None, "the model that judges no more frames is still there")


def test_8_a_stage_that_raises_ends_the_daemon_with_70(line: Callable[..., Line]) -> None:
    one = line(started=False)

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    one.gates["m"].look = broken  # type: ignore[method-assign, assignment]
    one.sources["cam1"].show(GOOD)
    daemon = Daemon(one.pipeline, one.wake, drain=0.2, stall=60.0, clock=SystemClock())
    assert daemon.run() == 70
    assert isinstance(one.pipeline.working[0].error, RuntimeError)
    assert daemon.failing() == ["work-0: RuntimeError('a bug')"]
    one.wait_for(1)
    assert one.verdicts() == [("cam1", 1, Verdict.UNKNOWN, Reason.SHUTDOWN)]


def test_9_a_hung_worker_is_seen_and_a_quiet_one_is_not(line: Callable[..., Line]) -> None:
    one = line()
    clock = ManualClock()
    for stage in (*one.pipeline.working, one.pipeline.watching, one.pipeline.publishing):
        stage._clock = clock
        stage.beat()
    daemon = Daemon(one.pipeline, one.wake, drain=1.0, stall=30.0, clock=clock)
    one.gates["m"].open.clear()
    one.sources["cam1"].show(GOOD)
    assert one.gates["m"].entered.wait(PATIENCE)
    clock.advance(31.0)
    one.sources["cam1"].show(GOOD)
    until(lambda: daemon.failing() == ["work-0: no progress for 31 s"], "the others do not look up")
    one.gates["m"].open.set()
    one.wait_for(2)
    one.pipeline.drain(10.0)
    assert daemon.failing() == []


def test_10_a_failing_repair_leaves_the_verdict(line: Callable[..., Line], engine: Engine) -> None:
    class Broken:
        def repair(self, *_: object) -> None:
            raise ModelError("out of memory")

    one = line()
    one.gates["m"].engine = replace(engine, repairer=Broken())  # type: ignore[arg-type]
    one.sources["cam1"].show(BAD)
    one.wait_for(1)
    assert one.verdicts() == [("cam1", 1, Verdict.NG, None)]
    one.output.wait_for(ResultMessage, 1)
    one.gates["m"].engine = engine
    one.sources["cam1"].show(BAD)
    one.output.wait_for(ResultMessage, 2)
    failed, repaired = one.messages(ResultMessage)
    assert isinstance(failed, ResultMessage)
    assert isinstance(repaired, ResultMessage)
    assert np.array_equal(failed.mask() != 0, BAD[:, :, 0] == 250)
    assert [tuple(defect.box) for defect in failed.defects] == [(20, 20, 8, 8)]
    assert failed.patches() == ()
    assert failed.repaired(BAD) is None
    assert failed.residual is None
    assert failed.latency.repair == 0
    assert repaired.residual == pytest.approx(FILL / 255)


def test_11_what_is_too_late_is_not_looked_at(line: Callable[..., Line]) -> None:
    one = line(deadline=1.0)
    one.gates["m"].open.clear()
    one.sources["cam1"].show(GOOD)
    assert one.gates["m"].entered.wait(PATIENCE)
    for _ in range(3):
        one.sources["cam1"].show(GOOD)
    one.wait_for(4)
    assert {verdict[2:] for verdict in one.verdicts()} == {(Verdict.UNKNOWN, Reason.DEADLINE)}
    one.gates["m"].open.set()
    one.pipeline.drain(10.0)
    assert sum(frames for _, frames, _ in one.batches) == 1
    assert [late.frame.number for late in one.publisher.late] == [1]


def told(one: Line) -> dict[str, tuple[Verdict, Reason | None]]:
    """The parts by id; each has one verdict."""
    parts = one.parts()
    assert len({part.part for part in parts}) == len(parts)
    return {part.part: (part.verdict, part.reason) for part in parts}


def test_12_a_part_has_one_verdict_after_those_of_its_frames(line: Callable[..., Line]) -> None:
    one = line({"cam1": "m", "cam2": "m"}, station=60.0)
    for number in range(20):
        one.sources["cam1"].show(BAD if number % 5 == 0 else GOOD, part=f"A{number}")
    for number in range(20):
        one.sources["cam2"].show(BAD if number % 7 == 0 else GOOD, part=f"A{number}")
    one.output.wait_for(PartMessage, 20)
    bad = {f"A{number}" for number in range(20) if number % 5 == 0 or number % 7 == 0}
    assert told(one) == {f"A{n}": (Verdict.NG, None) if f"A{n}" in bad else (Verdict.OK, None) for n in range(20)}
    said: set[tuple[str, int]] = set()
    for message in map(decode, one.output.all()):
        if isinstance(message, VerdictMessage):
            said.add((message.camera, message.frame))
        elif isinstance(message, PartMessage):
            assert {(word.camera, word.frame) for word in message.cameras} <= said


def test_13_a_camera_that_does_not_see_a_part_cannot_hold_its_verdict_back(line: Callable[..., Line]) -> None:
    one = line({"cam1": "m", "cam2": "m"}, station=3.0)
    one.sources["cam1"].show(GOOD, part="A1")
    one.sources["cam1"].show(GOOD)  # of no part
    one.output.wait_for(PartMessage, 1)
    (part,) = one.parts()
    assert (part.verdict, part.reason) == (Verdict.UNKNOWN, Reason.DEADLINE)
    assert [(w.camera, w.frame, w.verdict, w.reason) for w in part.cameras] == [
        ("cam1", 1, Verdict.OK, None),
        ("cam2", None, Verdict.UNKNOWN, Reason.DEADLINE),
    ]
    assert part.seconds >= 3.0


def test_13b_a_worker_that_hangs_cannot_hold_it_back_either(line: Callable[..., Line]) -> None:
    one = line({"cam1": "m", "cam2": "m"}, station=0.5)
    one.gates["m"].open.clear()
    one.sources["cam1"].show(BAD, part="A1")
    one.output.wait_for(PartMessage, 1)
    assert told(one) == {"A1": (Verdict.UNKNOWN, Reason.DEADLINE)}
    one.gates["m"].open.set()
    one.wait_for(1)
    assert one.pipeline.drain(10.0) == 0
    assert len(one.parts()) == 1
    assert one.pipeline.parts.counts()["gate"].late == 1


def test_14_a_trigger_without_a_frame_makes_its_part_unknown(line: Callable[..., Line]) -> None:
    one = line({"cam1": "m", "cam2": "m"}, station=60.0, window=3.0)
    one.trigger("A1")
    one.sources["cam1"].show(BAD)
    one.output.wait_for(PartMessage, 1)
    one.trigger("A2")
    for source in one.sources.values():
        source.show(GOOD)
    one.output.wait_for(PartMessage, 2)
    first, second = one.parts()
    assert (first.part, first.verdict) == ("A1", Verdict.NG), "what one has seen counts"
    assert [(w.frame, w.verdict, w.reason) for w in first.cameras] == [
        (1, Verdict.NG, None),
        (1, Verdict.UNKNOWN, Reason.CAMERA),
    ]
    assert (second.part, second.verdict) == ("A2", Verdict.OK)
    assert [(m.camera, m.frame, m.part) for m in one.messages(VerdictMessage) if m.reason is Reason.CAMERA] == [
        ("cam2", 1, "A1")
    ]


def test_15_a_drain_gives_every_part_and_trigger_its_verdict(line: Callable[..., Line]) -> None:
    one = line({"cam1": "m", "cam2": "m"}, station=60.0, window=60.0)
    one.trigger("A1")
    one.sources["cam1"].show(GOOD)
    one.wait_for(1)
    one.trigger("A2")
    one.pipeline.drain(10.0)
    assert told(one) == {"A1": (Verdict.UNKNOWN, Reason.SHUTDOWN), "A2": (Verdict.UNKNOWN, Reason.SHUTDOWN)}
    with pytest.raises(Closed):
        one.trigger("A3")


def test_16_a_small_frame_that_is_due_earlier_overtakes_a_large_one(line: Callable[..., Line]) -> None:
    one = line({"small": "m", "large": "m"}, tiled={"large": 120.0})
    one.gates["m"].open.clear()
    one.sources["large"].show(picture(300, 400, square=(58, 40, 12, 10)))
    assert one.gates["m"].entered.wait(PATIENCE)
    one.sources["small"].show(GOOD)
    until(lambda: len(one.pipeline.inbox) == 1)
    one.gates["m"].open.set()
    one.wait_for(2)
    assert one.verdicts() == [("small", 1, Verdict.OK, None), ("large", 1, Verdict.NG, None)]
    one.pipeline.drain(5.0)
    (result,) = one.messages(ResultMessage)
    assert [defect.box for defect in result.defects] == [(58, 40, 12, 10)]
    assert result.residual == pytest.approx(FILL / 255)
    one.balance()


def test_17_a_large_frame_past_its_deadline_is_given_up(line: Callable[..., Line]) -> None:
    one = line({"large": "m", "small": "m"}, tiled={"large": 0.5})
    one.gates["m"].open.clear()
    one.sources["large"].show(picture(300, 400, square=(58, 40, 12, 10)))
    one.wait_for(1)
    one.gates["m"].open.set()
    one.sources["small"].show(GOOD)
    one.wait_for(2)
    assert one.verdicts() == [("large", 1, Verdict.UNKNOWN, Reason.DEADLINE), ("small", 1, Verdict.OK, None)]
    one.pipeline.drain(5.0)
    assert one.publisher.late == []
    one.balance()


class Endless:
    """A repairer whose windows never end."""

    def __init__(self) -> None:
        self.entered = threading.Event()

    def repair(self, *given: Any) -> NoReturn:
        self.entered.set()
        while True:
            given[-1]()


@pytest.mark.parametrize("live", [True, False], ids=["19", "20"])
def test_19_and_20_a_repair_without_an_end_loses_no_verdict(
    line: Callable[..., Line], engine: Engine, live: bool
) -> None:
    one = line(live=live)
    assert one.pipeline._longest_repair == (30.0 if live else math.inf), "half of the shortest deadline"
    if live:
        one.pipeline._longest_repair = 0.3
    repairer = Endless()
    one.gates["m"].engine = replace(engine, repairer=repairer)  # type: ignore[arg-type]
    one.sources["cam1"].show(BAD)
    assert repairer.entered.wait(PATIENCE)
    if live:
        one.wait_for(1)
    draining = threading.Thread(target=one.pipeline.drain, args=(2 * PATIENCE,), daemon=True)
    draining.start()
    until(lambda: one.pipeline._repairs_end < math.inf)
    assert one.pipeline._repairs_end < time.monotonic() + PATIENCE, "half of the drain"
    one.pipeline._repairs_end = 0.0
    draining.join(PATIENCE)
    assert one.verdicts() == [("cam1", 1, Verdict.NG, None)]
    (result,) = one.messages(ResultMessage)
    assert isinstance(result, ResultMessage)
    assert np.array_equal(result.mask() != 0, BAD[:, :, 0] == 250)
    assert result.patches() == ()
    assert result.residual is None


class Counting(threading.Event):
    """Counts how often it was set."""

    sets = 0

    def set(self) -> None:
        self.sets += 1
        super().set()


@pytest.mark.parametrize("station", [None, 60.0])
def test_21_the_watch_looks_earlier_for_what_comes_with_an_age(
    line: Callable[..., Line], station: float | None
) -> None:
    cameras = {"cam1": "m", "cam2": "m"}
    one = line(cameras, started=False, deadline=60.0 if station is None else 3600.0, station=station)
    one.gates["m"].open.clear()
    one.pipeline._longest_nap = 50.0
    one.pipeline._hurried = hurried = Counting()
    one.pipeline.start()
    one.sources["cam1"].show(GOOD, part="a")
    assert one.gates["m"].entered.wait(PATIENCE)
    assert hurried.sets == 0
    one.sources["cam2"].show(GOOD, part="b", captured_ns=time.time_ns() - 59_500_000_000)
    if station is None:
        one.wait_for(1)
        assert one.verdicts() == [("cam2", 1, Verdict.UNKNOWN, Reason.DEADLINE)]
    else:
        one.output.wait_for(PartMessage, 1)
        assert [(part.part, part.verdict) for part in one.parts()] == [("b", Verdict.UNKNOWN)]
    assert hurried.sets == 1


def test_22_a_publisher_that_dies_holds_nobody_up(engine: Engine) -> None:
    one = Line(engine, {"cam1": "m"})

    def broken(_: object) -> None:
        until(lambda: len(one.pipeline.outbox) >= OUTBOX_DEPTH)
        raise MemoryError

    one.publisher.publish = broken  # type: ignore[method-assign]
    daemon, codes = Daemon(one.pipeline, one.wake, drain=2.0, stall=60.0, clock=SystemClock()), list[int]()
    running = threading.Thread(target=lambda: codes.append(daemon.run()), daemon=True)
    running.start()
    for _ in range(2 * OUTBOX_DEPTH):
        one.sources["cam1"].show(GOOD)
    running.join(PATIENCE)
    assert codes == [70]
    assert isinstance(one.pipeline.publishing.error, MemoryError)
    stages = *one.pipeline.reading, *one.pipeline.working, one.pipeline.watching
    until(lambda: not any(stage.alive for stage in stages), "somebody waits")


def test_22b_a_verdict_goes_before_results_that_are_owed(
    line: Callable[..., Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = line({"cam1": "m", "cam2": "m"}, live=False)  # which never stall, so that nothing else is to be told
    entered, release = threading.Semaphore(0), threading.Semaphore(0)
    really = codecs.encode

    def held(inspection: Inspection, formats: Formats) -> list[codecs.Payload]:
        entered.release()
        assert release.acquire(timeout=PATIENCE)
        return really(inspection, formats)

    monkeypatch.setattr(codecs, "encode", held)
    one.sources["cam2"].show(GOOD)
    one.wait_for(1)
    one.sources["cam1"].show(BAD)
    assert entered.acquire(timeout=PATIENCE)
    one.sources["cam1"].show(BAD)
    one.sources["cam1"].show(BAD)
    until(lambda: len(one.pipeline.outbox) == 2, "two more are judged while the first result is encoded")
    release.release()
    assert entered.acquire(timeout=PATIENCE)  # the second; the third is owed
    one.sources["cam2"].show(GOOD)
    until(lambda: len(one.pipeline.outbox) == 1, "another camera's frame is judged")
    release.release(2)
    one.output.wait_for(ResultMessage, 3)
    told = [m for m in map(decode, one.output.all()) if isinstance(m, VerdictMessage | ResultMessage)]
    assert [(m.kind, m.camera, m.frame) for m in told] == [
        ("verdict", "cam2", 1),
        ("verdict", "cam1", 1), ("result", "cam1", 1), ("verdict", "cam1", 2), ("verdict", "cam1", 3),
        ("result", "cam1", 2), ("verdict", "cam2", 2), ("result", "cam1", 3),
    ]  # fmt: skip


def test_22c_a_publisher_that_does_not_end_leaves_the_books_open_and_the_process_at_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Line(engine, {"cam1": "m"})
    entered, release, cut = threading.Event(), threading.Event(), list[bool]()

    def hanging(*_: object) -> NoReturn:
        entered.set()
        assert release.wait(PATIENCE)
        raise DataError("too late")

    def gone(code: int) -> NoReturn:
        raise SystemExit(code)

    monkeypatch.setattr(codecs, "encode", hanging)
    monkeypatch.setattr(os, "_exit", gone)
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    monkeypatch.setattr(one.publisher, "cut_off", lambda: cut.append(True))
    one.pipeline.start()
    one.sources["cam1"].show(BAD)
    assert entered.wait(PATIENCE)
    daemon = Daemon(one.pipeline, one.wake, drain=0.0, stall=60.0, clock=SystemClock())
    one.pipeline.drain(0.0)
    assert one.pipeline.abandoned() == ["publish"]
    assert cut == [True]
    with pytest.raises(SystemExit) as ended:
        daemon.leave(3)
    assert ended.value.code == 3
    release.set()
    until(lambda: one.pipeline.abandoned() == [])
    daemon.leave(3)  # stays, as all did end


def test_22d_the_last_verdict_is_published_however_short_the_drain(line: Callable[..., Line]) -> None:
    one = line()
    one.gates["m"].open.clear()
    one.sources["cam1"].show(GOOD)
    assert one.gates["m"].entered.wait(PATIENCE)
    really = one.publisher.publish

    def slow(items: Any) -> None:
        items = list(items)
        if items:
            until(lambda: one.pipeline.outbox._closed)  # that is when the drain waits for it
        really(items)

    one.publisher.publish = slow  # type: ignore[method-assign]
    assert one.pipeline.drain(0.0) == 1
    assert not one.pipeline.publishing.alive
    assert one.verdicts() == [("cam1", 1, Verdict.UNKNOWN, Reason.SHUTDOWN)]


@pytest.mark.parametrize("hangs", [False, True])
def test_23_a_source_that_cannot_be_closed_costs_no_verdict(
    line: Callable[..., Line], hangs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    one = line({"cam1": "m", "cam2": "m"})
    end = threading.Event()

    def close() -> None:
        if not hangs:
            raise RuntimeError("the driver has lost its handle")
        end.wait(PATIENCE)

    one.sources["cam1"].close = close  # type: ignore[method-assign]
    one.gates["m"].open.clear()
    for source in one.sources.values():
        source.show(BAD)
    until(lambda: len(one.pipeline.ledger.in_flight()) == 2)
    draining = threading.Thread(target=one.pipeline.drain, args=(8.0,), daemon=True)
    draining.start()
    one.gates["m"].open.set()
    draining.join(PATIENCE)
    assert not draining.is_alive()
    assert {verdict[2] for verdict in one.verdicts()} == {Verdict.NG}
    assert ("camera cam1: its source could not be closed" in caplog.text) is not hangs
    end.set()
    one.sources["cam1"].end()


class Humble(Service):
    """Notes the niceness of its thread."""

    niceness = 7

    def __init__(self) -> None:
        self.found: int | None = None
        self._stopped = threading.Event()

    def run(self, beat: Callable[[], None]) -> None:
        self.found = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        self._stopped.wait(PATIENCE)

    def stop(self) -> None:
        self._stopped.set()


class Proud(Humble):
    niceness = 0


def test_24_refusals_may_wait_and_no_other_verdict_does(
    line: Callable[..., Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inspector.pipeline.REFUSALS_WAIT", 3600.0)
    one = line({"cam1": "m", "cam2": "m2"}, queue=1)
    one.gates["m"].open.clear()
    one.sources["cam1"].show(GOOD)
    assert one.gates["m"].entered.wait(PATIENCE)
    for _ in range(3):  # one waits for the worker, the others find the queue full
        one.sources["cam1"].show(GOOD)
    refused = Verdict.UNKNOWN, Reason.OVERLOAD
    until(lambda: one.pipeline.ledger.counts()["cam1"].verdicts[refused] == 2)
    one.wait_for(1)  # the other may be out, too, or wait for an hour
    one.gates["m"].open.set()
    one.wait_for(4)
    one.sources["cam2"].show(BAD)
    one.wait_for(5)
    assert [v[3] for v in one.verdicts()].count(Reason.OVERLOAD) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no niceness of their own")
def test_18_services_give_way_by_as_much_as_they_say(line: Callable[..., Line]) -> None:
    services = {"humble": Humble(), "proud": Proud()}
    line(aside=services)
    before = os.getpriority(os.PRIO_PROCESS, 0)
    until(lambda: all(service.found is not None for service in services.values()))
    assert [service.found for service in services.values()] == [min(before + 7, 19), before]
