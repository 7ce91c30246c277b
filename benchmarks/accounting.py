"""What a process cost, by the operating system's own books."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import psutil  # type: ignore[import-untyped]


@dataclass(frozen=True, slots=True)
class Tally:
    """Frames that were done since some beginning, and how many of them were defective."""

    frames: int
    defective: int


@dataclass(frozen=True, slots=True)
class Load:
    """A window in which a process did `frames` frames.

    seconds: by the wall clock;  cpu_seconds: of all its threads, user and system;  peak_rss: bytes, since its start
    """

    frames: int
    defective: int
    seconds: float
    cpu_seconds: float
    peak_rss: int

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds a frame."""
        return 1e3 * self.cpu_seconds / self.frames

    @property
    def share(self) -> float:
        """Share of defective frames."""
        return self.defective / self.frames

    @property
    def rate(self) -> float:
        """Frames a second, by the wall clock."""
        return self.frames / self.seconds


def watch(pid: int, count: Callable[[], Tally], seconds: float) -> Load:
    """The load of process `pid` over `seconds` from now on."""
    before, cpu_before, start = count(), cpu_seconds(pid), monotonic()
    sleep(seconds)
    after, cpu_after, end = count(), cpu_seconds(pid), monotonic()
    frames, defective = after.frames - before.frames, after.defective - before.defective
    if frames <= 0:
        raise RuntimeError(f"process {pid} finished no frame in {seconds} s")
    return Load(frames, defective, end - start, cpu_after - cpu_before, peak_rss(pid))


def cpu_seconds(pid: int) -> float:
    """CPU seconds of the process so far, all threads, user and system."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def rss(pid: int) -> int:
    """Resident memory, bytes."""
    return int(psutil.Process(pid).memory_info().rss)


def peak_rss(pid: int) -> int:
    """The most resident memory that the process ever had, bytes (VmHWM of proc(5))."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    if found is None:
        raise RuntimeError(f"/proc/{pid}/status does not tell the peak of the memory; is this Linux?")
    return int(found[1]) * 1024
