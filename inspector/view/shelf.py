"""Messages that were heard, to be found again by their place: the newest, within a number and a budget."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message was published: what a permanent link names."""

    topic: str
    session: int
    sequence: int


class Shelf(Generic[T]):
    """Keeps at most `most` things of `most_bytes` in all; the oldest go first, and the newest always stays."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._things: OrderedDict[Place, tuple[T, int]] = OrderedDict()
        self._most, self._most_bytes, self._bytes = most, most_bytes, 0

    def put(self, place: Place, thing: T, size: int) -> None:
        """Keep a thing of `size` bytes; what was at its place before goes."""
        self._drop(place)
        self._things[place] = thing, size
        self._bytes += size
        while len(self._things) > 1 and (len(self._things) > self._most or self._bytes > self._most_bytes):
            self._drop(next(iter(self._things)))

    def get(self, place: Place) -> T | None:
        """What is kept of that place."""
        kept = self._things.get(place)
        return None if kept is None else kept[0]

    def newest(self) -> Iterator[T]:
        """All, the newest first."""
        return (thing for thing, _ in reversed(self._things.values()))

    def __len__(self) -> int:
        return len(self._things)

    def _drop(self, place: Place) -> None:
        _, size = self._things.pop(place, (None, 0))
        self._bytes -= size
