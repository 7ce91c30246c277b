"""Models exchanged while a line runs: frames lost, how long verdicts stay away, and what is left behind.

    python -m benchmarks.exchange [--times 30] [--load 0.5]

Live cameras, which wait for nobody, at a share of what the machine can judge; two copies of the simulated line's bundle
take over from each other. Put side by side are frames captured while an exchange goes on and the others of that run.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import ending, material, preloaded, report, scrape
from benchmarks.__main__ import BUNDLE
from benchmarks.limit import Limits
from benchmarks.material import CAMERAS, HEIGHT, QUICK, WIDTH, Material
from inspector.client import Subscriber
from inspector.messages import VerdictMessage
from inspector.models.control import ask

CALM = 2.0
"""Seconds between two exchanges."""
WARM = 10
"""Exchanges after which memory is compared: the allocator has its room for two sets of models by then."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A verdict, and when it arrived: wall clock, seconds."""

    at: float
    message: VerdictMessage


def main() -> None:
    """Measure and print."""
    ending.by_signals()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exchange", description=__doc__)
    parser.add_argument("--times", type=int, default=30, help="exchanges (30)")
    parser.add_argument("--load", type=float, default=0.5, help="share of what the machine can judge (0.5)")
    options = parser.parse_args()
    print(report.machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="inspector-bench-") as folder:
        given = material.prepare(QUICK, Path(folder), BUNDLE)
        with Limits(given) as limits:
            limit = limits.measure(QUICK.window)
        most = 1e3 * material.cores() / limit.cpu_ms(limit.share)
        _measure(given, options.times, options.load * most / CAMERAS)


def _measure(given: Material, times: int, rate: float) -> None:
    pair = [_copy(given, name) for name in ("one", "other")]
    exchanges: list[tuple[float, float]] = []
    state = given.folder / "state"
    with preloaded.running(pair[0], given.clips, (WIDTH, HEIGHT), rate=rate, state=state) as live:
        line = live.daemon
        with _listening(line.endpoint) as heard:
            time.sleep(given.plan.warm_up + CALM)
            resident = []
            for number in range(1, times + 1):
                began = time.time()
                told, code = ask(state, {"verb": "use", "use": {"bundle": str(pair[number % 2])}}, lambda _: None)
                if code:
                    raise RuntimeError(told)
                exchanges.append((began, time.time()))
                time.sleep(CALM)
                resident.append(scrape.total(line.http, "inspector_process_resident_memory_bytes"))
            live.stop()  # frames that wait are not lost, though later ones may have had their verdict
    _report(list(heard), exchanges, rate, resident[-1] / resident[min(WARM, times) - 1])


def _report(heard: Sequence[Heard], exchanges: Sequence[tuple[float, float]], rate: float, memory: float) -> None:
    cameras = {one.message.camera for one in heard}
    lost = unknown = 0
    away = []
    for camera in cameras:
        own = sorted((one for one in heard if one.message.camera == camera), key=lambda one: one.message.frame)
        lost += own[-1].message.frame - own[0].message.frame + 1 - len(own)
        unknown += sum(one.message.reason is not None for one in own)
        for old, new in pairwise(own):
            if old.message.model and new.message.model and old.message.model.sha256 != new.message.model.sha256:
                away.append(new.at - old.at)
    judged = [one for one in heard if one.message.reason is None]
    meanwhile = [one for one in judged if any(a <= one.message.captured_ns / 1e9 <= b for a, b in exchanges)]
    others = [one for one in judged if one not in meanwhile]
    print(
        f"{len(exchanges)} exchanges, {len(heard)} frames of {len(cameras)} cameras at {rate:.1f} frames/s each: "
        f"{lost} lost, {unknown} unknown; memory x{memory:.3f} since the {WARM}th; an exchange takes "
        f"{median(b - a for a, b in exchanges):.1f} s"
    )
    print(
        f"from the last verdict by one model to the first by the other: {1e3 * median(away):.0f} ms, at most "
        f"{1e3 * max(away):.0f}; a camera's frames come every {1e3 / rate:.0f} ms"
    )
    for name, some in (("captured while an exchange goes on", meanwhile), ("the others", others)):
        p50, p99 = np.percentile([one.at - one.message.captured_ns / 1e9 for one in some], (50, 99))
        print(f"{name}: {len(some)} frames, capture to receipt {1e3 * p50:.0f} ms, 99 % within {1e3 * p99:.0f} ms")


@contextmanager
def _listening(endpoint: str) -> Iterator[list[Heard]]:
    """Every verdict, as it comes."""
    heard: list[Heard] = []
    done = threading.Event()

    def listen() -> None:
        with Subscriber(endpoint, kinds=["verdict"]) as subscriber:
            while not done.is_set():
                message = subscriber.receive(0.1)
                if isinstance(message, VerdictMessage):
                    heard.append(Heard(time.time(), message))

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield heard
    finally:
        done.set()
        thread.join()


def _copy(given: Material, name: str) -> Path:
    """The bundle once more, by another checksum."""
    copy = given.folder / name
    shutil.copytree(given.bundle, copy)
    card = copy / "bundle.toml"
    card.write_text(card.read_text() + f"# {name}\n")
    return copy


if __name__ == "__main__":
    main()
