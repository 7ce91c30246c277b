"""The daemon as it is run: `inspector run CONFIG`, a process of its own, and a subscriber to everything it says."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import accounting, children, scrape
from benchmarks.accounting import Load
from benchmarks.children import Child
from benchmarks.material import Material

JOURNAL = "journal.sqlite"
READY = 60.0
"""Seconds that the daemon gets to prove its bundle."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon that runs.

    pid: its process;  http: where its metrics are;  receiver: a subscriber to everything
    endpoint: where it publishes;  journal: where it keeps what it publishes, if it does
    """

    pid: int
    http: str
    receiver: Child
    endpoint: str
    journal: Path


@contextmanager
def running(
    given: Material, cameras: int, rate: str = "max", journal: bool = False, more: str = ""
) -> Iterator[Daemon]:
    """A daemon with so many cameras, each a clip in a loop at `rate` frames a second; with a journal, or without.

    more: of its configuration
    All settings are the defaults but the device: the limit is one of the CPU.
    """
    folder = Path(tempfile.mkdtemp(dir=given.folder))
    config, log = folder / "inspector.toml", folder / "log"
    config.write_text(configuration(given, cameras, rate, journal) + more)
    command = [sys.executable, "-m", "inspector", "run", str(config)]
    with log.open("w") as file:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=file, text=True)
    try:
        endpoint, http = _addresses(process, log)
        with receiving(endpoint) as receiver:
            yield Daemon(process.pid, http, receiver, endpoint, folder / JOURNAL)
    finally:
        children.end(process)


def measure(given: Material, cameras: int, journal: bool = False) -> Load:
    """A window of the daemon at full load."""
    with running(given, cameras, journal=journal) as daemon:
        time.sleep(given.plan.warm_up)
        return accounting.watch(daemon.pid, lambda: scrape.judged(daemon.http), given.plan.window)


def configuration(given: Material, cameras: int, rate: str, journal: bool = False) -> str:
    """The configuration file."""
    tables = [
        'workers = { device = "cpu" }',
        'publish = { endpoint = "tcp://127.0.0.1:*" }',
        "http = { port = 0 }",
        'daemon = { log = "text" }',
    ]
    if journal:
        tables.append(f'journal = {{ path = "{JOURNAL}" }}')
        tables[1] = 'publish = { endpoint = "tcp://127.0.0.1:*", catchup = "tcp://127.0.0.1:*" }'
    for index in range(cameras):
        source = f"file:{given.clips[index % len(given.clips)]}?loop=1&rate={rate}"
        tables.append(f'[[camera]]\nname = "cam{index + 1}"\nsource = "{source}"\nbundle = "{given.bundle}"')
    return "\n".join(tables) + "\n"


@contextmanager
def receiving(endpoint: str, protocol: str = "inspector") -> Iterator[Child]:
    """A subscriber to everything at `endpoint`, in a process of its own."""
    with Child("receiver", endpoint=endpoint, protocol=protocol) as receiver:
        receiver.answer()
        yield receiver


def _addresses(process: subprocess.Popen[str], log: Path) -> tuple[str, str]:
    """Where it publishes and where it serves its metrics, which its log tells once the bundle is proven."""
    end = time.monotonic() + READY
    while process.poll() is None and time.monotonic() < end:
        found = re.search(r"publishing at (\S+), metrics at (\S+)/metrics\n", log.read_text())
        if found:
            return found[1], found[2]
        time.sleep(0.05)
    raise RuntimeError(f"the daemon did not start:\n{log.read_text()}")
