"""Waiting for what happens elsewhere, with an end to the patience."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

PATIENCE = 120.0
"""Seconds that anything may take on a busy machine."""


def until(happened: Callable[[], bool], what: str = "") -> None:
    """Until `happened`; fails with `what` when patience is over."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def free_port() -> int:
    """A TCP port of loopback that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
