"""Large frames: small defects found, what tiling costs, memory of a daemon: `python -m benchmarks.frames --help`.

The frames are trays of the simulated line, whose plates are as large as in a picture of the bundle's input. What is
found is counted twice: at the bundle's own threshold, and at the one at which so many good frames are rejected as were
wished for, each way of fitting its own. CPU time is of the thread, tiled and bare in turns; only ratios carry over.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import accounting, children, ending, report
from benchmarks.__main__ import BUNDLE
from inspector.critical import critical_thresholds
from inspector.inference import bundle as bundles
from inspector.inference import engine
from inspector.inference.bundle import Bundle
from inspector.inference.detector import Look
from inspector.inference.engine import Engine
from inspector.inference.tiles import plan
from inspector.inference.view import View, view_of
from inspector.judge import Judge
from inspector.messages import Item, VerdictMessage
from inspector.simulation import Part, make_line
from inspector.types import Detection

WIDTH, HEIGHT, COLUMNS, ROWS = 2448, 2048, 8, 8
"""5 megapixels."""
LARGE = {"width": 5472, "height": 3648, "columns": 17, "rows": 15}
"""20 megapixels."""
DEFECT = 12
"""Pixels."""
SEED = 11
BUDGET = 1536
"""Megabytes that the daemon with the large frames is allowed."""
PATIENCE = 600.0
"""Seconds for all verdicts."""
WAIT = 1.0
"""Seconds between looks whether the daemon is still there."""


@dataclass(frozen=True, slots=True)
class Found:
    """Shares: of defective frames whose defect the mask touches, and of good ones that are rejected.

    own: at the bundle's own threshold;  level: at `threshold`, chosen for the wished share of good frames
    kinds: of each kind of defect the share found at `level`, and the number of frames
    """

    own: float
    own_rejects: float
    threshold: float
    level: float
    level_rejects: float
    kinds: dict[str, tuple[float, int]]


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of the model alone on a frame's tiles, and the median ratio of all that tiling does to that.

    more: how many pixels the tiles have in all, for each pixel of the frame
    """

    tiles: int
    more: float
    bare: float
    ratio: float


def main() -> int:
    """Measure and print."""
    ending.by_signals()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frames", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=BUNDLE, help="the bundle to run (the simulated line's)")
    parser.add_argument(
        "--frames", type=int, default=200, metavar="N", help="defective frames (200); half as many good"
    )
    parser.add_argument("--rejects", type=float, default=0.05, metavar="SHARE", help="of good frames (0.05)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of tiled and bare (5)")
    parser.add_argument("--large", type=int, default=6, metavar="N", help="frames of 20 megapixels to judge (6)")
    parser.add_argument("--only", default="found,cost,memory", help="of found, cost, memory")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write all figures there as JSON")
    options = parser.parse_args()
    print(report.machine(), flush=True)
    bundle = bundles.load(options.bundle)
    running = engine.start(bundle, "cpu", 1)
    figures: dict[str, object] = {}
    if "found" in options.only:
        for fit in ("tile", "resize"):
            one = found(bundle, running, view_of(bundle.card, fit), options.frames, options.rejects)
            figures[fit] = asdict(one)
            print(
                f"{fit}: {one.own:.3f} of {options.frames} defects of {DEFECT} pixels found, {one.own_rejects:.3f} of "
                f"good frames rejected; at threshold {one.threshold:.3f} {one.level:.3f}, and {one.level_rejects:.3f}",
                flush=True,
            )
            print("  there: " + ", ".join(f"{kind} {hit:.3f} of {of}" for kind, (hit, of) in one.kinds.items()))
    if "cost" in options.only:
        spent = cost(bundle, running, options.rounds)
        figures["cost"] = asdict(spent)
        print(
            f"{WIDTH}x{HEIGHT}: {spent.tiles} tiles of {spent.more:.2f} times its pixels; tiling {spent.ratio:.3f} of "
            f"the model alone on them ({1000 * spent.bare:.0f} ms)",
            flush=True,
        )
    if "memory" in options.only:
        peak = memory(options.bundle, options.large)
        figures["peak_mib"] = peak
        print(f"a daemon with {options.large} frames of {LARGE['width']}x{LARGE['height']}: at most {peak:.0f} MiB")
    if options.out is not None:
        options.out.write_text(json.dumps({"machine": report.machine(), **figures}, indent=1))
    return 0


def found(bundle: Bundle, running: Engine, view: View, frames: int, rejects: float) -> Found:
    """What is found of small defects."""
    decision = bundle.card.decision
    good = [
        float(critical_thresholds(detection, HEIGHT, WIDTH, [decision.min_area])[0])
        for detection, _ in _looked(running, view, frames // 2, defective=False)
    ]
    threshold = sorted(good)[-1 - math.floor(rejects * len(good))]
    judges = [Judge(decision.threshold, decision.min_area), Judge(threshold, decision.min_area)]
    hits: dict[str, list[list[bool]]] = {}
    for detection, part in _looked(running, view, frames, defective=True):
        masks = [judge(detection, HEIGHT, WIDTH).mask for judge in judges]
        hit = [mask is not None and bool((mask & part.mask).any()) for mask in masks]
        hits.setdefault(part.kind or "", []).append(hit)
    own, level = np.mean([hit for of_kind in hits.values() for hit in of_kind], axis=0)
    rejected = [sum(one > judge.threshold for one in good) / len(good) for judge in judges]
    kinds = {kind: (float(np.mean(hits[kind], axis=0)[1]), len(hits[kind])) for kind in sorted(hits)}
    return Found(float(own), rejected[0], threshold, float(level), rejected[1], kinds)


def _looked(running: Engine, view: View, frames: int, defective: bool) -> Iterator[tuple[Detection, Part]]:
    line = make_line(SEED, WIDTH, HEIGHT, defect_size=DEFECT, columns=COLUMNS, rows=ROWS)
    for number in range(frames):
        part = line.part(number, defective)
        ((_, detection),) = running.detector.look([Look(view.fit(part.image), None, view.overlap)], lambda _: True)
        yield detection, part


def cost(bundle: Bundle, running: Engine, rounds: int) -> Cost:
    """What tiling costs beside the model."""
    view = view_of(bundle.card, "tile")
    image = make_line(SEED, WIDTH, HEIGHT, columns=COLUMNS, rows=ROWS).part(1).image
    height, width, channels = bundle.card.input.shape
    assert view.overlap is not None
    count = len(plan(HEIGHT, WIDTH, height, width, view.overlap).boxes)
    model = running.detector._model  # the session itself, with nothing of ours around it
    batch = np.ascontiguousarray(image[:height, :width, :channels])[np.newaxis]
    ratios, times = [], []
    for _ in range(rounds):
        start = time.thread_time()
        for _ in range(count):
            model.run(image=batch)
        middle = time.thread_time()
        list(running.detector.look([Look(view.fit(image), None, view.overlap)], lambda _: True))
        times.append(middle - start)
        ratios.append((time.thread_time() - middle) / times[-1])
    return Cost(count, count * height * width / (HEIGHT * WIDTH), median(times), median(ratios))


def memory(bundle: Path, frames: int) -> float:
    """The peak of a daemon's resident memory, in MiB, over so many large frames, each of which must be judged."""
    from inspector.client import Subscriber

    address = "&".join(f"{key}={value}" for key, value in LARGE.items())
    with tempfile.TemporaryDirectory(prefix="inspector-bench-") as folder:
        endpoint, config, log = f"ipc://{folder}/line", Path(folder, "line.toml"), Path(folder, "log")
        config.write_text(
            f'[[camera]]\nname = "cam1"\nbundle = "{bundle.resolve()}"\nfit = "tile"\nqueue = 2\n'
            f'source = "sim://line?{address}&rate=0&defects=0.5&defect={DEFECT}"\n'
            f"size = [{LARGE['width']}, {LARGE['height']}]\n"
            f'[publish]\nendpoint = "{endpoint}"\n[http]\nport = 0\n[daemon]\nmemory_mb = {BUDGET}\ndrain = 1.0\n'
        )
        command = [sys.executable, "-m", "inspector", "run", str(config)]
        with log.open("w") as file:
            daemon = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=file, text=True)
        try:
            with Subscriber(endpoint) as subscriber:
                told = verdicts(subscriber.receive, lambda: daemon.poll() is None, frames)
            if told["ok"] + told["ng"] < frames:
                raise RuntimeError(f"{frames} frames were to be judged, and {dict(told)} came:\n{log.read_text()}")
            return accounting.peak_rss(daemon.pid) / (1 << 20)
        finally:
            children.end(daemon)


def verdicts(receive: Callable[[float], Item | None], running: Callable[[], bool], frames: int) -> Counter[str]:
    """How often each verdict came, `unknown` by its reason, until there are enough, or the daemon or patience ends."""
    told, end = Counter[str](), time.monotonic() + PATIENCE
    while told.total() < frames and running() and time.monotonic() < end:
        message = receive(WAIT)
        if isinstance(message, VerdictMessage):
            told[str(message.reason or message.verdict)] += 1
    return told


if __name__ == "__main__":
    raise SystemExit(main())
