"""A camera of this machine's own, by V4L2: vivid, a driver of Linux that makes a virtual one, which can be pulled.

It runs where vivid is loaded and whoever runs it may unbind it: in the virtual machine of tests/faults/test_v4l2.py.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.errors import SourceError
from inspector.sources import open_source
from inspector.testing.sources import Counterpart, SourceContract, Unplugged
from tests.daemon import configure
from tests.faults.test_machine_vision import comes_back

DRIVER, NAME = Path("/sys/bus/platform/drivers/vivid"), "vivid.0"


class Webcam:
    """The virtual camera. link: a name of it that stays, as udev gives cameras in /dev/v4l/by-path"""

    def __init__(self, link: Path) -> None:
        self.link = link
        self._name()

    def unplug(self) -> None:
        (DRIVER / "unbind").write_text(NAME)

    def plug(self) -> None:
        (DRIVER / "bind").write_text(NAME)
        self._name()

    def _name(self) -> None:
        (device,) = (DRIVER / NAME / "video4linux").iterdir()
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(Path("/dev", device.name))


@pytest.fixture
def webcam(tmp_path: Path) -> Iterator[Webcam]:
    webcam = Webcam(tmp_path / "vivid")
    yield webcam
    if not (DRIVER / NAME).exists():
        webcam.plug()


class TestCamera(Unplugged, SourceContract):
    bound = 120.0  # an emulated processor is slow

    @pytest.fixture
    def counterpart(self, webcam: Webcam) -> Counterpart:
        return Counterpart(f"camera:{webcam.link}", unplug=webcam.unplug, plug=webcam.plug)


def test_it_takes_what_it_is_asked_for_and_says_what_it_cannot(webcam: Webcam) -> None:
    source = open_source(f"camera:{webcam.link}?width=1280&height=720&fourcc=YUYV")
    (shot,) = itertools.islice(source.frames(), 1)
    assert shot.image is not None
    assert shot.image.shape == (720, 1280, 3)
    for option, answer in (("width=1000", "width=1000 and answers"), ("fps=1000", "fps=1000 and answers")):
        with pytest.raises(SourceError, match=answer):
            next(iter(open_source(f"camera:{webcam.link}?{option}").frames()))


def test_a_picture_that_waited_in_the_driver_is_as_old_as_it_is(webcam: Webcam) -> None:
    frames = open_source(f"camera:{webcam.link}").frames()
    next(frames)
    time.sleep(1.0)  # for pictures to wait
    shot = next(frames)
    assert shot.captured_ns is not None
    assert shot.captured_ns < time.time_ns() - 0.5e9


def test_one_that_is_away_is_told_with_those_that_are_there(webcam: Webcam) -> None:
    with pytest.raises(SourceError, match=r"it is not plugged in; there are camera:/dev/video0"):
        next(iter(open_source("camera:/dev/video7").frames()))


def test_pulled_and_put_back_again_and_again(webcam: Webcam, tmp_path: Path, bright: Path) -> None:
    config = configure(tmp_path / "c.toml", bright, f"camera:{webcam.link}", camera="deadline = 30.0")
    comes_back(config, webcam.unplug, webcam.plug)
