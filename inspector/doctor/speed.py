"""What the line will carry, by running it for some seconds."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.doctor.cameras import rates, sources_of
from inspector.doctor.case import Case
from inspector.doctor.finding import Finding, failure, fine, skipped, warning
from inspector.doctor.pictures import pictures
from inspector.doctor.prediction import Prediction
from inspector.doctor.trial import trial
from inspector.errors import ModelError
from inspector.settings import Settings

BUSY = 0.1
"""Share of the cores from which on other programs spoil a measurement of time."""
TIGHT = 0.8
"""Share of the cores beyond which frames begin to wait for each other."""


def benchmark(case: Case) -> Iterator[Finding]:
    """Run the line's own code."""
    if not case.wish.benchmark:
        yield skipped("not run: --no-benchmark")
        return
    judging, line = case.judging, case.line
    assert judging is not None  # noqa: S101 - the registry says that it needs models
    shown = {}
    for camera in line.camera:
        seen = case.seen.get(camera.name)
        images = [] if seen is None else seen.images
        shown[camera.name] = pictures(camera, judging.stations[camera.name].team.bundle, images, len(line.camera))
    reading = {name: seen.reading for name, seen in case.seen.items() if seen.reading is not None}
    live = {name: source.live for name, source in sources_of(case).items()}
    found = case.prediction = trial(line, judging, shown, reading, rates(case), live, case.wish.ng, case.cores)
    yield from carried(found, rates(case))
    if found.delay is not None:
        yield from in_time(found, line)
    if not found.bad_parts:
        yield warning(
            "no picture was found defective, so that repair and its messages are not in the figures",
            "set a threshold that golden defects exceed, or take the figures as those of good parts",
        )
    if strangers := [name for name, one in shown.items() if not one.own]:
        yield skipped(
            f"{', '.join(strangers)}: other pictures than its own were shown, whose reading is not in the figures",
            "look again when the camera can be opened",
        )


def carried(found: Prediction, by_camera: dict[str, float | None]) -> Iterator[Finding]:
    """Whether there are cores enough."""
    costs = f"{found.cpu_ms:.2f} ms of CPU a frame, {found.capacity:.0f} frames/s at the most"
    if found.others > BUSY:
        costs += f", were the cores its own: others took {found.others:.0%} of them meanwhile"
    if found.needed is None or found.rate is None:
        unknown = ", ".join(name for name, rate in by_camera.items() if rate is None)
        yield skipped(f"{costs}; the rate of {unknown} is not known", "give --rate FRAMES, of each camera a second")
        return
    each = {f"{rate:.3g}" for rate in by_camera.values() if rate is not None}
    line = f"{len(by_camera)} camera(s)" + (
        f" x {each.pop()} frames/s" if len(each) == 1 else f", {found.rate:.3g} frames/s"
    )
    text = f"{line} need {found.needed:.1f} core(s), you have {found.cores:g}; {costs}"
    if found.rate > found.capacity:
        lost = 1 - found.capacity / found.rate
        yield failure(
            f"{text}: about {lost:.0%} of the frames would be unknown",
            'use more cores or a GPU, a faster precision (workers.precision = "auto"), smaller frames, or fewer of '
            "them",
            ModelError,
        )
    elif found.rate > TIGHT * found.capacity:
        yield warning(
            f"{text}: {found.rate / found.capacity:.0%} of what it carries",
            'leave a fifth free, or frames wait for each other; try workers.precision = "auto"',
        )
    else:
        yield fine(text)


def in_time(found: Prediction, line: Settings) -> Iterator[Finding]:
    """Whether verdicts come before they are due."""
    assert found.delay is not None  # noqa: S101 - the caller looked
    deadline = min(camera.deadline for camera in line.camera)
    p50, p99 = 1e3 * found.delay.p50, 1e3 * found.delay.p99
    text = f"from capture to receipt p50 {p50:.1f} ms, p99 {p99:.1f} ms, all cameras at once; deadline {deadline:g} s"
    if found.others > BUSY and (found.delay.unknown > 0.01 or found.delay.p99 > deadline / 2):
        yield warning(
            f"{text}; {found.delay.unknown:.1%} ended as unknown, but others took {found.others:.0%} of the cores",
            "look again when the machine is quiet",
        )
    elif found.delay.unknown > 0.01:
        yield failure(
            f"{text}; {found.delay.unknown:.1%} of the frames ended as unknown",
            "allow a longer deadline, or see what takes time above",
            ModelError,
        )
    elif found.delay.p99 > deadline / 2:
        yield warning(f"{text}: near it", "allow a longer deadline, or leave more of the cores free")
    else:
        yield fine(text)
