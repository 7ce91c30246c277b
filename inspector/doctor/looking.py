"""Opens cameras for some seconds, all at once, and says what came."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field

from inspector.errors import SourceError
from inspector.sources import Source
from inspector.types import Image

PATIENCE = 8.0
"""Seconds in which a camera must give its first picture."""
SECONDS = 3.0
"""Seconds, from its first picture on, in which its pace is measured."""
SETTLING = 0.3
"""Share of those after which its pace counts: at first comes what waited in buffers."""
KEPT = 16
"""Pictures that are kept."""
KEPT_BYTES = 128 << 20


@dataclass
class Seen:
    """What a camera gave. images: its first pictures;  faults: frames without a picture;  first: seconds until one

    rate: frames a second, None where it is not live or gave too few;  reading: CPU seconds a frame
    error: why it gave nothing (more), in a sentence with its remedy;  hangs: whether it did not let go in time
    """

    images: list[Image] = field(default_factory=list)
    frames: int = 0
    faults: int = 0
    first: float | None = None
    rate: float | None = None
    reading: float | None = None
    error: SourceError | None = None
    hangs: bool = False


def look(
    sources: Mapping[str, Source],
    patience: float = PATIENCE,
    seconds: float = SECONDS,
    beside: Callable[[Source], float] = lambda _: 0.0,
) -> dict[str, Seen]:
    """Read each source for `seconds` from its first picture on, for which it gets `patience`.

    beside: CPU seconds that others, such as a process of its own, have spent on a source so far
    """
    seen = {name: Seen() for name in sources}
    threads = {
        name: threading.Thread(
            target=_read, args=(source, seen[name], seconds, beside), name=f"look-{name}", daemon=True
        )
        for name, source in sources.items()
    }
    end = time.monotonic() + patience
    for thread in threads.values():
        thread.start()
    for name, thread in threads.items():
        while thread.is_alive() and (seen[name].first is not None or time.monotonic() < end):
            thread.join(0.05)
            if time.monotonic() > end + seconds:
                break
        sources[name].close()
    for name, thread in threads.items():
        thread.join(max(end + seconds - time.monotonic(), 1.0))
        seen[name].hangs = thread.is_alive()
    return seen


def _read(source: Source, seen: Seen, seconds: float, beside: Callable[[Source], float]) -> None:
    """The body of a camera's thread."""

    def cpu() -> float:
        return time.thread_time() + beside(source)

    began = time.monotonic()
    shots = source.frames()
    late: list[float] = []
    try:
        start = 0.0
        for shot in shots:
            now = time.monotonic()
            if seen.first is None:
                seen.first, began, start = now - began, now, cpu()
            seen.frames += 1
            seen.faults += shot.image is None
            image = shot.image
            if image is not None and len(seen.images) < min(KEPT, max(KEPT_BYTES // image.nbytes, 2)):
                seen.images.append(image)
            if now - began >= SETTLING * seconds:
                late.append(now)
            if now - began >= seconds:
                break
        if seen.frames > 1:
            seen.reading = (cpu() - start) / (seen.frames - 1)
        if source.live and len(late) > 1:
            seen.rate = (len(late) - 1) / (late[-1] - late[0])
    except SourceError as error:
        seen.error = error
    finally:
        if isinstance(shots, Generator):
            shots.close()
