"""One heap for all threads, where the C library would give each its own."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8  # malloc.h of glibc


def share() -> None:
    """Have the threads that are yet to start allocate from one heap (mallopt(3)); other C libraries do as they do.

    What one thread allocates another one frees, all day: each heap of its own keeps its holes, and grows at every new
    peak of its thread. One for all has the peak of all together, and gives back what lies above it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
