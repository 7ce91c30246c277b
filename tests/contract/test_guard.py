"""Who gets in, over real sockets: the output behind a guard, and clients with every kind of key."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import zmq

from inspector import guard as door
from inspector.clock import SystemClock
from inspector.guard import Guard
from inspector.keys import ClientKeys, ServerKeys, fingerprint, generate, read_public
from inspector.outputs import Output, open_output

HANG = 120.0
TOPIC = "verdict/line1/cam1/"


class House:
    """A guarded output, its folder of subscribers, and clients of it."""

    def __init__(self, folder: Path, stack: ExitStack, *subscribers: str, url: str = "tcp://127.0.0.1:*") -> None:
        self.keys, self.folder, self._stack = folder / "keys", folder / "subscribers", stack
        self.folder.mkdir()
        generate("daemon", self.keys)
        self._closing = stack.enter_context(ExitStack())
        for name in subscribers:
            self.admit(name)
        keys = ServerKeys.load(str(self.keys / "daemon.secret"))
        self.ended = threading.Event()
        self.guard = Guard(keys, self.folder, SystemClock(), self.ended.set)
        self._closing.callback(self.guard.close)
        self.output: Output = open_output(url, 1 << 26, door=self.guard)
        self._closing.callback(self.output.close)
        self.guard.start()

    def close(self) -> None:
        self._closing.close()

    def make(self, name: str) -> None:
        if not (self.keys / f"{name}.secret").exists():
            generate(name, self.keys)

    def admit(self, name: str) -> None:
        self.make(name)
        shutil.copy(self.keys / f"{name}.pub", self.folder)

    def revoke(self, name: str) -> None:
        (self.folder / f"{name}.pub").unlink()

    def public(self, name: str) -> bytes:
        return read_public(self.keys / f"{name}.pub")

    def client(self, name: str | None, server: str = "daemon") -> zmq.Socket[bytes]:
        """A subscriber to everything, with the key of `name` or with none."""
        context = zmq.Context()
        self._stack.callback(context.term)
        socket = context.socket(zmq.SUB)
        self._stack.callback(socket.close)
        socket.linger = 0
        if name is not None:
            self.make(name)
            self.make(server)
            ClientKeys.load(self.keys / f"{name}.secret", self.keys / f"{server}.pub").arm(socket)
        socket.subscribe(b"")
        socket.connect(self.output.endpoint)
        return socket

    def until(self, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + HANG
        while not happened():
            assert time.monotonic() < end, (self.guard.denied, self.output.subscribers)
            time.sleep(0.002)
            self.output.poll()

    def subscriptions(self) -> int:
        self.output.poll()
        return sum(self.output.subscribers.values())

    def say(self, number: int) -> None:
        self.output.write(TOPIC, [TOPIC.encode(), b"%d" % number])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "HANDSHAKE_MS", 300)  # a refused client is cut off, and tries again, after that


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def heard(socket: zmq.Socket[bytes], seconds: float = HANG) -> bytes | None:
    return socket.recv_multipart()[1] if socket.poll(round(seconds * 1000)) else None


@pytest.mark.parametrize("kind", ["tcp", "ipc"])
def test_two_with_good_keys_one_with_a_wrong_key_one_with_none(tmp_path: Path, stack: ExitStack, kind: str) -> None:
    url = "tcp://127.0.0.1:*" if kind == "tcp" else f"ipc://{tmp_path}/out"
    house = House(tmp_path, stack, "alice", "bob", url=url)
    strangers = [house.client("mallory"), house.client(None), house.client("alice", server="other")]
    good = [house.client("alice"), house.client("bob")]
    house.until(lambda: house.subscriptions() == 2 and min(house.guard.denied.values()) >= 1)
    house.until(lambda: house.guard.denied["handshake"] >= 3)
    for number in range(100):
        house.say(number)
    for socket in good:
        assert [heard(socket) for _ in range(100)] == [b"%d" % number for number in range(100)]
    assert [heard(socket, 0) for socket in strangers] == [None] * 3
    assert house.subscriptions() == 2
    assert house.output.hostile == 0


def test_a_key_that_is_added_lets_in_who_has_waited(tmp_path: Path, stack: ExitStack) -> None:
    house = House(tmp_path, stack)
    alice = house.client("alice")
    house.until(lambda: house.guard.denied["key"] >= 2)
    house.admit("alice")
    # It subscribes again by itself, but only while it is being read.
    house.until(lambda: not alice.poll(0) and house.subscriptions() == 1)
    house.say(7)
    assert heard(alice) == b"7"


def test_a_key_that_is_removed_is_refused_from_then_on(tmp_path: Path, stack: ExitStack) -> None:
    house = House(tmp_path, stack, "alice", "bob")
    first = house.client("alice")
    house.until(lambda: house.subscriptions() == 1)
    house.revoke("alice")
    again, bob = house.client("alice"), house.client("bob")
    house.until(lambda: house.guard.denied["key"] >= 1 and house.subscriptions() == 2)
    house.say(1)
    assert heard(bob) == b"1"
    assert heard(again, 0) is None
    assert heard(first) == b"1"  # whoever is in stays in, until the connection ends


def test_a_broken_file_is_one_warning_and_hurts_its_owner_alone(
    tmp_path: Path, stack: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(tmp_path, stack, "alice", "bob")
    (house.folder / "bob.pub").write_text("oops")
    bob = house.client("bob")
    house.client("alice")
    house.until(lambda: house.guard.denied["key"] >= 3 and house.subscriptions() == 1)
    warnings = [
        record.getMessage() for record in caplog.records if str(house.folder / "bob.pub") in record.getMessage()
    ]
    assert len(warnings) == 1
    shutil.copy(house.keys / "bob.pub", house.folder)
    house.until(lambda: not bob.poll(0) and house.subscriptions() == 2)


def test_what_is_logged(tmp_path: Path, stack: ExitStack, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    house = House(tmp_path, stack, "alice")
    for _ in range(20):
        house.client("mallory")
    house.client("alice")
    house.until(lambda: house.guard.denied["key"] >= 40 and house.subscriptions() == 1)
    house.close()
    lines = [record.getMessage() for record in caplog.records]
    refused = [line for line in lines if "no subscriber has that key" in line]
    assert 1 <= len(refused) <= 10  # and not 40
    assert sum(int(line.split()[1]) for line in refused) == house.guard.denied["key"]
    assert f"last key {fingerprint(house.public('mallory'))} from 127.0.0.1" in refused[-1]
    assert any(line.startswith("subscriber alice connected from 127.0.0.1") for line in lines)
    secrets = [path.read_text().strip() for path in house.keys.glob("*.secret")]
    assert not any(secret in line for secret in secrets for line in lines)


def test_nobody_gets_in_before_it_starts_and_closing_leaves_nothing(tmp_path: Path) -> None:
    before = threading.active_count()
    generate("daemon", tmp_path / "keys")
    (tmp_path / "subscribers").mkdir()
    shutil.copy(generate("alice", tmp_path / "keys")[0], tmp_path / "subscribers")
    guard = Guard(
        ServerKeys.load(str(tmp_path / "keys/daemon.secret")), tmp_path / "subscribers", SystemClock(), lambda: None
    )
    output = open_output("tcp://127.0.0.1:*", 1 << 26, door=guard)
    with zmq.Context() as context, context.socket(zmq.SUB) as client:
        client.linger = 0
        client.subscribe(b"")
        ClientKeys.load(tmp_path / "keys/alice.secret", tmp_path / "keys/daemon.pub").arm(client)
        client.connect(output.endpoint)
        assert not client.poll(300)
        output.poll()
        assert dict(output.subscribers) == {}
        output.close()
        guard.close()
    assert guard.context.closed
    assert threading.active_count() <= before  # those of other tests may end meanwhile


def test_who_fails_to_answer_lets_nobody_in(
    tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(tmp_path, stack, "alice")
    caplog.set_level(logging.CRITICAL)

    def fail() -> list[str]:
        raise ZeroDivisionError

    monkeypatch.setattr(house.guard._list, "refresh", fail)
    alice = house.client("alice")
    assert house.ended.wait(HANG)
    assert isinstance(house.guard.stage.error, ZeroDivisionError)
    assert not alice.poll(700)
    assert house.subscriptions() == 0
