"""SIGINT and SIGTERM for verbs that go on until somebody ends them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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
