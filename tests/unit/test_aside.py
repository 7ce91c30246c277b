"""A log that nobody waits for, on real pipes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from inspector.aside import Aside
from tests.waiting import PATIENCE

LINE = "x" * 99 + "\n"


class Pipe:
    """What is written to, and whoever reads it or does not."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self.read = b""

    def follow(self) -> None:
        """Read until nobody can write any more."""
        while some := os.read(self.reading, 65_536):
            self.read += some

    def end(self) -> bytes:
        """What is left, and all that was read."""
        os.close(self.writing)
        self.writing = -1
        self.follow()
        return self.read


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    for end in (made.reading, made.writing):
        if end >= 0:
            os.close(end)


def filled(stream: Aside, lines: int) -> None:
    """Write so much that no pipe holds it."""
    for _ in range(lines):
        assert stream.write(LINE) == len(LINE)
        stream.flush()


def test_all_is_written_in_order(pipe):
    stream = Aside(pipe.writing, lambda lines: None)
    for number in range(100):
        stream.write(f"{number} \N{SNOWMAN}\n")
    assert stream.close(PATIENCE)
    expected = "".join(f"{number} \N{SNOWMAN}\n" for number in range(100)).encode()
    assert pipe.end() == expected


def test_nobody_waits_for_a_reader_that_hangs_and_what_is_lost_is_told(pipe):
    lost: list[int] = []
    told = threading.Event()

    def tell(lines: int) -> None:
        lost.append(lines)
        told.set()

    stream = Aside(pipe.writing, tell, most=10)
    filled(stream, 10_000)  # a megabyte, of which pipes hold a sixteenth: this would wait for ever
    reader = threading.Thread(target=pipe.follow)
    reader.start()
    assert told.wait(PATIENCE)
    assert stream.close(PATIENCE)
    os.close(pipe.writing)
    pipe.writing = -1
    reader.join(PATIENCE)
    assert pipe.read == LINE.encode() * (10_000 - sum(lost))


def test_an_end_waits_no_longer_than_it_is_told(pipe):
    stream = Aside(pipe.writing, lambda lines: None, most=20_000)
    filled(stream, 10_000)  # a megabyte
    assert not stream.close(0.01)
    stream.write(LINE)  # by whoever does not know yet
    reader = threading.Thread(target=pipe.follow)
    reader.start()
    assert stream.close(PATIENCE)
    os.close(pipe.writing)
    pipe.writing = -1
    reader.join(PATIENCE)
    assert pipe.read == LINE.encode() * 10_001


def test_a_reader_that_is_gone_ends_nothing(pipe):
    lost: list[int] = []
    stream = Aside(pipe.writing, lost.append)
    os.close(pipe.reading)
    pipe.reading = -1
    filled(stream, 10)
    assert stream.close(PATIENCE)
    assert lost == []  # whom should it be told?
