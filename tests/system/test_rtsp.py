"""A network camera over a real RTSP server, which is stopped, killed and started again."""

from __future__ import annotations

import itertools
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inspector.errors import SourceError
from inspector.sources import open_source
from tests.waiting import free_port

REASON = "needs a real RTSP server: pip install 'aio-rtsp-toolkit[server]' av"
av = pytest.importorskip("av", reason=REASON)
pytest.importorskip("aio_rtsp_toolkit", reason=REASON)
pytestmark = pytest.mark.full

START = 30.0  # seconds that the server may take to listen


class Server:
    """rtsp-server on a free port of loopback, serving one clip again and again."""

    def __init__(self, media: Path) -> None:
        self.media, self.port, self.control = media, free_port(), free_port()
        self.url = f"rtsp://user:s3cret@127.0.0.1:{self.port}/cam.mp4?read_timeout=1"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("rtsp-server", path=str(Path(sys.executable).parent))
        assert program is not None, REASON
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--control-port", str(self.control)]
        self.process = subprocess.Popen(
            [program, "--dir", str(self.media), *where], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START
        while not listens(self.port):
            assert self.process.poll() is None, "rtsp-server ended"
            assert time.monotonic() < deadline, "rtsp-server does not listen"
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with av.open(str(tmp_path / "cam.mp4"), "w") as container:
        stream = container.add_stream("h264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 320, 240, "yuv420p", 10
        for number in range(250):
            picture = np.full((240, 320, 3), 50 + number % 100, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


def check_frames(url: str) -> None:
    shots = list(itertools.islice(open_source(url).frames(), 10))
    for shot in shots:
        assert shot.image is not None
        assert shot.image.shape == (240, 320, 3)
        assert 40 <= shot.image.mean() <= 160
    images = [shot.image for shot in shots if shot.image is not None]
    assert not any(np.shares_memory(one, other) for one, other in itertools.pairwise(images))


def test_killed_and_started_again(server: Server) -> None:
    source = open_source(server.url)
    frames = source.frames()
    assert next(frames).image is not None
    server.kill()
    with pytest.raises(SourceError, match="gave no frame for 1 s, or ended the stream") as lost:
        list(frames)
    with pytest.raises(SourceError, match="cannot be opened") as refused:
        list(source.frames())
    assert "s3cret" not in f"{lost.value} {refused.value}"
    server.start()
    assert next(source.frames()).image is not None


def test_stopped_and_continued(server: Server) -> None:
    source = open_source(server.url)
    frames = source.frames()
    assert next(frames).image is not None
    server.signal(signal.SIGSTOP)
    with pytest.raises(SourceError, match="gave no frame for 1 s"):
        list(frames)
    with pytest.raises(SourceError, match="cannot be opened"):
        list(source.frames())
    server.signal(signal.SIGCONT)
    assert next(source.frames()).image is not None


def test_the_transport_is_the_one_asked_for(server: Server) -> None:
    """This server speaks TCP alone."""
    check_frames(f"{server.url}&transport=tcp&name=kept")
    with pytest.raises(SourceError, match="check host, port, path, user, password and transport"):
        list(open_source(f"{server.url}&transport=udp").frames())
    check_frames(server.url)


def test_cameras_open_side_by_side(server: Server) -> None:
    failures: list[BaseException] = []

    def watch() -> None:
        try:
            check_frames(server.url)
        except BaseException as error:
            failures.append(error)

    watchers = [threading.Thread(target=watch) for _ in range(4)]
    for watcher in watchers:
        watcher.start()
    for watcher in watchers:
        watcher.join()
    assert failures == []


def test_close_ends_it(server: Server) -> None:
    source = open_source(server.url)
    frames = source.frames()
    next(frames)
    threading.Thread(target=source.close).start()
    assert sum(1 for _ in frames) < 250
