"""Parts that several cameras of a real daemon see: real sockets, real triggers, real signals.

1. two cameras see the same parts under load, SIGTERM: every part has one verdict, which is what its frames say
2. a triggered camera gives its frames the triggers' ids; a trigger without a frame makes its part unknown
3. killed again and again: a subscriber has every part once and in order, and hears which were left without a verdict
"""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from inspector.client import Subscriber
from inspector.journal.reading import Choice, Reader
from inspector.messages import BeatMessage, EventMessage, PartMessage, VerdictMessage
from inspector.types import Reason, Verdict
from inspector.wire import decode
from tests.archives import asking_at
from tests.daemon import Process, configure
from tests.observer import Observer
from tests.waiting import free_port, until

STATION = '[[station]]\nname = "gate"\ncameras = ["cam1", "cam2"]\n'
SEEN = "sim://line?seed={seed}&rate={rate}&width=128&height=96&light=0.7&defects=0.5"
"""Parts that are numbered; to the tiny bundle some of them are too bright."""


def assert_parts_follow(messages: Sequence[VerdictMessage | PartMessage]) -> None:
    """Each part has one verdict, made of its frames' and after them."""
    said: dict[tuple[str, int], VerdictMessage] = {}
    ids = Counter(message.part for message in messages if isinstance(message, PartMessage))
    assert set(ids.values()) == {1}
    for message in messages:
        if isinstance(message, VerdictMessage):
            said[message.camera, message.frame] = message
            continue
        verdicts = [word.verdict for word in message.cameras]
        assert (message.verdict is Verdict.OK) == (set(verdicts) == {Verdict.OK})
        assert (message.verdict is Verdict.NG) == (Verdict.NG in verdicts)
        for word in message.cameras:
            if word.verdict is not Verdict.UNKNOWN:
                assert word.frame is not None
                frame = said[word.camera, word.frame]
                assert (frame.part, frame.verdict) == (message.part, word.verdict)


def test_1_sigterm_under_load_leaves_no_part_without_a_verdict(bright: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite"
    config = configure(
        tmp_path / "c.toml", bright, SEEN.format(seed=1, rate=60), SEEN.format(seed=2, rate=60),
        more=f'{STATION}[journal]\npath = "{journal}"\n', camera="queue = 50\nthreshold = 0.57\nmin_area = 1",
    )  # fmt: skip
    with Process(config) as daemon, Subscriber(daemon.endpoint, kinds=["part", "beat"]) as subscriber:
        parts, goodbye = 0, None
        for message in subscriber.messages(timeout=60):
            if isinstance(message, PartMessage):
                parts += 1
                if parts == 200:
                    metrics = daemon.metrics()
                    daemon.send(signal.SIGTERM)
            elif isinstance(message, BeatMessage) and message.final:
                goodbye = message
                break
        assert daemon.wait() == 0
    assert sum(value for name, value in metrics.items() if name.startswith("inspector_parts_total")) >= 200
    assert metrics['inspector_frames_without_part_total{camera="cam1"}'] == 0
    assert goodbye is not None
    reader = Reader(journal)
    kept = [decode(one.kept.parts) for one in reader.messages(Choice())]
    reader.close()
    told = [message for message in kept if isinstance(message, VerdictMessage | PartMessage)]
    assert_parts_follow(told)
    closed = [message for message in told if isinstance(message, PartMessage)]
    assert [part.sequence for part in closed] == list(range(1, goodbye.sequences["part/line1/gate/"] + 1))
    assert {part.part for part in closed} == {message.part for message in told if isinstance(message, VerdictMessage)}
    assert {part.verdict for part in closed} >= {Verdict.OK, Verdict.NG}


def test_2_triggers_name_the_parts_and_one_without_a_frame_is_unknown(bright: Path, tmp_path: Path) -> None:
    """cam1 delivers all the time; cam2 cannot be reached, as one that was unplugged."""
    config = configure(
        tmp_path / "c.toml", bright, SEEN.format(seed=1, rate=20), f"rtsp://127.0.0.1:{free_port()}/live",
        more=f'{STATION}deadline = 60\n[trigger]\nendpoint = "tcp://127.0.0.1:*"\n', camera="trigger_window = 5.0",
    )  # fmt: skip
    with (
        Process(config) as daemon,
        Subscriber(daemon.endpoint, kinds=["verdict", "part", "event"]) as subscriber,
        asking_at(daemon.triggers) as plc,
    ):
        daemon.keep_reading()
        next(subscriber.messages(timeout=60))

        def trigger(**told: object) -> object:
            plc.send(json.dumps(told).encode())
            return json.loads(plc.recv())["taken"]

        assert trigger(part="A1")
        assert trigger(part="A2", cameras=["cam1"])
        assert not trigger(part="A3", cameras=["cam7"])
        assert trigger(part="A4", station="gate")
        frames: dict[tuple[str, str], VerdictMessage] = {}
        parts: dict[str, PartMessage] = {}
        events = []
        for message in subscriber.messages(timeout=60):
            if isinstance(message, VerdictMessage) and message.part is not None:
                assert (message.camera, message.part) not in frames
                frames[message.camera, message.part] = message
            elif isinstance(message, PartMessage):
                parts[message.part] = message
            elif isinstance(message, EventMessage) and message.event.state == "missing":
                events.append((message.event.subject, message.event.detail))
            if {"A1", "A4"} <= parts.keys():
                break
        metrics = daemon.metrics()
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    assert frames.keys() == {("cam1", "A1"), ("cam1", "A2"), ("cam1", "A4"), ("cam2", "A1"), ("cam2", "A4")}
    for part in ("A1", "A4"):
        missing, seen = frames["cam2", part], frames["cam1", part]
        assert (missing.verdict, missing.reason, missing.size) == (Verdict.UNKNOWN, Reason.CAMERA, None)
        assert [(word.frame, word.verdict) for word in parts[part].cameras] == [
            (seen.frame, seen.verdict),
            (missing.frame, Verdict.UNKNOWN),
        ]
        assert parts[part].verdict in (Verdict.UNKNOWN, Verdict.NG)
    assert [(subject, "A1" in detail or "A4" in detail) for subject, detail in events] == 2 * [("cam2", True)]
    assert metrics['inspector_triggers_total{camera="cam2",end="missing"}'] == 2
    assert metrics['inspector_triggers_total{camera="cam1",end="frame"}'] == 3
    assert metrics['inspector_trigger_requests_total{answer="refused"}'] == 1
    assert metrics['inspector_frames_without_part_total{camera="cam1"}'] > 0


def test_3_killed_again_and_again_a_subscriber_has_every_part_once(bright: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite"
    endpoint, catchup = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    # The second camera is so much slower that parts wait for it at any moment, also where the machine is the brake.
    config = configure(
        tmp_path / "c.toml", bright, SEEN.format(seed=1, rate=60), SEEN.format(seed=2, rate=6),
        more=f'{STATION}deadline = 600\n[journal]\npath = "{journal}"\n',
        publish=f'catchup = "{catchup}"',
    )  # fmt: skip
    heard: list[str] = []

    def tells_of_all() -> bool:
        item = events.receive(0.1)
        if isinstance(item, EventMessage) and "none of their own at station gate" in item.event.detail:
            heard.append(item.event.detail)
        return len(heard) == 3

    def goes_on(number: int) -> None:
        """Until there are parts of so many runs; the last of them is under load."""
        by_run = observer.heard
        until(lambda: len(by_run) == number and len(by_run[max(by_run)]) >= 10, f"parts of run {number}")

    config.write_text(config.read_text().replace("tcp://127.0.0.1:*", endpoint))
    with (
        Observer(endpoint, kinds=("part",), catchup=catchup) as observer,
        Subscriber(endpoint, kinds=["event"], catchup=catchup) as events,
    ):
        for number in (1, 2, 3):
            with Process(config) as daemon:
                daemon.keep_reading()
                goes_on(number)
                daemon.send(signal.SIGKILL)
                daemon.wait()
        with Process(config) as daemon:
            daemon.keep_reading()
            goes_on(4)
            until(tells_of_all, "which parts were left")
            daemon.send(signal.SIGTERM)
            assert daemon.wait() == 0
            observer.wait_for_all(journal)
        observer.assert_complete(journal)
    reader = Reader(journal)
    for detail in heard:
        match = re.search(r"(\d+) part\(s\) of session (\d+) .*gate: ([\d, ]*\d)", detail)
        assert match is not None
        number, session, listed = match.groups()
        kept = [decode(one.kept.parts) for one in reader.messages(Choice(session=int(session)))]
        judged = {message.part for message in kept if isinstance(message, VerdictMessage)}
        told = {message.part for message in kept if isinstance(message, PartMessage)}
        assert len(judged - told) == int(number) > 0
        assert set(listed.split(", ")) <= judged - told
    reader.close()
