"""The last seconds of one camera's frames, and which of them belong to a recording.

A frame comes in with its verdict, so that it is known at once what it is worth; until then the flow holds it anyway.
Pictures are kept as they are, without a copy: every source gives each its own memory.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspector.outcomes import end_of
from inspector.types import Image, Inspection, Mask, Patch, Span

LATE = "late"
"""The end, for a recorder, of a frame whose result came when its verdict was settled."""
OVERHEAD = 500
"""Bytes that a frame without a picture holds, its header aside."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is recorded, and how long: see the configuration's `[recorder]`. Seconds, all of them.

    slack: until a frame has its verdict, where the source is live: one that waits for us has no deadline
    max_bytes: of frames in memory
    """

    on: Collection[str]
    before: float
    after: float
    longest: float
    pause: float
    slack: float
    live: bool
    max_bytes: int

    def wants(self, end: str) -> bool:
        """Whether a frame that ends so (`ng`, `unknown:deadline`) is worth a recording."""
        return end in self.on or end.partition(":")[0] in self.on


@dataclass(frozen=True, slots=True)
class Kept:
    """A frame and its verdict's header (JSON); or, without a picture, the header of its late result.

    captured: monotonic seconds;  size: bytes that it holds
    mask, patches, batch, reports: as in its inspection and its frame
    """

    number: int
    captured: float
    image: Image | None
    header: bytes
    mask: Mask | None
    patches: tuple[Patch, ...]
    batch: int
    reports: Span | None
    size: int


@dataclass(slots=True)
class Window:
    """What a recording spans, in monotonic seconds of capture, and its frames that wait to be written.

    limit: where it ends at the latest;  captured_ns: wall clock of the frame that it was begun for
    triggers: numbers of the frames that it is made for, each with its end, in the order of their verdicts
    lost: frames of it for which there was no room in memory
    skipped: frames before it that would have begun one while the recorder rested
    """

    begin: float
    end: float
    limit: float
    captured_ns: int
    skipped: int
    triggers: list[tuple[int, str]] = field(default_factory=list)
    ready: deque[Kept] = field(default_factory=deque)
    lost: int = 0

    def holds(self, captured: float) -> bool:
        """Whether a frame that was captured then belongs to it."""
        return self.begin <= captured <= self.end


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be written next: a frame of a recording, or, without one, the recording's end."""

    window: Window
    frame: Kept | None


class Ring:
    """Frames of one camera; one thread adds them, another takes what is to be written.

    bytes: what is held just now, never more than `terms.max_bytes`; the frame that is being written counts
    recorded, skipped: frames that recordings are made for, and those that would have begun one while it rested
    """

    def __init__(self, terms: Terms) -> None:
        self.bytes = 0
        self.recorded = self.skipped = 0
        self._terms = terms
        self._recent: deque[Kept] = deque()
        self._windows: deque[Window] = deque()
        self._last: Window | None = None
        self._newest = float("-inf")
        self._unsaid = 0
        self._writing = 0
        self._lock = threading.Lock()

    def add(self, inspection: Inspection, header: bytes, late: bool = False) -> bool:
        """Take a frame that has its verdict, or its late result; whether there is something to write."""
        kept = _kept(inspection, header, late)
        end = LATE if late else end_of(inspection)
        with self._lock:
            self._newest = max(self._newest, kept.captured)
            self._recent.append(kept)
            self.bytes += kept.size
            if self._terms.wants(end):
                self._trigger(kept, inspection.frame.captured_ns, end)
            elif self._windows and self._windows[-1].holds(kept.captured):
                self._windows[-1].ready.append(self._recent.pop())
            self._forget()
            return bool(self._windows)

    def take(self, now: float, flush: bool = False) -> Step | None:
        """The next thing to write, None where there is nothing yet. The frame before it is written and let go.

        now: monotonic seconds;  flush: end recordings whose time is not over
        """
        with self._lock:
            self.bytes -= self._writing
            self._writing = 0
            if not self._windows:
                return None
            window = self._windows[0]
            if window.ready:
                kept = window.ready.popleft()
                self._writing = kept.size
                return Step(window, kept)
            # Of a source that waits for us, only verdicts tell how far they are.
            if flush or (now if self._terms.live else self._newest) > window.end + self._terms.slack:
                return Step(self._windows.popleft(), None)
            return None

    def _trigger(self, kept: Kept, captured_ns: int, end: str) -> None:
        """Begin a recording, make the last one longer, or count."""
        captured, terms = kept.captured, self._terms
        if self._windows and self._windows[-1].holds(captured):
            window = self._windows[-1]
            window.end = min(max(window.end, captured + terms.after), window.limit)
        elif self._last is not None and captured <= self._last.end + terms.pause:
            self.skipped += 1
            self._unsaid += 1
            return
        else:
            limit = captured + max(terms.longest, terms.after)
            window = Window(captured - terms.before, captured + terms.after, limit, captured_ns, self._unsaid)
            self._windows.append(window)
            self._last, self._unsaid = window, 0
        self.recorded += 1
        window.triggers.append((kept.number, end))
        recent, self._recent = self._recent, deque()
        for one in recent:
            (window.ready if window.holds(one.captured) else self._recent).append(one)

    def _forget(self) -> None:
        """Let go of what is too old, and of what there is no room for: the oldest, those of no recording first."""
        oldest = self._newest - self._terms.before - self._terms.slack
        while self._recent and (self._recent[0].captured < oldest or self.bytes > self._terms.max_bytes):
            self.bytes -= self._recent.popleft().size
        for window in self._windows:
            while window.ready and self.bytes > self._terms.max_bytes:
                self.bytes -= window.ready.popleft().size
                window.lost += 1


def _kept(inspection: Inspection, header: bytes, late: bool) -> Kept:
    frame = inspection.frame
    image = None if late else frame.image
    size = OVERHEAD + len(header) + sum(patch.image.nbytes for patch in inspection.patches)
    size += sum(_held(array) for array in (image, inspection.mask) if array is not None)
    return Kept(
        frame.number,
        frame.captured,
        image,
        header,
        inspection.mask,
        inspection.patches,
        inspection.batch,
        frame.reports,
        size,
    )


def _held(array: NDArray[np.uint8]) -> int:
    """Bytes that stay in memory with an array: of a view, all that it is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.nbytes
