"""A video file: `file:clip.mp4?loop=0&rate=native`, by OpenCV's FFmpeg.

loop   1: from the start again at its end
rate   native: as fast as it was recorded; a number: frames a second; max: as fast as they are taken
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2

from inspector.errors import ConfigError, SourceError, reading
from inspector.pictures import MAX_PIXELS
from inspector.sources.pace import Pace
from inspector.sources.url import Url
from inspector.types import Shot

NATIVE = 0.0
"""The rate that stands for the file's own."""
ENOUGH = 0.9
"""Share of the frames that the header promises; containers without an index only estimate their number."""


class VideoFile:
    """The frames of a file. It is not live: it waits until a frame is taken, so none is lost.

    rate: frames a second, `NATIVE` or infinity
    """

    live = False

    def __init__(self, path: Path, rate: float = NATIVE, loop: bool = False) -> None:
        self._path, self._rate, self._loop = path, rate, loop
        self._closed = threading.Event()

    def frames(self) -> Iterator[Shot]:
        """Play the file; uint8 [height, width, 3]. Raises SourceError if it cannot be read, or not to its end."""
        capture = self._open()
        try:
            pace = Pace(self._rate or self._native_rate(capture), self._closed)
            while True:
                yield from self._once(capture, pace)
                if not self._loop or self._closed.is_set():
                    return
                capture.release()
                capture = self._open()
        finally:
            capture.release()

    def close(self) -> None:
        """End at the next frame."""
        self._closed.set()

    def _once(self, capture: cv2.VideoCapture, pace: Pace) -> Iterator[Shot]:
        count = 0
        while pace.wait():
            there, image = capture.read()
            if not there:
                self._check_end(count, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
                return
            count += 1
            yield Shot(image)

    def _open(self) -> cv2.VideoCapture:
        # One decoding thread: the machine's cores belong to the models, and cameras are decoded side by side.
        capture = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not capture.isOpened():
            with reading(self._path, SourceError):
                self._path.open("rb").close()
            raise SourceError(
                f"{str(self._path)!r} is not a video that FFmpeg can read; give a video file, for example H.264 in mp4"
            )
        if capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT) > MAX_PIXELS:
            capture.release()
            raise SourceError(
                f"{str(self._path)!r} has frames of more than {MAX_PIXELS // 10**6} megapixels; give smaller ones"
            )
        return capture

    def _native_rate(self, capture: cv2.VideoCapture) -> float:
        rate: float = capture.get(cv2.CAP_PROP_FPS)
        if not (math.isfinite(rate) and rate > 0):
            raise SourceError(
                f"{str(self._path)!r} does not say its frame rate; add rate=max or rate=NUMBER to the URL"
            )
        return rate

    def _check_end(self, count: int, promised: int) -> None:
        """A damaged file ends like a complete one; its header tells them apart, where it has the number of frames."""
        if count == 0 or count < ENOUGH * promised:
            frames = f"{count} of {promised} frames" if promised > 0 else "no frame"
            raise SourceError(f"{str(self._path)!r} ended after {frames}; it is damaged or cut short: copy it again")


def from_url(url: Url) -> VideoFile:
    """Raises ConfigError if there is no such file, or it may not be read."""
    path = url.path()
    loop = url.flag("loop")
    rate = url.number("rate", NATIVE, 0.001, 10_000, {"native": NATIVE, "max": math.inf})
    url.finish()
    with reading(path, ConfigError, f"{url}: "):
        if not path.is_file():
            url.refuse(f"{str(path)!r} is not a file; give the path of a video")
        path.open("rb").close()
    return VideoFile(path, rate, loop)
