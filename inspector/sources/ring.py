"""Pictures from one process to another through shared memory: a few slots, reserved once and used in turn.

The memory has no name and belongs to whoever holds its descriptor, so that nothing is left when both are killed. It
grows to what the first picture needs; a larger picture makes it grow again. It never shrinks, which the kernel sees
to, so that a writer gone mad cannot pull it away under the reader.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.errors import SourceError

SLOTS = 4
"""Pictures that may wait for the reader; it takes them out at once."""


def reserve() -> int:
    """The descriptor of a new piece of shared memory, empty as yet."""
    descriptor = os.memfd_create("inspector-camera", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    return descriptor


class Writer:
    """Puts pictures into slots that are free. wait: waits for the next that the reader gives back, by its number."""

    def __init__(self, descriptor: int, wait: Callable[[], int]) -> None:
        self._descriptor, self._wait = descriptor, wait
        self._free = list(range(SLOTS))
        self._slot_bytes = 0
        self._memory: mmap.mmap | None = None

    def put(self, image: NDArray[Any]) -> tuple[int, int]:
        """Copy a picture into a free slot, once there is one: its number, and the offset of its first byte."""
        if self._memory is None or image.nbytes > self._slot_bytes:
            while len(self._free) < SLOTS:
                self._free.append(self._wait())
            self._slot_bytes = (image.nbytes // mmap.PAGESIZE + 1) * mmap.PAGESIZE
            os.ftruncate(self._descriptor, SLOTS * self._slot_bytes)
            self._memory = mmap.mmap(self._descriptor, SLOTS * self._slot_bytes)
        slot = self._free.pop() if self._free else self._wait()
        offset = slot * self._slot_bytes
        np.copyto(np.ndarray(image.shape, image.dtype, self._memory, offset), image)
        return slot, offset


class Reader:
    """Takes pictures out of slots."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._memory: mmap.mmap | None = None

    def take(self, offset: int, shape: Sequence[int], dtype: str) -> NDArray[Any]:
        """A copy of a picture, with memory of its own. Raises SourceError if no such picture can be there."""
        kind = np.dtype(dtype)
        end = offset + int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        if self._memory is None or not 0 <= offset <= end <= len(self._memory):
            size = os.fstat(self._descriptor).st_size
            if not 0 <= offset <= end <= size or not size:
                raise SourceError(f"a picture up to byte {end} is said to be in {size} bytes of shared memory")
            self._memory = mmap.mmap(self._descriptor, size, prot=mmap.PROT_READ)
        return np.ndarray(tuple(shape), kind, self._memory, offset).copy()
