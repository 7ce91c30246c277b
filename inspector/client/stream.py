"""One topic's messages, put in order through all sessions (pure).

A stream is read like a book: a session is a chapter, and a chapter is left when all of it was handed out and it is
closed, which means that its last sequence is known for good. What comes before its turn is held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from inspector.messages import Gone, Item, Message


class Out(NamedTuple):
    """Something to hand out, or only a step of the position; `topic` is None where the position stays."""

    item: Item | None
    topic: str | None = None
    session: int = 0
    sequence: int = 0


class Room:
    """How many bytes may still be held, by all streams together."""

    def __init__(self, size: int) -> None:
        self._free = size

    def take(self, size: int) -> bool:
        """Take so much, if it is there."""
        if size > self._free:
            return False
        self._free -= size
        return True

    def give(self, size: int) -> None:
        """Give it back."""
        self._free += size


@dataclass(slots=True)
class Chapter:
    """One session of a topic.

    last: at least so many were published;  closed: no more were
    skip: nothing of it is wanted: it ran before anybody listened to this topic
    """

    session: int
    last: int = 0
    closed: bool = False
    skip: bool = False


class Stream:
    """One topic, from message `following` of `session` on; what is due goes to `out`.

    chapters: from the one that is being read to the newest;  following: the next sequence in the first of them
    """

    def __init__(
        self, line: str, topic: str, session: int, following: int, out: deque[Out], room: Room, skip: bool = False
    ) -> None:
        self.topic = topic
        self.chapters = [Chapter(session, following - 1, skip=skip)]
        self.following = following
        self.asked = False
        """Whether a request for it is under way."""
        self.not_before = 0.0
        """When to ask again, where there was nothing yet."""
        self._line = line
        self._out = out
        self._room = room
        self._held: dict[tuple[int, int], tuple[Message, int]] = {}

    @property
    def wanted(self) -> tuple[int, int, int] | None:
        """The first range that is missing: session, first and last sequence."""
        chapter = self.chapters[0]
        if self.following > chapter.last or chapter.skip:
            return None
        return chapter.session, self.following, min(self._next_held() - 1, chapter.last)

    def begin(self, session: int) -> None:
        """A session began, the newest."""
        if session not in [chapter.session for chapter in self.chapters]:
            self.chapters.append(Chapter(session))

    def settle(self, sessions: Mapping[int, Mapping[str, int]], newest: int) -> None:
        """Close all chapters but the newest, and put in those between that nobody heard of.

        sessions: the last sequence of each topic in each session that is known of
        """
        known = {chapter.session: chapter for chapter in self.chapters}
        first = self.chapters[0].session
        between = {session: Chapter(session) for session in sessions if first < session < newest} | known
        if newest > first:
            self.chapters = [known.pop(first), *(between[session] for session in sorted(between) if session != first)]
        for chapter in self.chapters:
            if chapter.session != newest:
                chapter.last = max(chapter.last, sessions.get(chapter.session, {}).get(self.topic, 0))
                chapter.closed = True
        if self.chapters[0].skip and self.chapters[0].closed:
            self.following = self.chapters[0].last + 1
        self._advance()

    def told(self, session: int, last: int) -> None:
        """So many were published in a session."""
        chapter = self._chapter(session)
        if chapter is not None:
            chapter.last = max(chapter.last, last)

    def arrived(self, session: int, sequence: int, message: Message, size: int) -> bool:
        """Take a message of so many bytes in; False if it came before."""
        chapter = self._chapter(session)
        if chapter is None or chapter.skip or (session, sequence) in self._held:
            return False
        is_first = chapter is self.chapters[0]
        if is_first and sequence < self.following:
            return False
        chapter.last = max(chapter.last, sequence)
        if is_first and sequence == self.following:
            self._hand_out(message)
            self._advance()
        elif self._room.take(size):  # else it is as if it had been lost: it will be asked for when its turn comes
            self._held[session, sequence] = message, size
        return True

    def fill(self, session: int, messages: Mapping[int, Message], gone: Iterable[tuple[int, int]]) -> None:
        """Take in a range that was asked for: what is there, and the ranges that are not."""
        if session != self.chapters[0].session:
            return
        for first, last in sorted([*gone, *((sequence, sequence) for sequence in messages)]):
            message = messages.get(first)
            if last < self.following or first > self.following:
                continue  # a message came by itself meanwhile
            if message is None:
                self._lose(last)
            else:
                self._hand_out(message)
                self._drain()
        self._advance()

    def abandon(self, reason: str | None = None) -> None:
        """Nobody answers for what is missing: it is gone, for the reason that the `Gone` tells."""
        self._lose(self.chapters[0].last, reason)
        self._advance()
        while self.wanted is not None:
            self._lose(self.chapters[0].last, reason)
            self._advance()

    def _chapter(self, session: int) -> Chapter | None:
        newest = self.chapters[-1]
        if newest.session == session:
            return newest
        return next((chapter for chapter in self.chapters if chapter.session == session), None)

    def _hand_out(self, message: Message) -> None:
        self._out.append(Out(message, self.topic, self.chapters[0].session, self.following))
        self.following += 1

    def _lose(self, last: int, reason: str | None = None) -> None:
        """All up to `last` is gone, but for what is held."""
        session = self.chapters[0].session
        while self.following <= last:
            end = min(self._next_held() - 1, last)
            if end >= self.following:
                lost = Gone(self._line, self.topic, session, self.following, end, reason)
                self._out.append(Out(lost, self.topic, session, end))
                self.following = end + 1
            self._drain()

    def _advance(self) -> None:
        """Hand out what is held and due, chapter by chapter."""
        self._drain()
        while len(self.chapters) > 1 and self.chapters[0].closed and self.following > self.chapters[0].last:
            del self.chapters[0]
            self.following = 1
            self._out.append(Out(None, self.topic, self.chapters[0].session, 0))
            self._drain()

    def _drain(self) -> None:
        session = self.chapters[0].session
        while self._held and (held := self._held.pop((session, self.following), None)) is not None:
            self._room.give(held[1])
            self._hand_out(held[0])

    def _next_held(self) -> int:
        """The first sequence of this chapter that is held; beyond all, where none is."""
        session = self.chapters[0].session
        held = (sequence for of, sequence in self._held if of == session)
        return min(held, default=1 << 63)
