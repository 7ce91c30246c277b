"""`tcp://` and `ipc://`: a ZeroMQ XPUB socket that binds, so that it sees what is subscribed.

It never blocks: a subscriber whose queue is full loses messages, alone, and sees it by the sequence numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import zmq

from inspector import address
from inspector.binding import bind
from inspector.errors import ConfigError, OutputError

ASSUMED_MESSAGE_BYTES = 16_384
"""Mean size of a message, to make a number of messages, which is all that ZeroMQ knows, out of a budget in bytes:
most are verdicts of 1 KiB, some are results of 10 to 100."""
LINGER_MS = 1000
"""How long `close` waits for the last messages to leave."""
MAX_PREFIX_BYTES = 256
"""A longer subscription matches no topic of ours."""
ZAP = "inproc://zeromq.zap.01"
CURVE_BYTES = 1024
"""Room for the longest message of CURVE's handshake (INITIATE, RFC 26, with an identity), and for any prefix."""
MAX_SUBSCRIPTIONS = 10_000
"""Once more are held at a time, we stop counting and publish everything."""
MOST_AT_ONCE = 200
"""Messages that a `poll` takes in: no verdict leaves meanwhile, and somebody may subscribe and cancel without end."""

_SUBSCRIBE, _CANCEL = b"\x01", b"\x00"  # first byte of what a subscriber sends (ZMTP, RFC 23 and 29)
_DEPARTED, _SOMEBODY = -1, -2


class Door(Protocol):
    """Who lets subscribers in: a context whose sockets it watches, and `arm`, called of each before it binds."""

    context: zmq.Context[zmq.Socket[bytes]]

    def arm(self, socket: zmq.Socket[bytes]) -> None:
        """Encrypt `socket`, and close it to strangers."""
        ...


class ZeroMqOutput:
    """Binds `url`; port 0 or * takes any free one, and `endpoint` says which."""

    def __init__(self, url: str, budget_bytes: int, allow_plaintext: bool = False, door: Door | None = None) -> None:
        check(url, allow_plaintext or door is not None)
        self.hostile = 0
        self.subscribers: Mapping[str, int] = {}
        # For each prefix, the connections that subscribed to it. XPUB also hands us a cancellation by a connection
        # that never subscribed; were it only counted, one broken peer could silence the others' messages.
        self._holders: dict[str, list[int]] = {}
        self._held = 0
        self._everything = False
        self._wanted: dict[str, bool] = {}
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context() if door is None else door.context
        self._owns_context = door is None
        self._zap: zmq.Socket[bytes] | None = None
        self._socket = self._context.socket(zmq.XPUB)
        try:
            self._socket.setsockopt(zmq.XPUB_VERBOSER, 1)  # every subscriber's comings and goings, not the first's
            self._socket.setsockopt(zmq.SNDHWM, max(1, budget_bytes // ASSUMED_MESSAGE_BYTES))
            most = 1 + MAX_PREFIX_BYTES if door is None else CURVE_BYTES
            self._socket.setsockopt(zmq.MAXMSGSIZE, most)  # inbound; whoever sends more is cut off
            self._socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
            self._socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 30)
            self._socket.setsockopt(zmq.IPV6, "[" in url)
            if door is not None:
                door.arm(self._socket)
            else:
                self._zap = self._asked()
            self.endpoint = bind(self._socket, url, "output")
        except BaseException:
            self._end(linger=0)
            raise

    def poll(self) -> None:
        """Take in new subscribers, subscriptions and cancellations; what is too much at once, the next time."""
        if self._zap is not None:
            for _ in _waiting(self._zap):
                version, number, *_ = self._zap.recv_multipart()
                self._zap.send_multipart([version, number, b"200", b"welcome", b"", b""])
        if not _readable(self._socket):
            return
        for _ in _waiting(self._socket):
            self._take_in(self._socket.recv(zmq.NOBLOCK, copy=False))
        self._wanted.clear()
        self.subscribers = {prefix: len(holders) for prefix, holders in self._holders.items()}

    def wants(self, topic: str) -> bool:
        """Whether anybody has subscribed to `topic`, as of the last `poll`."""
        wanted = self._wanted.get(topic)
        if wanted is None:
            wanted = self._everything or topic.startswith(tuple(self._holders))
            self._wanted[topic] = wanted
        return wanted

    def write(self, topic: str, parts: Sequence[bytes]) -> None:
        """Hand over a message; raises OutputError."""
        del topic  # it is the first part
        try:
            self._socket.send_multipart(parts, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            raise OutputError(f"output {self.endpoint} failed: {error}") from error

    def close(self) -> None:
        """Let go of the address, within `LINGER_MS`; in the door's context once that ends."""
        self._end(LINGER_MS)

    def _asked(self) -> zmq.Socket[bytes]:
        """Where libzmq asks whether a plaintext subscriber may come in (ZAP, RFC 27); `poll` says yes to all.

        For what that keeps out: peers of ZMTP 1 and 2, whose messages do not tell by which connection they came. Their
        cancellations look like those of a connection that left, and would silence others.
        """
        zap = self._context.socket(zmq.REP)
        zap.bind(ZAP)
        self._socket.setsockopt(zmq.ZAP_DOMAIN, b"inspector")
        return zap

    def _end(self, linger: int) -> None:
        self._socket.close(linger)
        if self._zap is not None:
            self._zap.close(0)
        if self._owns_context:
            self._context.term()

    def _take_in(self, frame: zmq.Frame) -> None:
        """One message from below: a subscription, a cancellation, the cancellation of one who left, or nonsense."""
        data, connection = frame.bytes, _connection(frame)
        prefix = data[1:].decode("utf-8", "replace")
        holders = self._holders.setdefault(prefix, [])
        if data[:1] == _SUBSCRIBE and self._held < MAX_SUBSCRIPTIONS:
            holders.append(connection)
            self._held += 1
        elif data[:1] == _SUBSCRIBE:
            self._everything = True
        elif data[:1] == _CANCEL and connection in holders:
            holders.remove(connection)
            self._held -= 1
        elif data[:1] == _CANCEL and connection == _DEPARTED and holders:
            # Whose it was is not known any more, and the next connection may get its number: from here on only the
            # count of the holders is trusted. What is in doubt (also one who subscribes twice and departs once) ends
            # in publishing too much, never too little.
            holders[:] = [_SOMEBODY] * (len(holders) - 1)
            self._held -= 1
        else:
            self.hostile += 1
        if not holders:
            del self._holders[prefix]


def check(url: str, allow_plaintext: bool) -> None:
    """Raise ConfigError if `url` is no address, or one that other machines can read unless `allow_plaintext`."""
    problem = address.objection(url) or (None if allow_plaintext else address.exposure(url))
    if problem is not None:
        raise ConfigError(f"output {url!r}: {problem}")


def _readable(socket: zmq.Socket[bytes]) -> bool:
    return bool(int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)


def _waiting(socket: zmq.Socket[bytes]) -> Iterator[None]:
    """Once for each message that waits to be read, `MOST_AT_ONCE` times at most."""
    for _ in range(MOST_AT_ONCE):
        if not _readable(socket):
            return
        yield


def _connection(frame: zmq.Frame) -> int:
    """A number for the connection that a message came by; ZeroMQ speaks for one that left without giving any."""
    try:
        return int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return _DEPARTED
