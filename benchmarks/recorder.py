"""What the flight recorder costs, in CPU time a frame: while it only watches, and while it records all the time.

    python -m benchmarks.recorder [--quick]

Four cameras of 640x480 at a fixed rate, with and without it in turn. A model that answers at once shows what watching
costs; the simulated line's own, of whose frames a tenth are defective, what recording costs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks import accounting, daemon, ending, material, plumbing, report, scrape
from benchmarks.__main__ import BUNDLE
from benchmarks.accounting import Load
from benchmarks.material import CAMERAS, FULL, QUICK, Material

HELD = 4.0
"""Seconds that the recorder is full after: those before a defect, and the deadline."""
ON = '[recorder]\npath = "recordings"\nmax_gb = 2\n'
WAYS = {
    "watching": ("instant", "40", f'{ON}on = ["late"]\n'),
    "recording": ("real", "5", f'{ON}on = ["ng"]\npause = 0\n'),
}
"""The bundle, the frames a second of each camera, and the configuration's table."""


def main() -> None:
    """Measure and print."""
    ending.by_signals()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recorder", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="look for seconds only")
    plan = QUICK if parser.parse_args().quick else FULL
    print(report.machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="inspector-bench-") as folder:
        given = material.prepare(plan, Path(folder), BUNDLE)
        plumbing.write_bundle(given.folder / "instant", *plumbing.MODEL_SIZE)
        bundles = {"instant": given.folder / "instant", "real": given.bundle}
        for name, (bundle, rate, table) in WAYS.items():
            of = replace(given, bundle=bundles[bundle])
            rounds = [(_measure(of, rate, ""), _measure(of, rate, table)) for _ in range(plan.rounds)]
            without, beside = (median(load.cpu_ms for load in loads) for loads in zip(*rounds, strict=True))
            memory = [max(load.peak_rss for load in loads) >> 20 for loads in zip(*rounds, strict=True)]
            print(
                f"{name}: {beside:.3f} ms a frame, {without:.3f} without it: {1e3 * (beside - without):.0f} us more; "
                f"at most {memory[1]} MiB of memory, {memory[0]} without",
                flush=True,
            )


def _measure(given: Material, rate: str, table: str) -> Load:
    with daemon.running(given, CAMERAS, rate, more=table) as line:
        time.sleep(given.plan.warm_up + HELD)
        return accounting.watch(line.pid, lambda: scrape.judged(line.http), given.plan.window)


if __name__ == "__main__":
    main()
