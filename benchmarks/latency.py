"""Latency from capture to receipt at 70 % of what the daemon can carry, from live cameras: they wait for nobody."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks import preloaded
from benchmarks.limit import Limit
from benchmarks.material import CAMERAS, HEIGHT, WIDTH, Material
from inspector.settings import Workers

LOAD = 0.7


@dataclass(frozen=True, slots=True)
class Latency:
    """capacity, rate: frames a second, at full load and as measured here;  p50, p99, most, bound: seconds

    unknown: frames that were not judged, which count in `most` alone
    """

    capacity: float
    rate: float
    p50: float
    p99: float
    most: float
    bound: float
    unknown: int


def measure(given: Material, limit: Limit) -> Latency:
    """Find the capacity, then look at `LOAD` of it; from the bare parts comes what to compare with."""
    capacity = preloaded.capacity(given)
    rate = LOAD * capacity / CAMERAS
    with preloaded.running(given.bundle, given.clips, (WIDTH, HEIGHT), rate=rate) as line:
        time.sleep(given.plan.warm_up)
        before = line.daemon.receiver.ask(forget=True)
        time.sleep(2 * given.plan.window)
        after = line.daemon.receiver.ask()
    rate = (after["verdicts"] - before["verdicts"]) / (after["at"] - before["at"])
    bound = 2 * limit.slowest + Workers().max_wait
    return Latency(capacity, rate, after["p50"], after["p99"], after["max"], bound, after["unknown"])
