"""What a daemon holds open beside its cameras and models: who keeps strangers out, the outputs, what remembers, and
where triggers and questions come in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from inspector.arrivals import Arrivals, open_arrivals
from inspector.catchup.server import CatchUp
from inspector.clock import Clock
from inspector.guard import Guard
from inspector.journal.journal import Journal
from inspector.judging import Judging
from inspector.keys import ServerKeys
from inspector.outputs import Output, open_output
from inspector.record import Record, open_catchup, open_record
from inspector.recorder.opening import open_recorder
from inspector.recorder.recorder import Recorder
from inspector.settings import Settings
from inspector.sources import Source
from inspector.stage import Service


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All of it, open."""

    guard: Guard | None
    output: Output
    record: Record
    recorder: Recorder | None
    catchup: CatchUp | None
    arrivals: Arrivals

    @property
    def journal(self) -> Journal | None:
        """Where results are kept, if they are."""
        return self.record.keeping.journal if self.record.keeping else None

    @property
    def aside(self) -> dict[str, Service]:
        """What of it works beside the flow, by the names of its stages."""
        services = {"recorder": self.recorder, "catch-up": self.catchup, "triggers": self.arrivals.endpoint}
        firing = {f"fire-{camera}": one for camera, one in self.arrivals.firing.items()}
        return {**self.record.aside, **firing, **{name: one for name, one in services.items() if one is not None}}


def open_surroundings(
    stack: ExitStack,
    settings: Settings,
    judging: Judging,
    sources: Mapping[str, Source],
    clock: Clock,
    wake: Callable[[], None],
    rehearsal: bool,
) -> Surroundings:
    """Open it all; `stack` closes it. sources: by camera;  wake: called when a stage ends

    The addresses that may be taken come before the journal's new session. Raises ConfigError, OutputError.
    """
    publish = settings.publish
    guard = _guard(settings, clock, wake, rehearsal)
    if guard is not None:
        stack.callback(guard.close)
    output = open_output(publish.endpoint, publish.buffer_mb << 20, publish.allow_plaintext, guard)
    stack.callback(output.close)
    record = open_record(stack, settings, [camera.name for camera in settings.camera], clock, rehearsal)
    live = {name: source.live for name, source in sources.items()}
    recorder = open_recorder(stack, settings, judging, live, record.session, clock, rehearsal)
    catchup = open_catchup(stack, settings, record, clock, guard)
    arrivals = open_arrivals(stack, settings, sources, clock, guard)
    if guard is not None:
        guard.start()
    return Surroundings(guard, output, record, recorder, catchup, arrivals)


def _guard(settings: Settings, clock: Clock, wake: Callable[[], None], rehearsal: bool) -> Guard | None:
    """Who keeps strangers out, if anybody shall."""
    security, path = settings.security, settings.journal.path
    if security.secret_key is None or security.subscribers is None:
        return None
    notes = None if path is None or rehearsal else path.with_name(f"{path.name}-keys")
    return Guard(ServerKeys.load(security.secret_key), security.subscribers, clock, wake, notes)
