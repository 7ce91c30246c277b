"""One contract for every kind of source, each with a real counterpart: the tests that other packages run on theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.sources import SCHEMES, open_source
from inspector.testing.sources import Counterpart, Ending, SourceContract, Unplugged
from tests import cameras
from tests.rtsp import REASON, UDP_REASON, Server, UdpServer, record
from tests.waiting import PATIENCE

COUNT = 12


def brightness(image: np.ndarray) -> int:
    """Which of the pictures made here it is: each is brighter than the one before it."""
    return round(float(image.mean())) // 20


def pictures() -> Iterator[np.ndarray]:
    for number in range(COUNT):
        yield np.full((48, 64, 3), 20 * number, np.uint8)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), 25, (64, 48))
    for image in pictures():
        writer.write(image)
    writer.release()
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "pictures"
    path.mkdir()
    for number, image in enumerate(pictures()):
        cv2.imwrite(str(path / f"{number:03}.png"), image)
    return path


class TestSimulation(Ending, SourceContract):
    bound = PATIENCE

    @pytest.fixture
    def counterpart(self) -> Counterpart:
        return Counterpart(f"sim://line?width=128&height=96&rate=200&frames={COUNT}", COUNT)


class TestFile(Ending, SourceContract):
    bound = PATIENCE

    @pytest.fixture
    def counterpart(self, clip: Path) -> Counterpart:
        return Counterpart(f"file:{clip}?rate=max", COUNT, brightness)


class TestFolder(Ending, SourceContract):
    bound = PATIENCE

    @pytest.fixture
    def counterpart(self, folder: Path) -> Counterpart:
        return Counterpart(f"folder:{folder}", COUNT, brightness)


class TestFolderAgainAndAgain(Unplugged, SourceContract):
    """A share on the network that goes away, as one would do it: under another name it is not there."""

    bound = PATIENCE

    @pytest.fixture
    def counterpart(self, folder: Path) -> Counterpart:
        away = folder.with_name("away")
        return Counterpart(
            f"folder:{folder}?loop=1&rate=200",
            number=brightness,
            cycle=COUNT,
            unplug=lambda: void(folder.rename(away)),
            plug=lambda: void(away.rename(folder)),
        )


@pytest.mark.full
class TestNetworkCamera(Unplugged, SourceContract):
    bound = PATIENCE

    @pytest.fixture
    def counterpart(self, tmp_path: Path) -> Iterator[Counterpart]:
        for module in ("av", "aio_rtsp_toolkit"):
            pytest.importorskip(module, reason=REASON)
        record(tmp_path / "cam.mp4")
        server = Server(tmp_path)
        server.start()
        yield Counterpart(server.url, unplug=server.kill, plug=server.start, secret="s3cret")
        server.kill()


@pytest.mark.full
class TestNetworkCameraOverUdp(Unplugged, SourceContract):
    bound = PATIENCE

    @pytest.fixture
    def counterpart(self) -> Iterator[Counterpart]:
        if not UdpServer.is_there():
            pytest.skip(UDP_REASON)
        server = UdpServer()
        server.start()
        yield Counterpart(server.url, unplug=server.kill, plug=server.start)
        server.kill()

    def test_the_log_warns_of_lost_packets(self, counterpart: Counterpart, caplog: pytest.LogCaptureFixture) -> None:
        with closing(open_source(counterpart.url)) as source:
            next(source.frames())
        assert "over UDP" in caplog.text


@pytest.mark.full
class TestGenicamProducer(SourceContract):
    """GenICam's own simulated producer, as its package ships it."""

    bound = PATIENCE

    @pytest.fixture
    def counterpart(self) -> Counterpart:
        return Counterpart(f"genicam://1?producer={cameras.viky()}&PixelFormat=Mono8&AcquisitionFrameRate=100")


@pytest.mark.full
class TestGenicamProducerThatLosesItsCamera(Unplugged, SourceContract):
    bound = PATIENCE

    @pytest.fixture
    def counterpart(self, tmp_path: Path) -> Counterpart:
        faulty = cameras.Faulty(tmp_path)
        url = f"genicam://1?producer={faulty.path}&AcquisitionFrameRate=100&timeout=1"
        return Counterpart(url, unplug=faulty.unplug, plug=faulty.plug)


@pytest.mark.full
@pytest.mark.alone
class TestGigeCamera(Unplugged, SourceContract):
    bound = PATIENCE

    @pytest.fixture
    def counterpart(self) -> Iterator[Counterpart]:
        with cameras.fake_camera() as camera:
            url = f"gige://{cameras.ADDRESS}?Width=320&Height=240&AcquisitionFrameRate=100"
            yield Counterpart(url, number=cameras.number_of, cycle=255, unplug=camera.kill, plug=camera.start)


UNDER_CONTRACT = {"sim", "file", "folder", "rtsp", "genicam", "gige"}
ELSEWHERE = {"camera", "rtsps"}
"""No such counterpart runs on a machine without a kernel module for it, or without a certificate."""


def test_every_scheme_is_under_contract() -> None:
    assert set(SCHEMES) == UNDER_CONTRACT | ELSEWHERE


def void(_: object) -> None:
    return None
