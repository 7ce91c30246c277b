"""How long after its deadline a frame without a result is told, while the workers have far more than they can do."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks import accounting, material, preloaded, scrape
from benchmarks.material import HEIGHT, WIDTH, Material
from benchmarks.overload import TIMES

DEADLINE = 0.1
"""Seconds; shorter than the queues are long, so that most frames end there."""
QUEUE = 64
"""Frames of a camera that may wait: so many that none is pushed out."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds past the deadline."""

    p50: float
    p99: float
    most: float


@dataclass(frozen=True, slots=True)
class Cut:
    """capacity: frames a second;  frames: that ended as `unknown: deadline`, of `verdicts` verdicts

    left: until the verdict was handed to the socket;  came: until a subscriber had it
    busy: share of this machine's CPU time that the daemon took, of all cores;  load: the machine's load average before
    """

    capacity: float
    verdicts: int
    frames: int
    left: Spread
    came: Spread
    busy: float
    load: float


def measure(given: Material) -> Cut:
    """Find the capacity on the same preloaded pictures, then overload."""
    load, size, window = os.getloadavg()[0], (WIDTH, HEIGHT), given.plan.window
    with preloaded.running(given.bundle, given.clips, size) as line:
        time.sleep(given.plan.warm_up)
        http = line.daemon.http
        capacity = accounting.watch(line.daemon.pid, lambda: scrape.account(http).tally, window / 2).rate
    rate = TIMES * capacity / len(given.clips)
    with preloaded.running(given.bundle, given.clips, size, rate=rate, deadline=DEADLINE, queue=QUEUE) as line:
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
