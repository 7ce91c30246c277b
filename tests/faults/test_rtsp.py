"""A network camera that is killed, stopped and cut off again and again: verdicts come back, and nothing is left behind.

A real daemon, a real server. INSPECTOR_FAULTS=100 does it 100 times, and says how long it took.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.daemon import Process, configure
from tests.faults.test_losses import LONG
from tests.faults.test_network import THERE, cable, ip
from tests.rtsp import REASON, Server, record
from tests.waiting import until

pytest.importorskip("av", reason=REASON)
pytest.importorskip("aio_rtsp_toolkit", reason=REASON)
pytestmark = pytest.mark.full

ROUNDS = 3 if LONG == 1 else LONG
STALLS = 3
"""All within one clip, at whose end the server cuts the connection."""


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    record(folder / "cam.mp4")
    return folder


@pytest.fixture
def server(media: Path) -> Iterator[Server]:
    server = Server(media)
    server.start()
    yield server
    server.kill()


class Watch:
    """What the daemon says of its camera, and how long it took to have it back."""

    def __init__(self, daemon: Process) -> None:
        self.daemon, self.took = daemon, list[float]()

    def judged(self) -> float:
        metrics = self.daemon.metrics().items()
        return sum(value for name, value in metrics if "verdicts_total" in name and "unknown" not in name)

    def up(self) -> bool:
        return self.daemon.metrics()['inspector_camera_up{camera="cam1"}'] == 1

    def wait_for_verdicts(self, since: float) -> None:
        """From `since`, when the camera was there again; of its new frames, not of those that waited meanwhile."""
        until(self.up, "the camera comes back")
        before = self.judged()
        until(lambda: self.judged() > before, "verdicts come back")
        self.took.append(time.monotonic() - since)

    def wait_until_lost(self) -> None:
        until(lambda: not self.up(), "the camera is lost")

    def report(self) -> None:
        took = sorted(self.took)
        print(f"back to verdicts {len(took)} times: median {took[len(took) // 2]:.2f} s, most {took[-1]:.2f} s")


def belongings(daemon: Process) -> tuple[int, int, int]:
    """Threads, descriptors, resident bytes."""
    process = psutil.Process(daemon.pid)
    return process.num_threads(), process.num_fds(), process.memory_info().rss


def quiet(daemon: Process) -> Process:
    daemon.keep_reading()
    return daemon


def test_killed_and_stopped_again_and_again(server: Server, tmp_path: Path, bright: Path) -> None:
    config = configure(tmp_path / "c.toml", bright, f"{server.camera}?read_timeout=1")
    with Process(config) as daemon:
        watch = Watch(quiet(daemon))
        watch.wait_for_verdicts(time.monotonic())
        watch.took.clear()  # it was not gone yet
        first = belongings(daemon)
        for number in range(ROUNDS):
            if number % 2:
                server.signal(signal.SIGSTOP)
                watch.wait_until_lost()
                server.signal(signal.SIGCONT)
            else:
                server.kill()
                watch.wait_until_lost()
                server.start()
            watch.wait_for_verdicts(time.monotonic())
            if number == 1:
                first = belongings(daemon)  # by now everything was loaded once
        watch.report()
        until(lambda: belongings(daemon)[:2] <= first[:2], f"threads and descriptors, {first} before")
        grown = belongings(daemon)[2] - first[2]
        print(f"threads, descriptors, bytes: {first} before, {belongings(daemon)} after")
        assert grown < 32 << 20
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    assert not any("s3cret" in str(line) for line in daemon.log)


def test_a_short_stall_costs_verdicts_and_no_connection(server: Server, tmp_path: Path, bright: Path) -> None:
    """What the server sends after it is older than the deadline: `unknown`, and never judged."""
    config = configure(tmp_path / "c.toml", bright, server.url, camera="deadline = 0.5")
    with Process(config) as daemon:
        watch = Watch(quiet(daemon))
        for number in range(STALLS):
            watch.wait_for_verdicts(time.monotonic())
            server.signal(signal.SIGSTOP)
            time.sleep(1.5)  # so long it stalls: that is the fault itself, and waits for nothing
            server.signal(signal.SIGCONT)
            until(lambda least=10 * (number + 1): late(daemon) >= least, "old frames, told as late")
        watch.wait_for_verdicts(time.monotonic())
        assert daemon.metrics()['inspector_camera_reconnects_total{camera="cam1"}'] == 0


def late(daemon: Process) -> float:
    return daemon.metrics()['inspector_verdicts_total{camera="cam1",reason="deadline",verdict="unknown"}']


def test_a_cable_that_is_pulled_and_put_back(media: Path, tmp_path: Path, bright: Path) -> None:
    with cable() as name:
        server = Server(media, THERE, ["ip", "netns", "exec", name])
        server.start()
        try:
            url = f"{server.camera}?read_timeout=1"
            with Process(configure(tmp_path / "c.toml", bright, url)) as daemon:
                watch = Watch(quiet(daemon))
                watch.wait_for_verdicts(time.monotonic())
                watch.took.clear()  # it was not gone yet
                for _ in range(ROUNDS):
                    ip("link", "set", name, "down")
                    watch.wait_until_lost()
                    ip("link", "set", name, "up")
                    watch.wait_for_verdicts(time.monotonic())
                watch.report()
        finally:
            server.kill()
