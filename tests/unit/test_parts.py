from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from inspector import parts as module
from inspector.parts import Parts, Station
from inspector.types import CameraWord, Frame, Inspection, PartVerdict, Reason, Verdict

OK, NG, UNKNOWN = Verdict.OK, Verdict.NG, Verdict.UNKNOWN
INF = float("inf")


class Bench:
    """A station of `cameras`, frames to show it, and the parts that were closed."""

    def __init__(self, *cameras: str, deadline: float = 5.0) -> None:
        self.parts = Parts([Station("gate", cameras or ("a", "b"), deadline)])
        self.closed: list[PartVerdict] = []
        self._numbers: Counter[str] = Counter()

    def frame(self, camera: str, part: str | None, captured: float = 10.0) -> Frame:
        self._numbers[camera] += 1
        return Frame(camera, self._numbers[camera], round(captured * 1e9), captured, INF, None, part)

    def capture(self, camera: str, part: str | None, captured: float = 10.0) -> Frame:
        frame = self.frame(camera, part, captured)
        self.closed += self.parts.capture(frame)
        return frame

    def judge(self, frame: Frame, verdict: Verdict, reason: Reason | None = None) -> None:
        self.closed += self.parts.judge(Inspection(frame, verdict, reason))

    def see(self, camera: str, part: str | None, verdict: Verdict = OK, reason: Reason | None = None) -> None:
        self.judge(self.capture(camera, part), verdict, reason)

    def verdicts(self) -> list[tuple[str, Verdict, Reason | None]]:
        return [(one.part, one.verdict, one.reason) for one in self.closed]


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ((OK, None), (OK, None), (OK, None)),
        ((OK, None), (NG, None), (NG, None)),
        ((UNKNOWN, Reason.MODEL), (NG, None), (NG, None)),
        ((OK, None), (UNKNOWN, Reason.CAMERA), (UNKNOWN, Reason.CAMERA)),
        ((UNKNOWN, Reason.MODEL), (UNKNOWN, Reason.CAMERA), (UNKNOWN, Reason.MODEL)),
    ],
)
def test_a_part_is_what_its_cameras_say(a, b, verdict):
    bench = Bench()
    bench.see("b", "A1", *b)
    assert bench.closed == []
    bench.see("a", "A1", *a)
    assert bench.closed == [
        PartVerdict("gate", "A1", *verdict, (CameraWord("a", 1, *a), CameraWord("b", 1, *b)), 10_000_000_000, 10.0)
    ]
    assert bench.parts.counts()["gate"].verdicts == {verdict: 1}
    assert bench.parts.counts()["gate"].open == 0


def test_what_has_not_spoken_at_the_deadline_is_unknown():
    bench = Bench("a", "b", "c")
    bench.judge(bench.capture("b", "A1", captured=11.0), OK)
    bench.capture("a", "A1", captured=10.5)
    assert bench.parts.next_deadline() == 15.5  # the first capture's, though it was told of last
    assert bench.parts.overdue(15.4) == []
    (part,) = bench.parts.overdue(15.5)
    assert (part.verdict, part.reason, part.captured) == (UNKNOWN, Reason.DEADLINE, 10.5)
    assert part.words == (
        CameraWord("a", 1, UNKNOWN, Reason.DEADLINE),
        CameraWord("b", 1, OK, None),
        CameraWord("c", None, UNKNOWN, Reason.DEADLINE),
    )
    assert bench.parts.next_deadline() == INF


def test_a_defect_is_told_though_others_have_not_spoken():
    bench = Bench()
    bench.see("a", "A1", NG)
    (part,) = bench.parts.overdue(100.0)
    assert (part.verdict, part.reason) == (NG, None)


def test_who_comes_after_the_deadline_opens_no_second_part():
    bench = Bench()
    frame = bench.capture("a", "A1")
    assert len(bench.parts.overdue(100.0)) == 1
    bench.judge(frame, OK)
    bench.see("b", "A1")
    assert bench.closed == []
    assert (bench.parts.counts()["gate"].late, bench.parts.counts()["gate"].open) == (2, 0)


def test_an_id_may_come_again():
    bench = Bench()
    for verdict in (OK, NG):
        bench.see("a", "A1", verdict)
        bench.see("b", "A1")
    bench.see("a", "A1")
    bench.see("a", "A1", NG)  # one camera is a round ahead of the other
    bench.see("b", "A1")
    bench.see("b", "A1")
    assert [verdict for _, verdict, _ in bench.verdicts()] == [OK, NG, OK, NG]


@pytest.mark.parametrize("loses", ["a", "b"])
def test_a_tray_that_comes_again_is_whole_again_after_a_frame_was_lost(loses):
    bench = Bench()
    for turn in range(4):
        now = 10.0 * (turn + 1)
        bench.closed += bench.parts.overdue(now)
        for camera in ("a", "b"):
            if (turn, camera) != (1, loses):
                bench.judge(bench.capture(camera, "tray", captured=now), OK)
    assert [verdict for _, verdict, _ in bench.verdicts()] == [OK, UNKNOWN, OK, OK]
    assert bench.parts.counts()["gate"].late == 0


def test_a_verdict_may_overtake_the_capture():
    bench = Bench()
    frame = bench.frame("a", "A1")
    bench.judge(frame, OK)
    assert bench.parts.capture(frame) == []
    bench.see("b", "A1")
    assert bench.verdicts() == [("A1", OK, None)]


def test_frames_without_an_id_or_of_other_cameras_are_of_no_part():
    bench = Bench()
    bench.see("a", None)
    bench.see("stranger", "A1")
    assert bench.parts.close() == []


def test_the_end_closes_all_and_whatever_comes_then():
    bench = Bench(deadline=INF)
    bench.see("a", "A1")
    bench.capture("b", "A2")
    bench.closed += bench.parts.close()
    bench.see("a", "A3")
    assert bench.verdicts() == [(part, UNKNOWN, Reason.SHUTDOWN) for part in ("A1", "A2", "A3")]


def test_no_more_are_open_or_remembered_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(module, "MOST_OPEN", 10)
    monkeypatch.setattr(module, "MOST_REMEMBERED", 10)
    bench = Bench(deadline=INF)
    for number in range(100):
        bench.see("a", f"A{number}")
    assert bench.verdicts() == [(f"A{number}", UNKNOWN, Reason.OVERLOAD) for number in range(90)]
    (table,) = bench.parts._tables.values()
    assert len(table._by_id) == 20
    assert bench.parts._part_of == {}


class Line(RuleBasedStateMachine):
    """A line that runs anyhow: cameras ahead and behind, frames judged in any order or never, deadlines at any time."""

    CAMERAS = ("a", "b", "c")
    STATIONS = (Station("one", ("a", "b"), 3.0), Station("two", ("c",), INF))

    def __init__(self) -> None:
        super().__init__()
        self.parts = Parts(self.STATIONS)
        self.now = 0.0
        self.captured: dict[tuple[str, int], Frame] = {}
        self.said: dict[tuple[str, int], tuple[Verdict, Reason | None]] = {}
        self.closed: list[PartVerdict] = []
        self.numbers: Counter[str] = Counter()

    def take(self, closed: list[PartVerdict]) -> None:
        for part in closed:
            words = [word.verdict for word in part.words]
            assert (part.verdict is OK) == all(word is OK for word in words)
            assert (part.verdict is NG) == (NG in words)
            assert (part.reason is None) == (part.verdict is not UNKNOWN)
            for word in part.words:
                if word.verdict is not UNKNOWN:
                    assert word.frame is not None
                    assert self.said[word.camera, word.frame] == (word.verdict, word.reason)
                    assert self.captured[word.camera, word.frame].part == part.part
        self.closed += closed

    @rule(camera=st.sampled_from(CAMERAS), part=st.sampled_from(["A1", "A2", "A3", None]), age=st.floats(0, 1))
    def capture(self, camera: str, part: str | None, age: float) -> None:
        self.numbers[camera] += 1
        frame = Frame(camera, self.numbers[camera], 0, self.now - age, INF, None, part)
        self.captured[camera, frame.number] = frame
        self.take(self.parts.capture(frame))

    @rule(data=st.data(), verdict=st.sampled_from(Verdict))
    def judge(self, data: st.DataObject, verdict: Verdict) -> None:
        waiting = sorted(self.captured.keys() - self.said.keys())
        if waiting:
            key = data.draw(st.sampled_from(waiting))
            self.said[key] = verdict, Reason.MODEL if verdict is UNKNOWN else None
            self.take(self.parts.judge(Inspection(self.captured[key], *self.said[key])))

    @rule(seconds=st.floats(0, 4))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.take(self.parts.overdue(self.now))
        assert self.parts.next_deadline() > self.now

    @invariant()
    def each_frame_is_in_one_part_at_most(self) -> None:
        frames = [(word.camera, word.frame) for part in self.closed for word in part.words if word.frame is not None]
        assert len(frames) == len(set(frames))
        told = sum(counts.verdicts.total() for counts in self.parts.counts().values())
        assert told == len(self.closed)

    def teardown(self) -> None:
        self.take(self.parts.close())
        assert all(counts.open == 0 for counts in self.parts.counts().values())
        for station in self.STATIONS:
            for part in ("A1", "A2", "A3"):
                # An id's parts are as many as the frames of the camera that saw it most often; more where the others
                # saw it after it was due.
                seen = [
                    sum(f.part == part for f in self.captured.values() if f.camera == camera)
                    for camera in station.cameras
                ]
                parts = sum(one.station == station.name and one.part == part for one in self.closed)
                assert max(seen) <= parts <= sum(seen)
                assert parts == max(seen) or station.deadline < INF


TestLine = Line.TestCase
