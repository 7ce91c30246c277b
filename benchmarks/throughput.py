"""Full load: the limit, the daemon and the afternoon script in turn, round by round.

Machines drift, by heat and by neighbours, so that only figures of one round are compared; every second round goes
backwards, so that a drift does not favour whoever comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from statistics import median

from benchmarks import daemon, rival
from benchmarks.accounting import Load
from benchmarks.limit import Limit, Limits
from benchmarks.material import CAMERAS, Material

FEW, MANY = 1, 16
SCRIPT = "script"
KEPT = f"{CAMERAS} cameras, journal"


@dataclass(frozen=True, slots=True)
class Round:
    """The limit, and the loads by name: `label(cameras)` for the daemon, `KEPT` for one with a journal, `SCRIPT`."""

    limit: Limit
    loads: dict[str, Load]

    def reached(self, name: str) -> float:
        """How much of the limit a load reaches, in CPU time, for the share of defective frames that it had."""
        load = self.loads[name]
        return self.limit.cpu_ms(load.share) / load.cpu_ms

    def overhead_ms(self, name: str) -> float:
        """CPU milliseconds a frame beyond the limit."""
        load = self.loads[name]
        return load.cpu_ms - self.limit.cpu_ms(load.share)


@dataclass(frozen=True, slots=True)
class Throughput:
    """All rounds."""

    rounds: tuple[Round, ...]

    def median(self, figure: Callable[[Round], float]) -> float:
        """The median of a figure over the rounds."""
        return median(map(figure, self.rounds))


def label(cameras: int) -> str:
    """What a load of the daemon is called."""
    return f"{cameras} cameras" if cameras > 1 else "1 camera"


def measure(given: Material, wanted: Collection[str]) -> Throughput:
    """The limit, and of `daemon` and `rival` what is wanted."""
    runs: dict[str, Callable[[], Load]] = {}
    if "daemon" in wanted:
        runs[label(CAMERAS)] = partial(daemon.measure, given, CAMERAS)
        runs[KEPT] = partial(daemon.measure, given, CAMERAS, journal=True)
    if "rival" in wanted:
        runs[SCRIPT] = partial(rival.measure, given)
    if "daemon" in wanted:
        runs |= {label(cameras): partial(daemon.measure, given, cameras) for cameras in (MANY, FEW)}
    with Limits(given) as limits:
        return Throughput(tuple(_round(given, limits, runs, index % 2 == 1) for index in range(given.plan.rounds)))


def _round(given: Material, limits: Limits, runs: dict[str, Callable[[], Load]], backwards: bool) -> Round:
    if backwards:
        loads = {name: runs[name]() for name in reversed(runs)}
        return Round(limits.measure(given.plan.window), loads)
    limit = limits.measure(given.plan.window)
    return Round(limit, {name: run() for name, run in runs.items()})
