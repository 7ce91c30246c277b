"""The subscribers in examples/ that stand alone, in each language: they lose nothing, with keys and without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import zmq

import inspector
from inspector.asking import (
    Answer,
    Ask,
    ChunkAnswer,
    Request,
    SessionsAnswer,
    decode_request,
    encode_answer,
)
from inspector.wire import Encoder
from tests.archives import MemoryArchive
from tests.lossy import TOPICS, CurveKeys, Daemon
from tests.readers import reading, rest
from tests.waiting import free_port

FOLDER = Path(inspector.__file__).parents[1] / "examples"
PREFIXES = {f"\x01{kind}/".encode() for kind in ("verdict", "result", "event", "beat")}


@pytest.fixture(params=["plain", "keys"])
def keys(request: pytest.FixtureRequest) -> CurveKeys | None:
    return CurveKeys() if request.param == "keys" else None


@pytest.fixture
def daemon(keys: CurveKeys | None) -> Iterator[Daemon]:
    with ExitStack() as stack:
        daemon = Daemon(stack, keys)
        daemon.start()
        yield daemon


def arguments(folder: Path, keys: CurveKeys | None) -> list[str]:
    """The keys as files, as `inspector keygen` writes them."""
    if keys is None:
        return []
    own = CurveKeys(keys.public)
    for name, key in (("reader.secret", own.secret), ("reader.pub", own.public), ("daemon.pub", keys.public)):
        (folder / name).write_bytes(key + b"\n")
    return ["--secret", str(folder / "reader.secret"), "--server", str(folder / "daemon.pub")]


def wait_for_subscriptions(daemon: Daemon) -> None:
    waited = set(PREFIXES)
    while waited:
        waited.discard(daemon.socket.recv())


def verdicts(first: int, last: int, camera: str = "cam1") -> list[str]:
    return [f"{camera} frame {number}: ok " for number in range(first, last + 1)]


def test_nothing_is_lost_twice_or_out_of_order(
    daemon: Daemon, keys: CurveKeys | None, script: list[str], tmp_path: Path
) -> None:
    with reading([*script, daemon.endpoint, "1519", *arguments(tmp_path, keys)]) as reader:
        assert reader.stdout is not None

        def lines(number: int) -> list[str]:
            read = [reader.stdout.readline().removesuffix("\n") for _ in range(number)]  # type: ignore[union-attr]
            assert all(read), (read, reader.poll())
            return read

        wait_for_subscriptions(daemon)
        daemon.verdicts(2)
        daemon.beat()
        assert lines(2) == verdicts(1, 2)
        daemon.verdicts(3, lose=True)  # a gap, while another topic goes on
        daemon.verdicts(2, "cam2")
        daemon.verdicts(1)
        assert sorted(lines(6)) == sorted([*verdicts(3, 6), *verdicts(1, 2, "cam2")])
        daemon.verdicts(6, lose=True)  # a tail that a beat tells of, and part of it is gone
        daemon.archive.forget(1, TOPICS[0], 8, 10)
        daemon.beat()
        gone = f"3 message(s) of {TOPICS[0]} are gone"
        assert lines(4) == [*verdicts(7, 7), gone, *verdicts(11, 12)]
        daemon.verdicts(2, lose=True)
        daemon.stop()
        daemon.start()  # a whole run that is not heard of
        daemon.verdicts(3, lose=True)
        daemon.stop()
        daemon.start()
        wait_for_subscriptions(daemon)
        daemon.verdicts(1500, lose=True)  # more than a chunk
        daemon.verdicts(1)
        daemon.beat()
        assert lines(1506) == [*verdicts(13, 14), *verdicts(1, 3), *verdicts(1, 1501)]
        daemon.verdicts(2)
        out, errors = rest(reader)
    assert (reader.returncode, errors) == (0, "")
    assert out.splitlines() == verdicts(1502, 1503)


def test_a_topic_that_nobody_answers_for_yet_does_not_keep_the_others_waiting(
    daemon: Daemon, keys: CurveKeys | None, script: list[str], tmp_path: Path
) -> None:
    with reading([*script, daemon.endpoint, "5", *arguments(tmp_path, keys)]) as reader:
        wait_for_subscriptions(daemon)
        daemon.beat()
        ahead = {**daemon.archive.last(), TOPICS[0]: 2}
        daemon.socket.send_multipart(daemon.encoder.beat(ahead, 5, False))
        daemon.verdicts(2, "cam2", lose=True)
        daemon.verdicts(1, "cam2")
        assert reader.stdout is not None
        assert [reader.stdout.readline().removesuffix("\n") for _ in range(3)] == verdicts(1, 3, "cam2")
        daemon.verdicts(2, lose=True)
        out, errors = rest(reader)
    assert (reader.returncode, errors) == (0, "")
    assert out.splitlines() == verdicts(1, 2)


@pytest.mark.parametrize("catchup", [False, True], ids=["nobody to ask", "catch-up"])
def test_a_daemon_whose_clock_was_set_back_is_followed(
    daemon: Daemon, keys: CurveKeys | None, script: list[str], tmp_path: Path, catchup: bool
) -> None:
    daemon.stop()
    daemon.session = 2000
    daemon.start(catchup=catchup)
    with reading([*script, daemon.endpoint, "6" if catchup else "5", *arguments(tmp_path, keys)]) as reader:
        wait_for_subscriptions(daemon)
        daemon.beat()
        daemon.verdicts(2)
        assert reader.stdout is not None
        assert [reader.stdout.readline().removesuffix("\n") for _ in range(2)] == verdicts(1, 2)
        daemon.stop()
        daemon.archive, daemon.session = MemoryArchive(), 1000  # a journal that is there would know better
        daemon.start(catchup=catchup)
        wait_for_subscriptions(daemon)
        daemon.verdicts(1, lose=True)
        daemon.verdicts(3)
        daemon.beat()
        out, errors = rest(reader)
    assert (reader.returncode, errors) == (0, "")
    first = verdicts(1, 1) if catchup else [f"1 message(s) of {TOPICS[0]} are gone"]
    assert out.splitlines() == [*first, *verdicts(2, 4)]


def test_what_nobody_can_be_asked_for_though_beats_come_is_named(
    daemon: Daemon, keys: CurveKeys | None, script: list[str], tmp_path: Path
) -> None:
    nobody = f"tcp://127.0.0.1:{free_port()}"
    with reading([*script, daemon.endpoint, "5", *arguments(tmp_path, keys)]) as reader:
        wait_for_subscriptions(daemon)
        daemon.encoder = Encoder("line1", daemon.session, "0" * 64, nobody)
        daemon.verdicts(1)
        daemon.verdicts(2, lose=True)
        daemon.verdicts(1)
        for _ in range(59):
            daemon.beat()
        daemon.verdicts(1)
        daemon.beat()
        daemon.beat()
        daemon.stop()
        daemon.start()  # nobody tells how the last session ended either
        daemon.encoder = Encoder("line1", daemon.session, "0" * 64, nobody)
        wait_for_subscriptions(daemon)
        daemon.verdicts(2)
        daemon.beat()
        out, errors = rest(reader)
    assert (reader.returncode, errors) == (0, "")
    gone = f"2 message(s) of {TOPICS[0]} are gone"
    assert out.splitlines() == [*verdicts(1, 1), gone, *verdicts(4, 5), *verdicts(1, 2)]


def test_where_answers_take_long_late_ones_count_and_each_is_waited_for_longer(
    script: list[str], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        daemon = Daemon(stack)
        place = stack.enter_context(stack.enter_context(zmq.Context()).socket(zmq.ROUTER))
        place.linger, place.rcvtimeo = 0, 60_000
        place.bind("tcp://127.0.0.1:*")

        def start() -> None:
            daemon.start()
            daemon.encoder = Encoder("line1", daemon.session, "0" * 64, place.getsockopt_string(zmq.LAST_ENDPOINT))

        def request() -> tuple[bytes, Request]:
            who, parts = place.recv_multipart()
            return who, decode_request(parts)

        def answer(who: bytes, request: Request) -> None:
            if isinstance(request, Ask):
                chunk = daemon.archive.read(request.session, request.topic, request.first, request.last, 1 << 20)
                told: Answer = ChunkAnswer(request.id, chunk)
            else:
                told = SessionsAnswer(request.id, tuple(daemon.archive.sessions(request.since)))
            place.send_multipart([who, *encode_answer(told)])

        start()
        reader = stack.enter_context(reading([*script, daemon.endpoint, "4"]))
        wait_for_subscriptions(daemon)
        daemon.verdicts(1)
        daemon.verdicts(1, lose=True)
        daemon.verdicts(1)
        daemon.beat()
        first, _ = request(), request()
        answer(*first)
        assert reader.stdout is not None
        assert [reader.stdout.readline().removesuffix("\n") for _ in range(3)] == verdicts(1, 3)
        daemon.stop()
        start()
        wait_for_subscriptions(daemon)
        daemon.verdicts(1)
        daemon.beat()
        asked = [request()]
        while place.poll(4000):  # whoever asks every three seconds gets no answer
            asked.append(request())
            assert len(asked) < 10
        answer(*asked[-1])
        while reader.poll() is None:  # on a busy machine it may have asked once more by then
            if place.poll(100):
                answer(*request())
        out, errors = rest(reader)
    assert (reader.returncode, errors) == (0, "")
    assert out.splitlines() == verdicts(1, 1)


def test_without_anybody_to_ask_what_is_missing_is_named(
    daemon: Daemon, keys: CurveKeys | None, script: list[str], tmp_path: Path
) -> None:
    daemon.stop()
    daemon.start(catchup=False)
    with reading([*script, daemon.endpoint, "4", *arguments(tmp_path, keys)]) as reader:
        wait_for_subscriptions(daemon)
        daemon.beat()
        daemon.verdicts(1)
        daemon.verdicts(2, lose=True)
        daemon.verdicts(3)
        out, errors = rest(reader)
    assert (reader.returncode, errors) == (0, "")
    gone = f"2 message(s) of {TOPICS[0]} are gone"
    assert out.splitlines() == [*verdicts(1, 1), gone, *verdicts(4, 6)]
