"""A machine with a real systemd as PID 1: this one's files in a container, whatever it writes goes with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import pytest

from tests.waiting import until

PATIENCE = 300
"""Seconds that a command may take on a busy machine."""
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}


class Machine:
    """Booted once entered; the network is loopback alone.

    binds: folders of ours, and where they are seen there, to be read only
    environment: of each command, beyond the usual
    """

    def __init__(self, binds: Mapping[Path, str], environment: Mapping[str, str]) -> None:
        if os.geteuid() != 0 or shutil.which("systemd-nspawn") is None:
            pytest.skip("only root boots a container, with Debian's systemd-container")
        self._binds = binds
        self._environment = ENVIRONMENT | dict(environment)
        self._root = Path(tempfile.mkdtemp(prefix="machine-"))

    def __enter__(self) -> Machine:
        done = subprocess.run(["mount", "--bind", "/", self._root], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self._root.rmdir()
            pytest.skip(f"nothing may be mounted here: {done.stderr.strip()}")
        try:
            self._boot()
        except BaseException:
            self._nspawn.kill()
            self._put_away()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.kill(self._leader, signal.SIGRTMIN + 4)  # systemd's word for: power off
        try:
            self._nspawn.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
        self._put_away()

    def run(self, *command: object, check: bool = True, cwd: str = "/") -> subprocess.CompletedProcess[str]:
        """Run a command there as root, to its end; with `check` it must succeed."""
        inside = ["env", "-i", "-C", cwd, *(f"{key}={value}" for key, value in self._environment.items())]
        done = subprocess.run(
            ["nsenter", "-t", str(self._leader), "-a", *inside, *map(str, command)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, (
            f"{command}: {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        )
        return done

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file there, whose folder is made if it is missing."""
        script = 'mkdir -p "$(dirname "$1")" && printf %s "$2" >"$1" && chmod "$3" "$1"'
        self.run("sh", "-c", script, "write", path, text, f"{mode:o}")

    def _boot(self) -> None:
        self._nspawn = subprocess.Popen(
            [
                "systemd-nspawn", "--quiet", f"--directory={self._root}", "--volatile=overlay", "--boot",
                "--register=no", "--keep-unit", "--console=pipe", "--private-network",
                *(f"--bind-ro={here}:{there}" for here, there in self._binds.items()),
                "--", "systemd.unit=basic.target",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until(self._is_up, "the machine boots")

    def _is_up(self) -> bool:
        assert self._nspawn.poll() is None, "systemd-nspawn ended"
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        if not children:
            return False
        self._leader = int(children[0])
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded")

    def _put_away(self) -> None:
        self._nspawn.wait(timeout=60)
        subprocess.run(["umount", "--lazy", self._root], check=True)
        self._root.rmdir()


class Service:
    """A unit there."""

    def __init__(self, machine: Machine, unit: str) -> None:
        self.machine, self.unit = machine, unit

    def __getattr__(self, key: str) -> str:
        """One of systemd's properties of the unit, such as `ActiveState`."""
        return self.machine.run("systemctl", "show", self.unit, "--value", f"--property={key}").stdout.strip()

    def control(self, verb: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`systemctl VERB` the unit."""
        return self.machine.run("systemctl", verb, self.unit, check=check)

    def kill(self, name: str) -> None:
        """Send its main process a signal."""
        self.machine.run("systemctl", "kill", "--kill-whom=main", f"--signal={name}", self.unit)

    def log(self) -> str:
        """Its journal since the machine booted, and systemd's words on it."""
        return self.machine.run("journalctl", "--unit", self.unit, "--output=cat", "--quiet").stdout

    def get(self, path: str) -> str:
        """What it serves over HTTP."""
        return self.machine.run("curl", "--silent", "--show-error", "--fail", f"http://127.0.0.1:9600{path}").stdout
