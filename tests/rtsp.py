"""A real RTSP server in a process of its own, and the clip that it plays as if it were a camera."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from inspector.types import Image
from tests.waiting import free_port, until

REASON = "needs a real RTSP server: pip install 'aio-rtsp-toolkit[server]' av"

START = 120.0  # seconds that the server may take to listen


class Server:
    """rtsp-server on a free port of loopback, serving one clip again and again.

    camera: its URL, without options;  url: with as much patience as a busy machine needs; where a server is to be found
        silent that is there, give `camera` less
    """

    def __init__(self, media: Path, host: str = "127.0.0.1", before: Sequence[str] = ()) -> None:
        self.media, self.host, self.port, self.control = media, host, free_port(), free_port()
        self.camera = f"rtsp://user:s3cret@{host}:{self.port}/cam.mp4"
        self.url = f"{self.camera}?open_timeout=60&read_timeout=60"
        self._before = before
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("rtsp-server", path=str(Path(sys.executable).parent))
        assert program is not None, REASON
        where = ["--host", self.host, "--port", str(self.port), "--control-port", str(self.control)]
        self.process = subprocess.Popen(
            [*self._before, program, "--dir", str(self.media), *where],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START
        while not listens(self.host, self.port):
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


SYSTEM = "/usr/bin/python3"
UDP_REASON = "needs GStreamer's RTSP server: Debian's gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-base and -good"


class UdpServer:
    """A live camera that sends over UDP (udp_camera.py)."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"rtsp://127.0.0.1:{self.port}/cam?transport=udp&open_timeout=10&read_timeout=10"
        self.process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def is_there() -> bool:
        asks = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst; Gst.init(None)"
        asks += "; assert Gst.ElementFactory.find('rtpvp8pay') and Gst.ElementFactory.find('videotestsrc')"
        try:
            return not subprocess.run([SYSTEM, "-c", asks], capture_output=True).returncode
        except FileNotFoundError:
            return False

    def start(self) -> None:
        program = [SYSTEM, str(Path(__file__).with_name("udp_camera.py")), str(self.port)]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        self.process = subprocess.Popen(program, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: listens("127.0.0.1", self.port))

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


FPS, FRAMES, CYCLE = 25, 500, 100
"""Of the clip; after so many frames a brightness comes again."""


def record(path: Path) -> None:
    """A clip of even pictures, each brighter than the one before it, coded without reordering as cameras do."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=FPS, options={"tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 320, 240, "yuv420p", 10
        for number in range(FRAMES):
            picture = np.full((240, 320, 3), 50 + number % CYCLE, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())


def number_of(image: Image) -> int:
    """Which frame of a cycle a picture is, give or take one."""
    return round(float(image.mean())) - 46
