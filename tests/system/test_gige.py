"""GigE Vision cameras on the wire: Aravis' fake camera, in a process of its own, that loses packets and is killed."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from inspector.errors import SourceError
from inspector.sources import open_source, shutter_of, waits
from inspector.testing.sources import ENOUGH, Reading
from inspector.types import Shot
from tests import cameras
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.full, pytest.mark.alone]

URL = f"gige://{cameras.ADDRESS}?Width=320&Height=240&AcquisitionFrameRate=100&TriggerMode=Off"
LOST = "a frame was lost on the way from the camera"


@pytest.fixture
def camera() -> Iterator[cameras.FakeCamera]:
    with cameras.fake_camera() as running:
        yield running


def shots(url: str, number: int = 3) -> list[Shot]:
    frames = open_source(url).frames()
    found = list(itertools.islice(frames, number))
    frames.close()  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize(
    ("options", "channels"),
    [("Mono8", 1), ("Mono16", 1), ("RGB8", 3), ("BayerRG8", 3), ("BayerGB8", 3), ("BayerGR8", 3), ("BayerBG8", 3)],
)
def test_format_and_region_are_the_ones_asked_for(camera: cameras.FakeCamera, options: str, channels: int) -> None:
    region = "Width=160&Height=120&OffsetX=16&OffsetY=8&TriggerMode=On&TriggerSource=Software"
    source = open_source(f"gige://{cameras.ADDRESS}?{region}&PixelFormat={options}")
    reading, fire = Reading(source), shutter_of(source)
    assert fire is not None
    until(lambda: waits(source))
    for number in (1, 2, 3):  # one by one, so that none waits where there is no room for it
        fire()
        reading.wait_for(number, PATIENCE)
    source.close()
    reading.wait_for_end(PATIENCE)
    for shot in reading.shots:
        assert shot.image is not None
        assert shot.image.shape == (120, 160, channels)
        assert np.ptp(shot.image) > 100, "a ramp"


def test_the_socket_has_room_for_frames_before_the_first_one_comes(camera: cameras.FakeCamera) -> None:
    """As far as the kernel lets it, which counts its own burden too, and doubles what is asked for."""
    source = open_source(f"{URL.replace('=Off', '=On')}&TriggerSource=Software&buffers=40")
    reading = Reading(source)
    until(lambda: waits(source))
    allowed = int(Path("/proc/sys/net/core/rmem_max").read_text())
    assert max(receive_buffers()) == 2 * min(40 * 320 * 240, allowed)
    source.close()
    reading.wait_for_end(PATIENCE)


def receive_buffers() -> Iterator[int]:
    """Bytes that each of this process' UDP sockets may hold."""
    for connection in psutil.Process().net_connections("udp"):
        with suppress(OSError), socket.socket(fileno=os.dup(connection.fd)) as one:  # some other one may just be closed
            yield one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def test_frames_are_stamped_when_they_came(camera: cameras.FakeCamera) -> None:
    before = time.time_ns()
    frames = open_source(URL).frames()
    for _ in range(3):
        shot = next(frames)
        assert shot.captured_ns is not None
        assert before <= shot.captured_ns <= time.time_ns()
    time.sleep(0.5)  # what waits in the buffers meanwhile is as old as it is
    stamp = next(frames).captured_ns
    assert stamp is not None
    assert time.time_ns() - stamp > 300e6
    frames.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("Width=50000", "camera '127.0.0.1' does not take Width=50000; it takes 1 to 2048 in steps of 1 ("),
        ("Width=wide", "camera '127.0.0.1' does not take Width=wide; it takes 1 to 2048 in steps of 1 ("),
        ("PixelFormat=Mono12", "does not take PixelFormat=Mono12; it takes BayerBG8 or BayerGB8 or "),
        ("ExposureTimeAbs=1e12", "does not take ExposureTimeAbs=1e12; it takes 10 to 1e+07 ("),
        ("AcquisitionControl=3", "does not take AcquisitionControl=3; it takes "),
        ("Exposure=3", "camera '127.0.0.1' has no setting 'Exposure'"),
    ],
)
def test_what_a_camera_does_not_take_is_a_sentence(camera: cameras.FakeCamera, option: str, expected: str) -> None:
    with pytest.raises(SourceError) as caught:
        shots(f"{URL}&{option}")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_camera_is_found_by_its_serial_number(camera: cameras.FakeCamera) -> None:
    assert len(shots(URL.replace(cameras.ADDRESS, "GV01"))) == 3
    with pytest.raises(SourceError, match=r"no camera 'GV77' answers on this .*: 'GV01' at 127.0.0.1"):
        shots(URL.replace(cameras.ADDRESS, "GV77"))


def test_lost_packets_cost_the_frame_its_picture_and_no_other_frame() -> None:
    with cameras.fake_camera("-r", "5"):
        found = shots(f"{URL}&PixelFormat=Mono8", 60)
    spoilt = [shot.fault for shot in found if shot.image is None]
    whole = [cameras.number_of(shot.image) for shot in found if shot.image is not None]
    assert 0 < len(spoilt) < 60
    incomplete = [fault for fault in spoilt if fault is not None and fault.startswith("a frame came incomplete (")]
    assert incomplete
    assert set(spoilt) - set(incomplete) <= {LOST}  # of which the packet that begins it was lost
    assert (whole[-1] - whole[0]) % 255 >= len(whole) - 1
    for shot in found:
        if shot.image is not None:  # its ramp is whole: no pixel of it is missing
            row = shot.image[0, :, 0].astype(int)
            assert set(np.diff(row) % 255) == {1}


def test_frames_that_nobody_took_in_time_are_told(camera: cameras.FakeCamera) -> None:
    frames = open_source(f"{URL}&buffers=3").frames()
    next(frames)
    time.sleep(0.5)  # frames pass meanwhile: this is the fault itself
    found = list(itertools.islice(frames, 60))
    frames.close()  # type: ignore[attr-defined]
    lost = [shot.fault for shot in found if shot.image is None]
    assert len(lost) > 5
    assert set(lost) == {LOST}


def test_a_camera_that_waits_for_its_trigger_may_be_silent(camera: cameras.FakeCamera) -> None:
    source = open_source(f"{URL.replace('=Off', '=On')}&TriggerSource=Software&timeout=0.2")
    reading = Reading(source)
    time.sleep(1.0)  # five times as long as the time-out
    assert reading.error is None
    assert reading.shots == []
    until(lambda: waits(source))
    camera.kill()
    until(lambda: reading.error is not None, "lost by its heartbeat")
    assert not waits(source)
    assert str(reading.error) == "camera '127.0.0.1' does not answer, or obeys another program; it is taken for lost"


def test_it_is_fired_by_its_own_command_while_it_is_open(camera: cameras.FakeCamera) -> None:
    source = open_source(f"{URL.replace('=Off', '=On')}&TriggerSource=Software&timeout=0.2")
    fire = shutter_of(source)
    assert fire is not None
    with pytest.raises(SourceError, match=r"camera '127.0.0.1' is not open"):
        fire()
    reading = Reading(source)
    until(lambda: waits(source))
    for number in (1, 2, 3):
        fire()
        reading.wait_for(number, PATIENCE)
    time.sleep(0.5)  # a frame that nobody asked for would come
    assert [shot.image is not None for shot in reading.shots] == [True, True, True], "one frame a trigger"
    camera.kill()
    with pytest.raises(SourceError, match=r"camera '127.0.0.1' (does not take TriggerSoftware \(.*\)|is not open)"):
        fire()
    source.close()
    reading.wait_for_end(PATIENCE)


def test_what_others_fire_is_not_fired_by_us(camera: cameras.FakeCamera) -> None:
    assert shutter_of(open_source(URL)) is None
    assert shutter_of(open_source(f"{URL.replace('=Off', '=On')}&TriggerSource=Line1")) is None


def test_a_camera_that_was_started_again_meanwhile_is_opened_again(camera: cameras.FakeCamera) -> None:
    source = open_source(URL)
    reading = Reading(source)
    reading.wait_for(ENOUGH, PATIENCE)
    camera.kill()
    camera.start()
    reading.wait_for_end(PATIENCE)
    assert isinstance(reading.error, SourceError)
    assert next(source.frames()).image is not None
