"""GenICam cameras through a real GenTL producer: the simulated one of the package genicam, also with faults."""

from __future__ import annotations

import itertools
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inspector.errors import ConfigError, SourceError
from inspector.sources import features, genapi, open_source, producers, waits
from inspector.testing.sources import ENOUGH, Reading
from inspector.types import Shot
from tests import cameras
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.full, pytest.mark.alone]

SMALL = "PixelFormat=Mono8&Width=320&Height=200&AcquisitionFrameRate=100"


@pytest.fixture(scope="module")
def viky() -> Path:
    cameras.needed("harvesters.core")
    return cameras.viky()


@pytest.fixture
def faulty(tmp_path: Path, viky: Path) -> cameras.Faulty:
    return cameras.Faulty(tmp_path)


def shots(url: str, number: int = 3) -> list[Shot]:
    frames = open_source(url).frames()
    found = list(itertools.islice(frames, number))
    frames.close()  # type: ignore[attr-defined]
    return found


def failure(url: str) -> str:
    with pytest.raises(SourceError) as caught:
        shots(url)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "shape"),
    [(SMALL, (200, 320, 1)), ("PixelFormat=RGBa8&Width=100&Height=150", (150, 100, 3))],
)
def test_format_and_region_are_the_ones_asked_for(viky: Path, options: str, shape: tuple[int, ...]) -> None:
    for shot in shots(f"genicam://1?producer={viky}&{options}"):
        assert shot.image is not None
        assert shot.image.shape == shape
        assert 200 < shot.image.mean() < 255, "a ball on white"


@pytest.mark.parametrize("name", ["2", "VikyTL_DEV_blue"])
def test_a_device_is_found_by_its_serial_number_or_id(viky: Path, name: str) -> None:
    assert len(shots(f"genicam://{name}?producer={viky}&{SMALL}")) == 3


def test_the_standards_variable_names_the_producers(viky: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(producers.VARIABLE, f"/no/such/folder:{viky.parent}")
    assert len(shots(f"genicam://0?{SMALL}")) == 3
    monkeypatch.delenv(producers.VARIABLE)
    with pytest.raises(ConfigError, match=r"no GenTL producer is known; give producer=/PATH/OF\.cti, or set GENICAM_"):
        open_source("genicam://0")


@pytest.mark.parametrize(
    ("device", "options", "expected"),
    [
        ("1", "Width=5000", "camera '1' does not take Width=5000; it takes 100 to 800 in steps of 1 ("),
        ("1", "Width=wide", "camera '1' does not take Width=wide; it takes 100 to 800 in steps of 1 ("),
        ("1", "PixelFormat=Mono12", "camera '1' does not take PixelFormat=Mono12; it takes RGBa8 or Mono8 ("),
        ("1", "AcquisitionFrameRate=500", "does not take AcquisitionFrameRate=500; it takes 1 to 200 ("),
        ("1", "PayloadSize=5", "does not take PayloadSize=5; it takes nothing now ("),
        ("1", "ImageFormatControl=5", "does not take ImageFormatControl=5; it takes nothing now ("),
        ("1", "Exposure=5", "camera '1' has no setting 'Exposure'"),
        ("77", "", "device '77' is not found by GenTL producer viky.cti, which finds '0', '1', '2'"),
        ("", "", "device '' is more than one device by GenTL producer viky.cti, which finds '0', '1', '2'"),
    ],
)
def test_what_a_camera_does_not_take_is_a_sentence(viky: Path, device: str, options: str, expected: str) -> None:
    assert expected in failure(f"genicam://{device}?producer={viky}&{options}")


def test_commands_and_truths_are_settings_too(viky: Path) -> None:
    assert len(shots(f"genicam://1?producer={viky}&{SMALL}&ChunkEnable=false&DeviceRegistersStreamingEnd=1")) == 3


def test_a_file_that_is_no_producer_is_a_sentence(viky: Path, tmp_path: Path) -> None:
    (tmp_path / "text.cti").write_text("no library")
    assert re.search(
        r"GenTL producer '.*text\.cti' cannot be loaded: ", failure(f"genicam://1?producer={tmp_path}/text.cti")
    )
    with pytest.raises(ConfigError, match=r"is no file; give the absolute path of the vendor's \.cti file"):
        open_source("genicam://1?producer=viky.cti")


def test_incomplete_buffers_have_no_picture(faulty: cameras.Faulty) -> None:
    faulty.be("incomplete")
    found = shots(f"genicam://1?producer={faulty.path}&{SMALL}&buffers=40", 30)
    spoilt = [shot for shot in found if shot.image is None]
    assert len(spoilt) == 10, "every third, and none twice: neither is it missing in the camera's count"
    assert {shot.fault for shot in spoilt} == {
        "a frame came incomplete: a part of it was lost on the way from the camera"
    }


def test_a_frame_that_the_camera_counted_and_that_never_came_has_no_picture(faulty: cameras.Faulty) -> None:
    faulty.be("skip")
    found = shots(f"genicam://1?producer={faulty.path}&{SMALL}&buffers=40", 31)
    assert [shot.image is None for shot in found] == [False, *(3 * [*(9 * [True]), False])]
    assert found[1].fault == "a frame was lost on the way from the camera"


def test_frames_that_nobody_took_in_time_are_told(viky: Path) -> None:
    """The producer has a few buffers; what it cannot put anywhere is lost, and its frame ids say so."""
    frames = open_source(f"genicam://1?producer={viky}&{SMALL}&buffers=3").frames()
    next(frames)
    time.sleep(0.5)  # frames pass meanwhile: this is the fault itself
    found = list(itertools.islice(frames, 30))
    frames.close()  # type: ignore[attr-defined]
    assert sum(shot.image is None for shot in found) > 5


@pytest.fixture
def streaming(viky: Path) -> Iterator[Reading]:
    source = open_source(f"genicam://0?producer={viky}&{SMALL}")
    reading = Reading(source)
    reading.wait_for(ENOUGH, PATIENCE)
    yield reading
    source.close()
    reading.wait_for_end(PATIENCE)
    assert reading.error is None


def test_cameras_of_one_producer_come_and_go_by_themselves(viky: Path, streaming: Reading) -> None:
    for _ in range(3):
        assert len(shots(f"genicam://2?producer={viky}&{SMALL}")) == 3
        assert "is not found by" in failure(f"genicam://7?producer={viky}&{SMALL}")
    streaming.wait_for(len(streaming.shots) + ENOUGH, PATIENCE)


def test_a_camera_cannot_be_opened_twice(viky: Path, streaming: Reading) -> None:
    assert "camera '0' failed: " in failure(f"genicam://0?producer={viky}&{SMALL}")
    streaming.wait_for(len(streaming.shots) + ENOUGH, PATIENCE)


TRIGGERED = f"{SMALL}&TriggerSelector=FrameStart&TriggerMode=On&timeout=0.2"


def grey(shot: Shot) -> float:
    assert shot.image is not None
    assert shot.image.min() == shot.image.max()
    return float(shot.image[0, 0, 0])


def test_a_camera_that_waits_for_its_trigger_is_looked_for(faulty: cameras.Faulty) -> None:
    """It is silent for longer than `timeout` before it is unplugged, and is lost only then."""
    source = open_source(f"genicam://1?producer={faulty.path}&{TRIGGERED}&TriggerSource=Line1")
    reading = Reading(source)
    until(lambda: waits(source))
    faulty.fire(10)
    reading.wait_for(1, PATIENCE)
    time.sleep(1.0)  # no part comes: this is the case itself
    faulty.fire(20)
    reading.wait_for(2, PATIENCE)
    assert [grey(shot) for shot in reading.shots] == [10, 20], "one frame a trigger"
    faulty.unplug()
    reading.wait_for_end(PATIENCE)
    assert "camera '1' is not found any more; it is taken for lost" in str(reading.error)
    assert not waits(source)


def test_the_trigger_is_the_source_that_was_asked_for(faulty: cameras.Faulty) -> None:
    """The camera's own command fires it, as a program beside this one would."""
    with producers.lent(faulty.path, "1", 5) as acquirer:
        nodes = acquirer.remote_device.node_map
        wanted = (("TriggerSelector", "FrameStart"), ("TriggerMode", "On"), ("TriggerSource", "Software"))
        features.apply("it", wanted, lambda name: genapi.Setting("it", nodes, name))
        acquirer.start()
        faulty.fire(10)
        assert acquirer.try_fetch(timeout=0.2, is_raw=True) is None
        genapi.Setting("it", nodes, "TriggerSoftware").write("1")
        buffer = acquirer.try_fetch(timeout=PATIENCE, is_raw=True)
        assert buffer.frame_id == 1
        buffer.parent.queue_buffer(buffer)
        assert acquirer.try_fetch(timeout=0.2, is_raw=True) is None


@pytest.mark.parametrize("settings", ["TriggerMode=Off", "TriggerSelector=AcquisitionStart&TriggerMode=On"])
def test_a_camera_whose_frames_are_not_triggered_runs_free(faulty: cameras.Faulty, settings: str) -> None:
    assert len(shots(f"genicam://1?producer={faulty.path}&{SMALL}&TriggerSelector=FrameStart&{settings}")) == 3


def test_the_interrupt_stays_the_programs_own(viky: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    shots(f"genicam://1?producer={viky}&{SMALL}")
    assert signal.getsignal(signal.SIGINT) is before


def test_nothing_is_left_in_the_temporary_folder(viky: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shots(f"genicam://1?producer={viky}&{SMALL}")
    assert list(tmp_path.iterdir()) == []


def test_others_work_while_a_camera_is_silent(viky: Path) -> None:
    """The library waits with Python's lock held; a source that let it wait would stop every thread meanwhile."""
    source = open_source(f"genicam://1?producer={viky}&{SMALL}&AcquisitionFrameRate=1&timeout=10")
    reading = Reading(source)
    reading.wait_for(1, PATIENCE)
    worked = 0

    def enough() -> bool:
        nonlocal worked
        np.ones(10).sum()
        worked += 1
        return len(reading.shots) >= 3

    until(enough)
    source.close()
    reading.wait_for_end(PATIENCE)
    assert worked > 10, "in more than a second, with pauses of 0.02 s"
