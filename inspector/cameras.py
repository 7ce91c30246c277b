"""The cameras of a line, made as their configuration says; nothing is opened yet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from inspector import settings as configuration
from inspector.calibration import Calibration
from inspector.challenges import pictures
from inspector.challenges.challenger import Challenges
from inspector.condition import limits
from inspector.condition.monitor import Monitor
from inspector.errors import ConfigError
from inspector.matching import Triggers
from inspector.sources import Source, may_know_parts, open_source, shutter_of
from inspector.sources.intake import Camera
from inspector.sources.isolated import Isolated
from inspector.sources.scan import Scan
from inspector.sources.stacked import Stacked
from inspector.sources.throttle import Throttle
from inspector.types import Cause
from inspector.worker import Station

PATIENCE = 0.5
"""Share of a camera's deadline in which the pictures of a stack must have come; the rest is left to the model."""


def source_of(
    camera: configuration.Camera, channels: Mapping[str, int], opener: Callable[[str], Source] = open_source
) -> Source:
    """What gives the camera's frames, from one URL or several of `channels` each. Raises ConfigError."""
    if camera.isolate:
        opener = partial(Isolated, hangs_after=camera.hangs_after)
    source = opener(camera.source or "") if camera.sources is None else _stack(camera, camera.sources, channels, opener)
    if camera.scan_rows is None:
        return source
    return Scan(source, camera.scan_rows, camera.scan_overlap)


def _stack(
    camera: configuration.Camera, urls: Mapping[str, str], channels: Mapping[str, int], opener: Callable[[str], Source]
) -> Source:
    cameras = {modality: partial(opener, url) for modality, url in urls.items()}
    try:
        return Stacked(cameras, channels, camera.queue + 1, camera.pair_within, PATIENCE * camera.deadline)
    except ConfigError as error:
        raise ConfigError(*(f"camera {camera.name!r}: sources: {problem}" for problem in error.problems)) from error


def source_problems(cameras: Sequence[configuration.Camera]) -> Iterator[str]:
    """What is wrong with the cameras' sources, beyond each URL alone."""
    for camera in cameras:
        try:
            source = source_of(camera, {})
        except ConfigError as error:
            yield from error.problems
            continue
        if shutter_of(source) is not None and camera.trigger_window is None:
            yield (
                f"camera {camera.name!r}: its source waits to be fired (TriggerSource=Software), and no trigger is for "
                "it; set trigger_window and trigger.endpoint, or another TriggerSource"
            )


def station_problems(settings: configuration.Settings) -> Iterator[str]:
    """Which cameras of stations can never say which part they see: the station would wait for them in vain."""
    cameras = {camera.name: camera for camera in settings.camera}
    for station in settings.station:
        for camera in (cameras[name] for name in station.cameras):
            urls = [camera.source or ""] if camera.sources is None else camera.sources.values()
            if camera.trigger_window is None and not any(map(may_know_parts, urls)):
                yield (
                    f"station {station.name!r}: camera {camera.name!r} never knows which part it sees, since its "
                    "source tells no part ids; give it a trigger_window, and set trigger.endpoint (docs/parts.md), or "
                    "take it out of the station"
                )


def camera_of(
    settings: configuration.Camera,
    source: Source,
    standard: Callable[[], Station],
    calibrated: Calibration | None,
    triggers: Triggers | None,
) -> Camera:
    """What the flow needs of it. standard: what each next frame is judged by"""
    monitor = monitor_of(settings, source.live, calibrated, standard().team.bundle.card.input.modalities)
    silence = settings.silence if triggers is None else math.inf  # the triggers tell what is missing
    throttle = None if settings.max_rate is None else Throttle(settings.max_rate, settings.queue)
    return Camera(
        settings.name,
        source,
        standard,
        settings.deadline,
        settings.queue,
        monitor,
        silence,
        triggers,
        throttle,
    )


def monitor_of(
    settings: configuration.Camera,
    live: bool,
    calibrated: Calibration | None,
    modalities: Mapping[str, int],
    before: Monitor | None = None,
) -> Monitor:
    """Its health checks, with the limits that were learnt and fixed ones where none were.

    modalities: that its bundle names, with the channels of each; what a frame of `sources` is made of
    before: the one whose place it takes
    """
    health = None if calibrated is None else calibrated.health
    fixed = limits.fixed(live)
    healthy = fixed if health is None else limits.completed(health.limits, live)
    stacked = {} if settings.sources is None else modalities
    return Monitor(healthy, [Cause(name) for name in settings.health], stacked, fixed, before)


def challenges_of(cameras: Sequence[configuration.Camera], stations: Mapping[str, Station]) -> dict[str, Challenges]:
    """By camera, what it is challenged with. Raises ConfigError where one of the pictures cannot be its own."""
    found, problems = {}, []
    for camera in cameras:
        if camera.challenges is not None:
            known = pictures.load(camera.challenges)
            problems += [
                f"camera {camera.name!r}: challenges: {problem}"
                for problem in pictures.misfits(known, stations[camera.name].view.fit)
            ]
            found[camera.name] = Challenges(known, camera.challenge_every, camera.challenge_strict)
    if problems:
        raise ConfigError(*problems)
    return found
