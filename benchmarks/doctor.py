"""What `inspector doctor` foretells of a line beside what the daemon then does, in turn, round by round.

Both run one configuration, whose cameras are files: they wait for the daemon, and latencies count from then on.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import accounting, daemon, material, scrape
from benchmarks.accounting import Load
from benchmarks.latency import LOAD
from benchmarks.material import CAMERAS, DEFECTS, Material
from inspector.doctor.machine import Machine
from inspector.doctor.prediction import MOST_OTHERS

NEAR = 0.2
"""Share by which a prediction may be off."""


@dataclass(frozen=True, slots=True)
class Pair:
    """foretold: by the doctor;  found: by the daemon"""

    foretold: float
    found: float

    @property
    def ratio(self) -> float:
        """Foretold / found."""
        return self.foretold / self.found


@dataclass(frozen=True, slots=True)
class Foretold:
    """CPU milliseconds a frame, and frames a second were the cores the daemon's own; without a journal and with one.

    Of each round:

    p50, p99: seconds from capture to receipt at `LOAD` of the load, of each round that could tell
    load: threads that wanted a core in the minute before, on average
    """

    cpu_ms: Sequence[Pair]
    rate: Sequence[Pair]
    kept_cpu_ms: Sequence[Pair]
    kept_rate: Sequence[Pair]
    p50: Sequence[Pair]
    p99: Sequence[Pair]
    load: float

    def ratio(self, name: str) -> float:
        """The median over the rounds; nan where none could tell."""
        pairs: Sequence[Pair] = getattr(self, name)
        return median(pair.ratio for pair in pairs) if pairs else math.nan


def measure(given: Material) -> Foretold:
    """All rounds; every second one goes backwards."""
    load = os.getloadavg()[0]
    full: dict[bool, list[tuple[Pair, Pair]]] = {False: [], True: []}
    late = []
    for index in range(given.plan.rounds):
        reached = []
        for journal, pairs in full.items():
            cost, whole_rate, really = _full(given, journal, index % 2 == 1)
            pairs.append((cost, whole_rate))
            reached.append(really)
        late += _late(given, LOAD * min(reached), index % 2 == 1)
    cpu_ms, rate = zip(*full[False], strict=True)
    kept_cpu_ms, kept_rate = zip(*full[True], strict=True)
    p50, p99 = zip(*late, strict=True) if late else ((), ())
    return Foretold(cpu_ms, rate, kept_cpu_ms, kept_rate, p50, p99, load)


def _full(given: Material, journal: bool, backwards: bool) -> tuple[Pair, Pair, float]:
    """At full load: CPU milliseconds a frame, frames a second were the cores its own, and those really reached."""
    foretell: Callable[[], dict[str, Any]] = lambda: examine(given, "max", journal)  # noqa: E731
    run: Callable[[], tuple[Load, float]] = lambda: _run(given, journal)  # noqa: E731
    if backwards:
        (found, others), told = run(), foretell()
    else:
        told, (found, others) = foretell(), run()
    cost = sum(told["parts"].values()) + found.share * sum(told["bad_parts"].values())
    rate = Pair(told["capacity"] * told["cpu_ms"] / cost, found.rate / (1 - others))
    return Pair(cost, found.cpu_ms), rate, found.rate


def _run(given: Material, journal: bool) -> tuple[Load, float]:
    """A window of the daemon, and the share of the cores that others took in it, beside daemon and receiver."""
    machine = Machine()
    with daemon.running(given, CAMERAS, journal=journal) as line:
        time.sleep(given.plan.warm_up)

        def ours() -> float:
            return sum(map(accounting.cpu_seconds, (line.pid, line.receiver.pid)))

        before, own = machine.busy() or 0.0, ours()
        load = accounting.watch(line.pid, lambda: scrape.judged(line.http), given.plan.window)
        others = (machine.busy() or 0.0) - before - (ours() - own)
    return load, min(max(others / (load.seconds * material.cores()), 0.0), MOST_OTHERS)


def _late(given: Material, rate: float, backwards: bool) -> list[tuple[Pair, Pair]]:
    """At `rate` frames a second of all cameras: p50 and p99; nothing where the doctor thinks that they are too many."""
    each = f"{rate / CAMERAS:.3f}"
    found = _delays(given, each) if backwards else None
    told = examine(given, each, journal=False)["delay"]
    if found is None:
        found = _delays(given, each)
    return [] if told is None else [(Pair(told["p50"], found[0]), Pair(told["p99"], found[1]))]


def _delays(given: Material, rate: str) -> tuple[float, float]:
    with daemon.running(given, CAMERAS, rate) as line:
        time.sleep(given.plan.warm_up)
        line.receiver.ask(forget=True)
        time.sleep(given.plan.window)
        after = line.receiver.ask()
    return after["p50"], after["p99"]


def examine(given: Material, rate: str, journal: bool) -> dict[str, Any]:
    """What the doctor foretells of a line with cameras of `rate`."""
    folder = Path(tempfile.mkdtemp(dir=given.folder))
    config = folder / "inspector.toml"
    config.write_text(daemon.configuration(given, CAMERAS, rate, journal))
    command = [sys.executable, "-m", "inspector", "doctor", str(config), "--json", "--ng", str(DEFECTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told: dict[str, Any] = json.loads(done.stdout)
    if told["prediction"] is None:
        bad = [finding["text"] for finding in told["findings"] if finding["level"] == "failure"]
        raise RuntimeError(f"the doctor foretells nothing: {bad}")
    prediction: dict[str, Any] = told["prediction"]
    return prediction
