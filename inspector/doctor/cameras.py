"""The line's cameras: whether they can be opened, what they give, and how fast."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from inspector.cameras import source_of
from inspector.doctor.case import Case
from inspector.doctor.finding import Finding, failure, fine, of_error, skipped, warning
from inspector.doctor.looking import PATIENCE, Seen, look
from inspector.errors import SourceError
from inspector.settings import Camera
from inspector.sources import Source, open_source
from inspector.sources.isolated import Isolated

RATE = re.compile(r"[?&](?:rate|fps|AcquisitionFrameRate(?:Abs)?)=(\d+(?:\.\d+)?)(?:&|$)")
"""How fast a source is asked to be, in its URL."""
CONTROLLED = ("gige:", "genicam:")
"""Cameras that obey one program at a time, and answer others with whatever error they have."""
NEAR = 0.1
"""Share by which a camera's pace may differ from what it is asked for."""


def cameras(case: Case) -> Iterator[Finding]:
    """Open all of them at once for some seconds."""
    if not case.wish.cameras:
        yield skipped("not opened: --no-cameras")
        return

    def beside(source: Source) -> float:
        return case.machine.cpu_seconds(source.pid) if isinstance(source, Isolated) else 0.0

    case.seen = look(sources_of(case), beside=beside)
    for camera in case.line.camera:
        yield from judged(camera, case.seen[camera.name], case)


def sources_of(case: Case) -> dict[str, Source]:
    """The source of each camera, which opens nothing yet. Raises ConfigError."""
    stations = {} if case.judging is None else case.judging.stations
    channels = {camera: station.team.bundle.card.input.modalities for camera, station in stations.items()}
    return {camera.name: source_of(camera, channels.get(camera.name, {}), open_source) for camera in case.line.camera}


def judged(camera: Camera, seen: Seen, case: Case) -> Iterator[Finding]:
    """What is to be said of one."""
    who = f"camera {camera.name!r}"
    if seen.hangs:
        yield failure(
            f"{who} hangs: its driver did not come back for seconds after it was told to end",
            "set isolate = true for it, so that its process can be killed; unplug it, or update its driver",
            SourceError,
        )
    elif seen.error is not None:
        (found,) = of_error(seen.error)
        used = _used(camera, case)
        text = f"{who}: {found.text}" + (f"; {used} has it open" if used else "")
        remedy = f"stop {used}" if used else found.remedy or "see docs/cameras.md"
        if (camera.source or "").lower().startswith(CONTROLLED):
            remedy += "; see that no other program has it, for one alone may control it"
        yield failure(text, remedy, SourceError)
    elif seen.first is None or not seen.images:
        yield from _silent(camera, who, seen)
    else:
        yield from _delivers(camera, who, seen)


def rates(case: Case) -> dict[str, float | None]:
    """Frames a second of each camera: as measured, else as asked for, else as the command line says."""
    found = {}
    for camera in case.line.camera:
        seen = case.seen.get(camera.name)
        rate = None if seen is None else seen.rate
        rate = rate or asked(camera) or case.wish.rate
        found[camera.name] = rate if rate is None or camera.max_rate is None else min(rate, camera.max_rate)
    return found


def asked(camera: Camera) -> float | None:
    """The rate in its URL; that of a line-scan camera counts strips, not frames."""
    if camera.scan_rows is not None:
        return None
    urls = [camera.source or ""] if camera.sources is None else list(camera.sources.values())
    given = [float(match[1]) for url in urls if (match := RATE.search(url))]
    return max(given, default=None) or None


def _silent(camera: Camera, who: str, seen: Seen) -> Iterator[Finding]:
    if camera.trigger_window is not None:
        text = f"{who} is open and gave no picture in {PATIENCE:g} s: it waits for a trigger"
        yield warning(text, "look again while parts pass")
    else:
        what = f"gave {seen.frames} frame(s) without a picture" if seen.frames else f"gave nothing in {PATIENCE:g} s"
        yield failure(f"{who} {what}", "see whether it is set to wait for a trigger, and its cable", SourceError)


def _delivers(camera: Camera, who: str, seen: Seen) -> Iterator[Finding]:
    height, width, channels = seen.images[0].shape
    pace = "" if seen.rate is None else f", {seen.rate:.1f} frames/s"
    reading = "" if seen.reading is None else f", {1e3 * seen.reading:.2f} ms of CPU to read one"
    text = f"{who}: {width}x{height}x{channels}, the first after {seen.first or 0:.2f} s{pace}{reading}"
    wanted = asked(camera)
    if camera.size is not None and camera.size != (width, height):
        yield failure(f"{text}; size = {list(camera.size)}", f"set size = [{width}, {height}], or set the camera so")
    elif seen.faults:
        yield warning(
            f"{text}; {seen.faults} of {seen.frames} frames came without a picture",
            "look at cable, switch and net.core.rmem_max: each of them is an unknown verdict",
        )
    elif seen.rate is not None and wanted is not None and abs(seen.rate - wanted) > NEAR * wanted:
        yield warning(
            f"{text}; it is asked for {wanted:g}",
            "see whether exposure time, bandwidth or a trigger holds it back, or ask for what it can do",
        )
    else:
        yield fine(text)


def _used(camera: Camera, case: Case) -> str | None:
    """Who else has a camera at this machine open."""
    scheme, _, body = (camera.source or "").partition(":")
    if scheme.lower() != "camera":
        return None
    device = body.partition("?")[0]
    path = f"/dev/video{device}" if device.isdecimal() else str(Path(device.removeprefix("//")).resolve())
    return case.machine.holder(path)
