"""The catch-up server over real sockets: what it answers, whom it refuses, and that nobody holds it up."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from inspector import asking
from inspector.archive import Chunk, Session
from inspector.asking import Ask, AskSessions, Busy, ChunkAnswer, Refused, SessionsAnswer
from inspector.catchup import CatchUp
from inspector.catchup import server as server_module
from inspector.clock import SystemClock
from inspector.errors import ConfigError, OutputError
from tests.archives import MemoryArchive, asking_at, serving
from tests.lossy import CurveKeys
from tests.waiting import until

TOPIC = "verdict/line1/cam1/"
RESULTS = "result/line1/cam1/"


@pytest.fixture
def archive() -> MemoryArchive:
    """Two sessions: 5 verdicts, then 30 and 3 results of 400 KiB."""
    archive = MemoryArchive()
    archive.begin(100, [TOPIC])
    for number in range(5):
        archive.keep(TOPIC, (TOPIC.encode(), b"old %d" % number))
    archive.begin(200, [TOPIC, RESULTS])
    for number in range(30):
        archive.keep(TOPIC, (TOPIC.encode(), b"new %d" % number))
    for number in range(3):
        archive.keep(RESULTS, (RESULTS.encode(), b"%d" % number, bytes(400 << 10)))
    return archive


@pytest.fixture
def server(archive: MemoryArchive) -> Iterator[CatchUp]:
    with serving(archive) as server:
        yield server


def ask(socket: zmq.Socket[bytes], request: asking.Request) -> asking.Answer:
    socket.send(asking.encode_request(request))
    return asking.decode_answer(socket.recv_multipart())


def chunk(answer: asking.Answer) -> Chunk:
    assert isinstance(answer, ChunkAnswer)
    return answer.chunk


@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.REQ])
def test_a_range_comes_back_verbatim(server: CatchUp, kind: int) -> None:
    with asking_at(server.endpoint, kind) as socket:
        answer = ask(socket, Ask(7, 200, TOPIC, 3, 5))
    assert answer == ChunkAnswer(7, Chunk(200, TOPIC, 3, 5, chunk(answer).messages, ()))
    assert [(kept.sequence, kept.parts) for kept in chunk(answer).messages] == [
        (number + 1, (TOPIC.encode(), b"new %d" % number)) for number in (2, 3, 4)
    ]
    assert (server.requests["chunk"], server.messages, server.hostile) == (1, 3, 0)


def test_what_retention_removed_is_gone(archive: MemoryArchive, server: CatchUp) -> None:
    archive.forget(200, TOPIC, 1, 4)
    archive.forget(200, TOPIC, 6, 6)
    with asking_at(server.endpoint) as socket:
        answer = chunk(ask(socket, Ask(1, 200, TOPIC, 2, 8)))
        unknown = chunk(ask(socket, Ask(2, 99, TOPIC, 1, 10**12)))
    assert answer.gone == ((2, 4), (6, 6))
    assert [kept.sequence for kept in answer.messages] == [5, 7, 8]
    assert unknown == Chunk(99, TOPIC, 1, 10**12, (), ((1, 10**12),))


def test_what_is_not_there_yet_makes_an_empty_chunk(server: CatchUp) -> None:
    with asking_at(server.endpoint) as socket:
        assert chunk(ask(socket, Ask(1, 200, TOPIC, 31, 40))) == Chunk(200, TOPIC, 31, 30, (), ())


def test_a_chunk_is_bounded_in_bytes(server: CatchUp) -> None:
    with asking_at(server.endpoint) as socket:
        first = chunk(ask(socket, Ask(1, 200, RESULTS, 1, 3)))
        second = chunk(ask(socket, Ask(2, 200, RESULTS, first.last + 1, 3)))
    assert [[kept.sequence for kept in answer.messages] for answer in (first, second)] == [[1, 2], [3]]


def test_a_chunk_is_bounded_in_messages(archive: MemoryArchive, server: CatchUp) -> None:
    for number in range(1500):
        archive.keep(TOPIC, (TOPIC.encode(), b"%d" % number))
    archive.forget(200, TOPIC, 40, 49)
    archive.forget(200, TOPIC, 1050, 1060)
    with asking_at(server.endpoint) as socket:
        first = chunk(ask(socket, Ask(1, 200, TOPIC, 31, 1530)))
        second = chunk(ask(socket, Ask(2, 200, TOPIC, first.last + 1, 1530)))
    assert (len(first.messages), first.gone, first.last) == (1000, ((40, 49),), 1040)
    assert (len(second.messages), second.gone, second.last) == (479, ((1050, 1060),), 1530)


def test_sessions_are_listed_from_the_one_asked_for(server: CatchUp) -> None:
    old, new = Session(100, {TOPIC: 5}, True), Session(200, {TOPIC: 30, RESULTS: 3}, False)
    with asking_at(server.endpoint) as socket:
        assert ask(socket, AskSessions(1, 0)) == SessionsAnswer(1, (old, new))
        assert ask(socket, AskSessions(2, 101)) == SessionsAnswer(2, (new,))
        assert ask(socket, AskSessions(3, 201)) == SessionsAnswer(3, ())


def test_several_requests_may_be_under_way(server: CatchUp) -> None:
    with asking_at(server.endpoint) as socket:
        for number in range(server_module.WAITING_ANSWERS):
            socket.send(asking.encode_request(Ask(number, 200, TOPIC, number + 1, number + 1)))
        answers = [asking.decode_answer(socket.recv_multipart()) for _ in range(server_module.WAITING_ANSWERS)]
    assert [answer.id for answer in answers] == list(range(server_module.WAITING_ANSWERS))


@pytest.mark.parametrize(
    ("parts", "number", "why"),
    [
        ([b"\xff"], None, "no JSON"),
        ([b"{}"], None, "schema is None"),
        ([b"a", b"b"], None, "has one part, this has 2"),
        ([b"", b""], None, "no JSON"),
        ([json.dumps({"id": 9, "schema": "inspector", "version": "1.4", "kind": "delete"}).encode()], 9, "delete"),
    ],
)
def test_what_makes_no_sense_is_counted_and_refused(
    server: CatchUp, parts: list[bytes], number: int | None, why: str
) -> None:
    with asking_at(server.endpoint) as socket:
        socket.send_multipart(parts)
        answer = asking.decode_answer([part for part in socket.recv_multipart() if part])
        assert isinstance(answer, Refused)
        assert (answer.id, why in answer.why) == (number, True)
        assert chunk(ask(socket, Ask(1, 200, TOPIC, 1, 1))).last == 1, "the connection goes on"
    assert (server.hostile, server.requests["refused"]) == (1, 1)


def test_who_sends_too_much_is_cut_off_and_the_others_are_served(server: CatchUp) -> None:
    with asking_at(server.endpoint) as hostile, asking_at(server.endpoint) as good:
        with hostile.get_monitor_socket(zmq.EVENT_DISCONNECTED) as monitor:
            hostile.send(bytes(5000))
            assert monitor.poll(60_000)
            hostile.disable_monitor()
        assert chunk(ask(good, Ask(1, 200, TOPIC, 1, 30))).last == 30


def test_who_asks_too_much_is_told_to_wait_and_the_others_are_served(
    server: CatchUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_limits", server_module.Limits(rate=0.01, burst=2.5, peers=2))
    with asking_at(server.endpoint) as greedy, asking_at(server.endpoint) as modest, asking_at(server.endpoint) as late:
        answers = [ask(greedy, Ask(number, 200, TOPIC, 1, 1)) for number in range(5)]
        assert [type(answer) for answer in answers] == [ChunkAnswer] * 3 + [Busy] * 2
        assert 0 < answers[-1].wait <= 100
        greedy.send(b"{")  # nonsense beyond the limit is not even answered
        assert chunk(ask(modest, Ask(1, 200, TOPIC, 1, 30))).last == 30
        assert isinstance(ask(late, Ask(1, 200, TOPIC, 1, 30)), Busy), "only so many peers at a time"
        until(lambda: server.hostile == 1, "the nonsense did not come")
    assert (server.requests["busy"], server.hostile, server.requests["refused"]) == (3, 1, 0)


def test_who_does_not_read_loses_answers_and_the_others_are_served(
    server: CatchUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_limits", server_module.Limits(rate=1e6, burst=1e6, peers=2))
    with asking_at(server.endpoint, rcvhwm=1) as deaf, asking_at(server.endpoint) as good:
        for number in range(100):
            deaf.send(asking.encode_request(Ask(number, 200, RESULTS, 1, 3)))
        for number in range(20):
            assert chunk(ask(good, Ask(number, 200, TOPIC, 1, 30))).last == 30
        until(lambda: server.requests["chunk"] == 120, "not all were answered")
        kept = 0
        while deaf.poll(1000 if kept else 60_000):
            assert chunk(asking.decode_answer(deaf.recv_multipart())).last == 2
            kept += 1
        assert 0 < kept < 100, "100 answers of 800 KB each wait for nobody"


def test_an_archive_that_fails_makes_peers_wait(archive: MemoryArchive, server: CatchUp) -> None:
    def fail(*of: object) -> Chunk:
        raise OutputError("the disk is gone")

    archive.read = fail  # type: ignore[method-assign]
    with asking_at(server.endpoint) as socket:
        assert ask(socket, Ask(5, 200, TOPIC, 1, 1)) == Busy(5, 5.0)
        assert isinstance(ask(socket, AskSessions(6, 0)), SessionsAnswer)


def test_other_machines_are_kept_out_unless_told_otherwise(archive: MemoryArchive) -> None:
    with pytest.raises(ConfigError, match=r"catch-up endpoint 'tcp://0\.0\.0\.0:0': other machines could read"):
        CatchUp("tcp://0.0.0.0:0", archive, SystemClock())
    CatchUp("tcp://0.0.0.0:0", archive, SystemClock(), allow_plaintext=True).close()


def test_an_address_in_use_is_refused_in_a_sentence(archive: MemoryArchive, server: CatchUp) -> None:
    with pytest.raises(OutputError, match=r"catch-up endpoint tcp://127.0.0.1:\d+ is in use; stop the program"):
        CatchUp(server.endpoint, archive, SystemClock())


def test_its_file_is_for_user_and_group(archive: MemoryArchive, tmp_path: Path) -> None:
    path = tmp_path / "catchup"
    with serving(archive, f"ipc://{path}") as server, asking_at(server.endpoint) as socket:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert chunk(ask(socket, Ask(1, 200, TOPIC, 1, 30))).last == 30


def test_with_keys_it_speaks_curve_alone(archive: MemoryArchive) -> None:
    keys = CurveKeys()
    with (
        zmq.Context() as context,
        serving(archive, keys=keys, context=context) as server,
        context.socket(zmq.DEALER) as armed,
        context.socket(zmq.DEALER) as bare,
    ):
        armed.rcvtimeo = 60_000
        armed.linger = bare.linger = 0
        CurveKeys(keys.public).arm(armed)
        bare.connect(server.endpoint)
        bare.send(asking.encode_request(Ask(1, 200, TOPIC, 1, 30)))
        armed.connect(server.endpoint)
        assert chunk(ask(armed, Ask(2, 200, TOPIC, 1, 30))).last == 30
        assert not bare.poll(0)
    assert server.requests["chunk"] == 1
