"""One line's sessions and topics as a subscriber follows them (pure: no sockets, and times are handed in).

Where a session begins that nobody has heard of, a list of the sessions is asked for: it tells how the last one ended,
and which were in between. Until it comes, the new one's messages are held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TypeAlias

from inspector import wire
from inspector.archive import Kept, Session
from inspector.asking import Answer, Ask, AskSessions, Busy, ChunkAnswer, Refused, Request, SessionsAnswer
from inspector.client.requests import Requests
from inspector.client.stream import Out, Room, Stream
from inspector.messages import Message

WORD_SECONDS = 5.0
"""So long a gap waits for the beat that tells whom to ask; then it counts as if there were nobody."""
AGAIN_SECONDS = 0.25
"""Pause before asking again for what should have been there."""


Decode: TypeAlias = Callable[[str, int, Kept], Message | None]
"""topic, session, kept message -> that message; None where it cannot be read"""


class Line:
    """Follows a line.

    prefixes: of the topics that are wanted;  out: what is due goes here;  room: for what is held
    position: by topic, session and sequence handed out last; by the topic of the line's beat, the session up to which
    these are all topics, and 1 if it was followed from its beginning, 0 if we came late
    endpoint: whom to ask for what is missing; None where there is nobody
    told: whether that is sure; else a beat will tell
    """

    def __init__(
        self,
        name: str,
        prefixes: tuple[str, ...],
        out: deque[Out],
        room: Room,
        position: Mapping[str, tuple[int, int]],
    ) -> None:
        self.endpoint: str | None = None
        self.told = False
        self._beat = wire.topic("beat", name)
        known, followed = position.get(self._beat, (None, 0))
        self._known: int | None = known
        """The session up to which every topic that anything is wanted of has its stream."""
        self._name = name
        self._prefixes = prefixes
        self._out = out
        self._room = room
        self._session: int | None = None
        self._late = None if followed else self._known
        """The session in which a topic begins with the first that is heard of it: we came late, it ran already."""
        self._past: set[int] = set()
        self._unsettled = False
        self._listed: dict[int, Session] = {}
        self._requests = Requests()
        self._has_beaten = False
        """Since we looked."""
        self._lists_asked = False
        self._list_not_before = 0.0
        self._gap_since: float | None = None
        self._gaps: set[str] = set()
        self._streams = {
            topic: Stream(name, topic, session, sequence + 1, out, room)
            for topic, (session, sequence) in position.items()
            if topic != self._beat
        }

    @property
    def waits(self) -> bool:
        """Whether something is missing that somebody may still tell."""
        return self._unsettled or bool(self._gaps) or len(self._requests) > 0

    def ask_at(self, endpoint: str | None) -> None:
        """Whom to ask from now on; None: there is nobody, so that what is missing is gone."""
        self.told = True
        if endpoint != self.endpoint:
            self._requests.forget()
        self.endpoint = endpoint
        if endpoint is None:
            self._give_up()

    def beat(self, session: int, sequences: Mapping[str, int]) -> None:
        """A beat told how far the topics are."""
        if not self._heard(session):
            return
        self._has_beaten = True
        for topic, last in sequences.items():
            if topic.startswith(self._prefixes):
                self._tell(topic, session, last)
        self._after()

    def arrived(self, topic: str, session: int, sequence: int, message: Message, size: int) -> bool:
        """A message of so many bytes arrived; False if it came before."""
        is_new = self._heard(session)
        stream = self._streams.get(topic)
        if stream is None:
            if not is_new:
                return False
            stream = self._stream(topic, session, sequence)
        if self.told and self.endpoint is None:
            stream.told(session, sequence - 1)
            stream.abandon()
        is_new = stream.arrived(session, sequence, message, size)
        if stream.wanted is not None:
            self._gaps.add(topic)
        return is_new

    def requests(self, now: float) -> Iterator[Request]:
        """What to ask now."""
        self._requests.expire(now)
        if not self.waits:
            self._gap_since = None
            return
        if not self.told:
            self._gap_since = now if self._gap_since is None else self._gap_since
            if now - self._gap_since >= WORD_SECONDS:
                self.ask_at(None)
            return
        if self._has_beaten:
            self._has_beaten = False
            if self._requests.beat(now):
                self._requests.forget()
                self._give_up(f"catch-up at {self.endpoint} does not answer")
                return
        if self._unsettled and not self._lists_asked and now >= self._list_not_before and self._requests.may_ask(now):
            self._lists_asked = True
            yield self._make(AskSessions(self._requests.next_number(), self._since()), now, self._list_is_over)
        for topic in list(self._gaps):
            stream = self._streams[topic]
            wanted = stream.wanted
            if wanted is None:
                self._gaps.discard(topic)
            elif not stream.asked and now >= stream.not_before and self._requests.may_ask(now):
                session, first, last = wanted
                stream.asked = True
                request = Ask(self._requests.next_number(), session, topic, first, last)
                yield self._make(request, now, partial(setattr, stream, "asked", False))

    def unsent(self, request: Request, now: float) -> None:
        """A request could not be sent: whoever is to be asked cannot be reached now."""
        self._requests.unsent(request, now)

    def answered(self, answer: Answer, decode: Decode, now: float) -> None:
        """Take in an answer; raises WireError for one to something else."""
        request = self._requests.answered(answer, now)
        if request is None or isinstance(answer, Busy):
            return
        if isinstance(request, Ask):
            self._filled(request, answer, decode, now)
        elif not self._unsettled:
            return  # it came late, after the same list, which was asked for again
        elif isinstance(answer, SessionsAnswer):
            self._take_list(answer.sessions, now)
        else:
            self._settle()  # they will never be told

    def _filled(self, request: Ask, answer: Answer, decode: Decode, now: float) -> None:
        stream = self._streams[request.topic]
        if isinstance(answer, Refused):
            stream.fill(request.session, {}, [(request.first, request.last)])
        elif isinstance(answer, ChunkAnswer):
            chunk = answer.chunk
            read = {kept.sequence: decode(chunk.topic, chunk.session, kept) for kept in chunk.messages}
            messages = {sequence: message for sequence, message in read.items() if message is not None}
            unreadable = [(sequence, sequence) for sequence in read if sequence not in messages]
            stream.fill(chunk.session, messages, [*chunk.gone, *unreadable])
            if chunk.last < chunk.first:
                stream.not_before = now + AGAIN_SECONDS
        self._after()

    def _heard(self, session: int) -> bool:
        """Something of `session` was heard; False where it is over."""
        if session == self._session:
            return True
        if session in self._past:
            return False
        if self._session is not None:
            self._past.add(self._session)
        self._past |= {stream.chapters[0].session for stream in self._streams.values()} - {session}
        is_first = self._session is None
        self._session = session
        if self._known is None:
            self._late = session
            self._know_all_up_to(session)
        for stream in self._streams.values():
            stream.begin(session)
        if not is_first or any(len(stream.chapters) > 1 for stream in self._streams.values()) or self._known != session:
            self._unsettled = True
            self._listed.clear()
            self._requests.forget()  # a list that was made before does not tell how the last one ended
        self._after()
        return True

    def _stream(self, topic: str, session: int, sequence: int) -> Stream:
        """A topic that nothing was heard of; this is number `sequence` in `session`."""
        assert self._known is not None  # noqa: S101 - a session was heard of
        if session == self._late:
            stream = Stream(self._name, topic, session, sequence, self._out, self._room)
            self._out.append(Out(None, topic, session, sequence - 1))
        elif self._unsettled:
            stream = self._from_known(topic)
            stream.begin(session)
        else:
            stream = Stream(self._name, topic, session, 1, self._out, self._room)
            self._out.append(Out(None, topic, session, 0))
        self._streams[topic] = stream
        return stream

    def _from_known(self, topic: str) -> Stream:
        """A stream that begins after the session up to which all topics were known."""
        assert self._known is not None  # noqa: S101 - a session was heard of
        skip = self._known == self._late
        if not skip:
            self._out.append(Out(None, topic, self._known, 0))
        return Stream(self._name, topic, self._known, 1, self._out, self._room, skip)

    def _know_all_up_to(self, session: int) -> None:
        self._known = session
        self._out.append(Out(None, self._beat, session, int(session != self._late)))

    def _tell(self, topic: str, session: int, last: int) -> None:
        stream = self._streams.get(topic) or self._stream(topic, session, last + 1)
        stream.told(session, last)
        if stream.wanted is not None:
            self._gaps.add(topic)

    def _since(self) -> int:
        """The first session that the list has to tell of."""
        if self._listed:
            return max(self._listed) + 1
        assert self._known is not None and self._session is not None  # noqa: S101, PT018 - a session was heard of
        return min(self._known, self._session, *(stream.chapters[0].session for stream in self._streams.values()))

    def _take_list(self, sessions: tuple[Session, ...], now: float) -> None:
        """A part of the list; it is complete when it tells of the session that runs."""
        self._listed.update((session.session, session) for session in sessions)
        if self._session in self._listed:
            self._settle()
        elif not sessions:
            self._listed.clear()  # whoever answered does not know yet what runs
            self._list_not_before = now + AGAIN_SECONDS

    def _settle(self) -> None:
        """Go on to the session that runs, through those that are listed."""
        assert self._known is not None and self._session is not None  # noqa: S101, PT018 - a session was heard of
        listed = {number: session.sequences for number, session in self._listed.items()}
        for number, sequences in listed.items():
            if number != self._late and (number >= self._known or number == self._session):
                for topic in sequences:
                    if topic.startswith(self._prefixes) and topic not in self._streams:
                        self._streams[topic] = self._from_known(topic)
                        self._streams[topic].begin(self._session)
        for stream in self._streams.values():
            stream.settle(listed, self._session)
        for topic, last in listed.get(self._session, {}).items():
            if topic in self._streams:
                self._streams[topic].told(self._session, last)
        self._know_all_up_to(self._session)
        self._unsettled = False
        self._listed.clear()
        self._after()

    def _give_up(self, reason: str | None = None) -> None:
        if self._unsettled:
            self._settle()
        for stream in self._streams.values():
            stream.abandon(reason)
        self._gaps.clear()

    def _after(self) -> None:
        """See where something is missing."""
        if self.told and self.endpoint is None:
            self._give_up()
        else:
            self._gaps = {topic for topic, stream in self._streams.items() if stream.wanted is not None}

    def _make(self, request: Request, now: float, over: Callable[[], None]) -> Request:
        self._requests.made(request, now, over)
        return request

    def _list_is_over(self) -> None:
        self._lists_asked = False
