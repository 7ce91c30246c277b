"""What the operating system says of this machine, read from a folder that tests may hand in instead of `/`."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNSYNCHRONISED = 5
"""TIME_ERROR of adjtimex(2)."""


@dataclass(frozen=True, slots=True)
class Timex:
    """The kernel's account of its clock. synchronised: whether somebody keeps it right;  error: seconds, at the most"""

    synchronised: bool
    error: float


@dataclass(frozen=True, slots=True)
class Room:
    """Of a file system. place: the folder that was asked;  free, total: bytes;  writable: for this user"""

    place: Path
    free: int
    total: int
    writable: bool


class Machine:
    """Linux, as `root` shows it; what cannot be read is None."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def text(self, path: str) -> str | None:
        """A file's text."""
        try:
            return (self._root / path).read_text(errors="replace")
        except OSError:
            return None  # another system, or a sandbox: the check says that it could not look

    def cpu(self) -> str:
        """The model of the CPU."""
        return next(self._values("proc/cpuinfo", "model name"), platform.machine())

    def allowed(self) -> int:
        """Cores that this process may be scheduled on, by its affinity."""
        return len(os.sched_getaffinity(0))

    def quota(self) -> float | None:
        """Cores' worth of time that control groups leave it; None: no limit."""
        limits = []
        for folder in self._groups("cpu"):
            quota, _, period = (self.text(f"{folder}/cpu.max") or "").partition(" ")
            if not quota:  # the first version of control groups
                quota = (self.text(f"{folder}/cpu.cfs_quota_us") or "").strip()
                period = self.text(f"{folder}/cpu.cfs_period_us") or ""
            if quota.isdecimal() and period.strip().isdecimal():
                limits.append(int(quota) / int(period))
        return min(limits, default=None)

    def load(self) -> float | None:
        """Threads that wanted a core in the last minute, on average."""
        text = self.text("proc/loadavg")
        return None if text is None else float(text.split()[0])

    def memory(self) -> tuple[int, int] | None:
        """Bytes in all, and that a new process could have; control groups taken into account."""
        total, free = (next(self._values("proc/meminfo", key), "") for key in ("MemTotal", "MemAvailable"))
        if not total or not free:
            return None
        found = (1024 * int(total.split()[0]), 1024 * int(free.split()[0]))
        for folder in self._groups("memory"):
            limit = self.text(f"{folder}/memory.max") or self.text(f"{folder}/memory.limit_in_bytes") or ""
            used = self.text(f"{folder}/memory.current") or self.text(f"{folder}/memory.usage_in_bytes") or ""
            if limit.strip().isdecimal() and used.strip().isdecimal():
                found = (min(found[0], int(limit)), min(found[1], max(int(limit) - int(used), 0)))
        return found

    def number(self, path: str) -> int | None:
        """A number that is all of a file, such as one of /proc/sys."""
        text = (self.text(path) or "").strip()
        return int(text) if text.isdecimal() else None

    def descriptors(self) -> int:
        """Files and sockets that a process may have open."""
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    def clock(self) -> Timex | None:
        """How the kernel's clock is kept."""
        if platform.system() != "Linux" or ctypes.sizeof(ctypes.c_long) != 8:
            return None
        timex = ctypes.create_string_buffer(256)  # struct timex has 208 bytes; modes = 0 only reads
        state = ctypes.CDLL(None).adjtimex(timex)
        error = int.from_bytes(timex.raw[24:32], "little", signed=True) / 1e6
        return None if state < 0 else Timex(state != UNSYNCHRONISED, error)

    def room(self, path: Path) -> Room:
        """Where a file at `path` would lie: the nearest folder that is there."""
        place = next(one for one in path.absolute().parents if one.is_dir())
        usage = shutil.disk_usage(place)
        return Room(place, usage.free, usage.total, os.access(place, os.W_OK))

    def holder(self, path: str) -> str | None:
        """Who has the file at `path` open, as far as this user may see."""
        return None if (pid := self._opener(path)) is None else self.name(pid)

    def listener(self, port: int) -> int | None:
        """The process that listens on a TCP port, as far as this user may see."""
        for table in ("tcp", "tcp6"):
            for row in (self.text(f"proc/net/{table}") or "").splitlines()[1:]:
                cells = row.split()
                if cells[3] == "0A" and int(cells[1].rpartition(":")[2], 16) == port:
                    return self._opener(f"socket:[{cells[9]}]")
        return None

    def binder(self, path: str) -> int | None:
        """The process that bound a Unix socket at `path`, as far as this user may see."""
        for row in (self.text("proc/net/unix") or "").splitlines()[1:]:
            cells = row.split(maxsplit=7)
            if cells[7:] == [path] and (pid := self._opener(f"socket:[{cells[6]}]")) is not None:
                return pid
        return None

    def name(self, pid: int) -> str:
        """What people call a process."""
        return f"{(self.text(f'proc/{pid}/comm') or '?').strip()} (pid {pid})"

    def arguments(self, pid: int) -> list[str]:
        """The command line of a process."""
        return (self.text(f"proc/{pid}/cmdline") or "").rstrip("\0").split("\0")

    def folder(self, pid: int) -> Path:
        """Where a process works; `/` where this user may not see that."""
        try:
            return (self._root / f"proc/{pid}/cwd").readlink()
        except OSError:
            return Path("/")

    def _opener(self, path: str) -> int | None:
        """The process that has the file or `socket:[INODE]` at `path` open."""
        for link in self._root.glob("proc/[0-9]*/fd/*"):
            try:
                target = str(link.readlink())
            except OSError:
                continue  # it ended, or belongs to another user
            if target == path and (pid := int(link.parts[-3])) != os.getpid():
                return pid
        return None

    def cpu_seconds(self, pid: int | None) -> float:
        """CPU time of another process' threads so far; 0 where there is none."""
        tasks = self._root.glob(f"proc/{pid}/task/*/schedstat")
        texts = (self.text(str(task.relative_to(self._root))) for task in tasks)
        return sum(int(text.split()[0]) for text in texts if text) / 1e9

    def busy(self) -> float | None:
        """CPU seconds of all that ran on this machine so far, and that its host took."""
        fields = (self.text("proc/stat") or "").partition("\n")[0].split()
        ticks = [int(field) for field in fields[1:9]]
        if len(ticks) < 8:
            return None
        user, nice, system, _idle, _waiting, *others = ticks
        return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")

    def unit(self, name: str, *keys: str) -> dict[str, str]:
        """Properties of a systemd unit that is loaded; empty where there is no such unit, or no systemd."""
        if shutil.which("systemctl") is None:
            return {}
        command = ["systemctl", "show", name, *(f"--property={key}" for key in ("LoadState", *keys))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        return found if found.pop("LoadState", "") == "loaded" else {}

    def _values(self, path: str, key: str) -> Iterator[str]:
        for line in (self.text(path) or "").splitlines():
            name, colon, value = line.partition(":")
            if colon and name.strip() == key:
                yield value.strip()

    def _groups(self, controller: str) -> Iterator[str]:
        """The folders of this process' control groups, its own first, then those around it."""
        for line in (self.text("proc/self/cgroup") or "").splitlines():
            _, names, path = line.split(":", 2)
            if names and controller not in names.split(","):
                continue
            top = Path("sys/fs/cgroup") / (controller if names else "")
            own = top / path.lstrip("/")
            for folder in (own, *own.parents):
                if folder.is_relative_to(top):
                    yield str(folder)
