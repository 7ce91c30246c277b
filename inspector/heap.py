"""How the C library keeps memory, where its own ways are wrong for us (mallopt(3)); other C libraries do as they do."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8  # malloc.h of glibc


def share() -> None:
    """Have the threads that are yet to start allocate from one heap, where each would have its own.

    What one thread allocates another one frees, all day: each heap of its own keeps its holes, and grows at every new
    peak of its thread. One for all has the peak of all together, and gives back what lies above it.
    """
    _set(_M_ARENA_MAX, 1)


def keep() -> None:
    """Keep what is freed, where large pieces would go back to the system.

    Training frees and allocates the same hundreds of megabytes every second, and each page that comes from the system
    is emptied first: that took up to a third of its time.
    """
    _set(_M_MMAP_MAX, 0)
    _set(_M_TRIM_THRESHOLD, -1)


def _set(parameter: int, value: int) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(parameter, value)
