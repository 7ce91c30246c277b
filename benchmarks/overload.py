"""Three times what the daemon can carry, from live cameras: every frame accounted for, memory flat, latency bounded."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import fmean

from benchmarks import accounting, preloaded
from benchmarks.material import HEIGHT, WIDTH, Material
from benchmarks.scrape import Account
from inspector.settings import Camera

TIMES = 3
SAMPLES = 60


@dataclass(frozen=True, slots=True)
class Overload:
    """capacity: frames a second;  seconds: how long;  most, deadline: seconds, of verdicts by capture to receipt

    rss: resident bytes, samples over the time;  received, distinct: verdicts and different frames at the subscriber
    """

    capacity: float
    seconds: float
    account: Account
    received: int
    distinct: int
    missing: int
    most: float
    deadline: float
    rss: tuple[int, ...]

    @property
    def growth(self) -> float:
        """Resident memory in the last quarter of the time over that in the first."""
        quarter = max(len(self.rss) // 4, 1)
        return fmean(self.rss[-quarter:]) / fmean(self.rss[:quarter])

    @property
    def complete(self) -> bool:
        """Whether every captured frame has one verdict, and each arrived once."""
        arrived = self.received == self.distinct == self.account.captured
        return arrived and self.account.balances and not self.missing


def measure(given: Material) -> Overload:
    """Find the capacity on the same preloaded pictures, then overload."""
    size = (WIDTH, HEIGHT)
    capacity = preloaded.capacity(given)
    seconds, rate = given.plan.overload, TIMES * capacity / len(given.clips)
    with preloaded.running(given.bundle, given.clips, size, rate=rate) as line:
        time.sleep(given.plan.warm_up)
        rss = tuple(_watch_memory(line.daemon.pid, seconds))
        account, received = line.stop()
    arrived, distinct, missing = (int(received[key]) for key in ("verdicts", "distinct", "missing"))
    deadline = Camera.model_fields["deadline"].default
    return Overload(capacity, seconds, account, arrived, distinct, missing, received["max"], deadline, rss)


def _watch_memory(pid: int, seconds: float) -> list[int]:
    samples = []
    for _ in range(SAMPLES):
        time.sleep(seconds / SAMPLES)
        samples.append(accounting.rss(pid))
    return samples
