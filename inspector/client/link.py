"""A subscriber's sockets: one that is subscribed, and one for each line that has messages to be asked for."""

from __future__ import annotations

from typing import Any, Protocol

import zmq

from inspector import address, asking
from inspector.client.core import Core
from inspector.codecs import MAX_PIXELS
from inspector.errors import ConfigError
from inspector.types import MAX_CHANNELS

MAX_PART_BYTES = MAX_CHANNELS * MAX_PIXELS
"""A larger part than the largest raw picture, a stack, closes the connection."""
MOST_AT_ONCE = 1000
"""Messages that are taken in at a time while others are missing, lest those be lost that come meanwhile."""
CONNECT_MS = 20_000
"""So long a connection may take, then another is tried: the kernel tries after 1, 3, 7, 15, 31 and 63 seconds, and may
not see for a minute that the network is back."""


class Keys(Protocol):
    """What makes a socket safe before it is connected."""

    def arm(self, socket: zmq.Socket[Any]) -> None:
        """Set the options of CURVE."""
        ...


class Link:
    """Connects `core` to `endpoint`, subscribed to `prefixes`; raises ConfigError where that is no address."""

    def __init__(
        self,
        core: Core,
        endpoint: str,
        prefixes: tuple[str, ...],
        keys: Keys | None,
        context: zmq.Context[zmq.Socket[bytes]] | None,
    ) -> None:
        if endpoint.startswith("tcp://") and address.tcp_host(endpoint) is None:
            raise no_address(endpoint)  # libzmq would try a port beyond 65535 for ever
        self._core = core
        self._keys = keys
        self._owns_context = context is None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context() if context is None else context
        self._askers: dict[str, tuple[str, zmq.Socket[bytes]]] = {}
        self._subscribed = self._open(zmq.SUB, endpoint)
        try:
            for prefix in prefixes:
                self._subscribed.subscribe(prefix)
            self._subscribed.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise no_address(endpoint) from error

    @property
    def sockets(self) -> list[zmq.Socket[bytes]]:
        """Those that something may come by."""
        return [self._subscribed, *(socket for _, socket in self._askers.values())]

    def step(self, now: float) -> bool:
        """Take in what is there, and ask for what is missing; whether anything came. Never blocks."""
        came = [self._take_answer(line, socket, now) for line, (_, socket) in self._askers.items()]
        if not self._core.waits:  # an answer may come all the same, late: left there, it would end every wait at once
            return self._take_message() or any(came)
        messages = 0
        while messages < MOST_AT_ONCE and self._take_message():
            messages += 1
        for line, endpoint, request in self._core.requests(now):
            try:
                self._asker(line, endpoint).send(asking.encode_request(request), zmq.NOBLOCK)
            except zmq.Again:  # there is no connection now
                self._core.unsent(line, request, now)
        return any(came) or messages > 0

    def close(self) -> None:
        """Disconnect."""
        for socket in self.sockets:
            socket.close()
        if self._owns_context:
            self._context.term()

    def _take_message(self) -> bool:
        try:
            self._core.live(self._subscribed.recv_multipart(zmq.NOBLOCK))
        except zmq.Again:
            return False
        return True

    def _take_answer(self, line: str, socket: zmq.Socket[bytes], now: float) -> bool:
        try:
            self._core.answered(line, socket.recv_multipart(zmq.NOBLOCK), now)
        except zmq.Again:
            return False
        return True

    def _asker(self, line: str, endpoint: str) -> zmq.Socket[bytes]:
        """The socket that asks for a line, connected to where it is answered now."""
        connected, socket = self._askers.get(line, ("", None))
        if connected != endpoint or socket is None:
            if socket is not None:
                socket.close()
            socket = self._open(zmq.DEALER, endpoint)
            socket.setsockopt(zmq.IMMEDIATE, 1)  # what cannot be sent now is asked for again later
            socket.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_MS)
            socket.connect(endpoint)
            self._askers[line] = endpoint, socket
        return socket

    def _open(self, kind: int, endpoint: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.linger = 0
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_PART_BYTES)
        socket.setsockopt(zmq.IPV6, "[" in endpoint)
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 30)
        if self._keys is not None:
            self._keys.arm(socket)
        return socket


def no_address(endpoint: str) -> ConfigError:
    """The error for an endpoint that is none."""
    return ConfigError(f"{endpoint!r} is no ZeroMQ address; {address.FORMS}")
