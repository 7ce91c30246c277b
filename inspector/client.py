"""For subscribers in Python: iterate over a line's messages, and know what was missed.

    with Subscriber("tcp://127.0.0.1:5600", kinds=["verdict"]) as subscriber:
        for message in subscriber:
            print(message.camera, message.frame, message.verdict)

Nothing of the daemon is imported, only what reads its messages.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from types import TracebackType

import zmq

from inspector import address, wire
from inspector.codecs import MAX_PIXELS
from inspector.errors import ConfigError, WireError
from inspector.messages import KINDS, BeatMessage, Kind, Message

MAX_PART_BYTES = 3 * MAX_PIXELS
"""A larger part than the largest raw picture closes the connection."""


class Account:
    """What of one line's topics arrived (pure): finds gaps and duplicates by session and sequence.

    A topic counts from the first that is heard of it, since a subscriber may come late. From then on all is expected,
    also what only a beat tells of. A later session is expected from its beginning: the subscriber was there.
    """

    def __init__(self) -> None:
        self._session: int | None = None
        self._is_first = True
        self._last: dict[str, int] = {}

    def arrived(self, topic: str, session: int, sequence: int) -> range | None:
        """Book a message; the sequences missing before it, or None if it came twice."""
        last = self._last_of(topic, session, sequence - 1)
        if sequence <= last:
            return None
        self._last[topic] = sequence
        return range(last + 1, sequence)

    def told(self, topic: str, session: int, sequence: int) -> range:
        """Book a beat's word that `sequence` is the topic's last so far; the sequences that should have come."""
        last = self._last_of(topic, session, sequence)
        self._last[topic] = max(last, sequence)
        return range(last + 1, sequence + 1)

    def _last_of(self, topic: str, session: int, start: int) -> int:
        if session != self._session:
            self._is_first = self._session is None
            self._session = session
            self._last.clear()
        return self._last.get(topic, start if self._is_first else 0)


class Subscriber:
    """Subscribes to a daemon; iterate over it, or call `receive`. Belongs to one thread, and reconnects by itself.

    line: one line's messages alone;  cameras: of these alone (needs `line`);  kinds: of these kinds alone
    context: a ZeroMQ context to share, otherwise it makes its own

    missing: by topic, how many messages were published to us but never arrived
    duplicates, malformed, unknown: how many messages were dropped as they came twice, were no message of ours, or
    came from the future (another major version)
    Raises ConfigError for an endpoint that is no address.
    """

    def __init__(
        self,
        endpoint: str,
        line: str | None = None,
        cameras: Iterable[str] | None = None,
        kinds: Iterable[Kind] = KINDS,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        if endpoint.startswith("tcp://") and address.tcp_host(endpoint) is None:
            raise _no_address(endpoint)  # libzmq would try a port beyond 65535 for ever
        self.missing: Counter[str] = Counter()
        self.duplicates = 0
        self.malformed = 0
        self.unknown = 0
        self._kinds = frozenset(kinds)
        self._prefixes = tuple(_prefixes(line, None if cameras is None else tuple(cameras), self._kinds))
        self._accounts: defaultdict[str, Account] = defaultdict(Account)
        self._owns_context = context is None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context() if context is None else context
        self._socket = self._context.socket(zmq.SUB)
        self._socket.linger = 0
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_PART_BYTES)
        self._socket.setsockopt(zmq.IPV6, "[" in endpoint)
        self._socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        self._socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 30)
        for prefix in self._prefixes:
            self._socket.subscribe(prefix)
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise _no_address(endpoint) from error

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Message]:
        return self.messages()

    def messages(self, timeout: float | None = None) -> Iterator[Message]:
        """Every message as it comes; ends when none came for `timeout` seconds."""
        while (message := self.receive(timeout)) is not None:
            yield message

    def receive(self, timeout: float | None = None) -> Message | None:
        """The next message, or None if none comes within `timeout` seconds (None: wait for ever)."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if end is None else end - time.monotonic()
            try:
                message = self._read(self._socket.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                message = None
                if left is None or left > 0:
                    self._socket.poll(None if left is None else math.ceil(left * 1000))
            if message is not None or (left is not None and left <= 0):
                return message

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()
        if self._owns_context:
            self._context.term()

    def _read(self, parts: list[bytes]) -> Message | None:
        """The message in `parts`, booked; None if it is not for the user."""
        try:
            message = wire.decode(parts)
        except wire.UnknownMessageError:
            self.unknown += 1
            return None
        except WireError:
            self.malformed += 1
            return None
        account = self._accounts[message.line]
        if isinstance(message, BeatMessage):
            for topic, sequence in message.sequences.items():
                if topic.startswith(self._prefixes):
                    self._miss(topic, account.told(topic, message.session, sequence))
        else:
            topic = parts[0].decode()
            missing = account.arrived(topic, message.session, message.sequence)
            if missing is None:
                self.duplicates += 1
                return None
            self._miss(topic, missing)
        return message if message.kind in self._kinds else None

    def _miss(self, topic: str, missing: range) -> None:
        if missing:
            self.missing[topic] += len(missing)


def _no_address(endpoint: str) -> ConfigError:
    return ConfigError(f"{endpoint!r} is no ZeroMQ address; {address.FORMS}")


def _prefixes(line: str | None, cameras: tuple[str, ...] | None, kinds: Iterable[Kind]) -> Iterator[str]:
    """What to subscribe to. Beats always: they alone tell of messages missing at the end."""
    for kind in {*kinds, "beat"}:
        if line is None:
            if cameras is not None:
                raise ConfigError("a choice of cameras needs the name of their line")
            yield f"{kind}/"
        elif cameras is None or kind == "beat":
            yield wire.topic(kind, line)
        else:
            yield from (wire.topic(kind, line, camera) for camera in cameras)
    if "event" in kinds and cameras is not None and line is not None:
        yield wire.topic("event", line, "daemon")
