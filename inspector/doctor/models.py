"""The models: proven on the device that they really run on."""

from __future__ import annotations

import time
from collections.abc import Iterator

from inspector.budget import resident_bytes
from inspector.doctor.case import Case
from inspector.doctor.finding import Finding, fine, warning
from inspector.judging import prepare
from inspector.models.versions import Versions
from inspector.types import Cause

OLD_DAYS = 180
"""Days after which a calibration should be made anew."""
DAY = 86_400


def models(case: Case) -> Iterator[Finding]:
    """Sessions are made, asked what they run on, and each bundle judges its golden pictures there.

    They are those that the daemon would load at its start: by the configuration, or chosen by a verb in earlier runs.
    """
    if (state := case.line.models.state) is not None:
        versions = Versions(state, case.line.models.keep, make=False)
        yield from map(fine, versions.notes(case.line))
        case.settings = versions.effective(case.line)
    bare = resident_bytes()
    case.judging = judging = prepare(case.line)
    case.resident = resident_bytes()
    case.spare = 0 if case.line.models.state is None else case.resident - bare
    for tag in judging.tags:
        yield fine(f"{tag.name} proves itself on {tag.provider} in {tag.precision}")
    workers, cores = judging.workshop.workers, case.cores
    on_cpu = {tag.provider for tag in judging.tags} <= {"CPUExecutionProvider"}
    if on_cpu and workers > cores + 0.5:
        yield warning(
            f"{workers} worker(s) on {cores:g} core(s): they take turns, and frames wait twice",
            f"set workers.count = {max(int(cores), 1)}, or 0 for one a core",
        )


def calibrations(case: Case) -> Iterator[Finding]:
    """Whether thresholds were chosen, when, and on what."""
    assert case.judging is not None  # noqa: S101 - the registry says that it needs models
    for camera in case.line.camera:
        one = case.judging.calibrations.get(camera.name)
        if one is None:
            yield fine(f"camera {camera.name!r} is not calibrated: it is judged by the bundle's threshold, or its own")
            continue
        days = (time.time() - one.seconds) / DAY
        tag = case.judging.stations[camera.name].tag
        text = f"camera {camera.name!r} was calibrated {days:.0f} day(s) ago, for this bundle"
        if (one.bundle.provider, one.bundle.precision) != (tag.provider, tag.precision):
            text += f", on {one.bundle.provider} in {one.bundle.precision}"
            yield warning(text, f"calibrate on {tag.provider} in {tag.precision}, as it runs here")
        elif one.is_blind_to_blurs and Cause.DEFOCUSED in camera.health:
            yield warning(f"{text}, but cannot tell strong blurs, which could not be learnt then", "calibrate anew")
        elif days > OLD_DAYS or days < -1:
            yield warning(text, "calibrate anew with parts of today: lamps and lenses age (docs/calibration.md)")
        else:
            yield fine(text)
