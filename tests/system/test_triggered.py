"""Cameras that are really triggered, by a real GenTL producer, at a real daemon that hears which part is there.

What each part looks like is the pulse's own, or what lies there as the daemon fires, so that the verdict shows whose
picture was judged.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from inspector.client import Subscriber
from inspector.errors import ConfigError
from inspector.messages import EventMessage, PartMessage, VerdictMessage
from inspector.types import Cause, Verdict
from tests import cameras
from tests.archives import asking_at
from tests.daemon import Process, configure, run
from tests.waiting import until

pytestmark = pytest.mark.full

PAGE = Path(__file__).parents[2] / "docs/cameras.md"
(SETTINGS,) = re.findall(r'producer\.cti&(\S+&TriggerSource=\S+)"', PAGE.read_text(encoding="utf-8"))
"""The camera's own, as the page for integrators has them."""
SOFTWARE = SETTINGS.replace("Line1", "Software")
DARK, BRIGHT, LOST = 40, 200, 0
"""What the camera sees at a pulse: a good part, a defective one; and a frame that never arrives."""
OK, NG, MISSING = (Verdict.OK, None), (Verdict.NG, None), (Verdict.UNKNOWN, Cause.MISSING)


UP = 'inspector_camera_up{camera="cam1"}'
WAITS = 'inspector_camera_state{camera="cam1",state="waiting"}'


class Line:
    """The line's control: it tells the daemon which part is there, and fires the camera."""

    def __init__(self, camera: cameras.Faulty, socket: zmq.Socket[bytes], subscriber: Subscriber) -> None:
        self._camera, self._socket, self._subscriber = camera, socket, subscriber
        self.verdicts: list[tuple[str | None, tuple[Verdict, Cause | None]]] = []
        self.parts: list[tuple[str, Verdict]] = []
        self.events: list[str] = []
        self.told: list[str] = []

    def passes(self, part: str | None, look: int | None) -> None:
        """A part is there. part: None if nobody says so;  look: None if the camera is not fired"""
        if part is not None:
            self._socket.send(json.dumps({"part": part}).encode())
            assert json.loads(self._socket.recv())["taken"]
        if look is not None:
            self._camera.fire(look)

    def arrives(self, part: str, look: int) -> None:
        """A part is there, and the daemon is to fire the cameras: nobody else does."""
        self._camera.lie_there(look)
        self.passes(part, None)

    def wait_for(self, verdicts: int) -> None:
        """Until so many are there."""
        until(lambda: self.hear() or len(self.verdicts) >= verdicts, f"{verdicts} verdicts")

    def wait_until(self, state: str) -> None:
        """Until the camera is said to be so."""
        until(lambda: self.hear() or state in self.events, state)

    def hear(self) -> None:
        message = self._subscriber.receive(0.1)
        if isinstance(message, VerdictMessage):
            if message.camera == "cam1":
                assert message.frame == len(self.verdicts) + 1
                self.verdicts.append((message.part, (message.verdict, message.cause)))
        elif isinstance(message, PartMessage):
            self.parts.append((message.part, message.verdict))
        elif isinstance(message, EventMessage) and message.event.subject == "cam1":
            self.events.append(message.event.state)
            self.told.append(message.event.detail)


@contextmanager
def running(
    camera: cameras.Faulty, folder: Path, bundle: Path, more: str = "", settings: str = SETTINGS, devices: str = "1",
    station: str = "", window: int = 6,
) -> Iterator[tuple[Process, Line]]:  # fmt: skip
    """A daemon that looks for the cameras every 0.2 s while no part comes.

    window: seconds, short where a frame is missing until it is over
    """
    config = configure(
        folder / "c.toml", bundle,
        *(f"genicam://{device}?producer={camera.path}&timeout=0.2&{settings}" for device in devices),
        more='[trigger]\nendpoint = "tcp://127.0.0.1:*"\n' + station,
        camera=f"trigger_window = {window}\ndeadline = {window + 2}\nhealth = []\n{more}",
    )  # fmt: skip
    with (
        Process(config) as daemon,
        Subscriber(daemon.endpoint, kinds=["verdict", "part", "event", "beat"]) as subscriber,
        asking_at(daemon.triggers) as socket,
    ):
        daemon.keep_reading()
        until(lambda: subscriber.receive(0.1) is not None, "the first beat")
        yield daemon, Line(camera, socket, subscriber)
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0


@pytest.fixture
def camera(tmp_path: Path) -> cameras.Faulty:
    cameras.needed("harvesters.core")
    return cameras.Faulty(tmp_path)


def test_each_part_has_its_own_frame_whatever_is_lost(camera: cameras.Faulty, tmp_path: Path, bright: Path) -> None:
    with running(camera, tmp_path, bright) as (daemon, line):
        until(lambda: daemon.metrics()[WAITS] == 1)
        assert daemon.metrics()[UP] == 1
        line.passes(None, BRIGHT)
        line.wait_for(1)
        line.passes("A1", DARK)
        line.wait_for(2)
        line.passes("A2", BRIGHT)
        line.wait_for(3)
        line.passes("A3", LOST)  # which the next part's frame shows
        line.passes("A4", DARK)
        line.wait_for(5)
        line.passes("A5", LOST)  # which shows when its window is over, long after the camera was looked for
        line.wait_for(6)
        line.passes("A6", BRIGHT)
        line.wait_for(7)
        line.passes(None, LOST)
        line.passes("A7", DARK)
        line.wait_for(9)
        metrics = daemon.metrics()
    assert line.verdicts == [
        (None, NG), ("A1", OK), ("A2", NG), ("A3", MISSING), ("A4", OK), ("A5", MISSING), ("A6", NG), (None, MISSING),
        ("A7", OK),
    ]  # fmt: skip
    assert set(line.events) <= {"waiting", "streaming", "missing", "unreadable"}, "neither lost nor stalled meanwhile"
    assert (line.events.count("missing"), line.events.count("unreadable")) == (2, 1)
    assert metrics[UP] == 1
    assert metrics['inspector_camera_reconnects_total{camera="cam1"}'] == 0
    assert metrics['inspector_triggers_total{camera="cam1",end="frame"}'] == 5
    assert metrics['inspector_triggers_total{camera="cam1",end="missing"}'] == 2
    assert metrics['inspector_frames_without_part_total{camera="cam1"}'] == 2


def test_a_camera_that_goes_away_between_two_parts_is_lost_and_comes_back_triggered(
    camera: cameras.Faulty, tmp_path: Path, bright: Path
) -> None:
    with running(camera, tmp_path, bright, "isolate = true") as (daemon, line):
        until(lambda: daemon.metrics()[WAITS] == 1)
        line.passes("A1", BRIGHT)
        line.wait_for(1)
        camera.unplug()
        line.wait_until("lost")
        line.passes("A2", None)
        line.wait_for(2)
        camera.plug()
        until(lambda: daemon.metrics()[WAITS] == 1)
        line.passes("A3", BRIGHT)
        line.wait_for(3)
    assert line.verdicts == [("A1", NG), ("A2", MISSING), ("A3", NG)]


# ---- fired by the daemon


@pytest.mark.parametrize("isolated", ["", "isolate = true"])
def test_the_daemon_fires_the_camera_for_each_trigger(
    camera: cameras.Faulty, tmp_path: Path, bright: Path, isolated: str
) -> None:
    looks = [DARK, BRIGHT, LOST, DARK, BRIGHT, BRIGHT, DARK]
    with running(camera, tmp_path, bright, isolated, SOFTWARE) as (daemon, line):
        until(lambda: daemon.metrics()[WAITS] == 1)
        for number, look in enumerate(looks, 1):
            line.arrives(f"A{number}", look)
            line.wait_for(number)
        metrics = daemon.metrics()
    verdicts = {DARK: OK, BRIGHT: NG, LOST: MISSING}
    assert line.verdicts == [(f"A{number}", verdicts[look]) for number, look in enumerate(looks, 1)]
    assert metrics['inspector_triggers_total{camera="cam1",end="frame"}'] == 6
    assert metrics['inspector_frames_without_part_total{camera="cam1"}'] == 0
    assert metrics['inspector_camera_reconnects_total{camera="cam1"}'] == 0


@pytest.mark.parametrize("isolated", ["", "isolate = true"])
def test_a_camera_that_cannot_be_fired_says_so_at_once_and_is_fired_again_when_it_can_be(
    camera: cameras.Faulty, tmp_path: Path, bright: Path, isolated: str
) -> None:
    with running(camera, tmp_path, bright, isolated, SOFTWARE, window=60) as (daemon, line):
        until(lambda: daemon.metrics()[WAITS] == 1)
        line.arrives("A1", BRIGHT)
        line.wait_for(1)
        camera.be("deaf")
        line.arrives("A2", DARK)
        line.wait_for(2)
        camera.plug()
        line.arrives("A3", DARK)
        line.wait_for(3)
        camera.unplug()
        line.wait_until("lost")
        line.arrives("A4", DARK)
        line.wait_for(4)
        camera.plug()
        until(lambda: daemon.metrics()[WAITS] == 1)
        line.arrives("A5", BRIGHT)
        line.wait_for(5)
    assert line.verdicts == [("A1", NG), ("A2", MISSING), ("A3", OK), ("A4", MISSING), ("A5", NG)]
    refused, away = (told for told in line.told if "not fired" in told)
    assert refused.startswith("frame 2 (A2): not fired: camera '1' does not take TriggerSoftware (")
    assert re.fullmatch(r"frame 4 \(A4\): not fired: \S.*(is not open|its process ended)", away)
    logged = [entry["message"] for entry in daemon.log if "not fired" in entry["message"]]
    assert len(logged) == 2
    assert logged[0].startswith("camera cam1: not fired for 1 trigger(s), last A2: camera '1' does not take Trigger")


def test_all_cameras_of_a_station_are_fired_as_the_window_opens(
    camera: cameras.Faulty, tmp_path: Path, bright: Path
) -> None:
    station = '[[station]]\nname = "gate"\ncameras = ["cam1", "cam2"]\ndeadline = 100\n'
    delay = "trigger_delay = 0.2"
    with running(camera, tmp_path, bright, delay, SOFTWARE, "12", station, 60) as (daemon, line):
        until(lambda: daemon.metrics()[WAITS] == daemon.metrics()[WAITS.replace("cam1", "cam2")] == 1)
        for number, look in enumerate([DARK, BRIGHT, DARK], 1):
            line.arrives(f"A{number}", look)
            until(lambda n=number: line.hear() or len(line.parts) >= n, "its verdict")
        metrics = daemon.metrics()
    assert line.parts == [("A1", Verdict.OK), ("A2", Verdict.NG), ("A3", Verdict.OK)]
    assert line.verdicts == [("A1", OK), ("A2", NG), ("A3", OK)]
    for name in ("cam1", "cam2"):
        assert metrics[f'inspector_triggers_total{{camera="{name}",end="frame"}}'] == 3
        assert metrics[f'inspector_frames_without_part_total{{camera="{name}"}}'] == 0


def test_a_camera_that_waits_to_be_fired_and_has_no_triggers_is_a_sentence(
    camera: cameras.Faulty, tmp_path: Path, bright: Path
) -> None:
    config = configure(tmp_path / "c.toml", bright, f"genicam://1?producer={camera.path}&{SOFTWARE}")
    checked = run("check", config)
    assert checked.returncode == ConfigError.exit_code
    assert checked.stderr.strip().endswith(
        "c.toml: camera 'cam1': its source waits to be fired (TriggerSource=Software), and no trigger is for it; set "
        "trigger_window and trigger.endpoint, or another TriggerSource"
    )
