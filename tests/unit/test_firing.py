from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from inspector import firing as module
from inspector.clock import ManualClock
from inspector.errors import SourceError
from inspector.firing import Firing
from inspector.mailbox import Closed
from inspector.matching import Trigger, Triggers
from inspector.stage import Stage
from tests.waiting import until

WINDOW, PATIENCE = 0.25, 1.0


class House:
    """A camera that is fired by a thread of its own; `shots` are the times of it, `act` is what it does then."""

    def __init__(self, delay: float = 0.0) -> None:
        self.clock = ManualClock()
        self.triggers = Triggers(delay, WINDOW, PATIENCE)
        self.shots: list[float] = []
        self.act: Callable[[], None] = lambda: None
        self.firing = Firing("top", self.triggers, self._fire, self.clock)
        self.stage = Stage("fire-top", lambda stage: self.firing.run(stage.beat), self.clock, lambda: None)

    @contextmanager
    def serving(self) -> Iterator[House]:
        self.stage.start()
        try:
            yield self
        finally:
            self.firing.stop()
            assert self.stage.join(30)
        assert self.stage.error is None

    def trigger(self, part: str, at: float | None = None) -> None:
        self.firing.add(Trigger(part, self.clock.monotonic() if at is None else at, 0))

    def _fire(self) -> None:
        self.shots.append(self.clock.monotonic())
        self.act()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_WAIT", 0.01)


def test_its_frame_is_expected_before_the_camera_is_fired() -> None:
    house = House()
    matched: list[str | None] = []

    def comes_at_once() -> None:
        trigger, _ = house.triggers.match(house.clock.monotonic())
        matched.append(None if trigger is None else trigger.part)

    house.act = comes_at_once
    with house.serving():
        for number in range(100):
            house.trigger(f"A{number}")
            until(lambda n=number: len(matched) > n)
    assert matched == [f"A{number}" for number in range(100)]


def test_it_is_fired_as_each_window_opens_in_the_order_of_time() -> None:
    house = House(delay=0.5)
    start = house.clock.monotonic()
    with house.serving():
        house.trigger("A2", start + 2.0)
        house.trigger("A1", start + 1.0)
        for number, due in enumerate((1.5, 2.5), 1):
            house.clock.advance(due - 0.01 - (house.clock.monotonic() - start))
            until(lambda: house.stage.silence == 0, "it looks")
            house.clock.advance(0.02)
            until(lambda n=number: len(house.shots) == n)
    assert house.shots == [pytest.approx(start + due + 0.01) for due in (1.5, 2.5)]


def test_one_told_late_is_fired_at_once_and_one_told_too_late_not_at_all() -> None:
    house = House()
    now = house.clock.monotonic()
    with house.serving():
        house.trigger("A1", now - WINDOW - 0.1)
        house.trigger("A2", now - WINDOW + 0.1)
        until(lambda: house.shots == [now])
        until(lambda: house.triggers.missing == 1)
    (gone,) = house.triggers.expired(now)
    assert (gone.part, gone.fault) == ("A1", "not fired: its window was over 0.1 s ago")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (SourceError("rtsp://user:s3cret@host/ is not open"), "rtsp://user:***@host/ is not open"),
        (KeyError("light"), "KeyError('light')"),
    ],
)
def test_one_that_cannot_be_fired_is_told_and_fired_again(
    error: Exception, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    house = House()

    def fail() -> None:
        raise error

    house.act = fail
    with house.serving(), caplog.at_level(logging.WARNING):
        house.trigger("A1")
        until(lambda: house.triggers.missing == 1)
        house.act = lambda: None
        house.trigger("A2")
        until(lambda: len(house.shots) == 2)
    now = house.clock.monotonic()
    assert [(one.part, one.fault) for one in house.triggers.expired(now)] == [("A1", f"not fired: {why}")]
    trigger, _ = house.triggers.match(now)
    assert trigger is not None
    assert trigger.part == "A2"
    assert [record.getMessage() for record in caplog.records] == [
        f"camera top: not fired for 1 trigger(s), last A1: {why}"
    ]


def test_a_camera_that_hangs_gathers_no_triggers_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    house, hang = House(), threading.Event()
    house.act = lambda: hang.wait(30) and None
    with house.serving():
        house.trigger("A0")
        until(lambda: len(house.shots) == 1)
        for number in range(1, 5):
            house.trigger(f"A{number}")
        assert [(one.part, one.fault) for one in house.triggers.expired(house.clock.monotonic())] == [
            ("A1", "the camera hangs and was not fired")
        ]
        hang.set()
        until(lambda: len(house.shots) == 4)


def test_once_nothing_is_taken_any_more_nothing_is_fired() -> None:
    house = House()
    with house.serving():
        house.triggers.close()
        with pytest.raises(Closed):
            house.trigger("A1")
    assert house.shots == []
