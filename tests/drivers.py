"""Sources as bad as drivers can be, for processes of their own: `hang:`, `hold:`, `crash:`, `odd:`, `plain:`.

Each yields three good pictures first. `fired:` yields one each time that it is fired, until it cannot be any more. A
child finds them because `register` is called as its Python starts.
"""

from __future__ import annotations

import ctypes
import logging
import os
import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inspector import sources
from inspector.errors import RefusedError, SourceError
from inspector.sources.url import Url
from inspector.types import Shot

GOOD = 3


class Driver:
    """What comes after the good pictures is in the scheme."""

    live = True

    def __init__(self, url: Url) -> None:
        self._kind, self._closed = url.scheme, threading.Event()

    def frames(self) -> Iterator[Shot]:
        for number in range(GOOD):
            if self._closed.is_set():
                return
            yield Shot(np.full((4 + number, 6, 3), number, np.uint8), str(number), captured_ns=number)
        if self._kind != "plain":
            getattr(self, f"_{self._kind}")()
        yield Shot(None, "bad", "nothing there")
        yield Shot(np.full((2, 2), 0.5, np.float32)[:, ::-1])

    def close(self) -> None:
        self._closed.set()

    def _hang(self) -> None:
        threading.Event().wait()

    def _hold(self) -> None:
        """Hang in C, without letting Python run."""
        ctypes.PyDLL(None).sleep(3600)

    def _crash(self) -> None:
        os.write(sys.stderr.fileno(), b"driver: about to fall for rtsp://user:s3cret@host/\n")
        ctypes.string_at(0)

    def _odd(self) -> None:
        logging.getLogger("acme.driver").error("rtsp://user:s3cret@host/ says no")
        raise RefusedError("rtsp://user:s3cret@host/ refuses")


class Fired:
    """The fourth time it refuses, the fifth it fails as no source may, and the sixth it never comes back."""

    live = True

    def __init__(self, url: Url) -> None:
        del url
        self._times = 0
        self._shots: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def frames(self) -> Iterator[Shot]:
        while (number := self._shots.get()) is not None:
            yield Shot(np.full((4, 6, 1), number, np.uint8), str(number))

    def fire(self) -> None:
        self._times += 1
        if self._times == 4:
            raise SourceError("rtsp://user:s3cret@host/ has no light")
        if self._times == 5:
            raise KeyError("light")
        if self._times == 6:
            threading.Event().wait()
        self._shots.put(self._times)

    def close(self) -> None:
        self._shots.put(None)


SCHEMES = dict.fromkeys(("hang", "hold", "crash", "odd", "plain"), Driver) | {"fired": Fired}


def register() -> None:
    sources.SCHEMES |= SCHEMES


@pytest.fixture
def drivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """These kinds of source here, and in every Python that is started from here."""
    folder = tmp_path / "python"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("from tests.drivers import register\nregister()\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(Path(__file__).parents[1])]))
    for scheme, driver in SCHEMES.items():
        monkeypatch.setitem(sources.SCHEMES, scheme, driver)
