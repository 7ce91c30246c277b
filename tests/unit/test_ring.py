"""Pictures through shared memory, both ends in one process."""

from __future__ import annotations

import os
import queue
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from inspector.errors import SourceError
from inspector.sources.ring import SLOTS, Reader, Writer, reserve

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="shared memory without a name needs Linux")


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = reserve()
    yield descriptor
    os.close(descriptor)


def test_pictures_come_out_as_they_went_in_whatever_their_size(memory: int) -> None:
    emptied: queue.SimpleQueue[int] = queue.SimpleQueue()
    writer, reader = Writer(memory, emptied.get), Reader(memory)
    chance = np.random.default_rng(1)
    kept = []
    for number in range(40):
        shape = (int(chance.integers(1, 50 + 10 * number)), int(chance.integers(1, 200)), int(chance.integers(1, 4)))
        image = chance.integers(0, 256, shape, np.uint8)[::-1]
        slot, offset = writer.put(image)
        kept.append((image, reader.take(offset, shape, image.dtype.str)))
        emptied.put(slot)
    for image, taken in kept:
        np.testing.assert_array_equal(image, taken)
        assert taken.flags.owndata


def test_a_writer_waits_for_a_slot_that_is_emptied(memory: int) -> None:
    waits: list[int] = []

    def wait() -> int:
        waits.append(len(waits))
        return waits[-1]

    writer = Writer(memory, wait)
    image = np.zeros((4, 4, 3), np.uint8)
    slots = [writer.put(image)[0] for _ in range(SLOTS)]
    assert sorted(slots) == list(range(SLOTS))
    assert waits == []
    assert writer.put(image)[0] == 0
    assert waits == [0]


def test_it_takes_memory_once_for_pictures_of_one_size_and_never_gives_it_back(memory: int) -> None:
    emptied: queue.SimpleQueue[int] = queue.SimpleQueue()
    writer = Writer(memory, emptied.get)
    sizes = set()
    for _ in range(10):
        slot, _ = writer.put(np.zeros((100, 100, 3), np.uint8))
        emptied.put(slot)
        sizes.add(os.fstat(memory).st_size)
    assert sizes == {SLOTS * 32768}, "30,000 bytes each, in whole pages"
    with pytest.raises(PermissionError):
        os.ftruncate(memory, 10)


def test_an_empty_picture_is_passed_on_as_one(memory: int) -> None:
    """What to make of it is for the reader of the camera to say."""
    _, offset = Writer(memory, lambda: 0).put(np.zeros((0, 4, 3), np.uint8))
    assert Reader(memory).take(offset, (0, 4, 3), "|u1").shape == (0, 4, 3)


@pytest.mark.parametrize("offset", [-1, 0, 10**9])
def test_a_picture_that_cannot_be_there_is_an_error(memory: int, offset: int) -> None:
    with pytest.raises(SourceError, match="of shared memory"):
        Reader(memory).take(offset, (10, 10, 3), "|u1")
