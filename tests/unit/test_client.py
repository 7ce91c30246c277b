from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice

import pytest
import zmq

from inspector import codecs
from inspector.client import Gone, Subscriber
from inspector.codecs import Formats
from inspector.errors import ConfigError
from inspector.messages import BeatMessage, Message, VerdictMessage
from inspector.types import MAX_CHANNELS, Event
from inspector.wire import Encoder
from tests.inspections import ng, ok
from tests.waiting import free_port

HANG = 60.0  # seconds after which something that should have come is said to hang
NOBODY = "tcp://127.0.0.1:1"
CAM1, CAM2 = "verdict/line1/cam1/", "verdict/line1/cam2/"


class Daemon:
    """Sends over a real socket whatever it is told to, from one session."""

    def __init__(self, endpoint: str = "tcp://127.0.0.1:*", session: int = 1, line: str = "line1") -> None:
        self.encoder = Encoder(line, session, "0" * 64)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.sndhwm = 0
        self._socket.bind(endpoint)
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def hears(self, subscriber: Subscriber, number: int) -> set[str]:
        """The next `number` subscriptions; a subscriber subscribes again by itself only while it is read."""
        heard: set[str] = set()
        end = time.monotonic() + HANG
        while len(heard) < number:
            assert time.monotonic() < end, heard
            assert subscriber.receive(0) is None
            if self._socket.poll(20):
                data = self._socket.recv()
                assert data[:1] == b"\x01"
                heard.add(data[1:].decode())
        return heard

    def send(self, *parts: bytes) -> None:
        self._socket.send_multipart(parts)

    def verdict(self, sequence: int, camera: str = "cam1") -> None:
        self.send(*self.encoder.verdict(ok(camera, sequence), sequence, 0.0))

    def result(self, sequence: int, camera: str = "cam1") -> None:
        inspection = ng(camera, sequence)
        payloads = codecs.encode(inspection, Formats())
        self.send(*self.encoder.result(inspection, sequence, payloads, 0.0, 0.0))

    def event(self, sequence: int, subject: str) -> None:
        self.send(*self.encoder.event(Event(subject, "up", "it delivers", 5), sequence))

    def beat(self, final: bool = False, **verdicts: int) -> None:
        sequences = {f"verdict/{self.encoder.line}/{camera}/": number for camera, number in verdicts.items()}
        self.send(*self.encoder.beat(sequences, 5, final))

    def die(self) -> None:
        self._context.destroy(linger=0)


class Link:
    """A daemon and a subscriber that it has heard, which asks nobody for what is missing unless told otherwise."""

    def __init__(self, stack: ExitStack, subscriptions: int = 4, **options: object) -> None:
        self._stack = stack
        self._subscriptions = subscriptions
        self.daemon = self._daemon(f"tcp://127.0.0.1:{free_port()}")
        options = {"catchup": False} | options
        self.subscriber = stack.enter_context(Subscriber(self.daemon.endpoint, **options))  # type: ignore[arg-type]
        self.prefixes = self.daemon.hears(self.subscriber, subscriptions)

    def restart(self, session: int = 2) -> None:
        self.daemon.die()
        self.daemon = self._daemon(self.daemon.endpoint, session)
        self.daemon.hears(self.subscriber, self._subscriptions)

    def read(self, number: int) -> list[Message]:
        """The next messages; what is gone is left out."""
        read: list[Message] = []
        while len(read) < number:
            item = self.subscriber.receive(HANG)
            assert item is not None
            if not isinstance(item, Gone):
                read.append(item)
        return read

    def verdicts(self, number: int) -> list[tuple[str, int]]:
        read = self.read(number)
        return [(m.camera, m.sequence) for m in read if isinstance(m, VerdictMessage)]

    def to_the_end(self) -> list[Message]:
        """All messages until the final beat, which is left out."""
        self.daemon.beat(final=True)
        read: list[Message] = []
        while True:
            (message,) = self.read(1)
            if isinstance(message, BeatMessage) and message.final:
                return read
            read.append(message)

    def _daemon(self, *options: object) -> Daemon:
        daemon = Daemon(*options)  # type: ignore[arg-type]
        self._stack.callback(daemon.die)
        return daemon


@pytest.fixture
def link() -> Iterator[Callable[..., Link]]:
    with ExitStack() as stack:
        yield lambda **options: Link(stack, **options)


def changed(parts: list[bytes], **fields: object) -> list[bytes]:
    return [parts[0], json.dumps(json.loads(parts[1]) | fields).encode(), *parts[2:]]


def test_every_kind_is_handed_out(link):
    one = link()
    one.daemon.verdict(1)
    one.daemon.result(1)
    one.daemon.event(1, "daemon")
    one.daemon.beat(cam1=1)
    assert [message.kind for message in one.read(4)] == ["verdict", "result", "event", "beat"]
    assert not one.subscriber.missing
    assert (one.subscriber.duplicates, one.subscriber.malformed, one.subscriber.unknown) == (0, 0, 0)


def test_a_gap_is_missing_by_topic(link):
    one = link()
    for sequence, camera in [(5, "cam1"), (1, "cam2"), (8, "cam1"), (2, "cam2"), (9, "cam1"), (11, "cam1")]:
        one.daemon.verdict(sequence, camera)
    assert len(one.verdicts(6)) == 6
    assert one.subscriber.missing == {CAM1: 3}


def test_what_is_gone_stands_in_its_place(link):
    one = link(kinds=["verdict"], subscriptions=2)
    for sequence in (1, 4, 5):
        one.daemon.verdict(sequence)
    one.daemon.beat(cam1=7)
    items = [one.subscriber.receive(HANG) for _ in range(5)]
    assert [item.kind for item in items] == ["verdict", "gone", "verdict", "verdict", "gone"]
    assert items[1] == Gone("line1", CAM1, 1, 2, 3)
    assert items[4] == Gone("line1", CAM1, 1, 6, 7)
    assert [item.count for item in items if isinstance(item, Gone)] == [2, 2]


def test_a_gap_waits_for_the_beat_that_tells_whether_anybody_can_be_asked(link):
    one = link(kinds=["verdict"], subscriptions=2, catchup=None)
    for sequence, camera in [(1, "cam1"), (4, "cam1"), (1, "cam2")]:
        one.daemon.verdict(sequence, camera)
    assert one.verdicts(2) == [("cam1", 1), ("cam2", 1)]
    assert not one.subscriber.missing
    one.daemon.beat(cam1=4, cam2=1)
    assert one.verdicts(1) == [("cam1", 4)]
    assert one.subscriber.missing == {CAM1: 2}


def test_a_beat_that_names_no_address_to_ask_is_malformed(link):
    one = link(catchup=None)
    good = one.daemon.encoder.beat({}, 5, False)
    one.daemon.send(*changed(good, catchup="http://example.com"))
    one.daemon.send(*changed(good, catchup="tcp://127.0.0.1:99999"))
    one.daemon.verdict(1)
    assert one.verdicts(1) == [("cam1", 1)]
    assert one.subscriber.malformed == 2


def test_a_message_that_comes_twice_is_handed_out_once(link):
    one = link()
    for sequence in (1, 2, 2, 1, 3):
        one.daemon.verdict(sequence)
    assert one.verdicts(3) == [("cam1", 1), ("cam1", 2), ("cam1", 3)]
    assert one.subscriber.duplicates == 2
    assert not one.subscriber.missing


def test_a_beat_tells_of_messages_missing_at_the_end(link):
    one = link(kinds=["verdict"], subscriptions=2)
    one.daemon.verdict(1)
    one.daemon.beat(cam1=4, cam2=0)
    one.daemon.beat(cam1=4, cam2=2)
    one.daemon.verdict(5)
    assert one.verdicts(2) == [("cam1", 1), ("cam1", 5)], "beats are read but not handed out"
    assert one.subscriber.missing == {CAM1: 3, CAM2: 2}


def test_what_was_not_asked_for_is_not_missing(link):
    one = link(line="line1", cameras=["cam2"], kinds=["verdict", "beat"], subscriptions=2)
    assert one.prefixes == {CAM2, "beat/line1/"}
    one.daemon.beat(cam1=0, cam2=0, cam20=0)
    one.daemon.verdict(1, "cam1")
    one.daemon.verdict(1, "cam2")
    one.daemon.beat(cam1=5, cam2=3, cam20=9)
    assert [message.kind for message in one.to_the_end()] == ["beat", "verdict", "beat"]
    assert one.subscriber.missing == {CAM2: 2}


def test_what_is_no_message_is_counted_and_skipped(link):
    one = link()
    good = one.daemon.encoder.verdict(ok(), 1, 0.0)
    for parts in (good[:1], [good[0], b"{"], changed(good, score="high"), changed(good, camera="cam2"), [*good, b""]):
        one.daemon.send(*parts)
    one.daemon.send(*good)
    assert one.verdicts(1) == [("cam1", 1)]
    assert one.subscriber.malformed == 5
    assert (one.subscriber.duplicates, one.subscriber.unknown, dict(one.subscriber.missing)) == (0, 0, {})


def test_what_comes_from_the_future_is_counted_apart(link):
    one = link()
    good = one.daemon.encoder.verdict(ok(), 1, 0.0)
    one.daemon.send(*changed(good, version="2.0"))
    one.daemon.send(*changed(good, kind="heatmap"))
    one.daemon.send(*changed(good, version="1.7", mood="fine"))
    assert one.verdicts(1) == [("cam1", 1)]
    assert (one.subscriber.unknown, one.subscriber.malformed) == (2, 0)


def test_it_reconnects_and_expects_a_new_session_from_its_beginning(link):
    one = link()
    one.daemon.verdict(40)
    assert one.verdicts(1) == [("cam1", 40)]
    one.restart()
    one.daemon.verdict(3)
    one.daemon.verdict(4)
    one.daemon.beat(cam1=4, cam2=1)
    assert one.verdicts(3) == [("cam1", 3), ("cam1", 4)]
    assert one.subscriber.missing == {CAM1: 2, CAM2: 1}
    assert one.subscriber.duplicates == 0


def test_a_connection_that_breaks_within_a_session_shows_its_gap(link):
    one = link()
    one.daemon.verdict(1)
    assert one.verdicts(1) == [("cam1", 1)]
    one.restart(session=1)
    one.daemon.verdict(5)
    assert one.verdicts(1) == [("cam1", 5)]
    assert one.subscriber.missing == {CAM1: 3}


def test_lines_are_booked_apart(link):
    one = link()
    other = Encoder("line2", 9, "0" * 64)
    one.daemon.verdict(1)
    one.daemon.send(*other.verdict(ok(), 7, 0.0))
    one.daemon.verdict(2)
    one.daemon.send(*other.verdict(ok(), 9, 0.0))
    assert len(one.verdicts(4)) == 4
    assert one.subscriber.missing == {"verdict/line2/cam1/": 1}


@pytest.mark.parametrize(
    ("options", "prefixes"),
    [
        ({}, {"verdict/", "result/", "part/", "event/", "beat/"}),
        ({"kinds": []}, {"beat/"}),
        ({"line": "line1", "kinds": ["verdict"]}, {"verdict/line1/", "beat/line1/"}),
        (
            {"line": "line1", "cameras": iter(["cam1", "cam2"]), "kinds": iter(["result", "event"])},
            {
                "result/line1/cam1/",
                "result/line1/cam2/",
                "event/line1/cam1/",
                "event/line1/cam2/",
                "event/line1/daemon/",
                "beat/line1/",
            },
        ),
        ({"line": "line1", "cameras": []}, {"part/line1/", "event/line1/daemon/", "beat/line1/"}),
    ],
)
def test_what_it_subscribes_to(link, options, prefixes):
    assert link(subscriptions=len(prefixes), **options).prefixes == prefixes


def test_cameras_need_the_name_of_their_line():
    with pytest.raises(ConfigError, match="needs the name of their line"):
        Subscriber(NOBODY, cameras=["cam1"])


@pytest.mark.parametrize(
    "endpoint",
    ["", "nonsense", "tcp://127.0.0.1", "tcp://127.0.0.1:65536", "http://127.0.0.1:5600", "tcp://*:5600"],
)
def test_what_is_no_address_is_refused_in_a_sentence(endpoint):
    with pytest.raises(ConfigError) as caught:
        Subscriber(endpoint)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{endpoint!r} is no ZeroMQ address; use tcp://HOST:PORT")
    assert "\n" not in problem


def test_whom_to_ask_has_to_be_an_address_too():
    with pytest.raises(ConfigError, match="'nonsense' is no ZeroMQ address"):
        Subscriber(NOBODY, catchup="nonsense")


def test_a_shared_context_is_left_as_it_was():
    with zmq.Context() as context:
        with pytest.raises(ConfigError):
            Subscriber("nonsense", context=context)
        with Subscriber(NOBODY, context=context):
            pass
        assert not context.closed


def test_its_own_context_ends_with_it():
    subscriber = Subscriber(NOBODY)
    subscriber.close()
    with pytest.raises(zmq.ZMQError):
        subscriber.receive(0)


def test_it_takes_the_largest_picture_that_a_message_may_carry():
    with Subscriber(NOBODY) as subscriber:
        (socket,) = subscriber._link.sockets
        assert socket.getsockopt(zmq.MAXMSGSIZE) >= MAX_CHANNELS * codecs.MAX_PIXELS


def test_a_line_that_is_silent_ends_the_messages(link):
    one = link()
    one.daemon.verdict(1)
    assert len(one.read(1)) == 1
    assert one.subscriber.receive(0) is None
    assert one.subscriber.receive(0.01) is None
    assert list(one.subscriber.messages(timeout=0.01)) == []


def test_it_is_iterated_over_in_order(link):
    one = link()
    for sequence in range(1, 31):
        one.daemon.verdict(sequence)
    assert [message.sequence for message in islice(one.subscriber, 30)] == list(range(1, 31))
