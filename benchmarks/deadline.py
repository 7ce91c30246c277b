"""How long after its deadline a frame without a result is told, while the workers have far more than they can do."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import accounting, material, preloaded
from benchmarks.material import HEIGHT, WIDTH, Material
from benchmarks.overload import TIMES

DEADLINE = 0.1
"""Seconds; shorter than the queues are long, so that most frames end there."""
LATE: Mapping[str, Any] = {"deadline": DEADLINE, "queue": 64}
"""Of each camera: so many frames may wait that none is pushed out."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds past the deadline."""

    p50: float
    p99: float
    most: float


@dataclass(frozen=True, slots=True)
class Cut:
    """capacity: frames a second;  frames: that ended as `unknown: deadline`, of `verdicts` verdicts

    left: until the verdict was written, before the journal keeps it;  came: until a subscriber had it
    busy: share of this machine's CPU time that the daemon took, of all cores;  load: the machine's load average before
    """

    capacity: float
    verdicts: int
    frames: int
    left: Spread
    came: Spread
    busy: float
    load: float


@dataclass(frozen=True, slots=True)
class Cuts:
    """plain: nothing is kept;  kept: each verdict is on disk before it leaves"""

    plain: Cut
    kept: Cut


def measure(given: Material) -> Cuts:
    """Without a journal and with one."""
    return Cuts(_measure(given, None), _measure(given, Path(tempfile.mkdtemp(dir=given.folder)) / "journal"))


def _measure(given: Material, journal: Path | None) -> Cut:
    """Find the capacity on the same preloaded pictures, then overload."""
    load, size, window = os.getloadavg()[0], (WIDTH, HEIGHT), given.plan.window
    capacity = preloaded.capacity(given)
    rate = TIMES * capacity / len(given.clips)
    with preloaded.running(given.bundle, given.clips, size, rate=rate, journal=journal, **LATE) as line:
        time.sleep(given.plan.warm_up + DEADLINE)
        before, cpu = line.daemon.receiver.ask(forget=True), accounting.cpu_seconds(line.daemon.pid)
        time.sleep(2 * window)
        after, cpu = line.daemon.receiver.ask(), accounting.cpu_seconds(line.daemon.pid) - cpu
    seconds = after["at"] - before["at"]
    late = np.array(after["cut"]).reshape(-1, 2) - DEADLINE
    left, came = _spread(late[:, 0]), _spread(late[:, 1])
    verdicts = after["verdicts"] - before["verdicts"]
    return Cut(capacity, verdicts, len(late), left, came, cpu / seconds / material.cores(), load)


def _spread(seconds: NDArray[np.float64]) -> Spread:
    if not len(seconds):
        raise RuntimeError("no frame missed its deadline: the line was not overloaded")
    return Spread(*(float(value) for value in np.percentile(seconds, (50, 99, 100))))
