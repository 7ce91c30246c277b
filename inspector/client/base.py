"""What both subscribers have in common: how they are made, what they count, and where they are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import zmq

from inspector import address, wire
from inspector.client import position as positions
from inspector.client.core import Core, NoCatchUp
from inspector.client.link import Keys, Link, no_address
from inspector.client.position import Position
from inspector.errors import ConfigError
from inspector.messages import USUAL_KINDS, Kind

HOLD_BYTES = 1 << 26
NAP_SECONDS = 0.1
"""How long a subscriber waits at most before it looks again, while it waits for answers."""


class BaseSubscriber:
    """Subscribes to a daemon. Belongs to one thread, and reconnects by itself.

    line: one line's messages alone;  kinds: of these kinds alone; all but previews, if it is not said
    cameras: of these alone (needs `line`); parts, which are of stations, come all the same
    position: where to go on, as `position()` told it or `save(path)` wrote it (a file that is not there yet is a
    beginning): everything since comes, as far as it is kept
    catchup: the endpoint to ask for what is missing; None: the one that the daemon's beats name; False: none
    keys: arm the sockets for CURVE
    hold_bytes: how much may wait here for what comes before it; what goes beyond is asked for again
    context: a ZeroMQ context to share, otherwise it makes its own

    Messages of a topic come in order, each once. While one is missing, those after it are held and the daemon is asked
    for it; other topics go on. What is gone for good comes as a `Gone` in its place. Without an endpoint to ask,
    whatever is missing is gone at once; where one does not answer, though beats come, after a minute without a
    connection, or ten with one: such a `Gone` tells its `reason`. Later gaps are asked for again. Whoever comes late
    begins with the first message, or beat, of each topic.

    Raises ConfigError for an endpoint that is no address, and for a file that is no position.
    """

    def __init__(
        self,
        endpoint: str,
        line: str | None = None,
        cameras: Iterable[str] | None = None,
        kinds: Iterable[Kind] = USUAL_KINDS,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
        position: Position | Path | None = None,
        catchup: str | NoCatchUp | None = None,
        keys: Keys | None = None,
        hold_bytes: int = HOLD_BYTES,
    ) -> None:
        if catchup and address.tcp_host(catchup) is None and not address.is_ipc(catchup):
            raise no_address(catchup)
        if isinstance(position, Path):
            position = positions.load(position)
        wanted = frozenset(kinds)
        prefixes = tuple(_prefixes(line, None if cameras is None else tuple(cameras), wanted))
        self._core = Core(endpoint, prefixes, wanted, position or {}, catchup, hold_bytes)
        self._link = Link(self._core, endpoint, prefixes, keys, context)

    @property
    def missing(self) -> Counter[str]:
        """By topic, how many messages were published to us but are gone for good."""
        return self._core.counts.missing

    @property
    def duplicates(self) -> int:
        """Messages dropped as they came before."""
        return self._core.counts.duplicates

    @property
    def malformed(self) -> int:
        """Messages dropped as they were no messages of ours."""
        return self._core.counts.malformed

    @property
    def unknown(self) -> int:
        """Messages dropped as they came from the future: another major version."""
        return self._core.counts.unknown

    def position(self) -> dict[str, tuple[int, int]]:
        """How far this got: by topic, session and sequence of what was handed out last. To go on from, later."""
        return self._core.position()

    def save(self, path: Path) -> None:
        """Write `position()` to a file, which holds the old one or the new one whatever happens. Raises OutputError.

        What was handed out counts as dealt with: save after you are done with it, and nothing is lost or comes twice.
        """
        positions.save(path, self._core.position())

    def close(self) -> None:
        """Disconnect."""
        self._link.close()

    def _milliseconds(self, left: float | None) -> int | None:
        """How long to wait for something to come, if `left` seconds remain."""
        if self._core.waits:
            left = NAP_SECONDS if left is None else min(left, NAP_SECONDS)
        return None if left is None else math.ceil(max(left, 0.0) * 1000)


def _prefixes(line: str | None, cameras: tuple[str, ...] | None, kinds: Iterable[Kind]) -> Iterator[str]:
    """What to subscribe to. Beats always: they alone tell of messages missing at the end."""
    for kind in {*kinds, "beat"}:
        if line is None:
            if cameras is not None:
                raise ConfigError("a choice of cameras needs the name of their line")
            yield f"{kind}/"
        elif cameras is None or kind in ("part", "beat"):
            yield wire.topic(kind, line)
        else:
            yield from (wire.topic(kind, line, camera) for camera in cameras)
    if "event" in kinds and cameras is not None and line is not None:
        yield wire.topic("event", line, "daemon")
