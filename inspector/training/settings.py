"""What a training run can be told, and how the rest is chosen from the pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from inspector.training.augment import Augmentation
from inspector.training.data import Sample, read_picture
from inspector.training.loop import Plan
from inspector.training.networks import STRIDE

BATCH = 32
VIEW = 128
"""Side of the detector's training views, in pixels of its input: several times what one of its outputs can see well."""

LONG_SIDE = 320
"""The detector's longer input side where none is given: a frame then costs about 10 ms of one core."""

WINDOWS = (64, 128, 256)
"""Sides of the repairer's windows, in pixels of the frame."""

DETECTOR_STEPS, REPAIRER_STEPS = 300, 200
"""Batches that each network sees where no epochs are given: together 5 to 8 minutes on two cores."""


@dataclass(frozen=True, slots=True)
class Settings:
    """See `inspector train --help`; None means: chosen from the pictures."""

    data: Path
    out: Path
    name: str
    version: str = "1"
    description: str = ""
    licence: str = "not stated"
    size: tuple[int, int] | None = None
    epochs: int | None = None
    repair_epochs: int | None = None
    rate: float = 2e-3
    seed: int = 0
    validation: float = 0.15
    augmentation: Augmentation = field(default_factory=Augmentation)
    golden: Path | None = None
    resume: bool = False

    @property
    def work(self) -> Path:
        """Where checkpoints, logs and plots are kept: beside the bundle, which holds only what the daemon needs."""
        return self.out.with_name(self.out.name + ".work")


def choose_size(samples: list[Sample]) -> tuple[int, int]:
    """(height, width) for the detector: the first picture's aspect, at most LONG_SIDE long, multiples of 16."""
    height, width = read_picture(samples[0].picture, 1).shape[:2]
    scale = min(1.0, LONG_SIDE / max(height, width))
    return _multiple(height * scale), _multiple(width * scale)


def _multiple(length: float) -> int:
    return max(STRIDE, round(length / STRIDE) * STRIDE)


def choose_windows(samples: list[Sample]) -> tuple[int, ...]:
    """The repairer's windows that the first picture can hold."""
    shorter = min(read_picture(samples[0].picture, 1).shape[:2])
    return tuple(side for side in WINDOWS if side <= shorter) or WINDOWS[:1]


def plan(settings: Settings, pictures: int, epochs: int | None, steps: int) -> Plan:
    """An epoch shows as many views as there are training pictures, but 640 to 960; epochs by `steps` unless given."""
    an_epoch = min(max(math.ceil(pictures / BATCH), 20), 30)
    return Plan(epochs or math.ceil(steps / an_epoch), an_epoch, BATCH, settings.rate, settings.seed)
