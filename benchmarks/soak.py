"""A soak: hours in minutes, for what only shows in the long run. `make soak MINUTES=20`.

Four cameras that break off every second or so and are opened again, subscribers that come and go, one that stays and
must miss nothing, and a journal that is trimmed all the time. Memory, files and threads are looked at throughout.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]
from numpy.typing import NDArray
from scipy import stats

from benchmarks import accounting, ending, material, preloaded, report, scrape
from benchmarks.__main__ import BUNDLE
from benchmarks.material import HEIGHT, QUICK, WIDTH
from inspector.client import Subscriber

RATE = 10.0
"""Frames a second of each camera: about half of what two cores can do."""
BREAKS = 0.7
"""Seconds after which a camera breaks off; the first pause before it is opened again is half a second."""
WARM_UP = 0.2
"""Share of the time that does not count: caches and pools grow to their size. In its first half more frames come than
two cores can judge: queues are full for once, and memory that is taken later was not for a peak of work."""
PERIOD = 2.0
"""Seconds between two looks."""
JOURNAL_GB = 0.02
PARTS = 16
"""Of the time that counts, whose levels are compared: at least a minute each in a soak of 20."""
LEAST = 3 * PARTS * PERIOD / (1 - WARM_UP) / 60
"""Minutes: the level of a part is the median of its looks, and there is none of fewer than three."""
RESOLUTION = 50.0
"""KiB a minute that the interval may reach to. Where it reaches further, nothing was shown."""
KIB = 1024


@dataclass(frozen=True, slots=True)
class Look:
    """The daemon at one moment. at: seconds;  memory: bytes"""

    at: float
    memory: int
    files: int
    threads: int


def main() -> int:
    """Soak, and say what was found; 1 where something grew or got lost."""
    ending.by_signals()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=_minutes, default=20.0, help=f"of the soak, at least {LEAST:g} (20)")
    minutes = parser.parse_args().minutes
    print(report.machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="inspector-soak-") as folder:
        given = material.prepare(QUICK, Path(folder), BUNDLE)
        journal = Path(folder) / "journal.sqlite"
        with preloaded.running(
            given.bundle,
            given.clips,
            (WIDTH, HEIGHT),
            RATE,
            journal=journal,
            journal_gb=JOURNAL_GB,
            breaks=BREAKS,
            rush=WARM_UP / 2 * 60 * minutes,
        ) as line:
            over, guests = threading.Event(), [0]
            guest = threading.Thread(target=_come_and_go, args=(line.daemon.endpoint, over, guests))
            guest.start()
            try:
                looks = _watch(line.daemon.pid, 60 * minutes)
            finally:
                over.set()
                guest.join()
            reconnects = scrape.total(line.daemon.http, "inspector_camera_reconnects_total")
            account, received = line.stop()
    found = [*_growth(looks), *_losses(account, received)]
    print(
        f"{minutes:g} minutes: {account.captured} frames, {reconnects:.0f} camera and {guests[0]} subscriber reconnects"
    )
    for line_, _ in found:
        print(f"  {line_}")
    return 0 if all(fine for _, fine in found) else 1


def _minutes(text: str) -> float:
    minutes = float(text)
    if not LEAST <= minutes < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: give at least {LEAST:g}; in less time no growth can be told")
    return minutes


def _come_and_go(endpoint: str, over: threading.Event, guests: list[int]) -> None:
    while not over.is_set():
        with Subscriber(endpoint, kinds=["verdict", "result"]) as subscriber:
            subscriber.receive(PERIOD)
        guests[0] += 1


def _watch(pid: int, seconds: float) -> list[Look]:
    process, began, looks = psutil.Process(pid), time.monotonic(), []
    while (at := time.monotonic() - began) < seconds:
        looks.append(Look(at, accounting.rss(pid), process.num_fds(), process.num_threads()))
        time.sleep(PERIOD)
    return looks


def _growth(looks: list[Look]) -> list[tuple[str, bool]]:
    """What is to be said of memory, files and threads after the warm-up, and whether each is fine."""
    looks = [look for look in looks if look.at >= WARM_UP * looks[-1].at]
    memory = np.array([look.memory for look in looks]) / KIB
    slope, low, high = drift(np.array([look.at for look in looks]) / 60, memory)
    files, threads = ([getattr(look, what) for look in looks] for what in ("files", "threads"))
    first, last = (sorted(part)[len(part) // 2] for part in (files[: len(files) // 4], files[-len(files) // 4 :]))
    if low > 0:
        verdict = "it grows"
    elif high > RESOLUTION:
        verdict = "too uncertain to say; soak for longer"
    else:
        verdict = "cannot be told from 0"
    return [
        (
            f"memory: {memory[0] / KIB:.1f} to {memory[-1] / KIB:.1f} MiB, at most {memory.max() / KIB:.1f}; "
            f"{slope:+.1f} KiB a minute (95 %: {low:+.1f} to {high:+.1f}): {verdict}",
            low <= 0 and high <= RESOLUTION,
        ),
        (f"files: {min(files)} to {max(files)}, medians {first} and then {last}", last <= first),
        (f"threads: {min(threads)} to {max(threads)}", threads[-1] <= threads[0]),
    ]


def drift(minutes: NDArray[np.float64], memory: NDArray[np.float64]) -> tuple[float, float, float]:
    """What `memory` grows by in a minute, and the ends of the interval that holds it with 95 % confidence.

    A process takes memory in steps and keeps it: each look is like the one before, and a regression that takes every
    one for news calls every other random walk a growth. What one part of the time adds has little to do with what the
    next one adds, so the mean of that has Student's interval. Memory that comes and goes only widens it.
    """
    parts = np.array_split(np.arange(len(minutes)), PARTS)
    levels, centres = (np.array([np.median(of[part]) for part in parts]) for of in (memory, minutes))
    steps = np.diff(levels) / np.diff(centres)
    half = float(stats.t.ppf(0.975, len(steps) - 1) * stats.sem(steps))
    mean = float(np.mean(steps))
    return mean, mean - half, mean + half


def _losses(account: scrape.Account, received: dict[str, int]) -> list[tuple[str, bool]]:
    complete = account.balances and received["verdicts"] == received["distinct"] == account.captured
    return [
        (
            f"captured {account.captured}, received {received['verdicts']}, missing {received['missing']}, "
            f"twice {received['duplicates']}",
            complete and not received["missing"],
        )
    ]


if __name__ == "__main__":
    raise SystemExit(main())
