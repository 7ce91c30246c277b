"""Measure, print, and say which goals were reached."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

from benchmarks import deadline, doctor, ending, latency, material, overload, plumbing, recovery, report, throughput
from benchmarks.limit import Limit, Limits
from benchmarks.material import FULL, QUICK, Material
from benchmarks.report import Results

BUNDLE = Path(__file__).parent.parent / "models" / "simulated-line"
PARTS = ("limit", "daemon", "rival", "plumbing", "latency", "overload", "deadline", "recovery", "doctor")
FULL_LOAD = frozenset({"limit", "daemon", "rival"})


def main() -> int:
    """Run what is wanted; a missed goal is a finding and no failure."""
    ending.by_signals()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="look for seconds only: to try the code, not to report")
    parser.add_argument("--only", type=_parts, default=PARTS, metavar="PART,...", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write all figures there as JSON")
    parser.add_argument("--bundle", type=Path, default=BUNDLE, help="the bundle to run (the simulated line's)")
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    print(report.machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="inspector-bench-") as folder:
        results = measure(material.prepare(plan, Path(folder), options.bundle), options.only)
    goals = list(results.goals())
    for line in results.lines():
        print(line)
    if goals:
        print("\nGoals" + (" (a quick look proves nothing)" if options.quick else ""))
    for goal in goals:
        print(goal)
    if options.out is not None:
        content = {"machine": report.machine(), "plan": asdict(plan), "goals": list(map(asdict, goals))}
        options.out.write_text(json.dumps(content | asdict(results), indent=1))
    return 0


def measure(given: Material, wanted: Collection[str]) -> Results:
    """What is wanted, one after the other."""
    found = None
    if FULL_LOAD & set(wanted):
        _say("full load")
        found = throughput.measure(given, wanted)
    plumbed = None
    if "plumbing" in wanted:
        _say("plumbing")
        rounds = [plumbing.measure(given) for _ in range(given.plan.rounds)]
        plumbed = {name: tuple(one[name] for one in rounds) for name in rounds[0]}
    late = None
    if "latency" in wanted:
        _say("latency")
        late = latency.measure(given, _limit(given) if found is None else found.rounds[-1].limit)
    overloaded = None
    if "overload" in wanted:
        _say("overload")
        overloaded = overload.measure(given)
    cut = None
    if "deadline" in wanted:
        _say("deadline")
        cut = deadline.measure(given)
    recovered = None
    if "recovery" in wanted:
        _say("recovery")
        recovered = recovery.measure(given)
    foretold = None
    if "doctor" in wanted:
        _say("doctor")
        foretold = doctor.measure(given)
    return Results(found, plumbed, late, overloaded, cut, recovered, foretold)


def _limit(given: Material) -> Limit:
    with Limits(given) as limits:
        return limits.measure(given.plan.window)


def _say(what: str) -> None:
    print(f"measuring {what} ...", file=sys.stderr, flush=True)


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    unknown = set(parts) - set(PARTS)
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: give of {', '.join(PARTS)}")
    return parts


if __name__ == "__main__":
    raise SystemExit(main())
