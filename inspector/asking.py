"""Catch-up's requests and answers to bytes and back (pure); docs/wire.md tells the format.

A request is one part, JSON. An answer's first part is its header, JSON, and repeats the request's `id`; only a chunk
has more parts: those of all its messages, one after another. Whatever is read here may be hostile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TypeAlias

from inspector import wire
from inspector.archive import Chunk, Kept, Session
from inspector.errors import WireError
from inspector.fields import Fields

MAX_REQUEST_BYTES = 4096
MAX_CHUNK_BYTES = 1 << 20
"""A chunk ends before it passes this; but one message it may hold, however large."""
MAX_CHUNK_MESSAGES = 1000
MAX_SESSIONS_BYTES = 1 << 18
"""A list of sessions ends before it passes this; whoever wants the rest asks again, from the last on."""

REQUESTS = ("ask", "sessions")
ANSWERS = ("chunk", "sessions", "busy", "refused")


@dataclass(frozen=True, slots=True)
class Ask:
    """Wants messages first..last (both ends included) of a topic in a session."""

    id: int
    session: int
    topic: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class AskSessions:
    """Wants to know the sessions from number `since` on."""

    id: int
    since: int


@dataclass(frozen=True, slots=True)
class ChunkAnswer:
    """Answers an `Ask`."""

    id: int
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class SessionsAnswer:
    """Answers an `AskSessions`: ascending, at least one if there is one, but maybe not all."""

    id: int
    sessions: tuple[Session, ...]


@dataclass(frozen=True, slots=True)
class Busy:
    """Not now: ask again after `wait` seconds."""

    id: int
    wait: float


@dataclass(frozen=True, slots=True)
class Refused:
    """Never: the request makes no sense. id: its number, where it had one;  why: one sentence"""

    id: int | None
    why: str


Request: TypeAlias = Ask | AskSessions
Answer: TypeAlias = ChunkAnswer | SessionsAnswer | Busy | Refused


class RequestError(WireError):
    """Bytes that are no request. id: the number to answer it by, if it has one"""

    def __init__(self, why: str, number: int | None) -> None:
        super().__init__(why)
        self.id = number


def encode_request(request: Request) -> bytes:
    """The one part of a request."""
    if isinstance(request, AskSessions):
        return _json("sessions", id=request.id, since=request.since)
    return _json(
        "ask",
        id=request.id, session=request.session, topic=request.topic, first=request.first, last=request.last,
    )  # fmt: skip


def decode_request(data: bytes) -> Request:
    """A request from the bytes that a client sent; raises RequestError."""
    number = None
    try:
        if len(data) > MAX_REQUEST_BYTES:
            raise WireError(f"a request has at most {MAX_REQUEST_BYTES} bytes, this has {len(data)}")
        number = _number(data)
        fields = wire.header(data, REQUESTS)
        if fields.text("kind") == "sessions":
            return AskSessions(fields.whole("id"), fields.whole("since"))
        session, topic, (first, last) = fields.whole("session"), _topic(fields), _range(fields)
        if not 1 <= first <= last:
            raise WireError(f"the range {first} to {last} is none; sequences count from 1")
        return Ask(fields.whole("id"), session, topic, first, last)
    except WireError as error:
        raise RequestError(str(error), number) from error


def encode_answer(answer: Answer) -> list[bytes]:
    """The parts of an answer."""
    if isinstance(answer, ChunkAnswer):
        return _encode_chunk(answer.id, answer.chunk)
    if isinstance(answer, SessionsAnswer):
        listed = [
            {"session": session.session, "final": session.final, "sequences": dict(session.sequences)}
            for session in answer.sessions
        ]
        return [_json("sessions", id=answer.id, sessions=listed)]
    if isinstance(answer, Busy):
        return [_json("busy", id=answer.id, wait=round(answer.wait, 3))]
    return [_json("refused", id=answer.id, why=answer.why)]


def decode_answer(parts: Sequence[bytes]) -> Answer:
    """An answer from the parts that came out of a socket; raises WireError, UnknownMessageError among them."""
    if not parts:
        raise WireError("an answer has a part or more, this has none")
    fields = wire.header(parts[0], ANSWERS)
    kind = fields.text("kind")
    if kind == "chunk":
        return ChunkAnswer(fields.whole("id"), _decode_chunk(fields, parts[1:]))
    if len(parts) > 1:
        raise WireError(f"an answer of kind {kind!r} has one part, this has {len(parts)}")
    if kind == "sessions":
        return SessionsAnswer(fields.whole("id"), _sessions(fields))
    if kind == "busy":
        return Busy(fields.whole("id"), max(fields.number("wait"), 0.0))
    return Refused(fields.whole("id") if fields.has("id") else None, fields.text("why"))


def first_sessions(sessions: Iterable[Session]) -> tuple[Session, ...]:
    """So many as one answer holds, at least one if there is one."""
    chosen: list[Session] = []
    room = MAX_SESSIONS_BYTES
    for session in sessions:
        room -= 80 + sum(len(topic) + 24 for topic in session.sequences)
        if room < 0 and chosen:
            break
        chosen.append(session)
    return tuple(chosen)


def _json(kind: str, **fields: object) -> bytes:
    head = {"schema": wire.SCHEMA, "version": wire.VERSION, "kind": kind}
    return json.dumps(head | fields, separators=(",", ":")).encode()


def _number(data: bytes) -> int | None:
    """The `id` of what may be no request, to answer by."""
    try:
        return Fields.parse(data).whole("id")
    except WireError:
        return None


def _encode_chunk(number: int, chunk: Chunk) -> list[bytes]:
    header = _json(
        "chunk",
        id=number, session=chunk.session, topic=chunk.topic, first=chunk.first, last=chunk.last, gone=chunk.gone,
        messages=[(kept.sequence, len(kept.parts)) for kept in chunk.messages],
    )  # fmt: skip
    return [header, *(part for kept in chunk.messages for part in kept.parts)]


def _decode_chunk(fields: Fields, parts: Sequence[bytes]) -> Chunk:
    first, last = _range(fields)
    gone = tuple((start, end) for start, end in _pairs(fields, "gone"))
    counts = _pairs(fields, "messages")
    ends = list(accumulate((number for _, number in counts), initial=0))
    if ends[-1] != len(parts):
        raise WireError(f"a chunk lists {ends[-1]} parts of messages, it has {len(parts)}")
    messages = tuple(
        Kept(sequence, tuple(parts[start:end]))
        for (sequence, _), (start, end) in zip(counts, pairwise(ends), strict=True)
    )
    covered = sorted([*gone, *((sequence, sequence) for sequence, _ in counts)])
    edges = [first - 1, *(end for _, end in covered)]
    fits = all(edge + 1 == start <= end for edge, (start, end) in zip(edges, covered, strict=False))
    if not fits or edges[-1] != last:
        raise WireError(f"a chunk of {first} to {last} does not say of each message whether it is there or gone")
    ascending = tuple(sorted(messages, key=lambda kept: kept.sequence))
    return Chunk(fields.whole("session"), _topic(fields), first, last, ascending, tuple(sorted(gone)))


def _sessions(fields: Fields) -> tuple[Session, ...]:
    sessions = []
    for item in fields.tables("sessions"):
        table = item.table("sequences")
        sequences = {topic: table.whole(topic) for topic in table if wire.is_topic(topic)}
        sessions.append(Session(item.whole("session"), sequences, item.flag("final")))
    if any(one.session >= other.session for one, other in pairwise(sessions)):
        raise WireError("the sessions of an answer do not ascend")
    return tuple(sessions)


def _topic(fields: Fields) -> str:
    topic = fields.text("topic")
    if not wire.is_topic(topic):
        raise WireError(f"{topic!r:.80} is no topic; it should be KIND/LINE/SUBJECT/")
    return topic


def _range(fields: Fields) -> tuple[int, int]:
    return fields.whole("first"), fields.whole("last")


def _pairs(fields: Fields, name: str) -> list[tuple[int, int]]:
    """A list of pairs of whole numbers."""
    pairs = fields.array(name)
    numbers = [number for pair in pairs if type(pair) is list and len(pair) == 2 for number in pair]
    if len(numbers) != 2 * len(pairs) or any(type(number) is not int or number < 0 for number in numbers):
        raise WireError(f"{name} should be a list of pairs of whole numbers from 0")
    return list(zip(numbers[::2], numbers[1::2], strict=True))
