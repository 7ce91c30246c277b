"""What whoever reads the journal sees of it: ranges of messages, and which sessions there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Kept:
    """One message as it was published. sequence: its number in its topic;  parts: topic, header, payloads."""

    sequence: int
    parts: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Bytes of all its parts."""
        return sum(map(len, self.parts))


@dataclass(frozen=True, slots=True)
class Chunk:
    """The answer to a range of one topic of one session.

    first, last: the sequences that it covers, all of them; where last is first - 1, there is nothing there (yet)
    messages: ascending
    gone: ranges (both ends included) within first..last that nobody can have any more
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

    sequences: the last sequence so far of every topic of the line, but those of evidence (`late/`)
    final: it is over, and nothing more will come in it
    """

    session: int
    sequences: Mapping[str, int]
    final: bool


class Archive(Protocol):
    """What was published, to be read by one thread. Both methods raise InspectorError where it cannot be read now."""

    def read(self, session: int, topic: str, first: int, last: int, budget: int) -> Chunk:
        """What is kept of first..last (both ends included).

        It holds at least one message if there is one, then ends before `budget` bytes are passed: `last` of the chunk
        says how far it came. Of a session or topic that is not known all that was asked for is gone. What was counted
        and is not kept is gone, too, and so is all beyond the last message of a session that is over: only what lies
        beyond that of the running one is not there yet.
        """
        ...

    def sessions(self, since: int) -> list[Session]:
        """The sessions from number `since` on, ascending, the running one included."""
        ...


class Empty:
    """An archive in which there is nothing."""

    def read(self, session: int, topic: str, first: int, last: int, budget: int) -> Chunk:
        """All of it is gone."""
        del budget
        return Chunk(session, topic, first, last, (), ((first, last),))

    def sessions(self, since: int) -> list[Session]:
        """None."""
        del since
        return []
