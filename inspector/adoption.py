"""What follows when others judge: everything that knows by what frames are judged learns of it in one place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from inspector.cameras import monitor_of
from inspector.judging import Judging
from inspector.metrics import Metrics
from inspector.settings import config_sha256
from inspector.sources.state import CameraState
from inspector.wire import Encoder


@dataclass(frozen=True, slots=True)
class Adoption:
    """folders: where bundles came from, by sha256;  challenge: has cameras challenged at once
    cameras: their states, by name;  live: by camera, whether its parts pass by
    """

    metrics: Metrics
    encoder: Encoder
    folders: dict[str, Path]
    challenge: Callable[[Collection[str]], None]
    cameras: Mapping[str, CameraState]
    live: Mapping[str, bool]

    def __call__(self, before: Judging, now: Judging) -> None:
        """Tell all of them that `now` judges, where `before` did."""
        self.metrics.judge_by(now.tags)
        self.folders.update(now.folders())
        self.encoder.configured(config_sha256(now.settings))
        self.challenge([name for name, one in now.stations.items() if one is not before.stations[name]])
        for camera in now.settings.camera:
            learnt = now.calibrations.get(camera.name)
            if learnt != before.calibrations.get(camera.name):
                modalities = now.stations[camera.name].team.bundle.card.input.modalities
                self.cameras[camera.name].monitor = monitor_of(camera, self.live[camera.name], learnt, modalities)
