"""How long a bundle's graphs take on this machine: one picture at a time, on one thread, as a worker of the daemon."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from inspector.inference import runtimes
from inspector.inference.bundle import Bundle

WARM_UP = 3
RUNS = 50
SECONDS = 3.0
"""A graph is run RUNS times, or as often as fits into SECONDS, but FEWEST times at least."""
FEWEST = 10


def measure(bundle: Bundle, device: str) -> list[dict[str, Any]]:
    """Of each graph: what ran, `runs`, and `median_ms` and `p95_ms` for one picture."""
    return [{"graph": name, **_timed(run)} for name, run in _graphs(bundle, device)]


def _graphs(bundle: Bundle, device: str) -> Iterator[tuple[str, Callable[[], object]]]:
    rng = np.random.default_rng(0)
    height, width, channels = bundle.card.input.shape
    detector = runtimes.load(bundle.detector, device)
    picture = rng.integers(0, 256, (1, height, width, channels), np.uint8)
    beside = ("reference",) if bundle.card.input.reference else ()
    yield f"detector, {width}x{height}", _call(detector.run, image=picture, **dict.fromkeys(beside, picture))
    if bundle.repairer is None or bundle.card.repair is None:
        return
    repairer = runtimes.load(bundle.repairer, device)
    for side in bundle.card.repair.windows:
        window = rng.integers(0, 256, (1, side, side, channels), np.uint8)
        mask = np.zeros((1, side, side), np.uint8)
        mask[:, side // 3 : side // 2, side // 3 : side // 2] = 255
        yield (
            f"repairer, window of {side}",
            _call(repairer.run, image=window, mask=mask, **dict.fromkeys(beside, window)),
        )


def _call(run: Callable[..., object], **inputs: Any) -> Callable[[], object]:
    return lambda: run(**inputs)


def _timed(run: Callable[[], object]) -> dict[str, Any]:
    for _ in range(WARM_UP):
        run()
    times: list[float] = []
    while len(times) < RUNS and (len(times) < FEWEST or sum(times) < SECONDS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    median, p95 = np.quantile(times, [0.5, 0.95])
    return {"runs": len(times), "median_ms": round(1000 * float(median), 3), "p95_ms": round(1000 * float(p95), 3)}


def busy() -> float | None:
    """Programs that wanted to run in the last minute, for each core; None where the system does not say."""
    if not hasattr(os, "getloadavg"):
        return None
    return round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)


def processor() -> str:
    """The name of this machine's CPU, as far as it says."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
