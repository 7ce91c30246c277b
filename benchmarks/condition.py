"""How well a sick camera is noticed: false alarms, from which strength on each fault is found, and what it costs.

    python -m benchmarks.condition [--frames 10000] [--clips FOLDER]

Limits are learnt as `inspector calibrate` does; healthy frames are of lines and parts that it has not seen.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count, cycle, islice
from pathlib import Path

import cv2
import numpy as np

from benchmarks import unplugged
from benchmarks.spoiled import SPOILS, Fixture
from inspector.condition.learn import Learner
from inspector.condition.limits import Limits, fixed
from inspector.condition.measure import Gauge
from inspector.condition.monitor import Monitor
from inspector.condition.view import View
from inspector.simulation import Line
from inspector.sources import open_source
from inspector.types import Cause, Image

LEARNT_ON, LEARNT = range(1, 9), 100
"""Seeds of the lines that limits are learnt on, and parts of each."""
UNSEEN = range(101, 111)
OWN = 600
"""Parts of a line that its own limits are learnt on."""
RUN, HEALTHY = 60, 40
"""Frames of a run with a fault, and of the healthy one before it."""
SIZES = ((640, 480), (1920, 1080), (2592, 1944), (5472, 3648))
CLIPS = (".mp4", ".gif", ".avi")


def parts(line: Line, first: int = 0) -> Iterator[Image]:
    """Its pictures, from part `first` on."""
    return (line.part(number).image for number in count(first))


def learnt(streams: Iterable[Iterable[Image]]) -> Learner:
    """What a learner knows that has seen all of them."""
    learner = Learner()
    for number, images in enumerate(streams):
        for image in images:
            learner.add(image, str(number))
    return learner


def limits_of(learner: Learner) -> Limits:
    """Its limits; there must be enough frames for some."""
    found = learner.limits()
    assert found is not None, learner.notes
    return found


def alarms(limits: Limits, images: Iterable[Image]) -> Counter[Cause]:
    """The frames of one camera that cannot be judged, by cause."""
    monitor = Monitor(limits)
    return Counter(cause for at, image in enumerate(images) if (cause := monitor.look(image, at).cause) is not None)


def found_after(limits: Limits, healthy: Iterable[Image], sick: Iterable[Image]) -> tuple[int | None, float, str]:
    """The sick frame, from 1, at which it is noticed; the share of frames from there on that are; the cause.

    A frame a second, so that each is measured in full.
    """
    monitor, seconds = Monitor(limits), count()
    for image in healthy:
        monitor.look(image, next(seconds))
    causes = [monitor.look(image, next(seconds)).cause for image in sick]
    first = next((number for number, cause in enumerate(causes) if cause is not None), None)
    if first is None:
        return None, 0.0, ""
    after = causes[first:]
    seen = [cause for cause in after if cause is not None]
    return first + 1, len(seen) / len(after), Counter(seen).most_common(1)[0][0]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.condition", description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000, help="healthy frames of each kind (10000)")
    parser.add_argument("--clips", type=Path, metavar="FOLDER", help="videos of moving scenes to look at as well")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    cost()
    unplugged.main()
    if options.clips is not None:
        clips(options.clips)
    across = learnt(islice(parts(Line(seed)), LEARNT) for seed in LEARNT_ON)
    limits = limits_of(across)
    print("\n".join(across.notes))
    each = options.frames // len(UNSEEN)
    unseen = sum((alarms(limits, islice(parts(Line(seed)), each)) for seed in UNSEEN), Counter[Cause]())
    print(f"false alarms on {each * len(UNSEEN)} frames of {len(UNSEEN)} unseen lines: {dict(unseen)}", flush=True)
    for kind in (Line, Fixture):
        own = limits_of(learnt([islice(parts(kind(1)), OWN)]))
        found = alarms(own, islice(parts(kind(1), OWN), options.frames))
        print(f"{kind.__name__}: {', '.join(f'{cause} {one}' for cause, one in own.ranges.items())}")
        print(f"false alarms on {options.frames} further parts of its line: {dict(found)}", flush=True)
        power(own, kind)
    return 0


def power(limits: Limits, kind: type[Line]) -> None:
    """From which strength on each fault is found."""
    rng = np.random.default_rng(0)
    line = kind(1)
    healthy = list(islice(parts(line, 50_000), HEALTHY))
    for name, (unit, spoil, strengths) in SPOILS.items():
        for strength in strengths:
            sick = (spoil(image, strength, rng) for image in islice(parts(line, 60_000), RUN))
            _tell(f"{name} {strength:g} {unit}", found_after(limits, healthy, sick))
    _tell("frozen", found_after(limits, healthy, RUN * healthy[-1:]))
    if isinstance(line, Fixture):
        for pixels in (2, 4, 6, 8, 10, 12, 15, 20, 40, 80, 120):
            line.moved = pixels
            _tell(f"shift {pixels} px", found_after(limits, healthy, islice(parts(line, 60_000), RUN)))
    _tell("frozen, without learning", found_after(fixed(live=True), healthy, RUN * healthy[-1:]))


def _tell(what: str, found: tuple[int | None, float, str]) -> None:
    first, share, cause = found
    print(f"  {what:28} {'not found' if first is None else f'at frame {first:3}, {share:5.0%} from there on: {cause}'}")


def clips(folder: Path) -> None:
    """Healthy videos: no frame of them should fail, without learning and with what their first half teaches."""
    for path in sorted(path for path in folder.iterdir() if path.suffix in CLIPS):
        images = [shot.image for shot in open_source(f"file:{path}?rate=max").frames() if shot.image is not None]
        print(f"{path.name}: {len(images)} frames, without learning {dict(alarms(fixed(live=True), images))}")
        learner = learnt([images[: len(images) // 2]])
        limits = learner.limits()
        if limits is not None:
            print(f"  the second half, with the first learnt: {dict(alarms(limits, images[len(images) // 2 :]))}")
        print("\n".join(f"  {note}" for note in learner.notes), flush=True)


def cost() -> None:
    """CPU time of a frame beside copying it."""
    for width, height in SIZES:
        image = cv2.resize(Line(1).part(1).image, (width, height))
        reference = np.zeros((60, 80), np.uint8)
        frames = cycle((image, image + 1))  # one that repeats is looked at more closely
        often = _fastest(partial(_measure_next, Gauge(reference=reference), frames))
        slowly = _fastest(partial(_measure_anew, reference, image))
        copied = _fastest(image.copy)
        print(
            f"{width}x{height}: {often:.3f} ms of CPU a frame, {slowly:.3f} where it is measured in full;"
            f" copying it takes {copied:.3f}",
            flush=True,
        )


def _measure_next(gauge: Gauge, frames: Iterator[Image]) -> None:
    gauge.measure(next(frames), 0)


def _measure_anew(reference: View, image: Image) -> None:
    Gauge(reference=reference).measure(image, 0)


def _fastest(work: Callable[[], object], rounds: int = 15, times: int = 20) -> float:
    """Milliseconds of CPU time."""
    spent = []
    for _ in range(rounds):
        start = time.thread_time()
        for _ in range(times):
            work()
        spent.append((time.thread_time() - start) / times)
    return 1000 * min(spent)


if __name__ == "__main__":
    raise SystemExit(main())
