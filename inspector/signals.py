"""SIGINT and SIGTERM for verbs that go on until somebody ends them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ended() -> Iterator[Callable[[], bool]]:
    """Whether SIGINT or SIGTERM came, instead of what they do otherwise; only the main thread can be told."""
    came: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, lambda number, _: came.append(number))
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_as_init() -> None:
    """Let SIGTERM end this process where it is a container's first: the kernel keeps from it what it does not take.

    Any other ends without, and at once, also in the middle of a library's code.
    """

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, end)
