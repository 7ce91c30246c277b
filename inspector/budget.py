"""What memory a configuration may need, with all queues full, and whether that is within the budget that it states.

Counted is what grows with the frames: those that wait, those that are being judged, and what judging makes of them. The
rest (interpreter, libraries, models after their first run) is not guessed but measured: what the process has by then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from inspector.errors import ConfigError
from inspector.settings import Camera, Settings
from inspector.worker import Station

MIB = 1 << 20
FEWEST, MOST = 2, 64
"""Inspections that may wait to be encoded: what is left of the budget decides."""
CAPTURED = 3
"""Frames of a camera beside those in its queue: one in its source, one with its reader, one more being decoded."""
MAP, LABELS, MASK = 4, 4, 1
"""Bytes a pixel that a worker needs of a frame that it judges: float32, int32 at the worst, and uint8."""
CHANNELS = 3
"""Of one source: colour, at the worst."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that needs memory: bytes, and what would make it less."""

    what: str
    size: int
    remedy: str


def outbox_depth(
    settings: Settings, stations: Mapping[str, Station], workers: int, max_batch: int, resident: int, spare: int = 0
) -> int:
    """How many inspections may wait to be encoded within `daemon.memory_mb`; without a budget, `MOST`.

    workers, max_batch: how many there are, and how many frames one takes;  resident: bytes that the process has with
    its models loaded
    spare: bytes for a second set of models, beside the first while it takes over
    Raises ConfigError where the budget does not suffice, naming the largest part, or cannot be checked.
    """
    budget = settings.daemon.memory_mb
    if budget is None:
        return MOST
    if unknown := [camera.name for camera in settings.camera if camera.size is None]:
        raise ConfigError(
            f"daemon.memory_mb = {budget}: what frames of camera {', '.join(map(repr, unknown))} need is not known; "
            "give each a size = [width, height]"
        )
    parts = needs(settings, stations, workers, max_batch, resident, spare)
    largest = max(map(_frame, settings.camera))
    needed = sum(part.size for part in parts)
    if needed > budget * MIB:
        most = max(parts, key=lambda part: part.size)
        raise ConfigError(
            f"daemon.memory_mb = {budget}: this configuration may need {needed // MIB + 1} MB; the largest part are "
            f"{most.size // MIB + 1} MB for {most.what}: {most.remedy}, or allow more"
        )
    return min(FEWEST + (budget * MIB - needed) // largest, MOST)


def needs(
    settings: Settings, stations: Mapping[str, Station], workers: int, max_batch: int, resident: int, spare: int = 0
) -> list[Part]:
    """All that needs memory, with every queue full; every camera has a size. The rest is as `outbox_depth` has it."""
    waiting = FEWEST * max(map(_frame, settings.camera))
    outbox = Part("inspections that wait to be encoded", waiting, "choose cameras with fewer pixels")
    second = Part("a second set of models, for an exchange", spare, "use smaller models, or take out models.state")
    return [*_parts(settings, stations, workers, max_batch, resident), second, outbox]


def resident_bytes() -> int:
    """What memory this process has now; 0 where the system does not say (it is Linux that does)."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


def _parts(
    settings: Settings, stations: Mapping[str, Station], workers: int, max_batch: int, resident: int
) -> Iterator[Part]:
    yield Part("the process itself with its models", resident, "use smaller models, or fewer workers")
    for camera in settings.camera:
        frames = camera.queue + CAPTURED
        yield Part(
            f"{frames} frames of camera {camera.name!r}, {camera.queue} of them in its queue",
            frames * (_frame(camera) + _fitted(stations[camera.name])),
            "make its queue shorter",
        )
    if challenged := [camera for camera in settings.camera if camera.challenges is not None]:
        largest = max(_frame(camera) + _fitted(stations[camera.name]) for camera in challenged)
        yield Part("a challenge", largest, "challenge no camera with large frames")
    yield Part(
        f"what {workers} worker(s) work on", workers * _worker(settings, stations, max_batch), "have fewer workers"
    )
    waiting = (settings.publish.buffer_mb + (settings.journal.memory_mb if settings.journal.path else 0)) * MIB
    yield Part("messages that wait for a slow subscriber or the disk", waiting, "lower buffer_mb and journal.memory_mb")
    if settings.recorder.path is not None:
        held = settings.recorder.memory_mb * MIB
        yield Part("frames that the flight recorder holds", held, "lower recorder.memory_mb")


def _worker(settings: Settings, stations: Mapping[str, Station], max_batch: int) -> int:
    """Bytes of one worker: a batch of frames, what is made of one of them, and large ones that were overtaken."""
    batch = max_batch * max(_frame(camera) + _fitted(stations[camera.name]) for camera in settings.camera)
    judged = max((MAP + LABELS + MASK) * _judged(camera) + _frame(camera) for camera in settings.camera)
    tiled = [camera for camera in settings.camera if stations[camera.name].view.overlap is not None]
    held = sorted(MAP * _judged(camera) + _frame(camera) for camera in tiled)
    return batch + judged + sum(held[:-1])


def _frame(camera: Camera) -> int:
    width, height = camera.size or (0, 0)
    return width * height * CHANNELS * (1 if camera.sources is None else len(camera.sources))


def _judged(camera: Camera) -> int:
    """Pixels that are judged of a frame."""
    width, height = camera.region[2:] if camera.region is not None else camera.size or (0, 0)
    return width * height


def _fitted(station: Station) -> int:
    """Bytes of the copy that fits the model; tiles are cut from the frame itself."""
    height, width, channels = station.view.shape
    return height * width * channels if station.view.overlap is None else 0
