"""What is printed: the figures, and each goal with what was reached."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import cv2
import onnxruntime

from benchmarks import material
from benchmarks.deadline import DEADLINE, Cuts
from benchmarks.doctor import NEAR, Foretold
from benchmarks.latency import LOAD, Latency
from benchmarks.limit import ALWAYS
from benchmarks.material import CAMERAS
from benchmarks.overload import TIMES, Overload
from benchmarks.plumbing import Run
from benchmarks.recovery import REAL_TIME, Recovery
from benchmarks.throughput import FEW, KEPT, MANY, SCRIPT, Throughput, label

FOUR, SIXTEEN = label(CAMERAS), label(MANY)
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Goal:
    """wanted: in words;  found: to be shown"""

    name: str
    found: str
    wanted: str
    reached: bool

    def __str__(self) -> str:
        return f"  {'reached' if self.reached else 'MISSED ':7}  {self.name:58} {self.found:>12}   goal {self.wanted}"


@dataclass(frozen=True, slots=True)
class Results:
    """What was measured; None: not asked for."""

    throughput: Throughput | None = None
    plumbing: Mapping[str, Sequence[Run]] | None = None
    latency: Latency | None = None
    overload: Overload | None = None
    deadline: Cuts | None = None
    recovery: Recovery | None = None
    doctor: Foretold | None = None

    def lines(self) -> Iterator[str]:
        """The figures."""
        if self.throughput is not None:
            yield from _throughput(self.throughput)
        if self.plumbing is not None:
            yield from _plumbing(self.plumbing)
        if self.latency is not None:
            yield from _latency(self.latency)
        if self.overload is not None:
            yield from _overload(self.overload)
        if self.deadline is not None:
            yield from _deadline(self.deadline)
        if self.recovery is not None:
            yield from _recovery(self.recovery)
        if self.doctor is not None:
            yield from _doctor(self.doctor)

    def goals(self) -> Iterator[Goal]:
        """Those that could be looked at."""
        if self.throughput is not None:
            yield from _throughput_goals(self.throughput)
        for name, runs in (self.plumbing or {}).items():
            rate = median(run.load.rate for run in runs)
            complete = all(run.complete for run in runs)
            what = f"plumbing, {name}: frames/s, every verdict received"
            yield Goal(what, f"{rate:.0f}" if complete else "incomplete", ">= 6000", complete and rate >= 6000)
        if self.latency is not None:
            late = self.latency
            name = f"p99 at {LOAD:.0%} load, ms"
            yield Goal(
                name, f"{1e3 * late.p99:.1f}", f"<= {1e3 * late.bound:.1f}", late.p99 <= late.bound and not late.unknown
            )
        if self.overload is not None:
            yield from _overload_goals(self.overload)
        if self.deadline is not None:
            left, came = 1e3 * self.deadline.plain.left.p99, 1e3 * self.deadline.kept.came.p99
            yield Goal("unknown: deadline leaves after the deadline, p99, ms", f"{left:.1f}", "<= 5.0", left <= 5)
            yield Goal("  on disk and at a subscriber, p99, ms", f"{came:.1f}", "<= 5.0", came <= 5)
        if self.recovery is not None:
            yield from _recovery_goals(self.recovery)
        if self.doctor is not None:
            yield from _doctor_goals(self.doctor)


DOCTOR = {
    "cpu_ms": ("CPU ms a frame", 1.0),
    "rate": ("frames/s, were the cores its own", 1.0),
    "kept_cpu_ms": ("CPU ms a frame, with a journal", 1.0),
    "kept_rate": ("  with a journal", 1.0),
    "p50": (f"p50 at {LOAD:.0%} load, ms", 1e3),
    "p99": (f"p99 at {LOAD:.0%} load, ms", 1e3),
}
"""By figure of `Foretold`: what it is called, and what it is multiplied by to be shown."""


def _doctor(found: Foretold) -> Iterator[str]:
    yield ""
    yield f"What `inspector doctor` foretells / what the daemon does, {CAMERAS} cameras; load average {found.load:.1f}"
    for name, (what, factor) in DOCTOR.items():
        pairs = getattr(found, name)
        rounds = "  ".join(f"{factor * pair.foretold:.2f}/{factor * pair.found:.2f}" for pair in pairs)
        yield f"  {what:38}{found.ratio(name):8.3f}   each round {rounds}"


def _doctor_goals(found: Foretold) -> Iterator[Goal]:
    for name, (what, _) in DOCTOR.items():
        ratio = found.ratio(name)
        near = 1 - NEAR <= ratio <= 1 + NEAR
        yield Goal(f"doctor / daemon: {what}", f"{ratio:.3f}", f"{1 - NEAR:g} to {1 + NEAR:g}", near)


def _recovery(found: Recovery) -> Iterator[str]:
    yield ""
    yield f"Nothing lost, at {LOAD:.0%} load with a journal"
    yield f"  caught up with {found.rate:.0f} frames/s from the journal; a new start took {found.restart:.2f} s"
    alone, beside = 1e3 * found.alone, 1e3 * found.beside
    yield (
        f"  a healthy subscriber's p99: {alone:.1f} ms, and {beside:.1f} ms while another is stopped;"
        f" {found.unknown} unknown"
    )


def _recovery_goals(found: Recovery) -> Iterator[Goal]:
    times = found.rate / REAL_TIME
    yield Goal(f"catch-up / real time ({REAL_TIME:.0f} frames/s)", f"{times:.0f}", ">= 20", times >= 20)
    yield Goal("start of the process to its first verdict, s", f"{found.restart:.2f}", "<= 3", found.restart <= 3)
    moved = found.beside / found.alone
    yield Goal("p99 while another is stopped / before", f"{moved:.2f}", "< 1.10", moved < 1.1)


def machine() -> str:
    """What all of it ran on."""
    cpu = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")),
        platform.machine(),
    )  # fmt: skip
    return (
        f"{material.cores()} cores of {cpu}; Python {platform.python_version()}, "
        f"OpenCV {cv2.__version__}, ONNX Runtime {onnxruntime.__version__}"
    )


def _throughput(found: Throughput) -> Iterator[str]:
    rounds = found.rounds
    share = found.median(lambda one: one.limit.share)
    yield ""
    yield f"Full load, medians of {len(rounds)} round(s)    CPU ms/frame  frames/s  of the limit  peak MiB   each round"
    limits = [one.limit.cpu_ms(one.limit.share) for one in rounds]
    reachable = 1e3 * material.cores() / median(limits)
    yield _row("limit: the bare parts", median(limits), reachable, "1.00", "", limits)
    for part in rounds[0].limit.parts:
        seconds = found.median(lambda one, part=part: one.limit.parts[part])  # type: ignore[misc]
        often = "of every frame" if part in ALWAYS else f"of a defective frame ({share:.1%} are)"
        yield f"    {part:36}{1e3 * seconds:10.3f}  {often}"
    for name, what in (
        (label(FEW), "daemon"),
        (FOUR, "daemon"),
        (KEPT, "daemon"),
        (SIXTEEN, "daemon"),
        (SCRIPT, "afternoon"),
    ):
        if name not in rounds[0].loads:
            continue
        loads = [one.loads[name] for one in rounds]
        reached = found.median(lambda one, name=name: one.reached(name))  # type: ignore[misc]
        peak = f"{max(load.peak_rss for load in loads) / MIB:.0f}"
        costs = [load.cpu_ms for load in loads]
        yield _row(f"{what} {name}", median(costs), median(load.rate for load in loads), f"{reached:.3f}", peak, costs)


def _row(name: str, cost: float, rate: float, reached: str, peak: str, each: Sequence[float]) -> str:
    rounds = " ".join(f"{value:.2f}" for value in each)
    return f"  {name:38}{cost:10.2f}{rate:12.1f}{reached:>12}{peak:>12}   {rounds}"


def _throughput_goals(found: Throughput) -> Iterator[Goal]:
    names = found.rounds[0].loads
    if FOUR in names:
        reached = found.median(lambda one: one.reached(FOUR))
        yield Goal(f"daemon / limit in CPU time, {FOUR}", f"{reached:.3f}", ">= 0.90", reached >= 0.90)
        beyond = found.median(lambda one: one.overhead_ms(FOUR))
        yield Goal("overhead, CPU ms a frame beyond the limit's parts", f"{beyond:.2f}", "<= 0.50", beyond <= 0.50)
    if FOUR in names and KEPT in names:
        kept = found.median(lambda one: one.reached(KEPT) / one.reached(FOUR))
        yield Goal("with a journal / without, in CPU time", f"{kept:.3f}", ">= 0.95", kept >= 0.95)
        rate = found.median(lambda one: one.loads[KEPT].rate / one.loads[FOUR].rate)
        yield Goal("with a journal / without, in frames/s", f"{rate:.3f}", ">= 0.95", rate >= 0.95)
    if FOUR in names and SIXTEEN in names:
        even = found.median(lambda one: one.reached(SIXTEEN) / one.reached(FOUR))
        yield Goal(f"{SIXTEEN} / {FOUR} in CPU time", f"{even:.3f}", ">= 0.95", even >= 0.95)
    if FOUR in names and SCRIPT in names:
        ahead = found.median(lambda one: one.reached(FOUR) / one.reached(SCRIPT))
        yield Goal("daemon / afternoon script in CPU time", f"{ahead:.3f}", "> 1.00", ahead > 1.0)


def _plumbing(found: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    yield ""
    yield "Plumbing alone: 4 cameras, batches of 16, a model that answers at once"
    for name, runs in found.items():
        rate = median(run.load.rate for run in runs)
        cost = 1e3 * median(run.load.cpu_ms for run in runs)
        rounds = " ".join(f"{run.load.rate:.0f}" for run in runs)
        yield f"  {name:38}{rate:10.0f} frames/s {cost:8.0f} CPU us/frame   each round {rounds}"


def _latency(found: Latency) -> Iterator[str]:
    yield ""
    yield f"Capture to receipt at {LOAD:.0%} load: {found.rate:.1f} of {found.capacity:.1f} frames/s, {CAMERAS} cameras"
    p50, p99, most = (1e3 * value for value in (found.p50, found.p99, found.most))
    yield f"  p50 {p50:.1f} ms, p99 {p99:.1f} ms, at most {most:.1f} ms; {found.unknown} unknown"


def _overload(found: Overload) -> Iterator[str]:
    account = found.account
    yield ""
    yield f"{TIMES}x overload for {found.seconds:.0f} s: {TIMES * found.capacity:.0f} frames/s from live cameras"
    yield f"  captured {account.captured} = " + " + ".join(f"{n} {name}" for name, n in account.verdicts.items())
    yield f"  received {found.received}, different frames {found.distinct}, missing {found.missing}"
    yield f"  latency at most {1e3 * found.most:.0f} ms, deadline {1e3 * found.deadline:.0f} ms"
    yield f"  resident memory {found.rss[0] / MIB:.0f} MiB at first, {found.rss[-1] / MIB:.0f} MiB at last"


def _overload_goals(found: Overload) -> Iterator[Goal]:
    complete, growth = found.complete, found.growth
    yield Goal("overload: one verdict a frame, each received once", str(complete).lower(), "true", complete)
    yield Goal("overload: memory, last quarter / first", f"{growth:.3f}", "<= 1.05", growth <= 1.05)
    in_time = found.most <= found.deadline
    yield Goal("overload: longest latency, ms", f"{1e3 * found.most:.0f}", f"<= {1e3 * found.deadline:.0f}", in_time)


def _deadline(found: Cuts) -> Iterator[str]:
    yield ""
    yield f"Deadlines of {1e3 * DEADLINE:.0f} ms at {TIMES}x overload"
    for journal, cut in (("no journal", found.plain), ("a journal", found.kept)):
        yield (
            f"  {journal}: {cut.frames} of {cut.verdicts} frames ended as unknown: deadline; the daemon had"
            f" {cut.busy:.0%} of the cores, load average before {cut.load:.1f}"
        )
        for what, spread in (("verdict written", cut.left), ("reached a subscriber", cut.came)):
            p50, p99, most = (1e3 * value for value in (spread.p50, spread.p99, spread.most))
            yield f"    {what} after the deadline: p50 {p50:.1f} ms, p99 {p99:.1f} ms, at most {most:.1f} ms"
