"""Asks the daemon's journal, by its catch-up endpoint, for one message that is not kept here (any more)."""

from __future__ import annotations

import asyncio
from itertools import count

import zmq
import zmq.asyncio

from inspector import asking, wire
from inspector.asking import Ask, Busy, ChunkAnswer
from inspector.client.link import MAX_PART_BYTES, Keys
from inspector.errors import WireError
from inspector.messages import Message
from inspector.view.shelf import Place

PATIENCE = 3.0
"""Seconds that an answer may take, the server's pauses among them."""
AGAIN_SECONDS = 0.25
"""Pause before asking again for what should have been there."""


class Recall:
    """context: as the subscription's;  keys: arm the socket, where the daemon asks for them."""

    def __init__(self, context: zmq.asyncio.Context, keys: Keys | None) -> None:
        self._context, self._keys = context, keys
        self._numbers = count(1)

    async def message(self, endpoint: str, place: Place) -> Message | None:
        """The message that was published at `place`; None where nobody has it. Raises TimeoutError: nobody answers."""
        socket = self._context.socket(zmq.DEALER)
        try:
            socket.linger = 0
            socket.setsockopt(zmq.MAXMSGSIZE, MAX_PART_BYTES)
            socket.setsockopt(zmq.IPV6, "[" in endpoint)
            if self._keys is not None:
                self._keys.arm(socket)
            socket.connect(endpoint)
            async with asyncio.timeout(PATIENCE):
                return await self._asked(socket, place)
        except WireError:
            return None
        except zmq.ZMQError as error:
            raise TimeoutError(f"{endpoint} cannot be reached: {error}") from error
        finally:
            socket.close()

    async def _asked(self, socket: zmq.asyncio.Socket, place: Place) -> Message | None:
        while True:
            number = next(self._numbers)
            ask = Ask(number, place.session, place.topic, place.sequence, place.sequence)
            await socket.send(asking.encode_request(ask))
            answer = asking.decode_answer(await socket.recv_multipart())
            if isinstance(answer, Busy):
                await asyncio.sleep(answer.wait)
                continue
            if not isinstance(answer, ChunkAnswer):
                return None
            if answer.chunk.last < place.sequence:  # it is not there yet
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            if not answer.chunk.messages:
                return None
            return wire.decode(answer.chunk.messages[0].parts)
