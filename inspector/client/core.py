"""What a subscriber makes of what comes in, without sockets and without a clock: the core of both subscribers."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from inspector import address, asking, wire
from inspector.archive import Kept
from inspector.asking import Request
from inspector.client.line import Line
from inspector.client.position import Position
from inspector.client.stream import Out, Room
from inspector.errors import WireError
from inspector.messages import BeatMessage, Gone, Item, Kind, Message, PreviewMessage

FEW_READY = 256
"""While more wait to be taken, nothing is asked for."""

NoCatchUp = Literal[False]


@dataclass
class Counts:
    """What did not become an item.

    missing: by topic, how many messages are gone for good
    duplicates, malformed, unknown: how many messages were dropped as they came before, were no message of ours, or
    came from the future (another major version)
    """

    missing: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    malformed: int = 0
    unknown: int = 0


class Core:
    """Takes in parts from sockets; `take` hands out what is due.

    endpoint: what is subscribed to;  prefixes: of its topics;  kinds: of what is handed out
    position: where to go on
    catchup: whom to ask for what is missing; None: whom the beats name; False: nobody
    hold_bytes: how much may be held until what comes before it is there
    """

    def __init__(
        self,
        endpoint: str,
        prefixes: tuple[str, ...],
        kinds: frozenset[Kind],
        position: Position,
        catchup: str | NoCatchUp | None,
        hold_bytes: int,
    ) -> None:
        self.counts = Counts()
        self._endpoint = endpoint
        self._prefixes = prefixes
        self._kinds = kinds
        self._catchup = catchup
        self._ready: deque[Out] = deque()
        self._room = Room(hold_bytes)
        self._handed: dict[str, tuple[int, int]] = {
            topic: place for topic, place in position.items() if topic.startswith(prefixes)
        }
        self._lines: dict[str, Line] = {}
        for name in {_line_of(topic) for topic in self._handed}:
            self._follow(name)

    @property
    def waits(self) -> bool:
        """Whether something is missing that may still come otherwise than by the subscription."""
        return any(line.waits for line in self._lines.values())

    def position(self) -> dict[str, tuple[int, int]]:
        """By topic, session and sequence of what was taken last.

        The topic of a line's beat is there, too: these are all of its topics up to that session; its sequence is 1 if
        that was followed from its beginning.
        """
        return dict(self._handed)

    def take(self) -> Item | None:
        """The next item that is due."""
        while self._ready:
            out = self._ready.popleft()
            if out.topic is not None:
                self._handed[out.topic] = (out.session, out.sequence)
            if out.item is not None:
                if isinstance(out.item, Gone):
                    self.counts.missing[out.item.topic] += out.item.count
                return out.item
        return None

    def live(self, parts: Sequence[bytes]) -> None:
        """A message came by the subscription."""
        message = self._decode(parts)
        if message is None:
            return
        if isinstance(message, PreviewMessage):  # none is owed: what is there is handed out
            if "preview" in self._kinds:
                self._ready.append(Out(message))
            return
        line = self._lines.get(message.line) or self._follow(message.line)
        if isinstance(message, BeatMessage):
            if self._catchup is None:
                line.ask_at(None if message.catchup is None else address.seen_from(message.catchup, self._endpoint))
            line.beat(message.session, message.sequences)
            if "beat" in self._kinds:
                self._ready.append(Out(message))
            return
        size = sum(map(len, parts))
        if not line.arrived(parts[0].decode(), message.session, message.sequence, message, size):
            self.counts.duplicates += 1

    def requests(self, now: float) -> Iterator[tuple[str, str, Request]]:
        """What to ask now: line, endpoint and request."""
        for name, line in self._lines.items():
            if len(self._ready) < FEW_READY:
                for request in line.requests(now):
                    assert line.endpoint is not None  # noqa: S101 - there is nobody to ask otherwise
                    yield name, line.endpoint, request

    def unsent(self, name: str, request: Request, now: float) -> None:
        """A request could not be sent."""
        self._lines[name].unsent(request, now)

    def answered(self, name: str, parts: Sequence[bytes], now: float) -> None:
        """An answer came for a line."""
        try:
            self._lines[name].answered(asking.decode_answer(parts), self._kept, now)
        except wire.UnknownMessageError:
            self.counts.unknown += 1
        except WireError:
            self.counts.malformed += 1

    def _follow(self, name: str) -> Line:
        position = {topic: place for topic, place in self._handed.items() if _line_of(topic) == name}
        if position:
            newest = max(session for session, _ in position.values())
            position.setdefault(wire.topic("beat", name), (newest, 0))
        line = Line(name, self._prefixes, self._ready, self._room, position)
        if self._catchup is not None:
            line.ask_at(self._catchup or None)
        self._lines[name] = line
        return line

    def _decode(self, parts: Sequence[bytes]) -> Message | None:
        try:
            message = wire.decode(parts)
            if isinstance(message, BeatMessage) and message.catchup is not None:
                _check(message.catchup)
        except wire.UnknownMessageError:
            self.counts.unknown += 1
        except WireError:
            self.counts.malformed += 1
        else:
            return message
        return None

    def _kept(self, topic: str, session: int, kept: Kept) -> Message | None:
        """A message out of a chunk, if it is the one that it is said to be."""
        message = self._decode(kept.parts)
        if message is None:
            return None
        if (
            isinstance(message, BeatMessage | PreviewMessage)
            or kept.parts[0].decode() != topic
            or (message.session, message.sequence) != (session, kept.sequence)
        ):
            self.counts.malformed += 1
            return None
        return message


def _line_of(topic: str) -> str:
    return topic.split("/")[1]


def _check(endpoint: str) -> None:
    if address.tcp_host(endpoint) is None and not address.is_ipc(endpoint):
        raise WireError(f"the catch-up endpoint {endpoint!r:.80} is no address")
