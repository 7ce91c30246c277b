"""A camera on the network: `rtsp://host/path?credentials=FILE&transport=tcp&read_timeout=2`, or rtsps://.

credentials    a file of mode 600 with user:password, or `credential:NAME` of systemd's; read at every connection.
               rtsp://user:password@host/path works too, and belongs into the environment
transport      tcp, or udp: pictures that lost packets damaged are then handed out as good ones, and FFmpeg tells nobody
open_timeout, read_timeout   seconds until a silent camera is an error, 2 without them
stamps         stream: frames are as old as the camera's clock says, against the fastest frame so far; a stream that
               falls behind by more than read_timeout is opened anew. arrival: for a camera whose clock is wrong

Other options are the camera's own and go to it as they are. RTSP 1.0: RFC 2326.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2

from inspector.address import MAX_PORT
from inspector.errors import ConfigError, RefusedError, SourceError
from inspector.sources import credentials
from inspector.sources.streamtime import StreamTime
from inspector.sources.url import Url
from inspector.types import Image, Shot

log = logging.getLogger(__name__)

VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
"""The only way to tell OpenCV the transport: FFmpeg's options, read whenever a capture is opened."""
LIVE_BY = 5.0
"""Seconds after its first frame by which a stream has to be through with what waited in buffers."""
PORTS = {"rtsp": 554, "rtsps": 322}
_PLACE = re.compile(r"(\[[^]]+\]|[^][:]+)(?::(\d{1,5}))?", re.ASCII)
"""A host, of IPv6 in brackets, and its port, if it is told."""


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


@dataclass(frozen=True, slots=True)
class Address:
    """Where a stream is. rest: of the URL after its //, with the camera's own options

    login: the file whose user and password go before the host, "" for none;  shown: for people, without a password
    """

    scheme: str
    host: str
    port: int
    rest: str
    login: str
    shown: str

    def whole(self) -> str:
        """For FFmpeg, password and all. Raises ConfigError if the file of credentials is not what it should be."""
        before = f"{credentials.read(self.login)}@" if self.login else ""
        return f"{self.scheme}://{before}{self.rest}"

    def listens(self, timeout: float) -> bool:
        """Whether somebody takes connections there."""
        try:
            socket.create_connection((self.host, self.port), timeout).close()
        except OSError:
            return False
        return True


class RtspCamera:
    """A live stream, by OpenCV's FFmpeg.

    transport: "tcp" or "udp";  open_timeout, read_timeout: seconds;  by_stream: whether the camera's clock is believed
    """

    live = True

    def __init__(
        self, address: Address, transport: str, open_timeout: float, read_timeout: float, by_stream: bool
    ) -> None:
        self._address, self._transport, self._by_stream = address, transport, by_stream
        self._open_timeout, self._read_timeout = open_timeout, read_timeout
        self._closed = threading.Event()

    def frames(self) -> Iterator[Shot]:
        """Connect and read; uint8 [height, width, 3]. Raises SourceError when it cannot connect or frames stop."""
        capture = self._open()
        try:
            yield from self._stamped(capture) if self._by_stream else map(Shot, self._images(capture))
        finally:
            capture.release()

    def close(self) -> None:
        """End at the next frame, at the latest after the time-out."""
        self._closed.set()

    def __str__(self) -> str:
        return self._address.shown

    def _images(self, capture: cv2.VideoCapture) -> Iterator[Image]:
        while not self._closed.is_set():
            asked = time.monotonic()
            there, image = capture.read()
            # After a failure no frame comes on this connection any more, though isOpened() stays True. After a
            # time-out one or two may, as successes: what the decoder had, and half a frame.
            if not there or time.monotonic() - asked >= self._read_timeout:
                raise SourceError(f"{self} gave no frame for {self._read_timeout:g} s, or ended the stream")
            yield image

    def _stamped(self, capture: cv2.VideoCapture) -> Iterator[Shot]:
        """Leaves out what the camera or the network had in store when the connection was made."""
        clock, first, fresh = StreamTime(), time.monotonic(), False
        for image in self._images(capture):
            arrival = time.monotonic()
            stream = capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
            captured = clock.captured(stream, arrival) if stream > 0 else None  # 0 stands for "no stamp", too
            if captured is not None:
                fresh, age = True, arrival - captured
                if age > self._read_timeout:
                    raise SourceError(f"{self} sends frames {age:.1f} s late; if its clock is slow, add stamps=arrival")
                yield Shot(image, captured_ns=time.time_ns() - round(1e9 * age))
            elif fresh:
                yield Shot(None, fault="it has no time stamp, or one that jumped: nobody knows how old it is")
            elif arrival - first > LIVE_BY:
                raise SourceError(
                    f"{self} sends old frames for {LIVE_BY:g} s; if its clock is fast, add stamps=arrival"
                )

    def _open(self) -> cv2.VideoCapture:
        # The backend must be named, or the time-outs (30 s by default) are not heeded. With more than one decoding
        # thread, frames from before a stall come out after it as if they were new.
        options = [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1000 * self._open_timeout)),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1000 * self._read_timeout)),
            *(cv2.CAP_PROP_N_THREADS, 1),
        ]
        try:
            address = self._address.whole()
        except ConfigError as error:  # it was right when the daemon started, and may be again
            raise SourceError(f"{self} cannot be opened: {error}") from error
        if self._transport == "udp":
            log.warning("%s comes over UDP: what lost packets damage is judged as if it were whole; take tcp", self)
        begin = time.monotonic()
        with _environment.holding(f"rtsp_transport;{self._transport}"):
            capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, options)
        if capture.isOpened():
            return capture
        in_time = time.monotonic() - begin < 0.9 * self._open_timeout
        if in_time and self._address.listens(self._open_timeout):
            raise RefusedError(f"{self} is there and refuses; check path, user, password and transport")
        raise SourceError(
            f"{self} cannot be opened (time-out {self._open_timeout:g} s); check host, port, cable and power"
        )


def from_url(url: Url) -> RtspCamera:
    """Raises ConfigError if it names no host, or credentials that cannot be read."""
    transport = url.choice("transport", "tcp", ("tcp", "udp"))
    open_timeout = url.number("open_timeout", 2.0, 0.1, 600)
    read_timeout = url.number("read_timeout", 2.0, 0.1, 600)
    by_stream = url.choice("stamps", "stream", ("stream", "arrival")) == "stream"
    file = url.text("credentials", "")
    foreign = url.finish(foreign=True)
    _, at, place = url.body.removeprefix("//").partition("/")[0].rpartition("@")
    if not url.body.startswith("//") or not place:
        url.refuse(f"the host is missing; write {url.scheme}://host/path")
    found = _PLACE.fullmatch(place)
    port = int((found and found[2]) or PORTS[url.scheme])
    if found is None or not 1 <= port <= MAX_PORT:
        url.refuse(  # without repeating it: it is a password's beginning where that has a / in it
            f"no such host or port can be; write HOST or HOST:PORT, a port from 1 to {MAX_PORT}, IPv6 in brackets, and "
            "/ and ? in a password as %2F and %3F"
        )
    if file and at:
        url.refuse("user and password stand in the URL and in a file of credentials; take them out of the URL")
    rest = f"{url.body.removeprefix('//')}?{foreign}".removesuffix("?")
    address = Address(url.scheme, found[1].strip("[]"), port, rest, file, str(url))
    if file:
        address.whole()
    return RtspCamera(address, transport, open_timeout, read_timeout, by_stream)
