"""A stage: a named thread that shows its progress, remembers what killed it, and can be joined."""

from __future__ import annotations

import logging
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from inspector.clock import Clock

log = logging.getLogger(__name__)


class Service(ABC):
    """Work beside the flow, such as the journal's: `run` is the body of a stage, which `stop` brings to its end."""

    niceness: ClassVar[int] = 0
    """By how much its thread gives way to the others, as a `Stage`'s."""

    @abstractmethod
    def run(self, beat: Callable[[], None]) -> None:
        """Work until `stop`; `beat` is called as it makes progress."""

    @abstractmethod
    def stop(self) -> None:
        """Have `run` finish what it took on, and return; from any thread."""


class Stage:
    """Runs `body(stage)` in a thread of its own.

    The body beats as it makes progress; `silence` then tells a hung stage from a quiet one, since a body that
    waits does so in short waits. `on_end` is called in the stage's thread when the body returned or raised.
    niceness: by how much its thread gives way to the process's others (0 to 19), where threads have one of their own
    """

    def __init__(
        self,
        name: str,
        body: Callable[[Stage], None],
        clock: Clock,
        on_end: Callable[[], None],
        niceness: int = 0,
    ) -> None:
        self.name = name
        self.error: BaseException | None = None
        self._body = body
        self._clock = clock
        self._on_end = on_end
        self._niceness = niceness
        self._last_beat = clock.monotonic()
        # A daemon thread: one that hangs in a driver must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self.beat()
        self._thread.start()

    def beat(self) -> None:
        """Say that there was progress; cheap enough for every loop."""
        self._last_beat = self._clock.monotonic()

    @property
    def silence(self) -> float:
        """Seconds since the last beat."""
        return self._clock.monotonic() - self._last_beat

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def join(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the end; whether it ended."""
        if self._thread.ident is not None:
            self._thread.join(max(timeout, 0.0))
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            if self._niceness:
                _give_way(self._niceness)
            self._body(self)
        except BaseException as error:  # kept for the daemon, which drains, reports it and exits non-zero
            self.error = error
            log.exception("stage %s failed", self.name)
        finally:
            self._on_end()


def _give_way(niceness: int) -> None:
    """Add to the niceness of the thread that calls it.

    On Linux each thread has its own (sched(7)), elsewhere the process has one, which stays.
    """
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    try:
        os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + niceness, 19))
    except OSError as error:  # a sandbox may forbid it; then verdicts that are due wait a little longer
        log.warning("stage %s keeps its priority: %s", threading.current_thread().name, error)
