"""What a journal shows to whoever reads it: messages as they were published, by session, topic and sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Kept:
    """One message as it was published; `parts` are its topic, header and payloads."""

    sequence: int
    parts: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """The answer to a range of sequences.

    first, last: the sequences that it covers, all of them; `last` is first - 1 where there is nothing (yet)
    messages: ascending
    gone: ranges, both ends included, within first to last that nobody can have any more
    """

    session: int
    topic: str
    first: int
    last: int
    messages: tuple[Kept, ...]
    gone: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the daemon.

    sequences: the last sequence by topic, of all topics that are published
    final: it is over, nothing more will come in it
    """

    session: int
    sequences: Mapping[str, int]
    final: bool


class Archive(Protocol):
    """Where messages can be had once more."""

    def read(self, session: int, topic: str, first: int, last: int, budget: int) -> Chunk:
        """The messages `first` to `last`: one at least if there is one, then as many as `budget` bytes hold.

        Of a session or topic that it does not know, all that was asked for is `gone`.
        """
        ...

    def sessions(self, since: int) -> list[Session]:
        """Those from `since` on, ascending, the running one included."""
        ...
