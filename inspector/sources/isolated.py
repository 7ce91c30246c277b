"""Any source in a process of its own: a driver that hangs or crashes hurts nobody else, and is started anew.

Two copies lie between the driver and the frame: into the shared memory, and out of it. What the process logs, and what
its libraries write to its standard output and error, comes out in this process' log.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future

from inspector.errors import ConfigError, RefusedError, SourceError
from inspector.sources import open_source, shutter_of
from inspector.sources.process import Process
from inspector.sources.url import Url
from inspector.types import Shot

START = 60.0
"""Seconds that the process may take to speak: Python starts, and loads OpenCV."""
BEATLESS = 5.0
"""Seconds without a beat after which the process hangs, though no picture need be due."""


class Isolated:
    """The source of `url`, in a process of its own while `frames` is iterated over, by one thread.

    hangs_after: seconds without a picture after which the process is killed; it covers the opening of the device
    Raises ConfigError for a URL that cannot be served.
    """

    def __init__(self, url: str, hangs_after: float) -> None:
        if sys.platform != "linux":
            raise ConfigError(f"{Url(url)}: isolate = true needs Linux; leave it out")
        source = open_source(url)
        self.live = source.live
        self.fire = None if shutter_of(source) is None else self._fire
        self._url, self._shown, self._hangs_after = url, str(Url(url)), hangs_after
        self._closed = threading.Event()
        self.waiting = False
        self._lock = threading.Lock()
        self._process: Process | None = None
        self._asked: deque[Future[None]] | None = None  # to fire, and not answered yet; None: nobody hears it

    @property
    def pid(self) -> int | None:
        """The process that serves it just now, if any."""
        process = self._process
        return None if process is None else process.pid

    def frames(self) -> Iterator[Shot]:
        """Start the process and yield what its source yields. Raises SourceError too if the process dies or hangs."""
        with self._lock:
            if self._closed.is_set():
                return
            if self._process is not None and not self._process.gone():
                raise SourceError(
                    f"{self._shown} hangs in the kernel, and its process {self.pid} cannot even be killed; "
                    "unplug the camera, and restart the machine if that does not help"
                )
            self._process = process = Process(self._url, self._shown)
        try:
            yield from self._shots(process)
        finally:
            self.waiting = False
            self._give_up_firing()
            process.end()

    def close(self) -> None:
        """End `frames`; the process gets a moment to give its device back."""
        with self._lock:
            self._closed.set()
            if self._process is not None:
                self._process.hang_up()

    def _fire(self) -> None:
        """Have the process fire its source. Raises SourceError, too, if it does not answer."""
        asked: Future[None] = Future()
        with self._lock:
            if self._process is None or self._asked is None:
                raise SourceError(f"{self._shown} is not open")
            self._asked.append(asked)
            self._process.fire()
        try:
            asked.result(BEATLESS)
        except TimeoutError as error:
            raise SourceError(f"{self._shown}: its process did not answer within {BEATLESS:g} s") from error

    def _answered(self, why_not: str | None) -> None:
        """Answers come in the order of the questions."""
        with self._lock:
            asked = self._asked.popleft() if self._asked else None
        if asked is not None and why_not is None:
            asked.set_result(None)
        elif asked is not None:
            asked.set_exception(SourceError(why_not))

    def _give_up_firing(self) -> None:
        with self._lock:
            left, self._asked = self._asked or (), None
        for asked in left:
            asked.set_exception(SourceError(f"{self._shown}: its process ended"))

    def _shots(self, process: Process) -> Iterator[Shot]:
        heard, latest = process.next(START), time.monotonic()
        with self._lock:
            self._asked = deque()
        while heard is not None and not self._closed.is_set():
            match heard:
                case {"shot": shot}:
                    yield process.shot(shot)
                    latest = time.monotonic()
                case {"beat": waiting}:
                    self.waiting = waiting
                case {"fired": why_not}:
                    self._answered(why_not)
                case {"log": [level, name, text]}:
                    logging.getLogger(name).log(level, "%s: %s", self._shown, text)
                case {"error": text, "refused": refused}:
                    raise (RefusedError if refused else SourceError)(text)
                case {"end": _}:
                    return
            left = latest + self._hangs_after - time.monotonic()
            if left <= 0:
                process.kill()
                raise SourceError(f"{self._shown} gave no picture for {self._hangs_after:g} s; its process is killed")
            heard = process.next(BEATLESS)
        if not self._closed.is_set():
            raise SourceError(f"{self._shown}: {process.fate()}")
