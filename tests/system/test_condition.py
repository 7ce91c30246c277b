"""Sick cameras in the whole flow: noticed, told, and no trouble of any other camera.

1. a frozen camera: its frames end as `unknown: camera` with the cause, the other's are judged, and both are told of
2. a camera whose driver hangs: stalled, and streaming again, told by somebody else than its thread
3. the daemon itself: black pictures, in verdicts, events and metrics; a check that is not asked turns no verdict
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.client import Subscriber
from inspector.condition.limits import fixed
from inspector.inference.bundle import load
from inspector.inference.engine import Engine, start
from inspector.messages import EventMessage, VerdictMessage
from inspector.types import Reason, Verdict
from inspector.wire import decode
from tests.bundles import picture
from tests.daemon import Process, configure
from tests.line import Line
from tests.waiting import PATIENCE, until


@pytest.fixture(scope="module")
def engine(bright: Path) -> Engine:
    return start(load(bright), "cpu", max_batch=4)


@pytest.fixture
def line(engine: Engine) -> Iterator[Callable[[], Line]]:
    made: list[Line] = []

    def make() -> Line:
        made.append(Line(engine, {"cam1": "m", "cam2": "m"}, limits=fixed(live=True)))
        made[-1].pipeline.start()
        return made[-1]

    yield make
    for one in made:
        one.pipeline.drain(10.0)
        one.balance()


def lively(number: int) -> np.ndarray:
    """A good picture with a sensor's noise."""
    return np.asarray(picture() + np.random.default_rng(number).integers(0, 3, picture().shape), np.uint8)


def events(one: Line, camera: str) -> list[str]:
    """The states of a camera that were published."""
    messages = [decode(parts) for parts in one.output.all()]
    return [m.event.state for m in messages if isinstance(m, EventMessage) and m.event.subject == camera]


def test_1_a_frozen_camera_is_noticed_and_alone(line: Callable[[], Line]) -> None:
    one = line()
    for number in range(20):
        one.sources["cam1"].show(lively(min(number, 5)))
        one.sources["cam2"].show(lively(number))
    one.wait_for(40)
    frozen = [m for m in one.messages(VerdictMessage) if m.verdict is Verdict.UNKNOWN]
    assert sorted((m.camera, m.frame, m.reason, m.cause) for m in frozen) == [
        ("cam1", number, Reason.CAMERA, "frozen") for number in range(11, 21)
    ]
    assert {m.size for m in frozen} == {picture().shape}
    until(lambda: "frozen" in events(one, "cam1"), "nobody told of the frozen camera")
    assert "frozen" not in events(one, "cam2")
    one.sources["cam1"].show(lively(99))
    one.wait_for(41)
    assert one.verdicts()[-1] == ("cam1", 21, Verdict.OK, None)


def test_2_a_camera_whose_driver_hangs_is_told_of(line: Callable[[], Line]) -> None:
    one = line()
    for number in range(3):
        one.sources["cam1"].show(lively(number))
    until(lambda: "stalled" in events(one, "cam1"), "nobody told of the stalled camera")
    one.sources["cam1"].show(lively(4))
    until(lambda: events(one, "cam1")[:3] == ["streaming", "stalled", "streaming"], "it was not told to stream again")
    one.wait_for(4)
    assert {verdict for _, _, verdict, _ in one.verdicts()} == {Verdict.OK}
    assert events(one, "cam2") == []


def test_3_black_pictures_in_verdicts_events_and_metrics(bright: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "0.png"), np.full((48, 64, 3), 4, np.uint8))
    cv2.imwrite(str(folder / "1.png"), picture())
    config = configure(tmp_path / "line.toml", bright, *(2 * [f"folder:{folder}?loop=1&rate=50"]))
    text = config.read_text()
    config.write_text(text.replace('name = "cam2"', 'name = "cam2"\nhealth = ["frozen"]'))
    found: dict[tuple[str, str], set[tuple[Verdict, str | None]]] = {}
    told, heard = [], 0
    with Process(config) as daemon:
        with Subscriber(daemon.endpoint, kinds=["verdict", "event"]) as subscriber:
            for message in subscriber.messages(timeout=PATIENCE):
                if isinstance(message, VerdictMessage):
                    key = message.camera, str(message.part)
                    found.setdefault(key, set()).add((message.verdict, message.cause))
                    heard += 1
                    if heard > 80 and len(found) == 4:
                        break
                elif isinstance(message, EventMessage):
                    told.append((message.event.subject, message.event.state))
        metrics = daemon.metrics()
    assert found == {
        ("cam1", "0.png"): {(Verdict.UNKNOWN, "black")},
        ("cam1", "1.png"): {(Verdict.OK, None)},
        ("cam2", "0.png"): {(Verdict.OK, None)},
        ("cam2", "1.png"): {(Verdict.OK, None)},
    }
    assert told.count(("cam1", "black")) <= 1, "one that comes and goes is told of once"
    assert metrics['inspector_camera_health{camera="cam1",check="black"}'] == 0
    assert metrics['inspector_camera_health{camera="cam2",check="black"}'] == 1
    assert metrics['inspector_camera_state{camera="cam1",state="streaming"}'] == 1
    assert metrics['inspector_camera_measured{camera="cam2",check="saturated"}'] == 0
