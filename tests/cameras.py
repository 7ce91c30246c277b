"""Machine vision cameras in tests: GenICam's own simulated producer, the same with faults, and Aravis' fake camera."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inspector.types import Image
from tests.waiting import PATIENCE, turn

SOURCE = Path(__file__).parent / "producer" / "faulty.c"
TRIGGER = SOURCE.with_name("trigger.xml")
FAKE = "arv-fake-gv-camera-0.8"
ADDRESS, LISTENS = "127.0.0.1", "0100007F:0F74"
"""Where it is: GigE Vision's own port, at the address of an interface; and how /proc/net/udp writes that."""


def viky() -> Path:
    """The producer that ships in the package `genicam`: three cameras, whose serial numbers are 0, 1 and 2."""
    return Path(needed("genicam").__file__).parent / "viky.cti"


def needed(module: str):
    """That module; without it the test is skipped, but never in CI, which has all."""
    if os.environ.get("CI"):
        return __import__(module)
    return pytest.importorskip(module, reason=f"needs {module}: `make test-all` installs it")


def needed_program(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        assert not os.environ.get("CI"), f"{name} is missing in CI: tests/debian-packages.sh installs {package}"
        pytest.skip(f"needs {name}: apt-get install {package}")
    return path


class Faulty:
    """Viky behind tests/producer/faulty.c, which makes the faults that are wanted, and triggers it.

    Each has memory of its own.
    """

    def __init__(self, folder: Path) -> None:
        compiler, real = needed_program("cc", "gcc libc6-dev"), viky()
        self._control, self._line, self._scene = folder / "control", folder / "line", folder / "scene"
        self.path = folder / "faulty.cti"
        files = {"CONTROL": self._control, "LINE": self._line, "SCENE": self._scene, "TRIGGER": TRIGGER}
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-Wall", "-Werror", *(f'-D{name}="{path}"' for name, path in files.items()),
             "-o", self.path, "-Wl,--no-as-needed", SOURCE, real, "-ldl", f"-Wl,-rpath,{real.parent}"], check=True
        )  # fmt: skip

    def be(self, fault: str) -> None:
        """What it does from now on: one of the faults in faulty.c."""
        new = self._control.with_suffix(".new")
        new.write_text(fault)
        new.replace(self._control)

    def unplug(self) -> None:
        self.be("unplugged")

    def plug(self) -> None:
        self.be("well")

    def fire(self, grey: int) -> None:
        """A pulse at its Line1, at which it sees nothing but `grey`; of 0 it counts a frame that never arrives."""
        with self._line.open("ab") as line:
            line.write(bytes([grey]))

    def lie_there(self, grey: int) -> None:
        """What is seen from now on when software fires it; of 0 it counts a frame that never arrives."""
        new = self._scene.with_suffix(".new")
        new.write_bytes(bytes([grey]))
        new.replace(self._scene)


class FakeCamera:
    """Aravis' fake GigE Vision camera on the wire: packets of the real protocol, on loopback."""

    def __init__(self, *options: str) -> None:
        self._program = needed_program(FAKE, "aravis-tools")
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it listens for commands, which it does at a fixed port."""
        self._process = subprocess.Popen([self._program, "-i", ADDRESS, "-s", "GV01", *self._options])
        deadline = time.monotonic() + PATIENCE
        while LISTENS not in Path("/proc/net/udp").read_text():
            assert self._process.poll() is None, "the fake camera ended"
            assert time.monotonic() < deadline, "the fake camera does not listen"
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def fake_camera(*options: str) -> Iterator[FakeCamera]:
    """One that runs; there can be only one a machine."""
    needed("gi")
    camera = FakeCamera(*options)
    with turn("fake-camera"):
        camera.start()
        try:
            yield camera
        finally:
            camera.kill()


def number_of(image: Image) -> int:
    """Which frame the fake camera's grey picture is: its first pixel counts."""
    return int(image[0, 0, 0])
