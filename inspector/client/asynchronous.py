"""The subscriber for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import zmq
import zmq.asyncio

from inspector.client.base import BaseSubscriber
from inspector.messages import Item


class AsyncSubscriber(BaseSubscriber):
    """Iterate over it with `async for`, or await `receive`; belongs to one task at a time."""

    __doc__ = f"{__doc__}\n\n{BaseSubscriber.__doc__}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> AsyncIterator[Item]:
        return self.messages()

    async def messages(self, timeout: float | None = None) -> AsyncIterator[Item]:
        """Everything as it comes; ends when nothing came for `timeout` seconds."""
        while (item := await self.receive(timeout)) is not None:
            yield item

    async def receive(self, timeout: float | None = None) -> Item | None:
        """The next message or `Gone`, or None if none comes within `timeout` seconds (None: wait for ever).

        It may be cancelled at any time: nothing is lost by that.
        """
        await asyncio.sleep(0)  # other tasks go on, too, while there is always something to hand out
        end = None if timeout is None else time.monotonic() + timeout
        while (item := self._core.take()) is None:
            now = time.monotonic()
            left = None if end is None else end - now
            came = self._link.step(now)
            if left is not None and left <= 0:
                return self._core.take()
            if came:
                await asyncio.sleep(0)
            else:
                await self._wait(left)
        return item

    async def _wait(self, left: float | None) -> None:
        poller = zmq.asyncio.Poller()
        for socket in self._link.sockets:
            poller.register(socket, zmq.POLLIN)
        milliseconds = self._milliseconds(left)
        await poller.poll(-1 if milliseconds is None else milliseconds)
