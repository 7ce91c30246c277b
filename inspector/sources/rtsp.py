"""A camera on the network: `rtsp://user:password@host/path?transport=tcp&open_timeout=2&read_timeout=2`, or rtsps://.

transport      tcp, or udp
open_timeout, read_timeout   seconds until a silent camera is an error

Other options are the camera's own and go to it as they are. RTSP 1.0: RFC 2326.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from inspector.errors import SourceError
from inspector.sources.url import Url
from inspector.types import Shot

VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
"""The only way to tell OpenCV the transport: FFmpeg's options, read whenever a capture is opened."""


class _Environment:
    """Lends the variable, of which the process has one, to as many as want the same in it; others wait their turn.

    So cameras open side by side, and one that does not answer holds up none of its own transport.
    """

    def __init__(self) -> None:
        self._turn, self._returned = threading.Lock(), threading.Condition()
        self._users, self._value = 0, ""

    @contextmanager
    def holding(self, value: str) -> Iterator[None]:
        with self._turn, self._returned:
            self._returned.wait_for(lambda: self._users == 0 or self._value == value)
            self._users, self._value = self._users + 1, value
            os.environ[VARIABLE] = value
        try:
            yield
        finally:
            with self._returned:
                self._users -= 1
                if self._users == 0:
                    del os.environ[VARIABLE]
                    self._returned.notify_all()


_environment = _Environment()


class RtspCamera:
    """A live stream, by OpenCV's FFmpeg. address: for FFmpeg, password and all;  shown: for people, without it.

    transport: "tcp" or "udp";  open_timeout, read_timeout: seconds
    """

    live = True

    def __init__(self, address: str, shown: str, transport: str, open_timeout: float, read_timeout: float) -> None:
        self._address, self._shown, self._transport = address, shown, transport
        self._open_timeout, self._read_timeout = open_timeout, read_timeout
        self._closed = threading.Event()

    def frames(self) -> Iterator[Shot]:
        """Connect and read; uint8 [height, width, 3]. Raises SourceError when it cannot connect or frames stop."""
        capture = self._open()
        try:
            while not self._closed.is_set():
                there, image = capture.read()
                if not there:  # and never again on this connection, though isOpened() stays True
                    raise SourceError(f"{self._shown} gave no frame for {self._read_timeout:g} s, or ended the stream")
                yield Shot(image)
        finally:
            capture.release()

    def close(self) -> None:
        """End at the next frame, at the latest after the time-out."""
        self._closed.set()

    def _open(self) -> cv2.VideoCapture:
        # The backend must be named, or the time-outs (30 s by default) are not heeded. With more than one decoding
        # thread, frames from before a stall come out after it as if they were new.
        options = [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1000 * self._open_timeout)),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1000 * self._read_timeout)),
            *(cv2.CAP_PROP_N_THREADS, 1),
        ]
        with _environment.holding(f"rtsp_transport;{self._transport}"):
            capture = cv2.VideoCapture(self._address, cv2.CAP_FFMPEG, options)
        if not capture.isOpened():
            hint = "check host, port, path, user, password and transport"
            raise SourceError(f"{self._shown} cannot be opened (time-out {self._open_timeout:g} s); {hint}")
        return capture


def from_url(url: Url) -> RtspCamera:
    """Raises ConfigError if it names no host."""
    transport = url.choice("transport", "tcp", ("tcp", "udp"))
    open_timeout = url.number("open_timeout", 2.0, 0.1, 600)
    read_timeout = url.number("read_timeout", 2.0, 0.1, 600)
    foreign = url.finish(foreign=True)
    host = url.body.removeprefix("//").partition("/")[0].rpartition("@")[2]
    if not url.body.startswith("//") or not host.partition(":")[0]:
        url.refuse(f"the host is missing; write {url.scheme}://host/path")
    address = f"{url.scheme}:{url.body}?{foreign}".removesuffix("?")
    return RtspCamera(address, str(url), transport, open_timeout, read_timeout)
