"""The OpenCV camera against a driver of the test's own, for what a real one does seldom; tests/guest has a real one."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from inspector.errors import SourceError
from inspector.sources import camera, open_source


class Driver:
    """Stands for cv2.VideoCapture. script: for each read its success and time stamp;  fixed: settings it ignores."""

    def __init__(
        self, script: Iterable[tuple[bool, float]], fixed: dict[int, float] | None = None, there: bool = True
    ) -> None:
        self.script, self.fixed, self.there = iter(script), fixed or {}, there
        self.values: dict[int, float] = {}
        self.opened: list[Any] = []
        self.released = 0

    def __call__(self, *opened: Any) -> Driver:
        self.opened.append(opened)
        return self

    def isOpened(self) -> bool:  # noqa: N802 - as in cv2
        return self.there

    def set(self, key: int, value: float) -> bool:
        self.values[key] = self.fixed.get(key, value)
        return True

    def get(self, key: int) -> float:
        return self.values.get(key, 0.0)

    def read(self) -> tuple[bool, Any]:
        success, self.values[cv2.CAP_PROP_POS_MSEC] = next(self.script)
        return success, np.zeros((2, 2, 3), np.uint8) if success else None

    def release(self) -> None:
        self.released += 1


def attach(monkeypatch: pytest.MonkeyPatch, driver: Driver) -> Driver:
    monkeypatch.setattr(camera.cv2, "VideoCapture", driver)
    return driver


def test_it_reads_on_over_a_damaged_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = attach(monkeypatch, Driver((number not in (2, 3), 40.0 * number) for number in itertools.count(1)))
    source = open_source("camera:2")
    assert len(list(itertools.islice(source.frames(), 5))) == 5
    assert driver.opened == [(2, camera.BACKEND)]
    assert driver.released == 1


def test_it_sets_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = attach(monkeypatch, Driver((True, 40.0 * number) for number in itertools.count(1)))
    next(open_source("camera:/dev/video7?width=1280&height=720&fps=29.97&fourcc=MJPG").frames())
    assert driver.opened == [("/dev/video7", camera.BACKEND)]
    assert driver.values[cv2.CAP_PROP_FRAME_WIDTH] == 1280
    assert driver.values[cv2.CAP_PROP_FRAME_HEIGHT] == 720
    assert driver.values[cv2.CAP_PROP_FPS] == 29.97
    assert driver.values[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")


@pytest.mark.parametrize(
    ("option", "setting", "found", "answer"),
    [
        ("width=1280", cv2.CAP_PROP_FRAME_WIDTH, 640, "asked for width=1280 and answers 640"),
        ("height=1080", cv2.CAP_PROP_FRAME_HEIGHT, 1088, "asked for height=1080 and answers 1088"),
        ("fps=30", cv2.CAP_PROP_FPS, 15, "asked for fps=30 and answers 15"),
        ("fourcc=MJPG", cv2.CAP_PROP_FOURCC, 1448695129, "asked for fourcc='MJPG' and answers 'YUYV'"),
        ("fourcc=RGB3", cv2.CAP_PROP_FOURCC, 861030210, "asked for fourcc='RGB3' and answers 'BGR3'"),
        ("fourcc=MJPG", cv2.CAP_PROP_FOURCC, -1, "asked for fourcc='MJPG' and answers none"),
    ],
)
def test_a_setting_that_is_not_taken_is_an_error(
    monkeypatch: pytest.MonkeyPatch, option: str, setting: int, found: float, answer: str
) -> None:
    driver = attach(monkeypatch, Driver([], fixed={setting: found}))
    with pytest.raises(SourceError, match=answer):
        next(open_source(f"camera:0?{option}").frames())
    assert driver.released == 1


@pytest.mark.parametrize("end", [[(False, 0.0)] * 3, [(True, 80.0)] * 3, [(False, 0.0), (True, 80.0), (False, 0.0)]])
def test_failed_or_repeated_frames_end_it(monkeypatch: pytest.MonkeyPatch, end: list[tuple[bool, float]]) -> None:
    attach(monkeypatch, Driver([(True, 40.0), (True, 80.0), *end]))
    frames = open_source("camera:0").frames()
    assert len(list(itertools.islice(frames, 2))) == 2
    with pytest.raises(SourceError, match="camera 0 gave no new frame 3 times"):
        next(frames)


@pytest.mark.parametrize(("ago", "known"), [(0.3, True), (-1e9, False), (3600.0, False)])
def test_a_picture_is_as_old_as_its_driver_says_by_our_clock(
    monkeypatch: pytest.MonkeyPatch, ago: float, known: bool
) -> None:
    begin, stamp = time.time_ns(), 1e3 * (time.monotonic() - ago)
    attach(monkeypatch, Driver([(True, stamp)]))
    shot = next(open_source("camera:0").frames())
    assert (shot.captured_ns is not None) == known
    if shot.captured_ns is not None:
        assert begin - 0.301e9 < shot.captured_ns <= time.time_ns() - 0.299e9


def test_a_driver_without_time_stamps_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    attach(monkeypatch, Driver(itertools.repeat((True, 0.0))))
    assert len(list(itertools.islice(open_source("camera:0").frames(), 9))) == 9


def test_close_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = attach(monkeypatch, Driver((True, 40.0 * number) for number in itertools.count(1)))
    source = open_source("camera:0")
    frames = source.frames()
    next(frames)
    source.close()
    assert list(frames) == []
    assert driver.released == 1


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for /dev: two cameras, the first with names that stay, as udev makes them."""
    monkeypatch.setattr(camera, "DEVICES", tmp_path)
    for kind, name in (("by-id", "usb-Acme_C1_42-video-index0"), ("by-path", "pci-0000:00:14.0-usb-0:1:1.0")):
        folder = tmp_path / "v4l" / kind
        folder.mkdir(parents=True)
        (folder / name).symlink_to("../../video0")
    for name in ("video0", "video2"):
        (tmp_path / name).touch()
    return tmp_path


def test_a_link_is_followed_at_every_opening(monkeypatch: pytest.MonkeyPatch, devices: Path) -> None:
    """Unplugged and plugged in again, the same camera may be another device."""
    link = devices / "v4l/by-id/usb-Acme_C1_42-video-index0"
    driver = attach(monkeypatch, Driver((True, 40.0 * number) for number in itertools.count(1)))
    source = open_source(f"camera:{link}")
    next(source.frames())
    link.unlink()
    link.symlink_to("../../video2")
    next(source.frames())
    assert driver.opened == [(str(devices / "video0"), camera.BACKEND), (str(devices / "video2"), camera.BACKEND)]


@pytest.mark.parametrize("device", ["7", "/dev/v4l/by-id/usb-Acme_C1_43-video-index0"])
def test_one_that_is_not_plugged_in_is_told_with_those_that_are(
    monkeypatch: pytest.MonkeyPatch, devices: Path, device: str
) -> None:
    driver = attach(monkeypatch, Driver([], there=False))
    with pytest.raises(SourceError) as caught:
        next(open_source(f"camera:{device}").frames())
    there = f"camera:{devices}/v4l/by-id/usb-Acme_C1_42-video-index0, camera:{devices}/video2"
    assert str(caught.value).endswith(f"cannot be opened; it is not plugged in; there are {there}")
    assert driver.released == 1


def test_one_that_is_there_and_does_not_open_is_told_so(monkeypatch: pytest.MonkeyPatch, devices: Path) -> None:
    attach(monkeypatch, Driver([], there=False))
    with pytest.raises(SourceError, match="camera 2 cannot be opened; is it a camera, is it free, and may this user"):
        next(open_source("camera:2").frames())


def test_where_there_is_none_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(camera, "DEVICES", tmp_path)
    attach(monkeypatch, Driver([], there=False))
    with pytest.raises(SourceError, match="camera 0 cannot be opened; no camera is plugged in"):
        next(open_source("camera:0").frames())
