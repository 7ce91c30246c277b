"""An isolated camera whose process is killed and stopped again and again, in a real daemon beside another camera."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import psutil
import pytest

from tests.daemon import Process, configure
from tests.faults.test_losses import LONG, SEED
from tests.waiting import until

pytestmark = pytest.mark.full

ROUNDS = 4 if LONG == 1 else LONG
LINE = "sim://line?seed={}&rate=50&width=128&height=96"


def settled(metrics: dict[str, float], camera: str) -> float:
    return sum(
        value for name, value in metrics.items() if name.startswith(f'inspector_verdicts_total{{camera="{camera}"')
    )


def test_killed_and_stopped_again_and_again(tmp_path: Path, bright: Path) -> None:
    config = configure(tmp_path / "c.toml", bright, LINE.format(1), LINE.format(2))
    config.write_text(config.read_text().replace("[[camera]]", "[[camera]]\nisolate = true", 1))
    chance = random.Random(SEED)
    with Process(config) as daemon:
        daemon.keep_reading()
        me = psutil.Process(daemon.pid)
        owned: list[tuple[int, int]] = []
        for number in range(ROUNDS):
            before = daemon.metrics()
            least = chance.randrange(1, 50)
            until(lambda b=before, n=least: settled(daemon.metrics(), "cam1") >= settled(b, "cam1") + n, "verdicts")
            (child,) = me.children()
            owned.append((me.num_threads(), me.num_fds()))
            fault = (signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP)[number % 3]
            os.kill(child.pid, fault)
            before = daemon.metrics()
            until(lambda c=child: not c.is_running(), "the process is gone")
            until(lambda b=before: settled(daemon.metrics(), "cam2") >= settled(b, "cam2") + 20, "the other goes on")
        until(lambda: daemon.metrics()['inspector_camera_up{camera="cam1"}'] == 1, "it is back")
        assert daemon.metrics()['inspector_camera_reconnects_total{camera="cam1"}'] == ROUNDS
        assert daemon.metrics()['inspector_camera_reconnects_total{camera="cam2"}'] == 0
        print(f"threads and descriptors: {owned}")
        threads, descriptors = (max(of) for of in zip(*owned[:2], strict=True))
        until(lambda: me.num_threads() <= threads and me.num_fds() <= descriptors, "what was taken is given back")
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    assert not me.is_running()
    lost = [line["message"] for line in daemon.log if "camera cam1 lost" in line["message"]]
    assert any("was killed by SIGSEGV" in line for line in lost)
    assert any("shows no sign of life for 5 s" in line for line in lost)


def test_a_daemon_that_is_killed_takes_its_processes_along(tmp_path: Path, bright: Path) -> None:
    config = configure(tmp_path / "c.toml", bright, LINE.format(1), LINE.format(2), camera="isolate = true")
    with Process(config) as daemon:
        daemon.keep_reading()
        until(lambda: settled(daemon.metrics(), "cam1") > 0 and settled(daemon.metrics(), "cam2") > 0, "verdicts")
        children = psutil.Process(daemon.pid).children()
        assert len(children) == 2
        children[0].suspend()
        daemon.send(signal.SIGKILL)
        daemon.wait()
    until(lambda: not any(child.is_running() for child in children), "the processes are gone")
