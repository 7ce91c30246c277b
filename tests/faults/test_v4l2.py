"""A camera of this machine's own, by V4L2, in a virtual machine: no container can load the driver that makes one.

The machine is emulated, so that it runs where there is no KVM; it reads this machine's files, and runs
tests/guest/v4l2.py with this very Python.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.test_losses import LONG

pytestmark = [pytest.mark.full, pytest.mark.timeout(0)]

HERE = Path(__file__).parents[2]
GUEST = Path(sys.prefix, "guest")
QEMU = shutil.which("qemu-system-x86_64")
HANGS = 900 + 60 * LONG
"""Seconds after which it is said to hang; it takes one or two minutes, and some seconds more for each round."""
VARIABLES = {
    "HOME": "/dev/shm", "TMPDIR": "/dev/shm", "HYPOTHESIS_STORAGE_DIRECTORY": "/dev/shm/hypothesis",
    "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "INSPECTOR_FAULTS": str(LONG),
}  # fmt: skip
"""All else is read-only there."""


@pytest.mark.skipif(QEMU is None, reason="needs qemu-system-x86_64 (tests/debian-packages.sh)")
@pytest.mark.skipif(not (GUEST / "initrd").exists(), reason="the virtual machine is not made: tests/guest/build.sh")
@pytest.mark.skipif(os.geteuid() != 0, reason="to lend the virtual machine all files needs root")
def test_a_camera_that_is_set_read_pulled_and_put_back(tmp_path: Path) -> None:
    tests = [sys.executable, "-m", "pytest", "-v", "-s", "-p", "no:cacheprovider", "--timeout", "0"]
    words = shlex.join([*(f"{name}={value}" for name, value in VARIABLES.items()), *tests, "tests/guest/v4l2.py"])
    (tmp_path / "command").write_text(f"cd {shlex.quote(str(HERE))} && env {words}\n")
    command: list[object] = [
        QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", 2, "-m", "2G", "-nodefaults", "-no-reboot",
        "-display", "none", "-serial", "stdio", "-kernel", GUEST / "vmlinuz", "-initrd", GUEST / "initrd",
        "-append", "console=ttyS0 panic=-1", *_lend("files", Path("/"), ",readonly=on,multidevs=remap"),
        *_lend("shared", tmp_path, ""),
    ]  # fmt: skip
    done = subprocess.run(
        list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=HANGS, check=False
    )
    output = tmp_path / "output"
    print(output.read_text(errors="replace") if output.exists() else done.stdout + done.stderr)
    assert (tmp_path / "status").read_text().strip() == "0"


def _lend(tag: str, folder: Path, options: str) -> list[str]:
    """A folder of this machine, for the other to mount by its tag."""
    return [
        "-fsdev", f"local,id={tag},path={folder},security_model=none{options}",
        "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}",
    ]  # fmt: skip
