"""The schedule by a clock of its own, in a mailbox: single decisions, and simulated lines."""

from __future__ import annotations

import bisect
import heapq
import itertools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.clock import ManualClock
from inspector.mailbox import Mailbox
from inspector.schedule import PATIENCE, RESERVE, Schedule
from inspector.types import Frame
from tests.inspections import few
from tests.unit.test_shares import level_of

FRAME = Frame("a", 1, 0, 100.0, 101.0, None)


class House:
    """A schedule of cameras of one model, and what waits."""

    def __init__(self, cameras: Sequence[str] = ("a", "b"), queue: int = 8) -> None:
        self.clock = ManualClock(100.0)
        self.settled: set[tuple[str, int]] = set()
        self.schedule = Schedule(cameras, lambda frame: (frame.camera, frame.number) not in self.settled, self.clock)
        self.inbox = Mailbox(dict.fromkeys(cameras, queue), self.schedule)
        self._numbers = {camera: itertools.count(1) for camera in cameras}

    def capture(self, camera: str, deadline: float, excess: bool = False) -> Frame | None:
        """A frame captured now and due in `deadline` seconds; what it pushed out."""
        now = self.clock.monotonic()
        number = next(self._numbers[camera])
        return self.inbox.offer(camera, Frame(camera, number, 0, now, now + deadline, None, excess=excess))

    def take(self, most: int = 1) -> list[tuple[str, int]]:
        return [(frame.camera, frame.number) for frame in self.inbox.take(most, wait=0.0).items]

    def serve_all(self) -> None:
        """So that no camera was left out for long."""
        while self.take():
            pass


def test_the_earliest_deadline_first() -> None:
    house = House()
    for camera, deadline in (("a", 0.5), ("b", 0.2), ("b", 0.6), ("a", 0.7)):
        house.capture(camera, deadline)
    assert house.take(4) == [("b", 1), ("a", 1), ("b", 2), ("a", 2)]


def test_of_equal_deadlines_the_oldest_first() -> None:
    house = House()
    house.capture("b", 0.5)
    house.clock.advance(0.25)
    house.capture("a", 0.25)
    assert house.take(2) == [("b", 1), ("a", 1)]


def test_a_camera_that_sends_more_than_it_may_lets_others_go_first_for_a_quarter_of_its_time() -> None:
    house = House()
    for _ in range(2):
        house.capture("a", 1.0, excess=True)
    house.capture("b", 2.0)
    assert house.take() == [("b", 1)]
    assert house.take() == [("a", 1)], "nobody else waits"
    house.clock.advance(0.25)
    house.capture("b", 2.0)
    assert house.take(2) == [("a", 2), ("b", 2)]


def test_none_gives_way_where_the_model_takes_that_long() -> None:
    house = House()
    house.capture("a", 1.0, excess=True)
    house.capture("b", 2.0)
    house.schedule.ran([Frame("a", 9, 0, 0.0, 1.0, None)], 0.25)
    assert house.take(2) == [("a", 1), ("b", 1)]


def test_nor_to_a_file_which_has_all_the_time() -> None:
    house = House()
    house.capture("a", 1.0, excess=True)
    house.capture("b", math.inf)
    assert house.take(2) == [("a", 1), ("b", 1)]


def test_nor_under_overload_where_each_has_its_share() -> None:
    house = House()
    house.schedule.lost(FRAME)
    house.capture("a", 1.0, excess=True)
    house.capture("b", 2.0)
    assert house.take(2) == [("a", 1), ("b", 1)]


def test_what_gives_way_overtakes_nothing() -> None:
    house = House()
    house.capture("b", 2.0)
    running = house.inbox.take(1, wait=0.0).items[0]
    house.capture("a", 1.0, excess=True)
    assert not house.inbox.overtake(running).items
    house.clock.advance(0.25)
    assert house.inbox.overtake(running).items


def test_what_is_too_late_or_has_its_verdict_is_not_served() -> None:
    house = House()
    house.capture("a", 0.5)
    house.capture("a", 0.75)
    house.capture("b", 2.0)
    house.capture("b", 3.0)
    house.settled.add(("b", 1))
    house.clock.advance(0.5)
    assert house.take(4) == [("a", 2), ("b", 2)]
    assert not len(house.inbox)


def test_what_is_due_earlier_overtakes_a_large_frame() -> None:
    house = House()
    house.capture("a", 2.0)
    running = house.inbox.take(1, wait=0.0).items[0]
    assert house.inbox.overtake(running).items == []
    house.capture("a", 1.0)
    house.capture("b", 3.0)
    assert [frame.camera for frame in house.inbox.overtake(running).items] == ["a"]
    assert house.inbox.overtake(running).items == []  # b is due later


def test_under_overload_who_has_had_more_does_not_overtake() -> None:
    house = House()
    for camera in "ab":
        house.schedule.ran([Frame(camera, 1, 0, 100.0, 101.0, None)], 0.1)
    house.schedule.lost(FRAME)
    house.capture("b", 1.0)
    house.serve_all()
    house.capture("a", 3.0)
    running = house.inbox.take(1, wait=0.0).items[0]
    house.capture("b", 2.0)
    assert [frame.camera for frame in house.inbox.overtake(running).items] == ["b"]
    house.capture("b", 2.0)
    assert house.inbox.overtake(running).items == [], "by now it has had more"


def test_a_full_lane_of_young_frames_refuses_another_and_one_of_old_frames_does_not() -> None:
    house = House(queue=2)
    house.capture("a", 1.0)
    assert not house.inbox.refuses("a")
    house.capture("a", 1.0)
    assert house.inbox.refuses("a")
    house.clock.advance(0.5)
    assert not house.inbox.refuses("a")
    assert house.capture("a", 1.0) is not None


def test_a_lane_full_of_settled_frames_refuses_none() -> None:
    house = House(queue=1)
    house.capture("a", 1.0)
    house.settled.add(("a", 1))
    assert not house.inbox.refuses("a")


def test_what_has_no_hope_gives_way_to_what_has() -> None:
    house = House()
    house.capture("a", 9.0)
    house.serve_all()
    house.schedule.ran([FRAME], 0.3)
    house.capture("a", 0.2)
    house.capture("b", 0.5)
    assert house.take() == [("b", 1)]
    assert house.take() == [("a", 2)], "there was no better work left"


def test_of_several_without_hope_the_nearest_to_it_is_served() -> None:
    house = House()
    for camera in "ab":
        house.capture(camera, 9.0)
    house.serve_all()
    house.schedule.ran([FRAME], 0.3)
    house.capture("a", 0.1)
    house.capture("b", 0.2)
    assert house.take(2) == [("b", 2), ("a", 2)]


def test_what_has_no_hope_is_dropped_where_a_newer_one_waits() -> None:
    house = House()
    house.capture("a", 9.0)
    house.serve_all()
    house.schedule.ran([FRAME], 0.3)
    for deadline in (0.1, 0.2, 0.4):
        house.capture("a", deadline)
    assert house.take(3) == [("a", 4)]


def test_no_estimate_shuts_a_camera_out_for_ever() -> None:
    house = House()
    house.schedule.ran([FRAME], 60.0)
    house.serve_all()
    served = {"a": 0, "b": 0}
    for _ in range(40):  # one worker, 4 batches a second; `b` always has something better
        house.clock.advance(0.25)
        house.capture("a", 1.0)
        house.capture("b", 90.0)
        for camera, _ in house.take():
            served[camera] += 1
    assert 10 / PATIENCE - 1 <= served["a"] <= 10 / PATIENCE + 1
    assert served["a"] + served["b"] == 40


def test_an_estimate_that_is_wrong_puts_itself_right() -> None:
    house = House(["a"])
    house.schedule.ran([FRAME], 60.0)
    for number in range(1, 31):
        house.clock.advance(0.1)
        house.capture("a", 0.05)
        assert house.take() == [("a", number)]
        house.schedule.ran([FRAME], 0.01)
    house.capture("a", 0.05)
    house.capture("a", 0.05)
    assert house.take() == [("a", 31)], "it has hope again, so it is not dropped for the newer one"


def test_a_batch_is_closed_in_time_for_its_slowest_model() -> None:
    house = House()
    frame = Frame("a", 1, 0, 100.0, 101.0, None)
    assert house.schedule.close_by(frame) == pytest.approx(101.0 - RESERVE)
    house.schedule.ran([FRAME], 0.25)
    assert house.schedule.close_by(frame) == pytest.approx(100.75 - RESERVE)


@dataclass(frozen=True)
class Camera:
    """rate: frames a second;  deadline: seconds;  work: seconds of a worker that a frame takes"""

    rate: float
    deadline: float
    work: float = 0.02


class Line:
    """Simulated cameras and workers; a batch is one frame.

    vary: by what its work is multiplied, frame by frame
    captured, taken, judged: frames by camera, the last in time;  missed: those due by the end that were not judged
    """

    def __init__(
        self,
        cameras: Mapping[str, Camera],
        vary: Callable[[], float],
        workers: int,
        seconds: float,
        queue: int = 8,
    ) -> None:
        house = House(tuple(cameras), queue)
        begin = house.clock.monotonic()
        self._cameras, self._seconds = cameras, seconds
        self.captured, self.taken, self.judged, self.missed = (dict.fromkeys(cameras, 0) for _ in range(4))
        self.early_enough = True
        self.in_order = True
        waiting: list[tuple[float, float, str]] = []
        tie = itertools.count()
        due: list[tuple[float, int, str | Frame]] = [
            (begin + 0.5 / camera.rate, next(tie), name) for name, camera in cameras.items()
        ]
        heapq.heapify(due)
        free, started = workers, {}
        while due[0][0] < begin + seconds:
            now, _, what = heapq.heappop(due)
            house.clock.advance(now - house.clock.monotonic())
            if isinstance(what, str):
                self.captured[what] += 1
                self.missed[what] += now + cameras[what].deadline < begin + seconds
                if not house.inbox.refuses(what):
                    house.capture(what, cameras[what].deadline)
                    bisect.insort(waiting, (now + cameras[what].deadline, now, what))
                heapq.heappush(due, (now + 1 / cameras[what].rate, next(tie), what))
            else:
                free += 1
                house.schedule.ran([what], now - started.pop((what.camera, what.number)))
                self.judged[what.camera] += now <= what.deadline
                self.missed[what.camera] -= now <= what.deadline < begin + seconds
            while free and (frames := house.inbox.take(1, wait=0.0).items):
                (frame,) = frames
                free -= 1
                self.early_enough &= now < frame.deadline
                place = bisect.bisect_left(waiting, (frame.deadline, frame.captured, frame.camera))
                self.in_order &= place == 0
                del waiting[place]
                started[frame.camera, frame.number] = now
                self.taken[frame.camera] += 1
                heapq.heappush(due, (now + vary() * cameras[frame.camera].work, next(tie), frame))

    def shares(self) -> dict[str, float]:
        """Workers that each camera had the use of, in the mean."""
        return {name: self.taken[name] * camera.work / self._seconds for name, camera in self._cameras.items()}

    def lost(self) -> dict[str, float]:
        return {name: 1 - self.judged[name] / self.captured[name] for name in self.captured}


def varying(spread: float, seed: int = 1) -> Callable[[], float]:
    rng = random.Random(seed)
    return lambda: rng.uniform(1 - spread, 1 + spread)


OVERLOADED = {
    "deadlines from short to long": (Camera(60, 0.1), Camera(90, 0.2), Camera(60, 0.5), Camera(90, 1.0)),
    "the fast one has time": (Camera(10, 0.06), Camera(100, 0.1), Camera(30, 0.5), Camera(160, 1.0)),
    "the fast one has none": (Camera(160, 0.08), Camera(30, 0.1), Camera(10, 0.5), Camera(100, 2.0)),
    "a slow one": (Camera(2, 0.3), Camera(98, 0.1), Camera(200, 1.0)),
}


@pytest.mark.parametrize("name", OVERLOADED)
@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_under_three_times_the_load_no_work_is_wasted_and_the_time_is_shared_fairly(name: str, spread: float) -> None:
    cameras = dict(zip("abcd", OVERLOADED[name], strict=False))
    assert sum(camera.rate for camera in cameras.values()) == 300
    line = Line(cameras, varying(spread), workers=2, seconds=20.0)
    assert line.early_enough
    assert sum(line.judged.values()) > 0.95 * 20 * 100, "workers that waste no work judge a hundred a second"
    assert line.shares() == pytest.approx(fair(cameras, 2.0), abs=0.05)


@few
@given(
    st.lists(st.builds(Camera, st.floats(2, 60), st.floats(1.0, 3.0), st.floats(0.01, 0.1)), min_size=2, max_size=5),
    st.integers(0, 100),
)
def test_whatever_the_rates_deadlines_and_costs_the_time_is_shared_fairly(cameras: list[Camera], seed: int) -> None:
    named = {f"cam{index}": camera for index, camera in enumerate(cameras)}
    line = Line(named, varying(0.2, seed), workers=1, seconds=15.0, queue=64)
    assert line.shares() == pytest.approx(fair(named, 1.0), abs=0.08)
    for name, camera in named.items():
        if camera.rate * camera.work < 0.9 / len(named):
            assert not line.missed[name], "though it asks for less than an equal share"


def test_a_flood_costs_the_others_nothing() -> None:
    cameras = {"flood": Camera(1000, 1.0)} | {name: Camera(5, 1.0) for name in "abc"}
    line = Line(cameras, varying(0.3), workers=2, seconds=30.0, queue=4)
    assert [line.lost()[name] for name in "abc"] == [0.0] * 3
    assert sum(line.judged.values()) > 0.95 * 30 * 100


def test_without_the_shares_the_short_deadlines_would_take_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.shares.Shares.within", lambda _, waiting: list(waiting))
    cameras = dict(zip("abcd", OVERLOADED["deadlines from short to long"], strict=True))
    lost = Line(cameras, varying(0.0), 2, 20.0).lost()
    assert lost["a"] < 0.05
    assert lost["d"] > 0.95


def fair(cameras: Mapping[str, Camera], workers: float) -> dict[str, float]:
    asks = {name: camera.rate * camera.work for name, camera in cameras.items()}
    level = level_of(list(asks.values()), workers)
    return {name: min(one, level) for name, one in asks.items()}


@few
@given(
    st.lists(st.builds(Camera, st.floats(2, 20), st.floats(1.0, 3.0)), min_size=2, max_size=4),
    st.integers(0, 100),
)
def test_without_overload_it_is_exactly_the_earliest_deadline_first(cameras: list[Camera], seed: int) -> None:
    work = 0.9 / sum(camera.rate for camera in cameras)
    named = {f"cam{index}": replace(camera, work=work) for index, camera in enumerate(cameras)}
    line = Line(named, varying(0.2, seed), workers=1, seconds=20.0)
    assert line.in_order
    assert line.early_enough


def test_a_camera_whose_deadline_is_too_short_keeps_no_other_from_being_served() -> None:
    cameras = {"hopeless": Camera(50, 0.01), "a": Camera(45, 0.2), "b": Camera(45, 0.5)}
    line = Line(cameras, varying(0.1), workers=2, seconds=30.0)
    lost = line.lost()
    assert lost["hopeless"] == 1.0
    assert lost["a"] < 0.03
    assert lost["b"] < 0.03
