"""A subscriber's sockets against a daemon on real ones, at times that are made up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import zmq

from inspector import asking
from inspector.archive import Chunk, Kept
from inspector.asking import ChunkAnswer, Request
from inspector.client.core import Core
from inspector.client.link import Link
from inspector.messages import Item
from inspector.wire import Encoder
from tests.inspections import ok

HANG_MS = 60_000
TOPIC = "verdict/line1/cam1/"
PREFIXES = ("verdict/", "beat/")


class House:
    """A publisher, a place to ask at, and the link of a subscriber that the publisher has heard of."""

    def __init__(self, stack: ExitStack) -> None:
        context = stack.enter_context(zmq.Context())
        self.publisher = self._bound(stack, context.socket(zmq.XPUB))
        self.place = self._bound(stack, context.socket(zmq.ROUTER))
        self.encoder = Encoder("line1", 1, "0" * 64)
        endpoint, catchup = (one.getsockopt_string(zmq.LAST_ENDPOINT) for one in (self.publisher, self.place))
        self.core = Core(endpoint, PREFIXES, frozenset({"verdict"}), {}, catchup, 1 << 20)
        self.link = Link(self.core, endpoint, PREFIXES, None, None)
        stack.callback(self.link.close)
        self.now = 0.0
        for _ in PREFIXES:
            self.publisher.recv()

    @staticmethod
    def _bound(stack: ExitStack, socket: zmq.Socket[bytes]) -> zmq.Socket[bytes]:
        stack.enter_context(socket)
        socket.linger, socket.rcvtimeo = 0, HANG_MS
        socket.bind("tcp://127.0.0.1:*")
        return socket

    def step(self, seconds: float = 1.0) -> bool:
        """The subscriber looks, so many seconds later."""
        self.now += seconds
        return self.link.step(self.now)

    def hears(self, parts: list[bytes]) -> None:
        """The subscriber takes in a message that is published, a second later."""
        self.publisher.send_multipart(parts)
        assert self.link.sockets[0].poll(HANG_MS)
        self.step()

    def verdict(self, sequence: int) -> list[bytes]:
        return self.encoder.verdict(ok("cam1", sequence), sequence, 0.0)

    def asked(self) -> tuple[bytes, Request]:
        """The next request, once there is a connection and patience ends, and who makes it."""
        while not self.place.poll(10):
            assert self.now < HANG_MS / 10
            self.step()
        who, parts = self.place.recv_multipart()
        return who, asking.decode_request(parts)

    def answers(self, who: bytes, request: Request, sequence: int) -> None:
        """The answer has come to the subscriber, which did not look at it yet."""
        kept = Kept(sequence, tuple(self.verdict(sequence)))
        answer = ChunkAnswer(request.id, Chunk(1, TOPIC, sequence, sequence, (kept,), ()))
        self.place.send_multipart([who, *asking.encode_answer(answer)])
        assert self.link.sockets[1].poll(HANG_MS)

    def items(self) -> list[Item]:
        return list(iter(self.core.take, None))


@pytest.fixture
def house() -> Iterator[House]:
    with ExitStack() as stack:
        yield House(stack)


def test_an_answer_that_comes_when_nothing_is_missing_any_more_does_not_stay_there(house: House) -> None:
    house.hears(house.verdict(1))
    house.hears(house.verdict(3))
    who, first = house.asked()
    _, again = house.asked()
    assert again.id > first.id
    house.answers(who, first, 2)
    assert house.step()
    assert [item.sequence for item in house.items()] == [1, 2, 3]  # type: ignore[union-attr]
    house.step(1000.0)
    assert not house.core.waits, "nobody waits for the other answer any more"
    house.answers(who, again, 2)
    assert house.step()
    assert [socket.poll(0) for socket in house.link.sockets] == [0, 0], "whoever waits for something would not wait"
    assert not house.step()
    assert house.items() == []


def test_what_is_held_is_handed_out_when_what_comes_before_it_is_given_up(house: House) -> None:
    house.place.close()
    house.hears(house.verdict(1))
    house.hears(house.verdict(3))
    assert [item.sequence for item in house.items()] == [1]  # type: ignore[union-attr]
    while house.core.waits:  # how long depends on whether the place was closed before it was asked
        house.hears(house.encoder.beat({TOPIC: 3}, 5, final=False))
    assert [item.kind for item in house.items()] == ["gone", "verdict"]
