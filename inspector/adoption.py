"""How others come to judge: everything that knows by what frames are judged learns of it in one place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from inspector.cameras import monitor_of
from inspector.judging import Judging
from inspector.metrics import Metrics
from inspector.recorder.recorder import Recorder
from inspector.settings import config_sha256
from inspector.sources.state import CameraState
from inspector.wire import Encoder
from inspector.worker import Station


@dataclass(frozen=True, slots=True)
class Adoption:
    """stations: by camera, what its next frame is judged by
    challenge: has cameras challenged at once;  cameras: their states, by name
    live: by camera, whether its parts pass by
    """

    stations: dict[str, Station]
    metrics: Metrics
    encoder: Encoder
    recorder: Recorder | None
    challenge: Callable[[Collection[str]], None]
    cameras: Mapping[str, CameraState]
    live: Mapping[str, bool]

    def __call__(self, before: Judging, now: Judging) -> None:
        """Have `now` judge, where `before` did, and tell all of them."""
        changed = [name for name, one in now.stations.items() if one is not before.stations[name]]
        # Who is asked for a frame's model knows it before any frame has it.
        self.metrics.judge_by(now.tags)
        if self.recorder is not None:
            self.recorder.judge_by(now, changed)
        self.stations.update(now.stations)
        self.encoder.configured(config_sha256(now.settings))
        self.challenge(changed)
        for camera in now.settings.camera:
            learnt = now.calibrations.get(camera.name)
            if learnt != before.calibrations.get(camera.name):
                modalities = now.stations[camera.name].team.bundle.card.input.modalities
                state = self.cameras[camera.name]
                state.monitor = monitor_of(camera, self.live[camera.name], learnt, modalities, state.monitor)
