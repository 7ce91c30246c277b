"""A network between daemon and subscriber whose cable is pulled and put back: namespaces joined by a veth pair."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemon import Process, configure, environment
from tests.faults.test_losses import SUBSCRIBER, written
from tests.waiting import PATIENCE, turn, until

pytestmark = pytest.mark.full

HERE, THERE = "10.231.77.1", "10.231.77.2"


def ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no network namespace can be made here: ip {' '.join(arguments)}: {done.stderr.strip()}")


@contextmanager
def cable() -> Iterator[str]:
    """A namespace at the other end of a cable; its name, which is that of the cable's end here, too."""
    if shutil.which("ip") is None:
        pytest.skip("ip (iproute2) is not installed: the network is not cut")
    if os.geteuid() != 0:
        pytest.skip("making a network namespace needs root")
    name = f"insp{os.getpid() % 100_000}"
    with turn("cable"):  # whose ends have addresses
        ip("netns", "add", name)
        try:
            ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("addr", "add", f"{HERE}/30", "dev", name)
            ip("link", "set", name, "up")
            ip("-n", name, "addr", "add", f"{THERE}/30", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            yield name
        finally:
            # The cable first, and both ends are gone at once: with its namespace it would go some time later.
            subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)
            subprocess.run(["ip", "netns", "delete", name], check=False)


def test_1_a_cable_that_is_pulled_and_put_back(tmp_path: Path, bright: Path, pictures: Path) -> None:
    """Verdicts that were published while the cable was out come when it is back, in order and once."""
    out = tmp_path / "heard"
    config = configure(
        tmp_path / "c.toml", bright, f"folder:{pictures}?loop=1&rate=100",
        more=f'[journal]\npath = "{tmp_path}/journal.sqlite"\n',
        publish=f'catchup = "tcp://{HERE}:*"\nallow_plaintext = true\nbuffer_mb = 1',
    )  # fmt: skip
    config.write_text(config.read_text().replace("tcp://127.0.0.1:*", f"tcp://{HERE}:*"))
    with cable() as name, Process(config) as daemon:
        command = ["ip", "netns", "exec", name, sys.executable, "-c", SUBSCRIBER, daemon.endpoint, str(out)]
        subscriber = subprocess.Popen(command, env=environment())
        try:
            until(lambda: len(written(out)) >= 50, "messages")
            ip("link", "set", name, "down")
            before = published(daemon)
            until(lambda: published(daemon) >= before + 500, "the line goes on")
            cut = len(written(out))
            ip("link", "set", name, "up")
            until(lambda: len(written(out)) >= cut + 500, "what was published meanwhile")
        finally:
            subscriber.kill()
            subscriber.wait(PATIENCE)
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    sequences = [int(str(line[2])) for line in written(out)]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))


def published(daemon: Process) -> float:
    return daemon.metrics()['inspector_verdicts_total{camera="cam1",reason="none",verdict="ok"}']
