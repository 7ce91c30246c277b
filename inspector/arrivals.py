"""What knows which part a frame is of, put together as the configuration says: triggers by camera, their endpoint, who
fires cameras for them, and the parts that several cameras see.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from inspector.clock import Clock
from inspector.firing import Firing
from inspector.guard import Guard
from inspector.matching import Triggers
from inspector.parts import Parts, Station
from inspector.settings import Settings
from inspector.sources import Source, shutter_of
from inspector.triggers import TriggerEndpoint

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """triggers: by camera, of those that are triggered;  endpoint: where triggers come in, if anywhere

    firing: by camera, of those that the daemon fires
    """

    triggers: Mapping[str, Triggers]
    parts: Parts
    endpoint: TriggerEndpoint | None = None
    firing: Mapping[str, Firing] = field(default_factory=dict)


def open_arrivals(
    stack: ExitStack, settings: Settings, sources: Mapping[str, Source], clock: Clock, guard: Guard | None
) -> Arrivals:
    """`stack` closes the endpoint. sources: by camera. Raises OutputError."""
    parts = Parts(
        Station(
            one.name, one.cameras, one.deadline if any(sources[camera].live for camera in one.cameras) else float("inf")
        )
        for one in settings.station
    )
    triggers = {
        camera.name: Triggers(camera.trigger_delay, camera.trigger_window, camera.deadline)
        for camera in settings.camera
        if camera.trigger_window is not None
    }
    if settings.trigger.endpoint is None:
        return Arrivals(triggers, parts)
    firing = {
        camera: Firing(camera, triggers[camera], shutter, clock)
        for camera, source in sources.items()
        if camera in triggers and (shutter := shutter_of(source)) is not None
    }
    stations = {station.name: station.cameras for station in settings.station}
    context = None if guard is None else guard.context
    may_be_plain = settings.publish.allow_plaintext
    endpoint = TriggerEndpoint(
        settings.trigger.endpoint, {**triggers, **firing}, stations, clock, may_be_plain, guard, context
    )
    stack.callback(endpoint.close)
    log.info("triggers at %s", endpoint.endpoint)
    return Arrivals(triggers, parts, endpoint, firing)
