"""Both subscribers against a line that loses messages, stops and starts again, over real sockets."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import pytest

from inspector.client import AsyncSubscriber, Gone, Subscriber
from inspector.messages import BeatMessage, EventMessage, Item, VerdictMessage
from inspector.types import Event
from tests.archives import serving
from tests.lossy import TOPICS, CurveKeys, Daemon
from tests.waiting import free_port

HANG = 60.0
Place = tuple[str, int, int]


class Reader:
    """A subscriber of either kind, read by whoever is not asynchronous."""

    def __init__(self, stack: ExitStack, kind: type[Subscriber | AsyncSubscriber], daemon: Daemon, **options: object):
        self.subscriber = kind(daemon.endpoint, **({"kinds": ["verdict"]} | options))  # type: ignore[arg-type]
        stack.callback(self.subscriber.close)
        self._loop = stack.enter_context(asyncio.Runner())
        self.joins(daemon)

    def joins(self, daemon: Daemon) -> None:
        """Be read until the daemon has heard of it."""
        heard: set[bytes] = set()
        end = time.monotonic() + HANG
        while not {b"\x01verdict/", b"\x01beat/"} <= heard:
            assert time.monotonic() < end, heard
            assert self.receive(0) is None
            if daemon.socket.poll(20):
                heard.add(daemon.socket.recv())

    def receive(self, timeout: float = HANG) -> Item | None:
        if isinstance(self.subscriber, AsyncSubscriber):
            return self._loop.run(self.subscriber.receive(timeout))
        return self.subscriber.receive(timeout)

    def read(self, number: int) -> list[Place | Gone]:
        """The next so many items; verdicts by camera, session and sequence."""
        items = []
        for _ in range(number):
            item = self.receive()
            assert isinstance(item, VerdictMessage | Gone), item
            items.append(item if isinstance(item, Gone) else (item.camera, item.session, item.sequence))
        return items


@pytest.fixture(params=[Subscriber, AsyncSubscriber], ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[Subscriber | AsyncSubscriber]:
    return request.param


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def daemon(stack: ExitStack) -> Daemon:
    daemon = Daemon(stack)
    daemon.start()
    return daemon


@pytest.fixture
def reads(stack: ExitStack, kind: type[Subscriber | AsyncSubscriber], daemon: Daemon) -> Callable[..., Reader]:
    return lambda **options: Reader(stack, kind, daemon, **options)


def places(camera: str, session: int, first: int, last: int) -> list[Place]:
    return [(camera, session, sequence) for sequence in range(first, last + 1)]


def test_a_gap_is_filled_and_other_topics_go_on(daemon: Daemon, reads: Callable[..., Reader]) -> None:
    reader = reads()
    daemon.verdicts(1)
    assert reader.read(1) == places("cam1", 1, 1, 1)
    daemon.verdicts(5, lose=True)
    daemon.verdicts(2)
    daemon.verdicts(3, "cam2")
    assert reader.read(3) == places("cam2", 1, 1, 3), "nobody was named yet who could be asked"
    daemon.beat()
    assert reader.read(7) == places("cam1", 1, 2, 8)
    assert (reader.subscriber.duplicates, reader.subscriber.missing) == (0, {})


def test_a_lost_tail_is_fetched_at_the_beat(daemon: Daemon, reads: Callable[..., Reader]) -> None:
    reader = reads(kinds=["verdict", "beat"])
    daemon.verdicts(1)
    daemon.verdicts(3, lose=True)
    daemon.verdicts(1, "cam2", lose=True)
    daemon.beat(final=True)
    items = [reader.receive() for _ in range(5)]
    assert sorted(item.kind for item in items) == ["beat"] + ["verdict"] * 4
    assert [item.sequence for item in items if isinstance(item, VerdictMessage)] == [1, 2, 3, 4], "cam2 began after it"
    assert any(isinstance(item, BeatMessage) and item.final for item in items)


def test_what_retention_removed_is_named(daemon: Daemon, reads: Callable[..., Reader]) -> None:
    reader = reads()
    daemon.verdicts(1)
    daemon.verdicts(6, lose=True)
    daemon.archive.forget(1, TOPICS[0], 3, 5)
    daemon.beat()
    gone = Gone("line1", TOPICS[0], 1, 3, 5)
    assert reader.read(5) == [*places("cam1", 1, 1, 2), gone, *places("cam1", 1, 6, 7)]
    assert reader.subscriber.missing == {TOPICS[0]: 3}


def test_a_restart_loses_nothing_before_between_or_after(daemon: Daemon, reads: Callable[..., Reader]) -> None:
    reader = reads()
    daemon.verdicts(2)
    daemon.beat()
    assert reader.read(2) == places("cam1", 1, 1, 2)
    daemon.verdicts(3, lose=True)
    daemon.stop()
    daemon.start()  # one run that the subscriber hears nothing of
    daemon.verdicts(2, lose=True)
    daemon.verdicts(4, "cam2", lose=True)
    daemon.stop()
    daemon.start()
    reader.joins(daemon)
    daemon.verdicts(2, lose=True)
    daemon.verdicts(1)
    daemon.beat()
    read = reader.read(3 + 2 + 4 + 3)
    assert [place for place in read if place[0] == "cam1"] == [
        *places("cam1", 1, 3, 5), *places("cam1", 2, 1, 2), *places("cam1", 3, 1, 3),
    ]  # fmt: skip
    assert [place for place in read if place[0] == "cam2"] == places("cam2", 2, 1, 4)
    assert (reader.subscriber.duplicates, reader.subscriber.missing) == (0, {})


def test_a_subscriber_goes_on_where_it_had_saved(daemon: Daemon, reads: Callable[..., Reader], tmp_path: Path) -> None:
    path = tmp_path / "position.json"
    first = reads(position=path)
    daemon.verdicts(3)
    daemon.verdicts(3, "cam2")
    daemon.beat()
    assert first.read(4) == [*places("cam1", 1, 1, 3), *places("cam2", 1, 1, 1)]
    first.subscriber.save(path)
    assert first.read(1) == places("cam2", 1, 2, 2), "what was taken after it was saved comes again"
    first.subscriber.close()
    daemon.verdicts(2)
    daemon.stop()
    daemon.start()
    daemon.verdicts(2, "cam2", lose=True)
    second = reads(position=path)
    daemon.verdicts(2)
    daemon.beat()
    read = second.read(2 + 2 + 2 + 2)
    assert [place for place in read if place[0] == "cam1"] == [*places("cam1", 1, 4, 5), *places("cam1", 2, 1, 2)]
    assert [place for place in read if place[0] == "cam2"] == [*places("cam2", 1, 2, 3), *places("cam2", 2, 1, 2)]


def test_what_cannot_be_asked_for_now_is_asked_for_later(
    daemon: Daemon, reads: Callable[..., Reader], stack: ExitStack
) -> None:
    port = free_port()
    reader = reads(catchup=f"tcp://127.0.0.1:{port}")
    daemon.verdicts(1)
    daemon.verdicts(2, lose=True)
    daemon.verdicts(2)
    assert reader.read(1) == places("cam1", 1, 1, 1)
    assert reader.receive(0.3) is None, "nobody is there"
    stack.enter_context(serving(daemon.archive, f"tcp://127.0.0.1:{port}"))
    assert reader.read(4) == places("cam1", 1, 2, 5)


def test_a_line_that_stops_answering_for_the_past_names_what_is_gone(
    daemon: Daemon, reads: Callable[..., Reader]
) -> None:
    reader = reads()
    daemon.verdicts(1)
    assert reader.read(1) == places("cam1", 1, 1, 1)
    daemon.stop()
    daemon.start(catchup=False)
    reader.joins(daemon)
    daemon.verdicts(2, lose=True)
    daemon.verdicts(1)
    daemon.beat()
    assert reader.read(2) == [Gone("line1", TOPICS[0], 2, 1, 2), *places("cam1", 2, 3, 3)]
    assert reader.subscriber.missing == {TOPICS[0]: 2}


def test_more_than_may_be_held_is_asked_for_again(daemon: Daemon, reads: Callable[..., Reader]) -> None:
    reader = reads(hold_bytes=5000)
    daemon.verdicts(1)
    daemon.verdicts(1, lose=True)
    daemon.verdicts(100)
    daemon.beat()
    assert reader.read(102) == places("cam1", 1, 1, 102)


def test_both_sockets_are_armed(stack: ExitStack, kind: type[Subscriber | AsyncSubscriber]) -> None:
    keys = CurveKeys()
    daemon = Daemon(stack, keys)
    daemon.start()
    reader = Reader(stack, kind, daemon, keys=CurveKeys(keys.public))
    daemon.verdicts(1)
    daemon.verdicts(2, lose=True)
    daemon.beat()
    assert reader.read(3) == places("cam1", 1, 1, 3)


def test_a_line_that_loses_every_third_message_all_the_time(daemon: Daemon, reads: Callable[..., Reader]) -> None:
    chance = random.Random(3)
    reader = reads()
    daemon.beat()
    daemon.verdicts(1, "cam1")
    daemon.verdicts(1, "cam2")
    read = reader.read(2)
    for _ in range(15):
        daemon.verdicts(100, "cam1", lose=lambda: chance.random() < 1 / 3)
        daemon.verdicts(50, "cam2", lose=lambda: chance.random() < 1 / 3)
        daemon.beat()
        read += reader.read(150)
    assert [place for place in read if place[0] == "cam1"] == places("cam1", 1, 1, 1501)
    assert [place for place in read if place[0] == "cam2"] == places("cam2", 1, 1, 751)
    assert reader.subscriber.missing == {}


def test_it_is_iterated_over(daemon: Daemon, reads: Callable[..., Reader], stack: ExitStack) -> None:
    reader = reads()
    daemon.verdicts(5)
    if isinstance(reader.subscriber, Subscriber):
        items = list(islice(reader.subscriber, 5))
    else:
        subscriber = reader.subscriber

        async def iterate() -> list[Item]:
            items: list[Item] = []
            async for item in subscriber:
                items.append(item)
                if len(items) == 5:
                    return items
            return items

        items = reader._loop.run(iterate())
    assert [item.sequence for item in items if isinstance(item, VerdictMessage)] == [1, 2, 3, 4, 5]


def test_what_is_asynchronous_lets_others_run_and_may_be_cancelled(daemon: Daemon, stack: ExitStack) -> None:
    reader = Reader(stack, AsyncSubscriber, daemon)
    subscriber = reader.subscriber
    assert isinstance(subscriber, AsyncSubscriber)

    async def impatient() -> list[int]:
        seen: list[int] = []
        turns = 0
        while len(seen) < 200:
            try:
                item = await asyncio.wait_for(subscriber.receive(), 0.001)
            except TimeoutError:
                turns += 1
                daemon.verdicts(10)
            else:
                assert isinstance(item, VerdictMessage)
                seen.append(item.sequence)
        assert turns > 0
        return seen

    assert reader._loop.run(impatient()) == list(range(1, 201))


def test_events_come_with_the_verdicts(daemon: Daemon, reads: Callable[..., Reader]) -> None:
    """What the journal says of a crash is an event, which is caught up with like any other message."""
    topic = "event/line1/daemon/"
    reader = reads(kinds=["verdict", "event"], line=None)
    daemon.beat()
    parts = daemon.encoder.event(Event("daemon", "gap", "frames 5 to 9 have no verdict", 5), 1)
    assert daemon.archive.keep(topic, parts) == 1
    parts = daemon.encoder.event(Event("daemon", "up", "it runs", 6), 2)
    assert daemon.archive.keep(topic, parts) == 2
    daemon.socket.send_multipart(parts)
    item = reader.receive()
    assert isinstance(item, EventMessage), "its topic is new to us: it begins with what is heard first"
    assert item.sequence == 2
