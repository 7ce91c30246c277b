"""Memory: what this configuration may take, against what there is; and the buffers of the kernel."""

from __future__ import annotations

import os
from collections.abc import Iterator

from inspector import budget
from inspector.budget import MIB
from inspector.doctor.builds import schemes
from inspector.doctor.case import Case
from inspector.doctor.finding import Finding, failure, fine, of_error, skipped, warning
from inspector.errors import ConfigError
from inspector.settings import Settings
from inspector.sources.gige import LEAST_BUFFER
from inspector.sources.ring import SLOTS

BASE_FILES, FILES_A_CAMERA = 128, 16
"""Files and sockets that the daemon may need: models, journal, subscribers; and pipes and sockets of a camera."""


def memory(case: Case) -> Iterator[Finding]:
    """With all queues full."""
    assert case.judging is not None  # noqa: S101 - the registry says that it needs models
    line, there = sized(case), case.machine.memory()
    if unknown := [camera.name for camera in line.camera if camera.size is None]:
        yield skipped(f"the size of the frames of {', '.join(unknown)} is not known", "give each a size = [w, h]")
        return
    crew, most = case.judging.workshop.workers, case.judging.workshop.max_batch
    try:
        budget.outbox_depth(line, case.judging.stations, crew, most, case.resident, case.spare)
    except ConfigError as error:
        yield from of_error(error)
        return
    parts = budget.needs(line, case.judging.stations, crew, most, case.resident, case.spare)
    rings = [
        SLOTS * 3 * one.size[0] * one.size[1] * len(one.sources or (one.source,))
        for one in line.camera
        if one.isolate and one.size
    ]
    need = sum(part.size for part in parts) + sum(rings)
    largest = max(parts, key=lambda part: part.size)
    text = f"up to {need // MIB + 1} MB with all queues full, most of it ({largest.size // MIB + 1}) for {largest.what}"
    if there is None:
        yield skipped(f"{text}; the system does not tell how much there is")
    elif need > there[0]:
        yield failure(f"{text}; there are {there[0] // MIB} MB", f"{largest.remedy}, or add memory")
    elif need > there[1]:
        yield warning(
            f"{text}; {there[1] // MIB} of {there[0] // MIB} MB are free",
            f"{largest.remedy}, stop what else runs here, or add memory; daemon.memory_mb makes it a condition",
        )
    else:
        yield fine(f"{text}; {there[1] // MIB} of {there[0] // MIB} MB are free")


def sized(case: Case) -> Settings:
    """The line, whose cameras have the size that they were seen to have where none is given."""
    cameras = []
    for camera in case.line.camera:
        seen = case.seen.get(camera.name)
        if camera.size is None and seen is not None and seen.images:
            height, width = seen.images[0].shape[:2]
            camera = camera.model_copy(update={"size": (width, height)})
        cameras.append(camera)
    return case.line.model_copy(update={"camera": tuple(cameras)})


def files(case: Case) -> Iterator[Finding]:
    """Open files."""
    there, needed = case.machine.descriptors(), BASE_FILES + FILES_A_CAMERA * len(case.line.camera)
    if there < needed:
        yield warning(
            f"{there} files may be open, and this line may need {needed}",
            "raise it: ulimit -n 4096 in a shell, LimitNOFILE=4096 in the unit",
        )
    else:
        yield fine(f"{there} may be open, {needed} may be needed")


def shared(case: Case) -> Iterator[Finding]:
    """The memory through which isolated cameras hand over their pictures."""
    isolated = [camera.name for camera in case.line.camera if camera.isolate]
    if not isolated:
        yield fine("not needed: no camera is isolated")
        return
    try:
        os.close(os.memfd_create("inspector-doctor"))
    except OSError as error:
        yield failure(
            f"isolated cameras ({', '.join(isolated)}) need memfd_create(2), which fails: {error.strerror}",
            "allow it in the sandbox's filter of system calls, or leave out isolate",
        )
    else:
        yield fine(f"there for {', '.join(isolated)}; it has no name, counts as memory, and needs no room in /dev/shm")


def buffers(case: Case) -> Iterator[Finding]:
    """What the kernel keeps of a camera's packets until they are read."""
    if not {"gige", "genicam"} & schemes(case):
        yield fine("not needed: no machine vision camera")
        return
    frames = [camera.size[0] * camera.size[1] for camera in sized(case).camera if camera.size]
    needed = max([LEAST_BUFFER, *frames])
    there = case.machine.number("proc/sys/net/core/rmem_max")
    if there is None:
        yield skipped("the system does not tell net.core.rmem_max")
    elif there < needed:
        yield warning(
            f"net.core.rmem_max = {there}: a socket cannot hold one frame ({needed} bytes), so that packets are lost",
            f"sysctl -w net.core.rmem_max={needed}, and the same in /etc/sysctl.d/",
        )
    else:
        yield fine(f"net.core.rmem_max = {there}")
