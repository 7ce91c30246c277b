"""The subscriber that blocks: for scripts and threads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import zmq

from inspector.client.base import BaseSubscriber
from inspector.messages import Item


class Subscriber(BaseSubscriber):
    """Iterate over it, or call `receive`."""

    __doc__ = f"{__doc__}\n\n{BaseSubscriber.__doc__}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Item]:
        return self.messages()

    def messages(self, timeout: float | None = None) -> Iterator[Item]:
        """Everything as it comes; ends when nothing came for `timeout` seconds."""
        while (item := self.receive(timeout)) is not None:
            yield item

    def receive(self, timeout: float | None = None) -> Item | None:
        """The next message or `Gone`, or None if none comes within `timeout` seconds (None: wait for ever)."""
        end = None if timeout is None else time.monotonic() + timeout
        while (item := self._core.take()) is None:
            now = time.monotonic()
            left = None if end is None else end - now
            came = self._link.step(now)
            if left is not None and left <= 0:
                return self._core.take()
            if not came:
                self._wait(left)
        return item

    def _wait(self, left: float | None) -> None:
        poller = zmq.Poller()
        for socket in self._link.sockets:
            poller.register(socket, zmq.POLLIN)
        poller.poll(self._milliseconds(left))
