from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from inspector.clock import ManualClock
from inspector.codecs import Formats
from inspector.errors import OutputError
from inspector.messages import (
    BeatMessage,
    EventMessage,
    Message,
    PartMessage,
    PreviewMessage,
    ResultMessage,
    VerdictMessage,
)
from inspector.outputs.memory import MemoryOutput
from inspector.publisher import Keeping, Publisher
from inspector.types import Event, Frame, Inspection, Late, PartVerdict, Reason, Receipt, Verdict
from inspector.wire import Encoder, decode
from tests.inspections import ng, ok, part
from tests.journals import SHIFT, Parts

CAMERAS = ("cam1", "cam10")
TOPICS = ("verdict/line1/cam1/", "result/line1/cam1/", "event/line1/cam1/", "event/line1/daemon/", "beat/line1/")
TOO_WIDE = (48, 65_501, 1)
"""One pixel wider than a JPEG can be."""


class Frail(MemoryOutput):
    """Fails as long as `broken`; counts how often it was tried."""

    broken = True
    tried = 0

    def write(self, topic: str, parts: Sequence[bytes]) -> None:
        self.tried += 1
        if self.broken:
            raise OutputError(f"output {self.endpoint} failed: no route to host")
        super().write(topic, parts)


class Listener:
    """A recorder that remembers what it was told, and how many messages were out by then."""

    def __init__(self, output: MemoryOutput) -> None:
        self._output = output
        self.told: list[tuple[Inspection, dict[str, object], bool, int]] = []
        self.due: list[tuple[str, str]] = []

    def verdict(self, inspection: Inspection, header: bytes, late: bool = False) -> None:
        self.told.append((inspection, json.loads(header), late, len(self._output.messages)))

    def news(self) -> list[tuple[str, str]]:
        due, self.due = self.due, []
        return due


class House:
    """A publisher with a clock that stands still, and what it did."""

    def __init__(
        self,
        *outputs: MemoryOutput,
        formats: Formats | None = None,
        recorder: Listener | None = None,
        previews: float = 0.0,
        keeping: Keeping | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.output = outputs[0] if outputs else MemoryOutput()
        self.observed: list[tuple[Inspection, float, float]] = []
        self.publisher = Publisher(
            outputs or [self.output],
            Encoder("line1", 1, "0" * 64),
            CAMERAS,
            formats or Formats(),
            self.clock,
            lambda *seen: self.observed.append(seen),
            stations=["gate"],
            recorder=recorder,
            preview_rate=previews,
            keeping=keeping,
        )

    def publish(self, items: list[Inspection | PartVerdict | Late | Event]) -> None:
        """Publish, and pay all that is owed."""
        self.publisher.publish(items)
        while self.publisher.owed:
            self.publisher.pay()

    def second(self) -> None:
        """A second goes by, and the publisher looks up."""
        self.clock.advance(1.0)
        self.publisher.tick()

    def messages(self, output: MemoryOutput | None = None) -> list[Message]:
        return list(map(decode, (output or self.output).messages))

    def news(self, output: MemoryOutput | None = None) -> list[tuple[str, str]]:
        return [(m.event.state, m.event.detail) for m in self.messages(output) if isinstance(m, EventMessage)]

    def beats(self) -> list[BeatMessage]:
        return [m for m in self.messages() if isinstance(m, BeatMessage)]


def kinds(messages: list[Message]) -> list[str]:
    return [message.kind for message in messages]


def event(subject: str = "cam1") -> Event:
    return Event(subject, "up", "the camera delivers", 5)


def only(*prefixes: str, output: MemoryOutput | None = None) -> MemoryOutput:
    """An output that wants nothing but topics that begin so."""
    chosen = output or MemoryOutput()
    chosen.prefixes = list(prefixes)
    return chosen


# ---- order and numbers


def test_verdicts_and_events_go_before_results():
    house = House()
    house.publish([ng(number=1), event(), ok(number=2), ng("cam10", 1)])
    assert kinds(house.messages()) == ["verdict", "event", "verdict", "verdict", "result", "result"]
    judged = [(m.camera, m.frame) for m in house.messages() if isinstance(m, VerdictMessage | ResultMessage)]
    assert judged == [("cam1", 1), ("cam1", 2), ("cam10", 1), ("cam1", 1), ("cam10", 1)]


def test_a_verdict_waits_for_no_more_than_the_result_that_is_being_encoded():
    house = House()
    house.publisher.publish([ng(number=1), ng(number=2), ok("cam10", 1)])
    assert (kinds(house.messages()), house.publisher.owed) == (["verdict"] * 3, 2)
    assert [one.frame.camera for one, _, _ in house.observed] == ["cam10"]
    house.publisher.pay()
    house.publisher.publish([ok("cam10", 2)])
    house.publisher.pay()
    house.publisher.pay()  # nothing
    assert kinds(house.messages())[3:] == ["result", "verdict", "result"]
    assert [one.frame.number for one, _, _ in house.observed] == [1, 1, 2, 2]


def test_a_parts_verdict_follows_those_that_it_is_made_of():
    house = House()
    verdict = part(captured=house.clock.monotonic() - 0.25)
    house.publish([ng(number=1), ok("cam10", 1), verdict, ok(number=2)])
    assert kinds(house.messages()) == ["verdict", "verdict", "part", "verdict", "result"]
    house.publish([verdict])
    house.second()
    told = [m for m in house.messages() if isinstance(m, PartMessage)]
    assert [(m.station, m.part, m.sequence, m.seconds) for m in told] == [
        ("gate", "part-1", 1, 0.25), ("gate", "part-1", 2, 0.25)
    ]  # fmt: skip
    assert house.beats()[-1].sequences["part/line1/gate/"] == 2


def test_a_topic_counts_from_1_by_itself():
    house = House()
    house.publish([ng(number=1), ok(number=2), ng("cam10"), event(), event("daemon"), event()])
    numbered = [
        (m.kind, m.camera if isinstance(m, VerdictMessage | ResultMessage) else m.event.subject, m.sequence)
        for m in house.messages()
        if not isinstance(m, BeatMessage)
    ]
    assert sorted(numbered) == [
        ("event", "cam1", 1),
        ("event", "cam1", 2),
        ("event", "daemon", 1),
        ("result", "cam1", 1),
        ("result", "cam10", 1),
        ("verdict", "cam1", 1),
        ("verdict", "cam1", 2),
        ("verdict", "cam10", 1),
    ]


@pytest.mark.parametrize("verdict", [Verdict.OK, Verdict.UNKNOWN])
def test_only_what_is_defective_has_a_result(verdict):
    house = House()
    house.publish([replace(ng(), verdict=verdict, reason=Reason.MODEL)])
    assert kinds(house.messages()) == ["verdict"]


def test_what_was_not_wanted_is_counted_all_the_same():
    house = House(only("beat/"))
    house.publish([ng(number=1), event()])
    house.output.prefixes = [""]
    house.publish([ng(number=2), event()])
    assert [m.sequence for m in house.messages() if not isinstance(m, BeatMessage)] == [2, 2, 2]


# ---- what nobody wants


def test_nothing_is_encoded_that_nobody_wants(monkeypatch):
    house = House(only("nothing/"))

    def encoded(*_: object) -> None:
        raise AssertionError("this was not wanted")

    for maker in ("verdict", "result", "event", "beat"):
        monkeypatch.setattr(Encoder, maker, encoded)
    monkeypatch.setattr("inspector.codecs.encode", encoded)
    house.publisher.tick()
    house.publish([ng(), ok(number=2), event()])
    house.publisher.goodbye()
    assert not house.output.messages
    assert set(house.publisher.messages.values()) == set(house.publisher.bytes.values()) == {0}
    assert len(house.observed) == 2


def test_each_output_gets_what_it_wants():
    verdicts, results = only("verdict/line1/cam1/"), only("result/", "verdict/line1/cam10/")
    house = House(verdicts, results)
    house.publish([ng(), ok("cam10")])
    assert [bytes(m[0]) for m in verdicts.messages] == [b"verdict/line1/cam1/"]
    assert [bytes(m[0]) for m in results.messages] == [b"verdict/line1/cam10/", b"result/line1/cam1/"]


def test_what_was_handed_over_is_counted_once_by_topic():
    one, other = MemoryOutput(), MemoryOutput()
    house = House(one, other)
    house.publish([ng(number=1), ok(number=2)])
    sizes = {topic: sum(sum(map(len, m)) for m in one.messages if m[0] == topic.encode()) for topic in TOPICS}
    assert {topic: house.publisher.messages[topic] for topic in TOPICS} == dict(
        zip(TOPICS, (2, 1, 0, 0, 0), strict=True)
    )
    assert {topic: house.publisher.bytes[topic] for topic in TOPICS} == sizes


# ---- beats


def test_it_beats_at_once_and_then_once_a_second():
    house = House()
    numbers = []
    for _ in range(9):
        house.publisher.tick()
        numbers.append(len(house.messages()))
        house.clock.advance(0.25)
    assert numbers == [1, 1, 1, 1, 2, 2, 2, 2, 3]
    assert {beat.final for beat in house.beats()} == {False}
    assert [beat.at_ns for beat in house.beats()] == [1_700_000_000_000_000_000 + n * 10**9 for n in range(3)]


def test_seconds_that_were_missed_are_not_made_up_for():
    house = House()
    house.publisher.tick()
    house.clock.advance(30.0)
    for _ in range(3):
        house.publisher.tick()
    assert len(house.beats()) == 2


def test_a_beat_tells_how_far_each_topic_is():
    house = House()
    house.publish([ng(number=1), ok(number=2), event("daemon")])
    house.publisher.tick()
    (beat,) = house.beats()
    assert beat.sequences == {
        "verdict/line1/cam1/": 2,
        "verdict/line1/cam10/": 0,
        "result/line1/cam1/": 1,
        "result/line1/cam10/": 0,
        "part/line1/gate/": 0,
        "event/line1/cam1/": 0,
        "event/line1/cam10/": 0,
        "event/line1/daemon/": 1,
    }


def test_goodbye_is_the_last_word_and_needs_no_second():
    house = House()
    house.publisher.tick()
    house.publish([ok()])
    house.publisher.goodbye()
    assert kinds(house.messages()) == ["beat", "verdict", "beat"]
    assert [beat.final for beat in house.beats()] == [False, True]
    assert house.beats()[-1].sequences["verdict/line1/cam1/"] == 1


def test_goodbye_tells_of_trouble_first():
    frail = Frail("frail:")
    house = House(MemoryOutput(), frail)
    house.publish([ok()])
    house.publisher.goodbye()
    assert kinds(house.messages()) == ["verdict", "event", "beat"]
    assert house.beats()[-1].sequences["event/line1/daemon/"] == 1


# ---- subscribers


def test_subscribers_are_counted_by_topic_at_each_beat():
    one = only("", "verdict/line1/cam1/", "verdict/line1/cam1/", "result/")
    other = only("verdict/", "event/line1/daemon/")
    house = House(one, other)
    assert set(house.publisher.subscribers.values()) == {0}
    house.publisher.tick()
    assert house.publisher.subscribers == {
        "verdict/line1/cam1/": 4,
        "verdict/line1/cam10/": 2,
        "result/line1/cam1/": 2,
        "result/line1/cam10/": 2,
        "part/line1/gate/": 1,
        "event/line1/cam1/": 1,
        "event/line1/cam10/": 1,
        "event/line1/daemon/": 2,
        "beat/line1/": 1,
    }
    one.prefixes = []
    house.publisher.tick()
    assert house.publisher.subscribers["beat/line1/"] == 1, "a second is not over yet"
    house.second()
    assert house.publisher.subscribers["beat/line1/"] == 0
    assert house.publisher.subscribers["verdict/line1/cam1/"] == 1


def test_nonsense_is_summed_over_the_outputs():
    one, other = MemoryOutput(), MemoryOutput()
    house = House(one, other)
    one.hostile, other.hostile = 2, 3
    assert house.publisher.hostile == 5


# ---- an output that fails


def test_an_output_that_fails_hurts_only_itself():
    frail, sound = Frail("frail:"), MemoryOutput()
    house = House(frail, sound)
    house.publish([ng(number=1), ok(number=2), event()])
    assert kinds(house.messages(sound)) == ["verdict", "verdict", "event", "result"]
    assert frail.tried == house.publisher.errors == 4
    assert not frail.messages
    assert house.publisher.messages["verdict/line1/cam1/"] == 2


def test_what_no_output_took_was_not_handed_over():
    house = House(Frail("frail:"))
    house.publish([ok()])
    assert house.publisher.messages["verdict/line1/cam1/"] == house.publisher.bytes["verdict/line1/cam1/"] == 0
    assert house.publisher.errors == 1


def test_trouble_is_told_when_it_begins_and_when_it_is_over():
    frail, sound = Frail("frail:"), only("event/")
    house = House(sound, only("verdict/", output=frail))
    failing = ("failing", "output frail: failed: no route to host")
    house.publisher.tick()
    assert house.news() == []
    house.publish([ok(number=1)])
    assert house.news() == [], "only once a second"
    for number in (2, 3):
        house.second()
        house.publish([ok(number=number)])
        assert house.news() == [failing]
    frail.broken = False
    house.second()
    assert house.news() == [failing], "nothing has gone through yet"
    house.publish([ok(number=4)])
    house.second()
    recovered = ("recovered", "the output frail: works again; 3 message(s) were lost")
    assert house.news() == [failing, recovered]
    house.second()
    assert house.news() == [failing, recovered]


def test_trouble_that_comes_back_is_told_and_counted_anew():
    frail = Frail("frail:")
    house = House(only("event/"), only("verdict/", output=frail))
    for number, broken in enumerate([True, False, True, True, False]):
        frail.broken = broken
        house.publish([ok(number=number)])
        house.second()
    assert [state for state, _ in house.news()] == ["failing", "recovered", "failing", "recovered"]
    lost = [detail.rpartition("; ")[2] for state, detail in house.news() if state == "recovered"]
    assert lost == ["1 message(s) were lost", "2 message(s) were lost"]


def test_trouble_shorter_than_a_second_is_told_too():
    frail = Frail("frail:")
    house = House(only("event/"), only("verdict/", output=frail))
    house.publisher.tick()
    house.publish([ok(number=1)])
    frail.broken = False
    house.publish([ok(number=2)])
    house.second()
    house.second()
    assert [state for state, _ in house.news()] == ["failing", "recovered"]


def test_one_that_fails_is_told_apart_from_another():
    first, second = only("verdict/", output=Frail("first:")), only("verdict/", output=Frail("second:"))
    house = House(only("event/"), first, second)
    second.broken = False
    house.publish([ok()])
    house.second()
    assert house.news() == [("failing", "output first: failed: no route to host")]


# ---- a result that cannot be encoded


def test_a_result_that_cannot_be_encoded_leaves_the_verdict():
    house = House(formats=Formats(source="jpeg"))
    house.publish([ng(number=1, size=TOO_WIDE), ng(number=2)])
    judged = [m for m in house.messages() if isinstance(m, VerdictMessage | ResultMessage)]
    assert [(m.kind, m.frame, m.sequence) for m in judged] == [("verdict", 1, 1), ("verdict", 2, 2), ("result", 2, 2)]
    assert judged[0].verdict is Verdict.NG
    assert house.publisher.errors == 1
    assert [inspection.frame.number for inspection, _, _ in house.observed] == [1, 2]


def test_encoding_that_fails_is_told_when_it_begins_and_when_it_is_over():
    house = House(only("event/", "result/"), formats=Formats(source="jpeg"))
    house.publish([ng(number=1, size=TOO_WIDE)])
    house.second()
    house.publish([ng(number=2)])
    house.second()
    (failing, reason), (recovered, lost) = house.news()
    assert (failing, recovered) == ("failing", "recovered")
    assert str(TOO_WIDE) in reason
    assert lost == "the encoding of results works again; 1 message(s) were lost"


def test_a_result_that_nobody_wants_cannot_fail():
    house = House(only("verdict/", "event/"), formats=Formats(source="jpeg"))
    house.publish([ng(size=TOO_WIDE)])
    house.second()
    assert house.publisher.errors == 0
    assert kinds(house.messages()) == ["verdict"]


# ---- what a journal answers for


@pytest.mark.parametrize("heard", ["", "verdict/"])
def test_a_result_that_the_journal_is_not_to_keep_is_gone_once_it_is_out(tmp_path, heard):
    with Parts(tmp_path / "j") as parts:
        house = House(only(heard), keeping=Keeping(parts.journal, lambda _: SHIFT, results=False))
        house.publish([ng(number=1), ng(number=2), ok("cam10", 1)])
        chunk = parts.journal.read(1000, "result/line1/cam1/", 1, 9, 1 << 20)
        assert (chunk.last, chunk.messages, chunk.gone) == (2, (), ((1, 2),))
        assert parts.journal.read(1000, "result/line1/cam10/", 1, 9, 1 << 20).last == 0, "none was published"
        assert parts.sequences() == [1, 2]


def test_a_result_that_cannot_be_encoded_is_gone(tmp_path):
    with Parts(tmp_path / "j") as parts:
        house = House(formats=Formats(source="jpeg"), keeping=Keeping(parts.journal, lambda _: SHIFT))
        house.publish([ng(number=1), ng(number=2, size=TOO_WIDE)])
        chunk = parts.journal.read(1000, "result/line1/cam1/", 1, 9, 1 << 20)
        assert ([kept.sequence for kept in chunk.messages], chunk.gone) == ([1], ((2, 2),))


# ---- what it observes


def judged(clock: ManualClock, verdict: Verdict) -> Inspection:
    """Complete 0.75 seconds after its capture, which is now."""
    frame = replace(ng().frame, captured=clock.monotonic())
    return replace(ng(), frame=frame, verdict=verdict, receipt=Receipt(0.25, 0.125, 0.25, 0.0, 0.125))


@pytest.mark.parametrize("verdict", [Verdict.OK, Verdict.NG])
def test_each_inspection_is_observed_once_with_when_its_verdict_left(verdict):
    house = House()
    inspection = judged(house.clock, verdict)
    house.clock.advance(1.0)
    house.publish([inspection])
    assert house.observed == [(inspection, 0.0, house.clock.monotonic())]
    assert {m.latency.publish for m in house.messages() if isinstance(m, VerdictMessage | ResultMessage)} == {0.25}


def test_encoding_is_measured_apart_from_the_wait(monkeypatch):
    house = House()
    inspection = judged(house.clock, Verdict.NG)
    house.clock.advance(1.0)

    def slowly(*_: object) -> list[object]:
        house.clock.advance(0.5)
        return []

    monkeypatch.setattr("inspector.codecs.encode", slowly)
    left = house.clock.monotonic()
    house.publish([inspection, inspection])
    assert house.observed == 2 * [(inspection, 0.5, left)], "no verdict waits for a result, whosever it is"
    first, _ = [m for m in house.messages() if isinstance(m, ResultMessage)]
    assert (first.latency.encode, first.latency.publish) == (0.5, 0.25)


def test_a_frame_that_no_worker_finished_waited_since_its_capture():
    house = House()
    frame = Frame("cam1", 1, 5, house.clock.monotonic(), house.clock.monotonic() + 1, None)
    house.clock.advance(1.5)
    house.publish([Inspection(frame, Verdict.UNKNOWN, Reason.DEADLINE)])
    assert [m.latency.publish for m in house.messages() if isinstance(m, VerdictMessage)] == [1.5]


def test_a_recorder_is_told_of_each_frame_once_all_verdicts_are_out():
    output = MemoryOutput()
    recorder = Listener(output)
    house = House(output, recorder=recorder)
    house.publisher.tick()
    before = len(output.messages)
    inspections = [ok(number=1), ng(number=2)]
    house.publish([*inspections, Late(ng(number=9))])
    assert [(one.frame.number, late) for one, _, late, _ in recorder.told] == [(1, False), (2, False), (9, True)]
    assert {out - before for *_, out in recorder.told} == {2}
    sent = [json.loads(parts[1]) for parts in output.messages if parts[0] == b"verdict/line1/cam1/"]
    assert [header for _, header, late, _ in recorder.told if not late] == sent
    assert recorder.told[-1][1]["kind"] == "late"


def test_a_recorder_is_told_though_nobody_listens_and_tells_its_news():
    output = MemoryOutput()
    output.prefixes = []
    recorder = Listener(output)
    house = House(output, recorder=recorder)
    house.publish([ok(number=1)])
    house.publish([ok(number=2)])
    assert [header["sequence"] for _, header, _, _ in recorder.told] == [1, 2]
    assert not output.messages
    listening = House(recorder=recorder)
    recorder.due.append(("failing", "the disk is full"))
    listening.second()
    (event,) = [message.event for message in listening.messages() if isinstance(message, EventMessage)]
    assert (event.subject, event.state, event.detail) == ("daemon", "failing", "the disk is full")


# ---- previews


def looking(*prefixes: str, previews: float = 10.0) -> House:
    house = House(only(*prefixes), previews=previews)
    house.publisher.tick()
    house.output.messages.clear()
    house.clock.advance(1.0)
    return house


def shown(house: House) -> list[tuple[str, int, str]]:
    return [(m.camera, m.frame, m.verdict.value) for m in house.messages() if isinstance(m, PreviewMessage)]


def test_a_preview_comes_after_all_verdicts_and_only_one_at_a_time():
    house = looking("")
    house.publish([ok(number=1), ng("cam10", 1)])
    assert kinds(house.messages()) == ["verdict", "verdict", "preview", "result"]
    assert shown(house) == [("cam10", 1, "ng")]
    house.publish([ok(number=2), ok("cam10", 2)])
    house.publish([ok("cam10", 3)])
    assert shown(house)[1:] == [("cam1", 2, "ok"), ("cam10", 3, "ok")]


def test_nobody_is_shown_what_nobody_wants_to_see():
    house = looking("preview/line1/cam10/", "verdict/")
    house.publish([ok(number=1)])
    house.publish([ok("cam10", 1)])
    assert shown(house) == [("cam10", 1, "ok")]
    house = looking("", previews=0.0)
    house.publish([ng(), ok("cam10", 1)])
    assert kinds(house.messages()) == ["verdict", "verdict", "result"]
    assert "preview/line1/cam1/" not in house.publisher.messages


def test_a_frame_without_a_picture_is_not_shown():
    house = looking("preview/")
    missing = ok(number=1)
    house.publish([replace(missing, frame=replace(missing.frame, image=None))])
    house.publish([ok(number=2)])
    assert shown(house) == [("cam1", 2, "ok")]
    assert house.publisher.messages["preview/line1/cam1/"] == 1


@pytest.mark.parametrize(("every", "expected"), [(0.02, 100), (0.1, 100), (0.5, 20)])
def test_a_camera_is_shown_so_often_a_second_at_the_most(every, expected):
    house = looking("preview/line1/cam1/")
    for number in range(1, round(10 / every) + 1):
        house.clock.advance(every * (0.9 if number % 2 else 1.1))  # cameras are not punctual
        house.publish([ok(number=number)])
    assert abs(len(shown(house)) - expected) <= 1


def test_defective_frames_are_shown_beside_the_others():
    house = looking("preview/line1/cam1/")
    for number in range(1, 201):
        house.clock.advance(0.05)
        house.publish([ng(number=number) if number % 20 == 0 else ok(number=number)])
    assert [number for _, number, verdict in shown(house) if verdict == "ng"] == list(range(20, 201, 20))


def test_previews_have_no_sequence():
    house = looking("")
    house.publish([ok()])
    house.second()
    assert shown(house)
    assert "preview/line1/cam1/" not in house.beats()[-1].sequences
