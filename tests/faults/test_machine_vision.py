"""Machine vision cameras that go away again and again: verdicts come back, and nothing is left behind.

A real daemon; a real producer that loses its camera, and a real camera on the wire that is killed. INSPECTOR_FAULTS=100
does it 100 times, and says how long it took.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import cameras
from tests.daemon import Process, configure
from tests.faults.test_losses import LONG
from tests.faults.test_rtsp import Watch, belongings, quiet
from tests.waiting import until

pytestmark = pytest.mark.full

ROUNDS = 3 if LONG == 1 else LONG
DRAWN = "health = []"
"""The producer's pictures have no noise, so that they look frozen."""


def comes_back(config: Path, unplug: Callable[[], None], plug: Callable[[], None]) -> None:
    with Process(config) as daemon:
        watch = Watch(quiet(daemon))
        watch.wait_for_verdicts(time.monotonic())
        watch.took.clear()  # it was not gone yet
        first = belongings(daemon)
        for number in range(ROUNDS):
            unplug()
            watch.wait_until_lost()
            plug()
            watch.wait_for_verdicts(time.monotonic())
            if number == 1:
                first = belongings(daemon)  # by now everything was loaded once
        watch.report()
        until(lambda: belongings(daemon)[:2] <= first[:2], f"threads and descriptors, {first} before")
        print(f"threads, descriptors, bytes: {first} before, {belongings(daemon)} after")
        assert belongings(daemon)[2] - first[2] < 32 << 20
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0


@pytest.mark.parametrize("isolate", ["false", "true"])
def test_a_producer_that_loses_its_camera(isolate: str, tmp_path: Path, bright: Path) -> None:
    faulty = cameras.Faulty(tmp_path)
    url = f"genicam://1?producer={faulty.path}&PixelFormat=Mono8&timeout=1"
    config = configure(tmp_path / "c.toml", bright, url, camera=f"isolate = {isolate}\n{DRAWN}")
    comes_back(config, faulty.unplug, faulty.plug)


def test_a_camera_on_the_wire_that_is_killed(tmp_path: Path, bright: Path) -> None:
    with cameras.fake_camera() as camera:
        url = f"gige://{cameras.ADDRESS}?Width=320&Height=240&timeout=1"
        comes_back(configure(tmp_path / "c.toml", bright, url), camera.kill, camera.start)


def test_spoilt_and_lost_frames_are_unknown_and_counted(tmp_path: Path, bright: Path) -> None:
    """Of the ten frames that this camera counts, one comes."""
    faulty = cameras.Faulty(tmp_path)
    faulty.be("skip")
    url = f"genicam://1?producer={faulty.path}&PixelFormat=Mono8"
    config = configure(tmp_path / "c.toml", bright, url, camera=DRAWN)
    with Process(config) as daemon:
        watch = Watch(quiet(daemon))
        unknown = 'inspector_verdicts_total{camera="cam1",reason="camera",verdict="unknown"}'
        until(lambda: daemon.metrics()[unknown] >= 90)
        assert watch.judged() >= 1
        faulty.be("incomplete")
        before = daemon.metrics()[unknown]
        until(lambda: daemon.metrics()[unknown] >= before + 20)
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
