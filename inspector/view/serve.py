"""`inspector view`: subscribes to a daemon, and shows what it hears to browsers until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import zmq.asyncio
from websockets.asyncio.server import Server, ServerConnection, serve

from inspector import address
from inspector.client import AsyncSubscriber
from inspector.client.link import Keys
from inspector.errors import ConfigError, OutputError
from inspector.messages import KINDS
from inspector.view.access import Access, read_token
from inspector.view.recall import Recall
from inspector.view.site import Changes, Site, quiet
from inspector.view.state import State

MOST_FROM_BROWSERS = 64
"""Bytes of a message of theirs."""
ASK_SECONDS = 0.5
SEND_BYTES = 1 << 18
"""Room for what was sent to a browser and has not arrived."""
REQUEST_SECONDS = 10.0
"""So long a request may take to come."""
ANSWER_SECONDS = 120.0
"""So long an answer may take from its request on: a frame has megabytes, and some networks are slow."""
CLOSE_SECONDS = 10.0
"""So long the end waits for what is on its way to browsers."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Where to listen to whom, and who may look.

    endpoint, line, keys: of the daemon;  host, port: to be bound, port 0 for any free one
    token: the file that holds it;  names: by which browsers may call this server, beside its addresses
    """

    endpoint: str
    host: str = "127.0.0.1"
    port: int = 9680
    token: Path | None = None
    names: Sequence[str] = ()
    line: str | None = None
    keys: Keys | None = None


def run(wish: Wish) -> int:
    """Serve until SIGINT or SIGTERM; the exit code.

    Raises ConfigError for an endpoint that is no address and for a host that needs a token, OutputError where the
    address cannot be bound.
    """
    if wish.token is None and not address.is_loopback(wish.host):
        raise ConfigError(
            f"--host {wish.host}: other machines could look at the line; give --token FILE, which is made if it is "
            "missing, or leave --host out and come by a tunnel (ssh -L)"
        )
    token = None if wish.token is None else read_token(wish.token)
    access = Access(token, [socket.gethostname(), socket.getfqdn(), *wish.names])
    asyncio.run(_serve(wish, access))
    return 0


async def _serve(wish: Wish, access: Access) -> None:
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    context = zmq.asyncio.Context()
    state, changes, recall = State(), Changes(), Recall(context, wish.keys)
    site = Site(state, changes, access, recall, wish.endpoint)
    subscriber = AsyncSubscriber(wish.endpoint, line=wish.line, kinds=KINDS, keys=wish.keys)
    try:
        async with subscriber, _closing(await _serving(wish, site)) as server, asyncio.TaskGroup() as tasks:
            follow = tasks.create_task(_follow(subscriber, state, changes))
            states = tasks.create_task(_ask_for_states(state, changes, recall, wish.endpoint))
            sys.stdout.write(f"listening at {wish.endpoint}, to be seen at {_reached(server, wish)}\n")
            sys.stdout.flush()
            await over.wait()
            follow.cancel()
            states.cancel()
    finally:
        context.destroy(linger=0)


class _Connection(ServerConnection):
    """One that is given up where no request comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.loop.call_later(REQUEST_SECONDS, self._look)

    def _look(self) -> None:
        if self.request is None:
            self.transport.abort()


@asynccontextmanager
async def _closing(server: Server) -> AsyncIterator[Server]:
    """As `async with server`, but that its end waits for `CLOSE_SECONDS` at most."""
    try:
        yield server
    finally:
        server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await server.wait_closed()


async def _serving(wish: Wish, site: Site) -> Server:
    try:
        server = await serve(
            site.attend, wish.host, wish.port, process_request=site.answer, compression=None,
            max_size=MOST_FROM_BROWSERS, logger=quiet, server_header=None, create_connection=_Connection,
            open_timeout=ANSWER_SECONDS, close_timeout=ANSWER_SECONDS,
        )  # fmt: skip
    except OSError as error:
        raise OutputError(
            f"http://{wish.host}:{wish.port} cannot be served ({error.strerror}); choose another --port or --host"
        ) from error
    for place in server.sockets:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)  # those that it accepts have it, too
    return server


def _reached(server: Server, wish: Wish) -> str:
    host, port = next(iter(server.sockets)).getsockname()[:2]
    asks = "" if wish.token is None else f", with the token in {wish.token}"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/{asks}"


async def _follow(subscriber: AsyncSubscriber, state: State, changes: Changes) -> None:
    """Add up all that comes."""
    async for item in subscriber:
        state.take(item, time.monotonic())
        changes.tell()


async def _ask_for_states(state: State, changes: Changes, recall: Recall, endpoint: str) -> None:
    """Ask for each camera's state, where that was told before we came; where nobody answers, again."""
    while True:
        await changes.wait(ASK_SECONDS)
        with suppress(TimeoutError):
            while (catchup := state.catchup) is not None and (places := state.unheard_states()):
                for place in places:
                    state.recall(place, await recall.message(address.seen_from(catchup, endpoint), place))
                    changes.tell()
        await asyncio.sleep(ASK_SECONDS)
