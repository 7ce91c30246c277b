"""Waiting for what happens elsewhere, with an end to the patience."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PATIENCE = 120.0
"""Seconds that anything may take on a busy machine."""

PORTS = (20_000, 32_000)
"""Below those that Linux and others hand out."""

_CHANCE = random.SystemRandom()  # pytest-randomly seeds the others alike in all processes
_LOCKS: list[IO[str]] = []


def until(happened: Callable[[], bool], what: str = "") -> None:
    """Until `happened`; fails with `what` when patience is over."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, what
        time.sleep(0.02)


@contextmanager
def turn(what: str) -> Iterator[None]:
    """Alone with something that there can be one of on a machine: tests beside, of other checkouts too, wait."""
    with Path(tempfile.gettempdir(), f"inspector-{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def free_port() -> int:
    """A TCP port of loopback for this process alone, for as long as it runs.

    It is none that the kernel hands out, so that no connection and no other daemon takes it before it is bound; and
    a lock on a file of its own keeps it from the tests that run beside.
    """
    folder = Path(tempfile.gettempdir(), f"inspector-test-ports-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    while True:
        port = _CHANCE.randrange(*PORTS)
        lock = (folder / str(port)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
        else:
            _LOCKS.append(lock)
            return port
