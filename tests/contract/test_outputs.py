"""What every output promises, over the same table as the program; and what those that have an address promise too."""

from __future__ import annotations

import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import pytest
import zmq

from inspector.errors import ConfigError, OutputError
from inspector.outputs import FACTORIES, Output, open_output, zeromq
from inspector.outputs.memory import MemoryOutput
from inspector.outputs.zeromq import MAX_PREFIX_BYTES, MAX_SUBSCRIPTIONS, check

HANG = 60.0  # seconds after which something that should have happened is said to hang
BUDGET = 1 << 26
CAM1, CAM10 = "verdict/line1/cam1/", "verdict/line1/cam10/"

ADDRESSES: dict[str, Callable[[Path], str]] = {
    "tcp": lambda _: "tcp://127.0.0.1:*",
    "ipc": lambda folder: f"ipc://{folder}/out",
    "memory": lambda _: "memory:",
}
SOCKETS = ("tcp", "ipc")


class Listener(Protocol):
    """A subscriber of any kind of output."""

    def subscribe(self, prefix: str) -> None: ...
    def cancel(self, prefix: str) -> None: ...
    def read(self, seconds: float = HANG) -> list[bytes] | None: ...
    def leave(self) -> None: ...


class OverSocket:
    """`slow`: holds as little as a socket can."""

    def __init__(self, output: Output, slow: bool = False) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.linger = 0
        self._socket.rcvhwm = 1 if slow else 0
        if slow:
            self._socket.rcvbuf = 4096
        self._socket.connect(output.endpoint)

    def subscribe(self, prefix: str) -> None:
        self._socket.subscribe(prefix)

    def cancel(self, prefix: str) -> None:
        self._socket.unsubscribe(prefix)

    def read(self, seconds: float = HANG) -> list[bytes] | None:
        return self._socket.recv_multipart() if self._socket.poll(round(seconds * 1000)) else None

    def leave(self) -> None:
        self._context.destroy()


class InMemory:
    """Reads what is kept, each message once."""

    def __init__(self, output: MemoryOutput) -> None:
        self._output = output
        self._mine: list[str] = []
        self._read: list[list[bytes]] = []

    def subscribe(self, prefix: str) -> None:
        self._mine.append(prefix)
        self._output.prefixes.append(prefix)

    def cancel(self, prefix: str) -> None:
        self._mine.remove(prefix)
        self._output.prefixes.remove(prefix)

    def read(self, seconds: float = HANG) -> list[bytes] | None:
        del seconds  # what is not there does not come
        message = next((m for m in self._output.messages if not any(m is old for old in self._read)), None)
        if message is not None:
            self._read.append(message)
        return message

    def leave(self) -> None:
        for prefix in list(self._mine):
            self.cancel(prefix)


class Peer:
    """A connection that says what it likes, whole messages of ZMTP 3.0 (RFC 23), to a socket output.

    start: what it begins with instead of a handshake
    """

    def __init__(self, output: Output, start: bytes | None = None) -> None:
        scheme, _, address = output.endpoint.partition("://")
        if scheme == "tcp":
            host, _, port = address.rpartition(":")
            self._socket = socket.create_connection((host, int(port)))
        else:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.connect(address)
        self._socket.settimeout(HANG)
        if start is not None:
            self._socket.sendall(start)
            return
        ready = b"\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"
        self._socket.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\x00") + bytes(32))
        self._socket.sendall(bytes([4, len(ready)]) + ready)
        answer = b""
        self._socket.setblocking(False)
        while b"XPUB" not in answer:  # nothing may be sent before the other side is ready
            output.poll()  # which lets it in
            with suppress(BlockingIOError):
                answer += self._socket.recv(100)
        self._socket.settimeout(HANG)

    def send(self, *messages: bytes) -> None:
        self._socket.sendall(b"".join(b"\x02" + len(message).to_bytes(8, "big") + message for message in messages))

    def is_cut_off(self) -> bool:
        """Whether the other side closes the connection; waits for it."""
        try:
            while self._socket.recv(1000):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True

    def leave(self) -> None:
        self._socket.close()


class Stand:
    """Opens outputs of one kind and whatever listens to them, and closes all in the end."""

    def __init__(self, kind: str, folder: Path, stack: ExitStack) -> None:
        self.kind = kind
        self.url = ADDRESSES[kind](folder)
        self._stack = stack

    def open(self, url: str | None = None, budget: int = BUDGET) -> Output:
        output = open_output(url or self.url, budget)
        self._stack.callback(output.close)
        if isinstance(output, MemoryOutput):
            output.prefixes.clear()  # it wants everything at first
        return output

    def listen(self, output: Output, *prefixes: str, slow: bool = False) -> Listener:
        """A listener, once its subscriptions have arrived."""
        listener = InMemory(output) if isinstance(output, MemoryOutput) else OverSocket(output, slow)
        self._stack.callback(listener.leave)
        before = sum(output.subscribers.values())
        for prefix in prefixes:
            listener.subscribe(prefix)
        until(output, lambda: sum(output.subscribers.values()) == before + len(prefixes))
        return listener

    def peer(self, output: Output, start: bytes | None = None) -> Peer:
        peer = Peer(output, start)
        self._stack.callback(peer.leave)
        return peer


def until(output: Output, happened: Callable[[], bool]) -> None:
    """Poll the output, again and again, until it has seen what a subscriber did."""
    end = time.monotonic() + HANG
    output.poll()
    while not happened():
        assert time.monotonic() < end, (output.subscribers, output.hostile)
        time.sleep(0.001)
        output.poll()


def in_time(work: Callable[[], None], slow: Listener) -> None:
    """Do work that must not wait for `slow`."""
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(HANG)
    waits = worker.is_alive()
    if waits:
        slow.leave()  # lets the work end, so that the test can fail
        worker.join(HANG)
    assert not waits


def message(topic: str, number: int, payload: bytes = b"") -> list[bytes]:
    return [topic.encode(), b"%d" % number, payload]


def write(output: Output, topic: str, number: int, payload: bytes = b"") -> None:
    output.write(topic, message(topic, number, payload))


@pytest.fixture
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    with ExitStack() as stack:
        yield Stand(request.param, tmp_path, stack)


everywhere = pytest.mark.parametrize("stand", list(ADDRESSES), indirect=True)
over_sockets = pytest.mark.parametrize("stand", SOCKETS, indirect=True)
over_ipc = pytest.mark.parametrize("stand", ["ipc"], indirect=True)


def test_every_kind_is_under_contract() -> None:
    assert set(ADDRESSES) == set(FACTORIES)


@everywhere
def test_what_is_written_arrives_complete_and_in_order(stand: Stand) -> None:
    output = stand.open()
    listener = stand.listen(output, "verdict/")
    payloads = [b"", b"\x00\xff" * 50_000, b"text"] * 30
    for number, payload in enumerate(payloads):
        write(output, CAM1, number, payload)
    read = [listener.read() for _ in payloads]
    assert read == [message(CAM1, number, payload) for number, payload in enumerate(payloads)]
    assert listener.read(0) is None


@everywhere
def test_nothing_is_wanted_until_it_is_subscribed_to(stand: Stand) -> None:
    output = stand.open()
    output.poll()
    assert not output.wants(CAM1)
    assert dict(output.subscribers) == {}
    stand.listen(output, "verdict/line1/")
    assert output.wants(CAM1)
    assert not output.wants("result/line1/cam1/")
    assert not output.wants("verdict/line2/cam1/")
    assert not output.wants("verdict/")


@everywhere
def test_cam1_is_not_cam10(stand: Stand) -> None:
    output = stand.open()
    listener = stand.listen(output, CAM1)
    assert [output.wants(topic) for topic in (CAM1, CAM10)] == [True, False]
    listener.cancel(CAM1)
    listener.subscribe(CAM10)
    until(output, lambda: output.subscribers == {CAM10: 1})
    assert [output.wants(topic) for topic in (CAM1, CAM10)] == [False, True]


@everywhere
def test_the_empty_prefix_is_everything(stand: Stand) -> None:
    output = stand.open()
    stand.listen(output, "")
    assert output.wants(CAM1)
    assert output.wants("beat/line1/")


@everywhere
def test_subscribers_come_and_go(stand: Stand) -> None:
    output = stand.open()
    one = stand.listen(output, "verdict/", "beat/")
    other = stand.listen(output, "verdict/", CAM1)
    assert output.subscribers == {"verdict/": 2, "beat/": 1, CAM1: 1}
    one.cancel("verdict/")
    until(output, lambda: output.subscribers == {"verdict/": 1, "beat/": 1, CAM1: 1})
    assert output.wants(CAM1)
    other.leave()
    until(output, lambda: output.subscribers == {"beat/": 1})
    assert not output.wants(CAM1)
    one.leave()
    until(output, lambda: not output.subscribers)
    assert not output.wants("beat/line1/")
    assert output.hostile == 0


@everywhere
def test_a_subscriber_that_does_not_read_stops_nobody_and_sees_its_loss(stand: Stand) -> None:
    output = stand.open(budget=32_768)
    listener = stand.listen(output, "verdict/", slow=True)
    flood, payload = 2000, bytes(16_384)

    def write_all() -> None:
        for number in range(1, flood + 1):
            write(output, CAM1, number, payload)

    in_time(write_all, listener)
    numbers: list[int] = []
    written = flood
    while not numbers or numbers[-1] <= flood:  # once it reads again, it gets what is written then
        read = listener.read(0.05)
        if read is None:
            written += 1
            assert written < 2 * flood
            output.poll()
            write(output, CAM1, written)
        else:
            numbers.append(int(read[1]))
    assert numbers == sorted(set(numbers))
    assert len(numbers) < numbers[-1]


@everywhere
def test_what_was_written_last_leaves_before_it_closes(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zeromq, "LINGER_MS", round(HANG * 1000))
    output = stand.open()
    listener = stand.listen(output, "")
    payload, count = bytes(50_000), 100
    for number in range(count):
        write(output, CAM1, number, payload)
    output.close()
    for number in range(count):
        assert listener.read() == message(CAM1, number, payload)


@everywhere
def test_closed_it_lets_go_of_its_address(stand: Stand) -> None:
    first = stand.open()
    stand.listen(first, "verdict/")
    first.close()
    again = stand.open(first.endpoint)
    assert again.endpoint == first.endpoint
    listener = stand.listen(again, "beat/")
    write(again, "beat/line1/", 1)
    assert listener.read() == message("beat/line1/", 1)


# ---- real sockets


@over_sockets
def test_each_gets_what_it_subscribed_to(stand: Stand) -> None:
    output = stand.open()
    one, ten = stand.listen(output, CAM1), stand.listen(output, CAM10)
    for number, topic in enumerate((CAM10, CAM1, CAM10, CAM1)):
        write(output, topic, number)
    assert [one.read(), one.read()] == [message(CAM1, 1), message(CAM1, 3)]
    assert [ten.read(), ten.read()] == [message(CAM10, 0), message(CAM10, 2)]


@over_sockets
def test_who_is_slow_loses_alone(stand: Stand) -> None:
    output = stand.open(budget=1 << 20)
    slow, fast = stand.listen(output, "verdict/", slow=True), stand.listen(output, "verdict/")
    payload, count = bytes(65_536), 600
    read: list[list[bytes] | None] = []

    def write_and_read() -> None:
        for number in range(count):
            output.poll()
            write(output, CAM1, number, payload)
            read.append(fast.read())

    in_time(write_and_read, slow)
    assert read == [message(CAM1, number, payload) for number in range(count)]
    arrived = 0
    while slow.read(0.2 if arrived else HANG) is not None:
        arrived += 1
    assert 0 < arrived < count


@over_sockets
def test_a_listener_comes_back_to_whoever_binds_next(stand: Stand) -> None:
    first = stand.open()
    listener = stand.listen(first, "verdict/")
    first.close()
    second = stand.open(first.endpoint)
    assert not second.wants(CAM1)
    # It subscribes again by itself, but only while it is being read.
    until(second, lambda: listener.read(0) is None and second.wants(CAM1))
    write(second, CAM1, 7)
    assert listener.read() == message(CAM1, 7)


@over_sockets
@pytest.mark.parametrize(
    "nonsense", [b"\x00verdict/", b"\x00", b"\x00\xff", b"\x02verdict/", b"hello", b""], ids=lambda data: data.hex()
)
def test_nonsense_is_counted_and_silences_nobody(stand: Stand, nonsense: bytes) -> None:
    output = stand.open()
    listener = stand.listen(output, "verdict/")
    stand.peer(output).send(nonsense)
    until(output, lambda: output.hostile == 1)
    assert output.subscribers == {"verdict/": 1}
    assert output.wants(CAM1)
    write(output, CAM1, 1)
    assert listener.read() == message(CAM1, 1)


@over_sockets
def test_a_subscription_can_be_cancelled_once_by_whoever_made_it(stand: Stand) -> None:
    output = stand.open()
    stand.listen(output, "verdict/")
    peer = stand.peer(output)
    peer.send(b"\x01verdict/", b"\x00verdict/", b"\x00verdict/", b"\x00verdict/")
    until(output, lambda: output.hostile == 2)
    assert output.subscribers == {"verdict/": 1}
    assert output.wants(CAM1)


@over_sockets
@pytest.mark.parametrize(
    "words",
    [
        b"\xff" + bytes(8) + b"\x7f\x01\x02" + b"\x00\x00" + b"\x00\x09\x00verdict/",
        b"\x01\x00" + b"\x0a\x00\x00verdict/",
    ],
    ids=["ZMTP 2", "ZMTP 1"],
)
def test_who_speaks_an_old_protocol_cannot_cancel_for_others(stand: Stand, words: bytes) -> None:
    """libzmq does not say by which connection such a peer's message came."""
    output = stand.open()
    listener = stand.listen(output, "verdict/")
    peer = stand.peer(output, words)
    assert peer.is_cut_off()
    output.poll()
    assert output.subscribers == {"verdict/": 1}
    write(output, CAM1, 1)
    assert listener.read() == message(CAM1, 1)


@over_sockets
def test_a_prefix_that_is_no_text_matches_nothing(stand: Stand) -> None:
    output = stand.open()
    peer = stand.peer(output)
    peer.send(b"\x01\xffverdict/")
    until(output, lambda: sum(output.subscribers.values()) == 1)
    assert not output.wants(CAM1)
    peer.leave()
    until(output, lambda: not output.subscribers)


@over_sockets
def test_who_sends_too_long_a_prefix_is_cut_off_alone(stand: Stand) -> None:
    output = stand.open()
    listener = stand.listen(output, "verdict/")
    peer = stand.peer(output)
    peer.send(b"\x01" + b"a" * MAX_PREFIX_BYTES)
    until(output, lambda: output.subscribers == {"verdict/": 1, "a" * MAX_PREFIX_BYTES: 1})
    peer.send(b"\x01" + b"b" * (MAX_PREFIX_BYTES + 1))
    assert peer.is_cut_off()
    until(output, lambda: output.subscribers == {"verdict/": 1})
    write(output, CAM1, 1)
    assert listener.read() == message(CAM1, 1)


@over_sockets
def test_who_subscribes_without_end_is_taken_in_a_little_at_a_time(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zeromq, "MOST_AT_ONCE", 10)
    output = stand.open()
    peer = stand.peer(output)
    peer.send(*(b"\x01%d" % number for number in range(1000)))
    seen = [0]

    def is_done() -> bool:
        seen.append(len(output.subscribers))
        return seen[-1] == 1000

    until(output, is_done)
    assert max(after - before for before, after in pairwise(seen)) == 10


@over_sockets
def test_beyond_the_most_subscriptions_everything_is_published(stand: Stand) -> None:
    output = stand.open()
    peer = stand.peer(output)
    peer.send(*(b"\x01%d" % number for number in range(MAX_SUBSCRIPTIONS)))
    until(output, lambda: len(output.subscribers) == MAX_SUBSCRIPTIONS)
    assert not output.wants(CAM1)
    peer.send(b"\x01one more")
    until(output, lambda: output.wants(CAM1))
    assert sum(output.subscribers.values()) == MAX_SUBSCRIPTIONS
    peer.leave()
    until(output, lambda: not output.subscribers)
    assert output.wants(CAM1)


@over_sockets
def test_an_address_in_use_is_an_output_error(stand: Stand) -> None:
    taken = stand.open()
    listener = stand.listen(taken, "verdict/")
    with pytest.raises(OutputError, match="is in use; stop the program") as caught:
        stand.open(taken.endpoint)
    assert taken.endpoint in str(caught.value)
    write(taken, CAM1, 1)
    assert listener.read() == message(CAM1, 1)


@pytest.mark.parametrize(
    "url",
    [
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:-1",
        "tcp://127.0.0.1:http",
        "tcp://127.0.0.1:\N{ARABIC-INDIC DIGIT FIVE}",
        "tcp://127.0.0.1:5600/path",
        "tcp://:5600",
        "tcp:127.0.0.1:5600",
        "ipc://",
        "ipc://@abstract",
        "ipc://*",
        "ipc:out",
        "udp://127.0.0.1:5600",
        "127.0.0.1:5600",
        "",
    ],
)
def test_a_wrong_address_is_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_output(url, BUDGET, allow_plaintext=True)
    (problem,) = caught.value.problems
    assert problem.startswith(f"output {url!r}: ")
    assert "\n" not in problem


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "192.168.1.20", "factory.example", "[::]", "128.0.0.1", "eth0"])
def test_other_machines_may_not_read_unless_it_is_allowed(host: str) -> None:
    url = f"tcp://{host}:5600"
    with pytest.raises(ConfigError, match=r"set publish\.allow_plaintext"):
        open_output(url, BUDGET)
    check(url, allow_plaintext=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.0.1", "localhost", "[::1]"])
def test_loopback_needs_no_leave(host: str) -> None:
    check(f"tcp://{host}:5600", allow_plaintext=False)


def test_plaintext_that_is_allowed_is_bound() -> None:
    with closing(open_output("tcp://0.0.0.0:*", BUDGET, allow_plaintext=True)) as output:
        assert output.endpoint.startswith("tcp://0.0.0.0:")


def test_an_address_of_another_machine_is_an_output_error() -> None:
    with pytest.raises(OutputError, match=r"tcp://192\.0\.2\.1:5600 cannot be bound"):
        open_output("tcp://192.0.2.1:5600", BUDGET, allow_plaintext=True)


# ---- files of ipc


@over_ipc
def test_its_user_and_group_alone_may_connect(stand: Stand, tmp_path: Path) -> None:
    stand.open()
    mode = (tmp_path / "out").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660


@over_ipc
def test_a_file_is_not_replaced(stand: Stand, tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="there is a file of another kind"):
        stand.open()
    assert path.read_bytes() == b"precious"


@over_ipc
def test_a_folder_is_not_replaced(stand: Stand, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="there is a file of another kind"):
        stand.open()


@over_ipc
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_another_programs_socket_is_not_replaced(stand: Stand, tmp_path: Path, kind: socket.SocketKind) -> None:
    path = tmp_path / "out"
    with closing(socket.socket(socket.AF_UNIX, kind)) as other:
        other.bind(str(path))
        if kind is socket.SOCK_STREAM:
            other.listen()
        inode = path.stat().st_ino
        with pytest.raises(OutputError, match="is in use"):
            stand.open()
        assert path.stat().st_ino == inode


@over_ipc
def test_what_a_program_that_died_left_behind_is_replaced(stand: Stand, tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(tmp_path / "out"))
        dead.listen()
    output = stand.open()
    listener = stand.listen(output, "verdict/")
    write(output, CAM1, 1)
    assert listener.read() == message(CAM1, 1)


@over_ipc
@pytest.mark.parametrize("name", ["absent/out", "file/out", "a" * 150, "a" * 300])
def test_a_path_that_cannot_be_is_an_output_error(stand: Stand, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be bound"):
        stand.open(f"ipc://{tmp_path}/{name}")


# ---- memory


def test_memory_wants_everything_at_first() -> None:
    output = open_output("memory:", BUDGET)
    output.poll()
    assert output.wants(CAM1)
    assert output.subscribers == {"": 1}


def test_memory_keeps_the_newest_that_fit() -> None:
    output = MemoryOutput(budget_bytes=10)
    for data in (b"aaaa", b"bbbb", b"cccc"):
        output.write("", [b"", data])
    assert list(output.messages) == [[b"", b"bbbb"], [b"", b"cccc"]]
    output.write("", [b"", bytes(11)])
    assert not output.messages


@over_sockets
def test_who_gets_a_departed_ones_descriptor_cannot_cancel_for_others(stand: Stand) -> None:
    output = stand.open()
    a, b = stand.peer(output), stand.peer(output)
    a.send(b"\x01verdict/")
    until(output, lambda: output.subscribers == {"verdict/": 1})
    b.send(b"\x01verdict/")
    until(output, lambda: output.subscribers == {"verdict/": 2})
    a.leave()
    until(output, lambda: output.subscribers == {"verdict/": 1})
    stand.peer(output).send(b"\x00verdict/")
    until(output, lambda: output.hostile == 1 or not output.subscribers)
    assert output.wants(CAM1)
