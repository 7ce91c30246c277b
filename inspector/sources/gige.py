"""A GigE Vision camera by Aravis: `gige://192.0.2.20?PixelFormat=Mono8&ExposureTimeAbs=5000`; no vendor's software.

The body names the camera by its IP address or, where broadcasts reach it, by its serial number. It needs Debian's
gir1.2-aravis-0.8, and the extra `gige` of this project (PyGObject).

timeout   seconds without a frame after which the camera is lost (2); one that waits for a trigger may be silent for
          longer, and is lost when it does not answer its heartbeat
buffers   how many frames may come before one is taken (5)

Any other option is the camera's own setting by its own name, set in this order and read back, with the pixel formats
of genicam:. A frame that lost packets, and could not get them again, is not judged. One with TriggerMode=On and
TriggerSource=Software is fired by the daemon (shutter.py).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from inspector.errors import SourceError
from inspector.extras import remedy
from inspector.sources import aravis, features, pixels
from inspector.sources.frame_ids import FrameIds
from inspector.sources.shutter import Shutter
from inspector.sources.url import Url
from inspector.types import Cause, Shot

SLICE = 0.1
"""Seconds of one wait for a frame; after each it looks whether it should end."""

LEAST_BUFFER = 2 << 20
"""Bytes of a socket's receive buffer: with less, packets are lost as soon as this machine is busy."""
MOST_ROOM = 2**31 - 1
"""Bytes of it that a program can ask for; the kernel gives what it may."""


class GigeCamera:
    """A live camera. name: its IP address or serial number;  wanted: its settings.

    timeout: seconds;  buffers: how many frames may wait;  fire: as `Shutter` has it
    """

    live = True

    def __init__(self, name: str, wanted: features.Wanted, timeout: float = 2.0, buffers: int = 5) -> None:
        self._name = name
        self._shutter = Shutter(str(self), wanted)
        self.fire = self._shutter.fire
        self._timeout, self._buffers = timeout, buffers
        self._closed = threading.Event()
        self.waiting = False
        self._leaving: threading.Thread | None = None

    def frames(self) -> Iterator[Shot]:
        """Open the camera, set it and read; uint8 [height, width, 1 or 3], stamped when its first packet came.

        A frame that came incomplete, and one that the camera counted and that never came, is a Shot without an image.
        Raises SourceError if the camera is not there, does not take a setting, or is lost.
        """
        # Two sessions at a time would take the camera from each other. While it is away, the old one takes seconds.
        while self._leaving is not None and self._leaving.is_alive() and not self._closed.is_set():
            self._leaving.join(SLICE)
        if self._closed.is_set():
            return
        with self._told():
            session = _Session(self._name)

            def find(name: str) -> aravis.Setting:
                return aravis.Setting(str(self), session.device, name)

            try:
                features.apply(str(self), self._shutter.settings, find)
                self._check_format(session.device)
                session.start(self._buffers)
                with self._shutter.ready(find):
                    self.waiting = session.triggered
                    yield from self._read(session)
            finally:
                self.waiting = False
                self._leaving = session.close()

    def close(self) -> None:
        """End within a tenth of a second; where the camera does not answer, within three."""
        self._closed.set()

    def __str__(self) -> str:
        return f"camera {self._name!r}"

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The library's errors are ours: this camera failed."""
        try:
            yield
        except aravis.failure() as error:
            raise SourceError(f"{self} failed: {aravis.sentence(error)}") from error

    def _check_format(self, device: Any) -> None:
        problem = pixels.objection(
            device.get_string_feature_value("PixelFormat"),
            lambda: device.dup_available_enumeration_feature_values_as_strings("PixelFormat"),
        )
        if problem is not None:
            raise SourceError(f"{self} {problem}")

    def _read(self, session: _Session) -> Iterator[Shot]:
        ids, heard = FrameIds(), time.monotonic()
        while not self._closed.is_set():
            if not session.device.is_controller():
                session.lost = True
                raise SourceError(f"{self} does not answer, or obeys another program; it is taken for lost")
            taken = session.take()
            if taken is not None:
                heard = time.monotonic()
                number, shot = taken
                yield from ids.missing(number, shot.captured_ns)
                yield shot
            elif time.monotonic() - heard > self._timeout and not session.triggered:
                session.lost = True
                raise SourceError(f"{self} gave no frame for {self._timeout:g} s; it is taken for lost")


class _Session:
    """A camera that is open; closed, it leaves no thread and no socket. lost: whether it is not ours any more.

    Aravis also tells of that by a signal. Whoever connects to it lets the thread that beats hold the last reference,
    which then waits for itself: GLib ends the process.
    """

    def __init__(self, name: str) -> None:
        self.lost = False
        self.triggered = False
        self._camera = aravis.library().Camera.new(aravis.address(name))
        self._stream: Any = None
        self.device = self._camera.get_device()
        self.device.set_range_check_policy(aravis.library().RangeCheckPolicy.ENABLE)

    def start(self, buffers: int) -> None:
        """Let frames come, `buffers` at the most before one is taken."""
        self.triggered = self.device.get_feature("TriggerMode") is not None and (
            self.device.get_string_feature_value("TriggerMode") == "On"
        )
        # As root Aravis would take packets before the kernel sorts them (a packet socket). Of streams from a camera
        # that came back one in ten then stayed empty (0.8.26); of those through a socket of its own, which any user
        # may have, none in a hundred.
        self._camera.gv_set_stream_options(aravis.library().GvStreamOption.PACKET_SOCKET_DISABLED)
        self._stream = self._camera.create_stream(None, None)
        size = self._camera.get_payload()
        _make_room(self._stream.get_port(), max(buffers * size, LEAST_BUFFER))
        for _ in range(buffers):
            self._stream.push_buffer(aravis.library().Buffer.new_allocate(size))
        self._camera.start_acquisition()

    def take(self) -> tuple[int, Shot] | None:
        """The next frame's id and its picture, copied; None if there is none for a while. The buffer is given back."""
        buffer = self._stream.timeout_pop_buffer(round(SLICE * 1e6))
        if buffer is None:
            return None
        try:
            return buffer.get_frame_id(), _shot(buffer)
        finally:
            self._stream.push_buffer(buffer)

    def close(self) -> threading.Thread | None:
        """Stop the camera and let it go. One that is lost is let go by a thread: the library calls it for seconds."""
        if not self.lost:
            try:
                self._camera.stop_acquisition()
            except aravis.failure():
                self.lost = True
        held = [self._stream, self.device, self._camera]
        self._stream = self.device = self._camera = None
        if not self.lost:
            return None
        leaving = threading.Thread(target=held.clear, name="gige-leaving", daemon=True)
        leaving.start()
        return leaving


def _make_room(port: int, size: int) -> None:
    """Have the kernel hold `size` bytes of packets, as far as it may, for this process' UDP socket at `port`.

    Aravis can be told the size, but sets it when the first packet is there. By then the first frame of one stream in
    four had lost packets: it came at once, and was larger than the kernel's usual 208 KiB (320x240, RGB).
    """
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # most are no sockets, and some are closed meanwhile
            one = socket.socket(fileno=int(descriptor.name))
            try:
                if (one.family, one.type) == (socket.AF_INET, socket.SOCK_DGRAM) and one.getsockname()[1] == port:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, min(size, MOST_ROOM))
            finally:
                one.detach()  # it is not ours to close


def _shot(buffer: Any) -> Shot:
    captured_ns = buffer.get_system_timestamp() or None
    status = buffer.get_status()
    if status != aravis.library().BufferStatus.SUCCESS:
        why = f"a frame came incomplete ({status.value_nick})"
        return Shot(None, fault=why, captured_ns=captured_ns, cause=Cause.INCOMPLETE)
    size = (buffer.get_image_width(), buffer.get_image_height())
    data = np.frombuffer(buffer.get_data(), np.uint8)
    padding, _ = buffer.get_image_padding()
    image, fault = pixels.picture(buffer.get_image_pixel_format(), data, *size, padding)
    return Shot(image, fault=fault, captured_ns=captured_ns)


def from_url(url: Url) -> GigeCamera:
    """Raises ConfigError if it names no camera, or the library is not installed."""
    name = unquote(url.body.removeprefix("//"))
    if not url.body.startswith("//") or not name or "/" in name:
        url.refuse("write gige://NAME, the camera's IP address or serial number")
    timeout = url.number("timeout", 2.0, 0.1, 600)
    buffers = url.whole("buffers", 5, 1, 1000)
    wanted = features.from_url(url)
    try:
        aravis.library()
    except (ImportError, ValueError) as error:
        url.refuse(f"Aravis is not installed ({error}); apt-get install gir1.2-aravis-0.8, and {remedy('gige')}")
    return GigeCamera(name, wanted, timeout, buffers)
