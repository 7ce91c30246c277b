"""Sources that tests hold in their hands."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

from inspector.errors import RefusedError, SourceError
from inspector.types import Cause, Image, Shot


class HandSource:
    """Yields what `show` puts in; `end` ends it, `fail` makes it raise."""

    def __init__(self, live: bool = True) -> None:
        self.live = live
        self.opened = 0
        self.waiting = False
        self._shots: queue.Queue[Shot | Exception | None] = queue.Queue()
        self._closed = threading.Event()

    def show(self, image: Image, part: str | None = None, captured_ns: int | None = None) -> None:
        self._shots.put(Shot(image, part, captured_ns=captured_ns))

    def spoil(self, fault: str, cause: Cause = Cause.UNREADABLE) -> None:
        self._shots.put(Shot(None, None, fault, cause=cause))

    def fail(self, why: str) -> None:
        self._shots.put(SourceError(why))

    def surprise(self, error: Exception) -> None:
        """Raise what no source may."""
        self._shots.put(error)

    def refuse(self, why: str) -> None:
        self._shots.put(RefusedError(why))

    def end(self) -> None:
        self._shots.put(None)

    def frames(self) -> Iterator[Shot]:
        self.opened += 1
        while not self._closed.is_set():
            shot = self._shots.get()
            if shot is None:
                return
            if isinstance(shot, Exception):
                raise shot
            yield shot

    def close(self) -> None:
        self._closed.set()
        self._shots.put(None)
