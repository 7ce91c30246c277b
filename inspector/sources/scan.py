"""Line-scan: the strips of a source gathered into frames, whose last rows the next frame repeats.

    frame 1  |........................====|
    frame 2                          |====....................====|        ==== repeated rows, `overlap` of them
                reports of frame 1 ->  | <- reports of frame 2

Both frames see a defect in the repeated rows. The middle of them is the border: a frame reports the regions whose
middle row lies between its two borders, and leaves the rest to its neighbours. Of a defect of up to `overlap` rows one
frame at least sees all; if the other sees a part of it, that part lies at its edge and so beyond its border. So it is
reported once, wherever it lies. A larger one may be reported by several, each of which sees a part of it.

Where the strips end, or are interrupted, a last frame of the newest rows reports what the one before left to it; no row
is left unjudged, save those that had not made a frame yet when the daemon stopped. It was captured with its last strip:
where the source takes longer to say that it failed than the deadline is, that frame comes too late to be judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from inspector.clock import Clock, SystemClock
from inspector.errors import SourceError
from inspector.sources import Source, shutter_of, waits
from inspector.types import Image, Shot

OVERLAP = 64
"""Rows that frames repeat where it is not said; of frames of fewer than twice as many rows half."""


class Scan:
    """Frames of `rows` rows, of the strips of `source`; `overlap` are repeated, at most half, or the usual if None."""

    def __init__(self, source: Source, rows: int, overlap: int | None, clock: Clock | None = None) -> None:
        self.live, self.fire = source.live, shutter_of(source)
        self._source, self._rows = source, rows
        self._overlap = min(OVERLAP, rows // 2) if overlap is None else overlap
        self._clock = clock or SystemClock()

    @property
    def waiting(self) -> bool:
        """Whether the camera waits for a trigger."""
        return waits(self._source)

    def frames(self) -> Iterator[Shot]:
        """Gather; uint8 [rows, width, channels]. The first frame after an interruption repeats nothing.

        A frame has the part, the time, and all else, of its last strip, which is stamped as it comes where the source
        does not say when it was captured. Raises SourceError.
        """
        gathered = _Gathered(self._rows, self._overlap)
        try:
            for strip in self._source.frames():
                if not gathered.continues(strip.image):
                    yield from gathered.end()
                    gathered = _Gathered(self._rows, self._overlap)
                if strip.image is None or strip.image.ndim != 3:
                    yield strip  # whatever it is, whoever reads it says so
                else:
                    yield from gathered.add(self._stamped(strip), strip.image)
        except SourceError:
            yield from gathered.end()
            raise
        yield from gathered.end()

    def close(self) -> None:
        """End at the next strip."""
        self._source.close()

    def _stamped(self, strip: Shot) -> Shot:
        """The strip and when it was captured: what shows that it was the last may come much later."""
        return strip if strip.captured_ns is not None else replace(strip, captured_ns=self._clock.wall_ns())


class _Gathered:
    """Rows without an interruption: those of the last whole frame, and those that have come since."""

    def __init__(self, rows: int, overlap: int) -> None:
        self._rows, self._overlap = rows, overlap
        self._last: Image | None = None
        self._new: Image | None = None
        self._filled = 0
        self._strip = Shot(None)

    def continues(self, image: Image | None) -> bool:
        """Whether the strip goes on where the one before ended."""
        new = self._new
        return image is not None and (
            new is None or (image.ndim == 3 and image.shape[1:] == new.shape[1:] and image.dtype == new.dtype)
        )

    def add(self, strip: Shot, image: Image) -> Iterator[Shot]:
        """Take in a strip; the frames that it completes."""
        self._strip = strip
        while len(image):
            if self._new is None:
                self._new = np.empty((self._rows, *image.shape[1:]), image.dtype)
            taken = image[: self._rows - self._filled]
            self._new[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            image = image[len(taken) :]
            if self._filled == self._rows:
                yield self._whole(self._new)

    def end(self) -> Iterator[Shot]:
        """The last frame: of the newest rows, as many as there are up to `rows`."""
        new, last, filled = self._new, self._last, self._filled
        if new is None or filled == 0:
            return
        if last is None:
            yield replace(self._strip, image=new[:filled].copy())
            return
        fresh = filled - self._overlap
        image = np.concatenate([last[fresh:], new[self._overlap : filled]])
        # The border lies where the last frame had it, which began `fresh` rows earlier.
        yield replace(self._strip, image=image, reports=(self._rows - self._overlap / 2 - fresh, math.inf))

    def _whole(self, frame: Image) -> Shot:
        border = self._overlap / 2
        begin = -math.inf if self._last is None else border
        self._last = frame
        self._new = np.empty_like(frame)
        self._new[: self._overlap] = frame[self._rows - self._overlap :]
        self._filled = self._overlap
        return replace(self._strip, image=frame, reports=(begin, self._rows - border))
