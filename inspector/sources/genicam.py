"""A GenICam camera: `genicam://SERIAL?producer=/opt/vendor/lib/producer.cti&PixelFormat=Mono8&ExposureTime=5000`.

The body names the device by its serial number, its user-defined name or its id; empty: the only one there is. It needs
the extra `genicam` of this project (harvesters) and the camera vendor's GenTL producer, a .cti file.

producer   the producer's absolute path; without it, those in the folders of GENICAM_GENTL64_PATH
timeout    seconds without a frame after which the camera is lost (2); one that waits for a trigger may be silent
           for longer, and is lost when its producer does not find it any more
buffers    how many frames the producer may fill before one is taken (5)

Any other option is the camera's own setting by its own name, such as Width, Height, OffsetX, OffsetY, PixelFormat,
ExposureTime, Gain, TriggerMode, TriggerSource, set in this order and read back. Pixel formats: Mono, Bayer (8, 10, 12,
16 bits, also packed), RGB8, BGR8, RGBa8, BGRa8; of more than 8 bits the upper 8 are kept. One with TriggerMode=On and
TriggerSource=Software is fired by the daemon (shutter.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from inspector.errors import ConfigError, SourceError, reading
from inspector.extras import remedy
from inspector.sources import features, genapi, pixels, producers
from inspector.sources.frame_ids import FrameIds
from inspector.sources.shutter import Shutter
from inspector.sources.url import Url
from inspector.types import Cause, Shot

POLL = 0.003
"""Seconds between two looks for a frame. The library waits with Python's lock held, which would stop the daemon."""
GLANCE = 0.00005
"""Seconds of one look: less than that is none."""


class GenicamCamera:
    """A live camera. paths: the producers that may know it;  name: serial number, user-defined name or id.

    wanted: its settings;  timeout: seconds;  buffers: how many it may fill
    fire: as `Shutter` has it
    """

    live = True

    def __init__(
        self, paths: tuple[Path, ...], name: str, wanted: features.Wanted, timeout: float = 2.0, buffers: int = 5
    ) -> None:
        self._paths, self._name = paths, name
        self._shutter = Shutter(str(self), wanted)
        self.fire = self._shutter.fire
        self._timeout, self._buffers = timeout, buffers
        self._closed = threading.Event()
        self.waiting = False

    def frames(self) -> Iterator[Shot]:
        """Open the camera, set it and read; uint8 [height, width, 1 or 3].

        A buffer that came incomplete, and a frame that the camera counted and that never came, is a Shot without an
        image. Raises SourceError if the camera is not there, does not take a setting, or is lost.
        """
        if self._closed.is_set():
            return
        with self._told(), self._open() as (path, acquirer):
            nodes = acquirer.remote_device.node_map

            def find(name: str) -> genapi.Setting:
                return genapi.Setting(str(self), nodes, name)

            features.apply(str(self), self._shutter.settings, find)
            self._check_format(nodes)
            acquirer.start()
            with self._shutter.ready(find):
                self.waiting = _is_triggered(nodes)
                try:
                    yield from self._read(path, acquirer)
                finally:
                    self.waiting = False

    def close(self) -> None:
        """End at once."""
        self._closed.set()

    def __str__(self) -> str:
        return f"camera {self._name!r}" if self._name else "the camera"

    @contextmanager
    def _open(self) -> Iterator[tuple[Path, Any]]:
        problems = []
        with ExitStack() as stack:
            for path in self._paths:
                try:
                    acquirer = stack.enter_context(producers.lent(path, self._name, self._buffers))
                except SourceError as error:
                    problems.append(str(error))
                else:
                    yield path, acquirer
                    return
        raise SourceError("; ".join(problems))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A producer's errors are ours: this camera failed."""
        try:
            yield
        except producers.failures() as error:
            raise SourceError(f"{self} failed: {genapi.sentence(error)}") from error

    def _check_format(self, nodes: Any) -> None:
        if nodes.has_node("PixelFormat"):
            problem = pixels.objection(nodes.PixelFormat.value, lambda: nodes.PixelFormat.symbolics)
            if problem is not None:
                raise SourceError(f"{self} {problem}")

    def _read(self, path: Path, acquirer: Any) -> Iterator[Shot]:
        ids, incomplete = FrameIds(), _Incomplete(acquirer)
        heard = time.monotonic()
        while not self._closed.is_set():
            buffer = acquirer.try_fetch(timeout=GLANCE, is_raw=True)
            for _ in range(incomplete.taken()):
                heard = time.monotonic()
                ids.spoilt()
                fault = "a frame came incomplete: a part of it was lost on the way from the camera"
                yield Shot(None, fault=fault, cause=Cause.INCOMPLETE)
            if buffer is not None:
                heard = time.monotonic()
                number, shot = _taken(buffer, time.time_ns())
                yield from ids.missing(number, shot.captured_ns)
                yield shot
            elif time.monotonic() - heard > self._timeout:
                self._silent(path, acquirer)
                heard = time.monotonic()
            else:
                self._closed.wait(POLL)

    def _silent(self, path: Path, acquirer: Any) -> None:
        """Raise SourceError unless the camera waits for a trigger and is still there."""
        if not _is_triggered(acquirer.remote_device.node_map):
            raise SourceError(f"{self} gave no frame for {self._timeout:g} s; it is taken for lost")
        if not producers.is_there(path, acquirer.device.id_):
            raise SourceError(f"{self} is not found any more; it is taken for lost")


def _is_triggered(nodes: Any) -> bool:
    return bool(nodes.has_node("TriggerMode") and nodes.TriggerMode.value == "On")


class _Incomplete:
    """Counts the buffers that harvesters drops because they came incomplete; it tells of them by a callback alone."""

    def __init__(self, acquirer: Any) -> None:
        core = producers.harvesters()
        self._count = 0
        counter = self

        class Count(core.Callback):  # type: ignore[misc, name-defined]
            def emit(self, context: object = None) -> None:
                counter._count += 1

        acquirer.add_callback(acquirer.Events.INCOMPLETE_BUFFER, Count())

    def taken(self) -> int:
        """How many since this was last asked."""
        count, self._count = self._count, 0
        return count


def _taken(buffer: Any, at_ns: int) -> tuple[int, Shot]:
    """Its frame id and its picture, which is copied; the buffer goes back to the producer."""
    try:
        part = next(iter(buffer.parts), None) if buffer.payload_type == MULTI_PART else None
        code, offset, padding = (
            (buffer.pixel_format, _or_zero(buffer, "image_offset"), _or_zero(buffer, "padding_x"))
            if part is None
            else (part.data_format, part.data_offset, _or_zero(part, "x_padding"))
        )
        picture = buffer if part is None else part
        data = np.frombuffer(buffer.raw_buffer, np.uint8)[offset:]
        image, fault = pixels.picture(code, data, picture.width, picture.height, padding)
        return buffer.frame_id, Shot(image, fault=fault, captured_ns=at_ns)
    finally:
        buffer.parent.queue_buffer(buffer)


MULTI_PART = 10
"""The standard's payload type of buffers that hold several pictures; the first is taken."""


def _or_zero(holder: Any, key: str) -> int:
    """A figure that a producer need not know."""
    try:
        return int(getattr(holder, key))
    except producers.failures():
        return 0


def from_url(url: Url) -> GenicamCamera:
    """Raises ConfigError if it names no producer, or the library is not installed."""
    if not url.body.startswith("//") or "/" in url.body[2:]:
        url.refuse("write genicam://SERIAL, the camera's serial number or name")
    given = url.text("producer", "")
    timeout = url.number("timeout", 2.0, 0.1, 600)
    buffers = url.whole("buffers", 5, 1, 1000)
    wanted = features.from_url(url)
    try:
        producers.harvesters()
    except ImportError as error:
        url.refuse(f"harvesters is not installed ({error}); {remedy('genicam')}")
    with reading(Path(given), ConfigError, f"{url}: producer = "):
        if given and not (Path(given).is_absolute() and Path(given).is_file()):
            url.refuse(f"producer = {given!r} is no file; give the absolute path of the vendor's .cti file")
    paths = (Path(given),) if given else producers.installed()
    if not paths:
        url.refuse(f"no GenTL producer is known; give producer=/PATH/OF.cti, or set {producers.VARIABLE}")
    return GenicamCamera(paths, unquote(url.body.removeprefix("//")), wanted, timeout, buffers)
