"""A camera at this machine: `camera:/dev/video0?width=1280&height=720&fps=30&fourcc=MJPG`, or `camera:0`, by OpenCV.

Best by a name that stays when others are plugged in: /dev/v4l/by-id/..., or by-path for the socket that it is in.
Without an option the camera's own setting stays. A camera that does not take a setting is an error: a picture of
another size or rate than was asked for must not pass unnoticed.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2

from inspector.errors import SourceError
from inspector.sources.url import Url
from inspector.types import Shot

BACKEND = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
DEVICES = Path("/dev")
FAILED_READS = 3
"""So many in a row and the camera is lost; one alone may be a damaged frame."""
OLDEST = 60.0
"""Seconds. A stamp that would make a picture older, or younger than nothing, is of another clock than the kernel's."""


class Camera:
    """A live camera. device: its index, or its path, where a link is followed at every opening

    settings: OpenCV's property and the value that it must take
    """

    live = True

    def __init__(self, device: int | str, settings: dict[int, float]) -> None:
        self._device, self._settings = device, settings
        self._closed = threading.Event()

    def frames(self) -> Iterator[Shot]:
        """Open the camera and read; uint8 [height, width, 3], as old as the driver says.

        Raises SourceError if it is not there or stops.
        """
        device = self._device if isinstance(self._device, int) else str(Path(self._device).resolve())
        capture = cv2.VideoCapture(device, BACKEND)
        try:
            if not capture.isOpened():
                raise SourceError(f"{self} cannot be opened; {self._why_not()}")
            self._set(capture)
            yield from self._read(capture)
        finally:
            capture.release()

    def close(self) -> None:
        """End at the next frame, or when the driver gives up waiting for one."""
        self._closed.set()

    def __str__(self) -> str:
        return f"camera {self._device!r}"

    def _why_not(self) -> str:
        device = self._device
        path = DEVICES / f"video{device}" if isinstance(device, int) else Path(device)
        if path.exists():
            return "is it a camera, is it free, and may this user read it?"
        if not (there := _cameras()):
            return "no camera is plugged in"
        return f"it is not plugged in; there are {', '.join(there)}"

    def _set(self, capture: cv2.VideoCapture) -> None:
        for setting, value in self._settings.items():
            capture.set(setting, value)
        for setting, value in self._settings.items():
            found = capture.get(setting)
            # Rates are told as fractions; a picture of another size or code is another picture.
            tolerance = 0.01 * value if setting == cv2.CAP_PROP_FPS else 0.0
            if abs(found - value) > tolerance:
                name, wanted, got = NAMES[setting], _shown(setting, value), _shown(setting, found)
                raise SourceError(f"{self} was asked for {name}={wanted} and answers {got}; ask for what it can do")

    def _read(self, capture: cv2.VideoCapture) -> Iterator[Shot]:
        failed, latest = 0, 0.0
        while not self._closed.is_set():
            there, image = capture.read()
            # OpenCV can repeat the last frame of an unplugged camera as a success: its time stamp gives it away.
            stamp = capture.get(cv2.CAP_PROP_POS_MSEC)
            if there and (stamp <= 0 or stamp != latest):
                failed, latest = 0, stamp
                yield Shot(image, captured_ns=_captured_ns(stamp))
                continue
            failed += 1
            if failed == FAILED_READS:
                raise SourceError(f"{self} gave no new frame {failed} times in a row; it is taken for lost")


def _captured_ns(stamp: float) -> int | None:
    """The wall clock at the driver's `stamp`, milliseconds; None where it is not of CLOCK_MONOTONIC, as V4L2 wants it.

    Pictures wait in the driver's buffers while nobody reads.
    """
    age = time.monotonic() - stamp / 1e3
    return time.time_ns() - round(age * 1e9) if sys.platform == "linux" and 0 <= age < OLDEST else None


def _cameras() -> list[str]:
    """What may be written for the cameras that are plugged in: names that stay first, then whatever has none."""
    links = [link for kind in ("by-id", "by-path") for link in sorted(DEVICES.glob(f"v4l/{kind}/*"))]
    named: dict[Path, str] = {}
    for link in links:
        named.setdefault(link.resolve(), f"camera:{link}")
    others = {path: f"camera:{path}" for path in sorted(DEVICES.glob("video*")) if path not in named}
    return [*named.values(), *others.values()]


NAMES = {
    cv2.CAP_PROP_FOURCC: "fourcc",
    cv2.CAP_PROP_FRAME_WIDTH: "width",
    cv2.CAP_PROP_FRAME_HEIGHT: "height",
    cv2.CAP_PROP_FPS: "fps",
}
"""What each setting is called in the URL, in the order in which V4L2 wants them set."""


def _shown(setting: int, value: float) -> str:
    if setting != cv2.CAP_PROP_FOURCC:
        return f"{value:g}"
    return repr(int(value).to_bytes(4, "little").decode("latin-1")) if 0 < value < 2**32 else "none"


def from_url(url: Url) -> Camera:
    """Raises ConfigError if it names no device."""
    fourcc = url.word("fourcc", 4)
    wanted = {
        cv2.CAP_PROP_FOURCC: None if fourcc is None else int.from_bytes(fourcc.encode(), "little"),
        cv2.CAP_PROP_FRAME_WIDTH: url.whole("width", None, 1, 65_535),
        cv2.CAP_PROP_FRAME_HEIGHT: url.whole("height", None, 1, 65_535),
        cv2.CAP_PROP_FPS: url.number("fps", None, 0.01, 10_000),
    }
    url.finish()
    if not (url.body.isdecimal() or url.body.startswith("/")):
        url.refuse("it names no camera; write camera:0 (its index) or camera:/dev/video0 (its device)")
    device = int(url.body) if url.body.isdecimal() else str(url.path())
    return Camera(device, {setting: float(value) for setting, value in wanted.items() if value is not None})
