"""Work that is asked for while the line runs, such as another model: one thing after another, beside the flow."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from inspector.stage import Service

T = TypeVar("T")

LONGEST_WAIT = 0.25
"""Seconds after which the idle stage looks up, beats and waits again."""


class Jobs(Service):
    """Does what is submitted, in order; what a job raises is for who waits for its future.

    on_stop: has a job that runs come to its end
    """

    niceness = 10  # more than that of the workers: nothing here is due

    def __init__(self, on_stop: Callable[[], None] = lambda: None) -> None:
        self._waiting: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._stopped = False
        self._on_stop = on_stop

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Have `job` done; from any thread. After `stop` its future is cancelled."""
        future: Future[T] = Future()
        self._waiting.put((future, job))
        if self._stopped:
            self._cancel()
        return future

    def run(self, beat: Callable[[], None]) -> None:
        """Work until `stop`."""
        while not self._stopped:
            beat()
            try:
                future, job = self._waiting.get(timeout=LONGEST_WAIT)
            except queue.Empty:
                continue
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job())
                except Exception as error:
                    future.set_exception(error)
            del future, job  # a result that nobody waits for, a model perhaps, is not kept until the next job
        self._cancel()

    def stop(self) -> None:
        """Begin no other job, and cancel those that wait; from any thread."""
        self._stopped = True
        self._on_stop()

    def _cancel(self) -> None:
        while True:
            try:
                future, _ = self._waiting.get_nowait()
            except queue.Empty:
                return
            future.cancel()
