from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector import asking
from inspector.archive import Chunk, Kept, Session
from inspector.asking import Ask, AskSessions, Busy, ChunkAnswer, Refused, RequestError, SessionsAnswer
from inspector.catchup import server
from inspector.errors import WireError
from inspector.wire import UnknownMessageError
from tests.inspections import few, many, name, text, whole

MANUAL = (Path(asking.__file__).parents[1] / "docs" / "wire.md").read_text()

topics = st.builds("verdict/{}/{}/".format, name, name)
ranges = st.tuples(st.integers(1, 2**62), st.integers(0, 2**62)).map(lambda pair: (pair[0], pair[0] + pair[1]))
asks = st.builds(lambda id_, session, topic, both: Ask(id_, session, topic, *both), whole, whole, topics, ranges)
requests = asks | st.builds(AskSessions, whole, whole)


@st.composite
def chunks(draw: st.DrawFn) -> Chunk:
    """A range of messages that are there, in runs, and gone, in runs."""
    first = sequence = draw(st.integers(1, 2**40))
    messages, gone = [], []
    for is_gone, length in draw(st.lists(st.tuples(st.booleans(), st.integers(1, 4)), max_size=6)):
        if is_gone:
            gone.append((sequence, sequence + length - 1))
        else:
            parts = st.lists(st.binary(max_size=9), min_size=2, max_size=4).map(tuple)
            messages += [Kept(sequence + offset, draw(parts)) for offset in range(length)]
        sequence += length
    return Chunk(draw(whole), draw(topics), first, sequence - 1, tuple(messages), tuple(gone))


sessions = st.lists(
    st.builds(Session, whole, st.dictionaries(topics, whole, max_size=3), st.booleans()), max_size=4
).map(lambda drawn: tuple({one.session: one for one in sorted(drawn, key=lambda one: one.session)}.values()))
answers = (
    st.builds(ChunkAnswer, whole, chunks())
    | st.builds(SessionsAnswer, whole, sessions)
    | st.builds(Busy, whole, st.integers(0, 10_000).map(lambda thousandths: thousandths / 1000))
    | st.builds(Refused, st.none() | whole, text)
)


@few
@given(requests)
def test_a_request_comes_back_as_it_was(request):
    assert asking.decode_request(asking.encode_request(request)) == request


@many
@given(answers)
def test_an_answer_comes_back_as_it_was(answer):
    assert asking.decode_answer(asking.encode_answer(answer)) == answer


ASK = {"schema": "inspector", "version": "1.4", "kind": "ask", "id": 7, "session": 3}
ASK |= {"topic": "verdict/line1/cam1/", "first": 1, "last": 9}


@pytest.mark.parametrize(
    ("request_", "complaint", "number"),
    [
        (b"", "no JSON", None),
        (b"\xff\xfe", "no JSON", None),
        (b"[" * 4000, "no JSON", None),
        (b" " * 5000, "at most 4096 bytes", None),
        ([], "should be an object", None),
        (ASK | {"schema": "other"}, "the schema is 'other'", 7),
        (ASK | {"version": "2.0"}, "of version 2.0", 7),
        (ASK | {"kind": "chunk"}, "kind is 'chunk'", 7),
        (ASK | {"id": -1}, "id is -1", None),
        (ASK | {"session": "3"}, "session is '3'", 7),
        (ASK | {"topic": "verdict/line1/../"}, "is no topic", 7),
        (ASK | {"topic": 5}, "topic is 5", 7),
        (ASK | {"first": 0}, "the range 0 to 9", 7),
        (ASK | {"last": 0}, "the range 1 to 0", 7),
        (ASK | {"last": 2**63}, "last is 9223372036854775808", 7),
        (ASK | {"kind": "sessions"}, "since is None", 7),
    ],
)
def test_what_is_no_request_gets_one_clear_sentence_and_its_number_back(request_, complaint, number):
    data = request_ if isinstance(request_, bytes) else json.dumps(request_).encode()
    with pytest.raises(RequestError, match=complaint) as caught:
        asking.decode_request(data)
    assert caught.value.id == number
    assert len(str(caught.value)) < 300


def test_a_request_of_a_later_minor_version_is_read():
    later = ASK | {"version": "1.9", "mood": "fine"}
    assert asking.decode_request(json.dumps(later).encode()) == Ask(7, 3, "verdict/line1/cam1/", 1, 9)


CHUNK = Chunk(3, "verdict/line1/cam1/", 5, 8, (Kept(5, (b"a", b"b")), Kept(8, (b"c", b"d", b"e"))), ((6, 7),))


def tampered(**changes: object) -> list[bytes]:
    header, *parts = asking.encode_answer(ChunkAnswer(1, CHUNK))
    return [json.dumps(json.loads(header) | changes).encode(), *parts]


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([], "has none"),
        ([b"{}"], "schema is None"),
        (tampered()[:-1], "lists 5 parts of messages, it has 4"),
        ([*tampered(), b""], "lists 5 parts of messages, it has 6"),
        (tampered(first=4), "does not say of each"),
        (tampered(last=9), "does not say of each"),
        (tampered(gone=[]), "does not say of each"),
        (tampered(gone=[[6, 8]]), "does not say of each"),
        (tampered(gone=[[7, 6]]), "does not say of each"),
        (tampered(gone=[[6, 7, 8]]), "gone should be a list of pairs"),
        (tampered(gone=[6, 7]), "gone should be a list of pairs"),
        (tampered(messages=[[5, True], [8, 4]]), "messages should be a list of pairs"),
        (tampered(messages=[[5, -1], [8, 6]]), "messages should be a list of pairs"),
        (tampered(messages=[[5, 2], [5, 3]]), "does not say of each"),
        (tampered(topic="cam1"), "is no topic"),
        (tampered(kind="busy", wait=1), "has one part, this has 6"),
        (tampered(kind="busy")[:1], "wait is None"),
        (tampered(kind="refused")[:1], "why is None"),
        (tampered(kind="sessions", sessions=[1])[:1], "an item of sessions is 1"),
        (tampered(kind="sessions", sessions=[{"session": 1, "final": 1, "sequences": {}}])[:1], "final is 1"),
        (tampered(kind="sessions", sessions=[{"session": 1, "final": True, "sequences": {}}] * 2)[:1], "do not ascend"),
    ],
)
def test_a_malformed_answer_gets_one_clear_sentence(parts, complaint):
    with pytest.raises(WireError, match=complaint) as caught:
        asking.decode_answer(parts)
    assert not isinstance(caught.value, UnknownMessageError)


def test_an_answer_from_the_future_is_told_apart():
    for changes in ({"version": "2.0"}, {"kind": "song"}):
        with pytest.raises(UnknownMessageError):
            asking.decode_answer(tampered(**changes))


def test_the_order_in_a_chunk_is_put_right():
    header, *parts = asking.encode_answer(ChunkAnswer(1, CHUNK))
    swapped = json.loads(header) | {"messages": [[8, 3], [5, 2]]}
    assert asking.decode_answer([json.dumps(swapped).encode(), *parts[2:], *parts[:2]]) == ChunkAnswer(1, CHUNK)


def test_a_list_of_sessions_is_cut_where_it_grows_too_long():
    session = Session(1, {f"verdict/line1/cam{number}/": number for number in range(100)}, True)
    many_ = [replace(session, session=number) for number in range(1000)]
    first = asking.first_sessions(many_)
    assert list(first) == many_[: len(first)]
    assert 10 < len(first) < 1000
    assert len(asking.encode_answer(SessionsAnswer(1, first))[0]) <= asking.MAX_SESSIONS_BYTES
    wide = replace(session, sequences={f"verdict/line1/cam{number}/": number for number in range(10_000)})
    assert asking.first_sessions([wide, wide]) == (wide,)


@many
@given(st.lists(st.binary(max_size=40), max_size=4) | st.lists(st.sampled_from(tampered()), max_size=8))
def test_hostile_bytes_end_in_nothing_worse_than_a_wire_error(parts):
    with suppress(WireError):
        asking.decode_answer(parts)
    with suppress(WireError):
        asking.decode_request(b"".join(parts))


def test_the_examples_in_the_manual_are_requests_and_their_answers():
    blocks = re.findall(r"^```\n(\{.*?)```", MANUAL, re.DOTALL | re.MULTILINE)
    ask, answered, ask_sessions, listed = [block.encode() for block in blocks]
    assert asking.decode_request(ask) == Ask(7, 1767225600000, "verdict/line1/cam1/", 12, 15)
    answer = asking.decode_answer([answered, b"topic", b"header"])
    assert isinstance(answer, ChunkAnswer)
    assert (answer.id, [kept.parts for kept in answer.chunk.messages]) == (7, [(b"topic", b"header")])
    assert asking.decode_request(ask_sessions) == AskSessions(8, 1767225600000)
    answer = asking.decode_answer([listed])
    assert isinstance(answer, SessionsAnswer)
    assert [session.final for session in answer.sessions] == [True, False]


def test_the_manual_tells_the_limits():
    assert f"at most {asking.MAX_REQUEST_BYTES >> 10} KiB" in MANUAL
    assert f"at most {asking.MAX_CHUNK_BYTES >> 20} MiB, or one message if that is larger, and " in MANUAL
    assert f"and {asking.MAX_CHUNK_MESSAGES} messages" in MANUAL
    assert f"Answers to more than {server.WAITING_ANSWERS} requests" in MANUAL.replace("\n", " ")
    assert f"about {server.TOKENS_A_SECOND * server.BYTES_A_TOKEN / 2**20:.0f} MiB" in MANUAL
    assert f"or {server.TOKENS_A_SECOND:.0f} small requests" in MANUAL


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | whole | text, lambda inner: st.lists(inner) | st.dictionaries(text, inner)
)


@many
@given(st.sampled_from(sorted({*ASK, "gone", "messages", "sessions", "wait", "why", "since"})), json_values)
@pytest.mark.parametrize("kind", [*asking.REQUESTS, *asking.ANSWERS])
def test_any_field_may_be_anything(kind, field, value):
    fields = json.loads(tampered()[0]) | ASK | {"kind": kind, field: value}
    data = json.dumps(fields).encode()
    for decode in (asking.decode_request, lambda data: asking.decode_answer([data, *tampered()[1:]])):
        with suppress(WireError):
            decode(data)
