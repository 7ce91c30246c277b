"""What a process of its own costs a camera: `python -m benchmarks.isolation [--width 1920 --height 1080]`.

Milliseconds of the two copies, through the shared memory as it is used; and from the moment that the process has the
picture until the daemon's thread has it, over a real process.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import time

import numpy as np

from benchmarks import report
from inspector.sources.isolated import Isolated
from inspector.sources.ring import Reader, Writer, reserve

FRAMES = 200


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.isolation", description=__doc__)
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--height", type=int, default=1080)
    options = parser.parse_args()
    print(report.machine())
    into, out = copies(np.zeros((options.height, options.width, 3), np.uint8))
    print(f"  copy into shared memory {into:.2f} ms, out of it {out:.2f} ms (medians of {FRAMES})")
    times = sorted(journeys(f"sim://line?rate=20&width={options.width}&height={options.height}"))
    print(f"  from process to process {statistics.median(times):.2f} ms, p99 {times[len(times) * 99 // 100]:.2f} ms")
    return 0


def copies(image: np.ndarray) -> tuple[float, float]:
    """Milliseconds of a copy in, and of one out."""
    memory = reserve()
    slots: list[int] = []
    writer, reader = Writer(memory, slots.pop), Reader(memory)
    into, out = list[float](), list[float]()
    for _ in range(FRAMES):
        begin = time.perf_counter()
        slot, offset = writer.put(image)
        middle = time.perf_counter()
        reader.take(offset, image.shape, image.dtype.str)
        out.append(time.perf_counter() - middle)
        into.append(middle - begin)
        slots.append(slot)
    os.close(memory)
    return 1e3 * statistics.median(into), 1e3 * statistics.median(out)


def journeys(url: str) -> list[float]:
    """Milliseconds of each of so many pictures."""
    shots = itertools.islice(Isolated(url, hangs_after=60).frames(), FRAMES)
    return [(time.time_ns() - shot.captured_ns) / 1e6 for shot in shots if shot.captured_ns is not None]


if __name__ == "__main__":
    raise SystemExit(main())
