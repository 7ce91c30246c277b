"""Latency from capture to receipt at 70 % of what the daemon can carry."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks import daemon
from benchmarks.limit import Limit
from benchmarks.material import CAMERAS, Material
from inspector.settings import Workers

LOAD = 0.7


@dataclass(frozen=True, slots=True)
class Latency:
    """capacity, rate: frames a second, at full load and as measured here;  p50, p99, most, bound: seconds"""

    capacity: float
    rate: float
    p50: float
    p99: float
    most: float
    bound: float


def measure(given: Material, limit: Limit) -> Latency:
    """Find the capacity, then look at `LOAD` of it; from the bare parts comes what to compare with."""
    capacity = daemon.measure(given, CAMERAS).rate
    with daemon.running(given, CAMERAS, f"{LOAD * capacity / CAMERAS:.3f}") as line:
        time.sleep(given.plan.warm_up)
        before = line.receiver.ask(forget=True)
        time.sleep(2 * given.plan.window)
        after = line.receiver.ask()
    rate = (after["verdicts"] - before["verdicts"]) / (after["at"] - before["at"])
    bound = 2 * limit.slowest + Workers().max_wait
    return Latency(capacity, rate, after["p50"], after["p99"], after["max"], bound)
