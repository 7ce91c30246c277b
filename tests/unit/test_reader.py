from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest

from inspector.clock import ManualClock
from inspector.condition.limits import NOTHING, Limits, fixed
from inspector.condition.monitor import CALM, Monitor
from inspector.condition.presence import State
from inspector.errors import RefusedError
from inspector.inference.fit import fitted
from inspector.ledger import Ledger
from inspector.mailbox import Closed, Mailbox, Order
from inspector.matching import Trigger, Triggers
from inspector.sources import intake
from inspector.sources import reader as module
from inspector.sources.intake import Camera
from inspector.sources.reader import Reader
from inspector.sources.stacked import Stacked
from inspector.sources.throttle import Throttle
from inspector.types import Cause, Event, Frame, Inspection, Reason, Shot, Verdict
from tests.bundles import picture
from tests.sources import HandSource
from tests.standards import Plain
from tests.waiting import until


def halved(image: np.ndarray) -> np.ndarray:
    """What the detector would take here: every other pixel."""
    return image[::2, ::2]


class Bench:
    """A reader on a hand-fed source, with everything it touches in reach."""

    def __init__(
        self,
        source: HandSource | Stacked,
        queue: int = 2,
        fit: Callable[[np.ndarray], np.ndarray] = halved,
        limits: Limits = NOTHING,
        triggers: Triggers | None = None,
        throttle: Throttle | None = None,
        order: Order[Frame] | None = None,
    ) -> None:
        self.source, self.triggers = source, triggers
        self.clock = ManualClock()
        self.ledger = Ledger(["cam"])
        self.inbox: Mailbox[Frame] = Mailbox({"cam": queue}, order)
        self.settled: list[Inspection] = []
        self.events: list[Event] = []
        self.captured: list[Frame] = []
        standard = Plain(fitting=fit)
        camera = Camera(
            "cam", source, lambda: standard, 0.5, queue, Monitor(limits), triggers=triggers, throttle=throttle
        )
        self.reader = Reader(
            camera,
            self.ledger,
            self.inbox,
            self._settle,
            self.events.append,
            self.clock,
            self.captured.append,
        )

    def _settle(self, inspection: Inspection) -> None:
        assert self.ledger.settle(inspection, self.clock.monotonic()) == (inspection,)
        self.settled.append(inspection)

    def run(self) -> None:
        self.reader.run(lambda: None)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.0)


def test_stamps_and_numbers_frames() -> None:
    source = HandSource(live=False)
    bench = Bench(source)
    source.show(picture(), part="p1")
    source.show(picture())
    source.end()
    bench.run()
    first, second = bench.inbox.take(2).items
    assert (first.camera, first.number, first.part) == ("cam", 1, "p1")
    assert (second.number, second.part) == (2, None)
    assert first.image is not None
    assert np.array_equal(first.fitted, halved(first.image))
    assert first.captured == bench.clock.monotonic()
    assert first.captured_ns == bench.clock.wall_ns()
    assert first.deadline == float("inf"), "no part passes by a file"
    assert bench.ledger.counts()["cam"].in_flight == 2


def test_a_live_frame_has_a_deadline_and_pushes_out_the_oldest() -> None:
    source = HandSource(live=True)
    bench = Bench(source, queue=2)
    for _ in range(3):
        source.show(picture())
    source.fail("cable pulled")
    stopper = Stopper(bench, after_events=2)
    bench.run()
    stopper.join()
    (pushed_out,) = bench.settled
    assert (pushed_out.frame.number, pushed_out.verdict, pushed_out.reason) == (1, Verdict.UNKNOWN, Reason.OVERLOAD)
    frames = bench.inbox.take(5).items
    assert [frame.number for frame in frames] == [2, 3]
    assert frames[0].deadline == frames[0].captured + 0.5


def test_a_frame_is_as_old_as_its_source_says() -> None:
    """Its deadline counts from then; no stamp lies in the future, nor before that of the frame in front of it."""
    source = HandSource(live=True)
    bench = Bench(source, queue=9)
    now, now_ns = bench.clock.monotonic(), bench.clock.wall_ns()
    for age_ms in (300, 400, 100, -1000):
        source.show(picture(), captured_ns=now_ns - 1_000_000 * age_ms)
    source.end()
    bench.run()
    frames = bench.inbox.take(9).items
    assert [frame.captured for frame in frames] == pytest.approx([now - 0.3, now - 0.3, now - 0.1, now])
    assert [frame.captured_ns - now_ns for frame in frames] == pytest.approx([-3e8, -3e8, -1e8, 0], abs=1e3)
    assert [frame.deadline for frame in frames] == pytest.approx([now + 0.2, now + 0.1, now + 0.4, now + 0.5])
    assert bench.ledger.next_deadline() == frames[1].deadline
    assert bench.ledger.overdue(now + 0.15) == [frames[1]]


def test_a_frame_that_comes_older_than_its_deadline_is_unknown_and_pushes_no_other_out() -> None:
    source = HandSource(live=True)
    bench = Bench(source, queue=1)
    source.show(picture(), captured_ns=bench.clock.wall_ns() - 600_000_000)
    source.show(picture())
    source.show(picture(), captured_ns=bench.clock.wall_ns() - 600_000_000)
    source.end()
    bench.run()
    assert [(one.frame.number, one.verdict, one.reason) for one in bench.settled] == [
        (1, Verdict.UNKNOWN, Reason.DEADLINE),
        (3, Verdict.UNKNOWN, Reason.DEADLINE),
    ]
    assert [frame.number for frame in bench.inbox.take(9).items] == [2]


def test_a_flood_is_let_through_at_its_rate_and_the_rest_is_unknown_at_once() -> None:
    source = HandSource(live=True)

    def slow(image: np.ndarray) -> np.ndarray:
        bench.clock.advance(0.1)
        return image

    bench = Bench(source, queue=9, fit=slow, throttle=Throttle(rate=5, burst=2))
    for _ in range(7):
        source.show(picture())
    source.end()
    bench.run()
    assert [frame.number for frame in bench.inbox.take(9).items] == [1, 2, 3]
    assert [(one.frame.number, one.reason, one.frame.fitted) for one in bench.settled] == [
        (number, Reason.OVERLOAD, None) for number in (4, 5, 6, 7)
    ]


def test_what_a_camera_loses_while_it_is_left_alone_is_one_too_many_as_well() -> None:
    source = HandSource(live=True)
    bench = Bench(source, queue=9, throttle=Throttle(rate=1e-3, burst=2))
    frames = source.frames

    def broken_after_a_pause() -> Iterator[Shot]:
        for shot in frames():
            bench.clock.advance(1000.0 if shot.fault == "came broken" else 0.0)
            yield shot

    source.frames = broken_after_a_pause  # type: ignore[method-assign]
    source.show(picture())
    source.spoil("lost on the wire", Cause.MISSING)
    source.show(picture())
    source.show(picture())
    source.spoil("lost in the driver", Cause.MISSING)
    source.spoil("lost in the driver", Cause.MISSING)
    source.spoil("came broken")
    source.spoil("lost on the wire", Cause.MISSING)
    source.end()
    bench.run()
    assert [frame.number for frame in bench.inbox.take(9).items] == [1, 3]
    assert [(one.frame.number, one.reason, one.cause) for one in bench.settled] == [
        (2, Reason.CAMERA, Cause.MISSING),
        (4, Reason.OVERLOAD, None),
        (5, Reason.OVERLOAD, None),
        (6, Reason.OVERLOAD, None),
        (7, Reason.CAMERA, Cause.UNREADABLE),
        (8, Reason.CAMERA, Cause.MISSING),
    ]
    assert [event.detail.split(": ")[1] for event in bench.events if event.state == "unreadable"] == [
        "lost on the wire", "came broken", "lost on the wire",
    ]  # fmt: skip


def test_for_a_second_after_frames_beyond_its_rate_a_camera_counts_as_one_that_sends_too_many() -> None:
    class Doorman(Throttle):
        passing = iter([True, False, False, True, True, True])

        def passes(self, now: float) -> bool:
            return next(self.passing)

    def slow(image: np.ndarray) -> np.ndarray:
        bench.clock.advance(0.5)
        return image

    source = HandSource(live=True)
    bench = Bench(source, queue=9, fit=slow, throttle=Doorman(1, 1))
    for _ in range(6):
        source.show(picture())
    source.end()
    bench.run()
    taken = [(frame.number, frame.excess) for frame in bench.inbox.take(9).items]
    assert taken == [(1, False), (4, True), (5, True), (6, False)]


class Patient(Order[Frame]):
    """Keeps what waits, and refuses what comes."""

    def keeps(self, oldest: Frame) -> bool:
        return True


def asleep() -> Throttle:
    """Lets two frames through, and then sleeps for longer than any test."""
    throttle = Throttle(rate=1e-3, burst=2)
    throttle.nap = 60.0
    return throttle


@pytest.mark.parametrize("throttle", [asleep(), None])
def test_after_a_refused_frame_the_next_ones_are_let_gather(
    throttle: Throttle | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a stop does not wait for them; a frame that is let through is followed at once."""
    monkeypatch.setattr(intake, "REFUSED_NAP", 60.0)
    source = HandSource(live=True)
    bench = Bench(source, queue=2, throttle=throttle, order=Patient() if throttle is None else None)
    for _ in range(9):
        source.show(picture())
    thread = threading.Thread(target=bench.run)
    thread.start()
    until(lambda: len(bench.settled) == 1)
    bench.reader.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert [frame.number for frame in bench.inbox.take(9).items] == [1, 2]
    assert [one.frame.number for one in bench.settled] == [3]


def test_what_reading_takes_is_no_longer_waited_for_after_a_refused_frame() -> None:
    """Else a stream that takes its time to be decoded would fall behind, until all its frames came too late."""
    source = HandSource(live=True)
    bench = Bench(source, queue=9, throttle=asleep())
    bench.reader._stopping = pauses = Pauses(99)
    frames = source.frames
    takes = iter([1.0, 1.0, 45.0, 75.0, 20.0])

    def slow() -> Iterator[Shot]:
        for shot in frames():
            bench.clock.advance(next(takes))
            yield shot

    source.frames = slow  # type: ignore[method-assign]
    for _ in range(5):
        source.show(picture())
    source.end()
    bench.run()
    assert [one.frame.number for one in bench.settled] == [3, 4, 5]
    assert pauses.taken == pytest.approx([15.0, 40.0])


def test_a_flood_of_frames_that_came_incomplete_is_one_too() -> None:
    source = HandSource(live=True)
    bench = Bench(source, queue=9, throttle=Throttle(rate=1e-3, burst=2))
    for _ in range(5):
        source.spoil("a part was lost", Cause.INCOMPLETE)
    source.end()
    bench.run()
    assert [(one.frame.number, one.reason, one.cause) for one in bench.settled] == [
        (1, Reason.CAMERA, Cause.INCOMPLETE),
        (2, Reason.CAMERA, Cause.INCOMPLETE),
        (3, Reason.OVERLOAD, None),
        (4, Reason.OVERLOAD, None),
        (5, Reason.OVERLOAD, None),
    ]
    assert [event.state for event in bench.events].count("unreadable") == 2


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 17), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_a_picture_that_cannot_be_judged_is_unknown_camera(image: np.ndarray) -> None:
    source = HandSource(live=False)
    bench = Bench(source)
    source.show(image)
    source.show(picture())
    source.end()
    bench.run()
    (bad,) = bench.settled
    assert (bad.verdict, bad.reason, bad.frame.image) == (Verdict.UNKNOWN, Reason.CAMERA, None)
    assert [frame.number for frame in bench.inbox.take(5).items] == [2]
    assert any(event.state == "unreadable" for event in bench.events)


def test_a_picture_that_the_model_cannot_take_is_unknown_and_the_next_one_is_read() -> None:
    source = HandSource(live=False)
    bench = Bench(source, fit=partial(fitted, shape=(48, 64, 5)))
    source.show(picture(channels=3))
    source.show(picture(channels=1))
    source.end()
    bench.run()
    assert [(one.verdict, one.reason) for one in bench.settled] == 2 * [(Verdict.UNKNOWN, Reason.MODEL)]
    assert [one.frame.number for one in bench.settled] == [1, 2]
    assert not bench.reader.failed


def test_a_picture_that_nobody_foresaw_costs_its_own_verdict_alone(caplog: pytest.LogCaptureFixture) -> None:
    def fit(image: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError("a bug")

    source = HandSource(live=True)
    bench = Bench(source, fit=fit)
    for _ in range(3):
        source.show(picture())
    source.end()
    bench.run()
    assert [(one.verdict, one.reason) for one in bench.settled] == 3 * [(Verdict.UNKNOWN, Reason.MODEL)]
    assert [event.state for event in bench.events] == ["streaming", "ended"]
    traced = [record for record in caplog.records if record.exc_info]
    assert {record.camera for record in traced} == {"cam"}  # type: ignore[attr-defined]
    assert [record.message for record in traced] == [
        "camera cam: looking at it failed with ZeroDivisionError('a bug')"
    ], "where it came from is told once"


def test_an_unreadable_picture_is_a_verdict_too() -> None:
    source = HandSource(live=False)
    bench = Bench(source)
    source.spoil("broken JPEG")
    source.end()
    bench.run()
    assert [(one.verdict, one.reason, one.cause) for one in bench.settled] == [
        (Verdict.UNKNOWN, Reason.CAMERA, Cause.UNREADABLE)
    ]
    assert any("broken JPEG" in event.detail for event in bench.events)


def test_a_lost_camera_is_opened_again_and_numbers_go_on() -> None:
    source = HandSource(live=True)
    bench = Bench(source, queue=10)
    source.show(picture())
    source.fail("cable pulled")
    source.show(picture())
    source.fail("cable pulled again")
    stopper = Stopper(bench, after_events=4)
    bench.run()
    stopper.join()
    assert [frame.number for frame in bench.inbox.take(9).items] == [1, 2]
    assert [event.state for event in bench.events][:4] == ["streaming", "lost", "streaming", "lost"]
    assert bench.reader.state.reconnects >= 1
    assert not bench.reader.state.up


def test_a_source_that_raises_what_it_may_not_is_a_lost_camera(caplog: pytest.LogCaptureFixture) -> None:
    source = HandSource(live=True)
    bench = Bench(source, queue=10)
    source.show(picture())
    source.surprise(RuntimeError("rtsp://me:secret@host went wrong"))
    source.surprise(RuntimeError("rtsp://me:secret@host went wrong"))
    source.show(picture())
    source.fail("cable pulled")
    stopper = Stopper(bench, after_events=4)
    bench.run()
    stopper.join()
    assert [frame.number for frame in bench.inbox.take(9).items] == [1, 2]
    assert [event.state for event in bench.events] == ["streaming", "lost", "streaming", "lost"]
    assert bench.events[1].detail.startswith("reading it failed with RuntimeError(")
    assert "secret" not in bench.events[1].detail
    assert len([record for record in caplog.records if record.exc_info]) == 1


class Pauses(threading.Event):
    """Of a reader: remembers how long it would have waited, waits for none, and stops after `most`."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.taken = most, list[float]()

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.taken.append(timeout)
        if len(self.taken) == self.most:
            self.set()
        return self.is_set()


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.random, "uniform", lambda low, high: (low + high) / 2)
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.5)


def test_a_camera_that_is_away_is_asked_every_second_for_ever_and_told_of_now_and_then(no_jitter: None) -> None:
    source = HandSource(live=True)
    bench = Bench(source)
    bench.reader._stopping = pauses = Pauses(10)
    for _ in range(10):
        source.fail("no route to host")
    bench.run()
    assert pauses.taken == pytest.approx([0.5] + 9 * [1.0])
    assert [event.state for event in bench.events] == ["lost"]
    bench.clock.advance(module.REPEAT)
    bench.reader._stopping = Pauses(1)
    source.fail("no route to host")
    bench.run()
    assert [event.state for event in bench.events] == ["lost", "lost"]


def test_a_camera_that_refuses_is_asked_less_and_less_until_it_does_not(no_jitter: None) -> None:
    """Too many wrong passwords lock a user out."""
    source = HandSource(live=True)
    bench = Bench(source)
    bench.reader._stopping = pauses = Pauses(14)
    for _ in range(11):
        source.refuse("wrong password")
    source.fail("away")
    source.show(picture())
    source.refuse("wrong password")
    source.refuse("wrong password")
    bench.run()
    assert pauses.taken == pytest.approx([0.5, 1, 1, 1, 2, 4, 8, 16, 32, 60, 60, 1, 0.5, 1])


def test_what_the_other_cameras_of_a_stack_saw_does_not_have_one_that_refuses_asked_more_often(no_jitter: None) -> None:
    source = HandSource(live=True)
    bench = Bench(source)
    bench.reader._stopping = pauses = Pauses(8)
    for _ in range(8):
        source.spoil("infrared sent no picture of this part", Cause.INCOMPLETE)
        source.refuse("infrared: wrong password")
    bench.run()
    assert pauses.taken == pytest.approx([0.5, 1, 1, 1, 2, 4, 8, 16])


def test_parts_that_pass_a_camera_that_refuses_do_not_have_it_asked_more_often(
    no_jitter: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their verdicts are no frames of its."""
    source = HandSource(live=True)
    bench = Bench(source, triggers=Triggers(0.0, 0.1, 0.5))
    bench.reader._stopping = pauses = Pauses(8)

    def refuse() -> Iterator[Shot]:
        trigger(bench, "A1")
        bench.clock.advance(1.0)
        bench.reader.intake.expire()
        raise RefusedError("wrong password")
        yield

    monkeypatch.setattr(source, "frames", refuse)
    bench.run()
    assert len(bench.settled) == 8
    assert pauses.taken == pytest.approx([0.5, 1, 1, 1, 2, 4, 8, 16])


def test_frames_that_the_camera_counted_and_that_never_came_do_not_hurry_it() -> None:
    source = HandSource(live=True)
    bench = Bench(source, queue=99)
    frames = source.frames

    def slow() -> Iterator[Shot]:
        for shot in frames():
            if not shot.is_lost:
                bench.clock.advance(1.0)
            yield shot

    source.frames = slow  # type: ignore[method-assign]
    for _ in range(9):
        source.show(picture())
    for _ in range(12):
        source.spoil("lost", Cause.MISSING)
    source.show(picture())
    source.end()
    bench.run()
    assert bench.reader.state.presence.patience == 8.0


def test_a_source_that_ends_has_not_failed() -> None:
    live = HandSource(live=True)
    bench = Bench(live)
    live.show(picture())
    live.end()
    bench.run()
    assert [event.state for event in bench.events] == ["streaming", "ended"]
    assert live.opened == 1
    assert not bench.reader.failed


def test_a_file_that_fails_is_not_opened_again() -> None:
    file = HandSource(live=False)
    bench = Bench(file)
    file.fail("no such file")
    bench.run()
    assert bench.reader.failed
    assert [event.detail for event in bench.events] == ["no such file"]


def test_a_file_that_raises_what_it_may_not_is_not_opened_again() -> None:
    file = HandSource(live=False)
    bench = Bench(file)
    file.surprise(KeyError("index"))
    bench.run()
    assert bench.reader.failed
    assert [event.detail for event in bench.events] == ["reading it failed with KeyError('index')"]


def test_nothing_is_captured_once_the_ledger_is_closed() -> None:
    source = HandSource(live=False)
    bench = Bench(source)
    bench.ledger.close()
    source.show(picture())
    source.end()
    bench.run()
    assert bench.ledger.counts()["cam"].captured == 0
    assert len(bench.inbox) == 0


def test_a_source_may_say_what_is_wrong_with_its_picture() -> None:
    source = HandSource(live=False)
    bench = Bench(source)
    source._shots.put(Shot(None, "p1", "2 of 8 packets are missing", cause=Cause.INCOMPLETE))
    source.end()
    bench.run()
    assert [(one.reason, one.cause) for one in bench.settled] == [(Reason.CAMERA, Cause.INCOMPLETE)]


BLACK = np.full((48, 64, 3), 3, np.uint8)


def lively(number: int) -> np.ndarray:
    """A picture like no other."""
    return np.random.default_rng(number).integers(60, 120, (48, 64, 3), np.uint8)


def test_a_black_picture_is_unknown_and_never_queued_and_is_told_once() -> None:
    source = HandSource(live=False)
    bench = Bench(source, queue=100, limits=fixed(live=False))
    for image in (lively(1), BLACK, BLACK, *(lively(number) for number in range(2, CALM + 2)), BLACK):
        source.show(image)
    source.end()
    bench.run()
    assert [(one.frame.number, one.reason, one.cause) for one in bench.settled] == [
        (2, Reason.CAMERA, Cause.BLACK), (3, Reason.CAMERA, Cause.BLACK), (14, Reason.CAMERA, Cause.BLACK)
    ]  # fmt: skip
    assert len(bench.inbox) == 11
    assert [event.state for event in bench.events] == ["streaming", "black", "healthy", "black", "ended"]
    assert bench.events[1].detail == "frame 2: 100 % of the picture is dark; healthy is at most 98"
    assert bench.reader.state.failing == {Cause.BLACK}


def test_a_live_camera_that_repeats_its_picture_is_frozen_within_ten_frames_and_streams_again() -> None:
    source = HandSource(live=True)
    bench = Bench(source, queue=100, limits=fixed(live=True))
    for number in [1, *[2] * 12, *range(3, CALM + 3)]:
        source.show(lively(number))
    source.end()
    bench.run()
    found = [one.frame.number for one in bench.settled]
    assert found == list(range(7, 14)), "the second of the same is number 3, and four may be the driver's"
    assert {one.cause for one in bench.settled} == {Cause.FROZEN}
    assert [event.state for event in bench.events] == ["streaming", "frozen", "streaming", "ended"]


@pytest.mark.parametrize(
    ("ill", "told"),
    [(BLACK, ["streaming", "black", "healthy", "ended"]), (lively(1), ["streaming", "frozen", "streaming", "ended"])],
)
def test_what_failed_by_other_limits_is_well_again_by_those_that_take_their_place(
    ill: np.ndarray, told: list[str]
) -> None:
    source = HandSource(live=True)
    bench = Bench(source, queue=100, limits=fixed(live=True))
    state, frames = bench.reader.state, source.frames

    def replaced() -> Iterator[Shot]:
        for number, shot in enumerate(frames()):
            if number == 6:
                state.monitor = Monitor(NOTHING, before=state.monitor)
                assert state.failing
            yield shot

    source.frames = replaced  # type: ignore[method-assign]
    for image in (*6 * [ill], *(lively(number) for number in range(2, CALM + 2))):
        source.show(image)
    source.end()
    bench.run()
    assert [event.state for event in bench.events] == told
    assert state.failing == frozenset()


def test_a_file_may_repeat_its_picture() -> None:
    source = HandSource(live=False)
    bench = Bench(source, queue=100, limits=fixed(live=False))
    for _ in range(20):
        source.show(lively(1))
    source.end()
    bench.run()
    assert bench.settled == []


def test_a_camera_whose_thread_hangs_is_noticed_by_somebody_else() -> None:
    source = HandSource(live=True)
    bench = Bench(source, queue=100)
    runs = threading.Thread(target=bench.run)
    frames = Paced(bench, source)
    runs.start()
    frames.show(3, apart=0.1)
    bench.reader.look(bench.clock.monotonic() + 0.79)
    assert bench.reader.state.state is State.STREAMING
    bench.reader.look(bench.reader.stalls_at)
    assert (bench.reader.state.state, bench.reader.state.up) == (State.STALLED, False)
    bench.reader.look(bench.clock.monotonic() + 3)
    assert [event.state for event in bench.events] == ["streaming", "stalled"]
    assert bench.events[-1].detail == "no frame for 0.8 s, though the source says nothing"
    frames.show(1, apart=5)
    source.end()
    runs.join(30)
    assert [event.state for event in bench.events] == ["streaming", "stalled", "streaming", "ended"]


def test_a_camera_that_waits_for_its_trigger_is_up_before_its_first_frame() -> None:
    source = HandSource(live=True)
    bench = Bench(source)
    bench.reader.look(bench.clock.monotonic())
    assert bench.reader.state.state is State.CONNECTING
    source.waiting = True
    for _ in range(2):
        bench.reader.look(bench.clock.monotonic())
        assert (bench.reader.state.state, bench.reader.state.up) == (State.WAITING, True)
    source.show(picture())
    source.end()
    bench.run()
    assert [event.state for event in bench.events] == ["waiting", "streaming", "ended"]


def test_a_camera_that_stalls_and_then_fails_is_lost() -> None:
    source = HandSource(live=True)
    bench = Bench(source, queue=100)
    runs = threading.Thread(target=bench.run)
    frames = Paced(bench, source)
    runs.start()
    frames.show(2, apart=0.1)
    bench.reader.look(bench.reader.stalls_at)
    stopper = Stopper(bench, after_events=3)
    source.fail("cable pulled")
    stopper.join()
    runs.join(30)
    assert [event.state for event in bench.events] == ["streaming", "stalled", "lost"]


class Paced:
    """Shows frames one after the other, each when the one before was taken."""

    def __init__(self, bench: Bench, source: HandSource) -> None:
        self._bench, self._source = bench, source

    def show(self, frames: int, apart: float) -> None:
        for _ in range(frames):
            self._bench.clock.advance(apart)
            before = self._bench.ledger.counts()["cam"].captured
            self._source.show(picture())
            until(lambda: self._bench.ledger.counts()["cam"].captured > before)  # noqa: B023 - called at once


# ---- triggers


def triggered(*parts: str) -> Bench:
    """A triggered camera, with a trigger for each of `parts` just now; its frames have 0.1 s."""
    bench = Bench(HandSource(live=False), queue=9, triggers=Triggers(0.0, 0.1, 0.5))
    for part in parts:
        trigger(bench, part)
    return bench


def trigger(bench: Bench, part: str) -> None:
    bench.triggers.add(Trigger(part, bench.clock.monotonic(), bench.clock.wall_ns()))


def read_on(bench: Bench, *parts: str | None) -> None:
    """A frame for each of `parts`, which are the source's."""
    source = bench.source
    for part in parts:
        source.show(picture(), part)
    source.end()
    bench.run()


def test_a_triggered_frame_has_the_triggers_part_whatever_the_source_says() -> None:
    bench = triggered("A1")
    read_on(bench, "file.png", "file.png")
    assert [frame.part for frame in bench.inbox.take(5).items] == ["A1", None]
    assert bench.reader.state.partless == 1
    assert [frame.number for frame in bench.captured] == [1, 2]


def test_a_trigger_without_a_frame_is_a_frame_that_is_unknown() -> None:
    bench = triggered("A1")
    started = bench.clock.wall_ns()
    bench.clock.advance(0.59)
    bench.reader.intake.expire()
    assert not bench.settled
    bench.clock.advance(0.02)
    bench.reader.intake.expire()
    bench.reader.intake.expire()
    (missing,) = bench.settled
    assert (missing.verdict, missing.reason, missing.frame.part) == (Verdict.UNKNOWN, Reason.CAMERA, "A1")
    assert (missing.frame.number, missing.frame.captured_ns, missing.frame.image) == (1, started, None)
    assert [(event.state, "A1" in event.detail) for event in bench.events] == [("missing", True)]
    trigger(bench, "A2")
    read_on(bench, None)
    assert [(frame.number, frame.part) for frame in bench.inbox.take(5).items] == [(2, "A2")]
    assert [frame.number for frame in bench.captured] == [1, 2]


def test_a_frame_that_was_long_on_its_way_counts_from_its_capture() -> None:
    bench = triggered("A1")
    captured_ns = bench.clock.wall_ns() + 90_000_000
    bench.clock.advance(0.5)
    bench.reader.intake.expire()
    bench.source.show(picture(), captured_ns=captured_ns)
    read_on(bench, None)
    assert [frame.part for frame in bench.inbox.take(5).items] == ["A1", None]


def test_a_trigger_whose_camera_could_not_be_fired_says_why() -> None:
    bench = triggered("A1", "A2")
    bench.triggers.fail(Trigger("A1", bench.clock.monotonic(), bench.clock.wall_ns()), "not fired: no light")
    bench.reader.intake.expire()
    (settled,) = bench.settled
    assert (settled.frame.part, settled.verdict, settled.reason) == ("A1", Verdict.UNKNOWN, Reason.CAMERA)
    assert settled.cause is Cause.MISSING
    assert [(event.state, event.detail) for event in bench.events] == [("missing", "frame 1 (A1): not fired: no light")]
    read_on(bench, None)
    assert [frame.part for frame in bench.captured] == ["A1", "A2"]


def test_a_later_frame_shows_that_a_trigger_has_none() -> None:
    bench = triggered("A1")
    bench.clock.advance(0.2)
    trigger(bench, "A2")
    read_on(bench, None)
    assert [(one.frame.number, one.frame.part) for one in bench.settled] == [(1, "A1")]
    assert [(frame.number, frame.part) for frame in bench.inbox.take(5).items] == [(2, "A2")]


def test_a_frame_that_the_camera_lost_takes_its_own_trigger_and_shifts_no_other() -> None:
    bench = triggered("A1", "A2")
    bench.source.spoil("lost", Cause.MISSING)
    read_on(bench, None)
    assert [(one.frame.number, one.frame.part, one.cause) for one in bench.settled] == [(1, "A1", Cause.MISSING)]
    assert [(frame.number, frame.part) for frame in bench.inbox.take(5).items] == [(2, "A2")]
    assert bench.ledger.counts()["cam"].captured == 2


def test_a_lost_frame_that_nobody_asked_for_leaves_the_trigger_to_the_frame_that_came() -> None:
    bench = triggered("A1")
    bench.source.spoil("lost", Cause.MISSING)
    read_on(bench, None)
    assert [(one.frame.number, one.frame.part, one.cause) for one in bench.settled] == [(1, None, Cause.MISSING)]
    assert [(frame.number, frame.part) for frame in bench.inbox.take(5).items] == [(2, "A1")]


@pytest.mark.parametrize(
    ("losers", "causes"),
    [({"visible"}, [Cause.INCOMPLETE]), ({"visible", "infrared"}, [Cause.MISSING])],
)
def test_a_frame_that_a_stack_lost_shifts_no_parts_though_windows_overlap(
    losers: set[str], causes: list[Cause]
) -> None:
    cameras = {name: HandSource() for name in ("visible", "infrared")}
    opened = iter([*cameras.values(), *cameras.values()])
    stack = Stacked(dict.fromkeys(cameras, lambda: next(opened)), {}, 20, 0.05, 60.0)
    bench = Bench(stack, triggers=Triggers(0.0, 0.5, 0.5))
    started, started_ns = bench.clock.monotonic(), bench.clock.wall_ns()
    for number in range(1, 7):
        at = 0.2 * number
        bench.triggers.add(Trigger(f"A{number}", started + at, started_ns + round(1e9 * at)))
        captured_ns = started_ns + round(1e9 * (at + 0.25))
        for name, source in cameras.items():
            if name in losers and number == 4:
                continue  # and it says so with the frame after it
            if name in losers and number == 5:
                source._shots.put(Shot(None, None, "lost", captured_ns, Cause.MISSING))
            source.show(picture(number), captured_ns=captured_ns)
    bench.clock.advance(2)
    for source in cameras.values():
        source.end()
    bench.run()
    assert [frame.part for frame in bench.captured] == [f"A{number}" for number in range(1, 7)]
    assert [frame.part for frame in bench.captured if frame.image is None] == ["A4"]
    assert [one.cause for one in bench.settled if one.frame.part == "A4"] == causes


def test_triggers_that_wait_at_the_end_are_unknown_and_no_more_are_taken() -> None:
    bench = triggered("A1", "A2")
    bench.reader.intake.abandon()
    assert [(one.frame.part, one.reason) for one in bench.settled] == [
        ("A1", Reason.SHUTDOWN),
        ("A2", Reason.SHUTDOWN),
    ]
    with pytest.raises(Closed):
        trigger(bench, "A3")
    assert bench.ledger.counts()["cam"].captured == 2


class Stopper:
    """Stops a reader from another thread once it has announced `after_events` events."""

    def __init__(self, bench: Bench, after_events: int) -> None:
        enough = threading.Event()
        append = bench.events.append

        def announce(event: Event) -> None:
            append(event)
            if len(bench.events) >= after_events:
                enough.set()

        bench.reader._announce = announce

        def stop() -> None:
            enough.wait(30)
            bench.reader.stop()

        self._thread = threading.Thread(target=stop)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()
