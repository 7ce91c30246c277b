"""Bytes that nobody should send: made from a seed, out of what real clients say, mutated; and how they are thrown."""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import zmq

from inspector.keys import ClientKeys
from tests.waiting import PATIENCE

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"

REQUESTS = (
    b"GET /metrics HTTP/1.1\r\nHost: line\r\nAccept: */*\r\n\r\n",
    b"HEAD /readyz HTTP/1.0\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n" * 20,
    b"POST /metrics HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\nbody",
    b"GET " + b"/a" * 5000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (number, b"y" * 50) for number in range(500)) + b"\r\n",
    b"GET /../../etc/passwd HTTP/9.9\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
)

EXTREMES = (b"\0", b"\xff", b"\x7f\xff\xff\xff\xff\xff\xff\xff", b"\xff" * 8, b"\0" * 64, b"\r\n", b"%s%n", b"\x04\x00")

MANNERS = ("close", "half", "reset", "pieces")
"""Close at once; say that no more comes and read on; cut the connection; send in pieces."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address to throw at, and what its real clients say: lists of messages, sent one after another."""

    name: str
    address: tuple[str, int]
    samples: Sequence[bytes]

    @classmethod
    def at(cls, name: str, endpoint: str, samples: Sequence[bytes]) -> Target:
        host, _, port = endpoint.partition("://")[2].rpartition(":")
        return cls(name, (host, int(port)), samples)


def command(name_and_body: bytes) -> bytes:
    """A command of ZMTP 3 (RFC 23)."""
    if len(name_and_body) < 256:
        return b"\x04" + bytes([len(name_and_body)]) + name_and_body
    return b"\x06" + struct.pack(">Q", len(name_and_body)) + name_and_body


def message(body: bytes, more: bool = False) -> bytes:
    return bytes([0x02 | more]) + struct.pack(">Q", len(body)) + body


def zmtp_samples() -> list[bytes]:
    """What plain subscribers say, and what other kinds of peers might."""
    start = GREETING + command(READY)
    return [
        start + message(b"\x01verdict/") + message(b"\x00verdict/"),
        start + b"".join(message(b"\x01%d" % number) for number in range(200)),
        start + message(b"\x01a", more=True) + message(b"b"),
        start + message(b"\x01" + b"a" * 256) + message(b"\x01" + b"a" * 300),
        start + command(b"\x09SUBSCRIBEverdict/") + command(b"\x04PING\x00\x00context") + command(b"\x05ERROR\x03bad"),
        GREETING + command(READY.replace(b"SUB", b"XSUB").replace(b"\x03X", b"\x04X")) + message(b""),
        GREETING + command(READY.replace(b"SUB", b"REQ")) + message(b"", more=True) + message(b"{}"),
        GREETING.replace(b"NULL", b"PLAIN", 1)[:64] + command(b"\x05HELLO\x05admin\x06secret"),
        GREETING.replace(b"NULL\0", b"CURVE", 1) + command(b"\x05HELLO\x01\x00" + bytes(192)),
        b"\xff" + bytes(8) + b"\x7f\x01\x02" + b"\x00\x00",  # ZMTP 2.0
        b"\x01\x00" + b"\x09\x00\x01verdict/",  # ZMTP 1.0
    ]


def ask_samples() -> list[bytes]:
    """What subscribers say that ask for what they missed, and requests that make no sense."""
    ask = b'{"schema":"inspector","version":"1.4","kind":"ask","id":1,"session":%d,"topic":"verdict/line1/cam1/",%s}'
    sessions = b'{"schema":"inspector","version":"1.4","kind":"sessions","id":2,"since":0}'
    ready = READY.replace(b"\x03SUB", b"\x06DEALER")
    requests = [
        sessions,
        ask % (1, b'"first":1,"last":9'),
        ask % (2**63 - 1, b'"first":9,"last":1'),
        ask % (-1, b'"first":1,"last":1e999'),
        b"[" * 3000,
        b"{}",
        b"",
    ]
    return [
        GREETING + command(ready) + b"".join(map(message, requests)),
        GREETING + command(ready) + message(sessions) * 300,
        GREETING + command(READY.replace(b"SUB", b"REQ")) + message(b"", more=True) + message(sessions),
        GREETING + command(ready) + message(sessions, more=True) * 50 + message(b"x" * 5000),
    ]


def trigger_samples() -> list[bytes]:
    """What whoever fires the cameras says, and triggers that make no sense."""
    ready = GREETING + command(READY.replace(b"\x03SUB", b"\x06DEALER"))
    triggers = [
        b'{"part":"A1"}',
        b'{"part":"A1","at_ns":1}',
        b'{"part":"A1","cameras":["cam1"]}',
        b'{"part":"A1","cameras":["cam9"]}',
        b'{"part":"A1","station":"gate"}',
        b'{"part":7}',
        b'{"part":"' + b"A" * 3000 + b'"}',
        b"[" * 3000,
        b"",
    ]
    return [
        ready + b"".join(map(message, triggers)),
        ready + message(triggers[0]) * 50,
        GREETING + command(READY.replace(b"SUB", b"REQ")) + message(b"", more=True) + message(triggers[0]),
        ready + message(triggers[0], more=True) * 50 + message(b"x" * 5000),
    ]


def recorded(endpoint: str, keys: ClientKeys) -> bytes:
    """All that a real subscriber with good keys says to the daemon until it has heard something."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        zmq.Context() as context,
        context.socket(zmq.SUB) as subscriber,
    ):
        subscriber.linger = 0
        keys.arm(subscriber)
        subscriber.subscribe(b"")
        subscriber.connect(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        for _ in range(4):  # a handshake that takes long is cut off; the subscriber then connects again
            said: list[bytes] = []
            near, _ = server.accept()
            with near, socket.create_connection(Target.at("", endpoint, ()).address) as far:
                ways = ((near, far, said), (far, near, []))
                pumps = [threading.Thread(target=_pump, args=way, daemon=True) for way in ways]
                for pump in pumps:
                    pump.start()
                has_heard = subscriber.poll(30_000)
                for side in (near, far):
                    with suppress(OSError):  # it has hung up
                        side.shutdown(socket.SHUT_RDWR)
                for pump in pumps:
                    pump.join(PATIENCE)
            if has_heard:
                return b"".join(said)
    raise AssertionError("nothing was heard")


def _pump(source: socket.socket, sink: socket.socket, said: list[bytes]) -> None:
    try:
        while data := source.recv(65_536):
            said.append(data)
            sink.sendall(data)
    except OSError:
        pass  # the other direction has ended


def inputs(seed: int, samples: Sequence[bytes]) -> Iterator[tuple[bytes, str]]:
    """Without end, what to send and in which manner; the same for the same seed."""
    rng = random.Random(seed)
    while True:
        if rng.random() < 0.1:
            data = rng.randbytes(rng.choice((0, 1, 9, 64, 500, 20_000)))
        else:
            data = rng.choice(samples)
            for _ in range(rng.choice((0, 1, 1, 2, 5, 30))):
                data = mutated(rng, data)
        yield data, rng.choice(MANNERS)


def mutated(rng: random.Random, data: bytes) -> bytes:
    """`data` with one thing wrong: a bit, a piece left out, put in, doubled, or an extreme value."""
    at = rng.randrange(len(data) + 1)
    length = rng.choice((1, 1, 2, 8, 40))
    match rng.randrange(6):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + data[at + length :]
        case 2:
            return data[:at] + rng.randbytes(length) + data[at:]
        case 3:
            return data[:at] + data[at : at + length] * 3 + data[at:]
        case 4:
            extreme = rng.choice(EXTREMES)
            return data[:at] + extreme + data[at + len(extreme) :]
    bits = bytes([data[at] ^ (1 << rng.randrange(8))]) if at < len(data) else b""
    return data[:at] + bits + data[at + 1 :]


def throw(target: Target, data: bytes, manner: str) -> None:
    """Connect and send; whatever the other side does about it is fine."""
    with socket.create_connection(target.address, timeout=60) as connection:
        try:
            connection.settimeout(1.0)
            if manner == "pieces":
                for at in range(0, min(len(data), 200), 40):
                    connection.sendall(data[at : at + 40])
                data = data[200:]
            connection.sendall(data)
            if manner == "half":
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(0.05)
                connection.recv(65_536)
            elif manner == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass  # it hung up, or waits for more
