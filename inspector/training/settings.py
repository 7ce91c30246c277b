"""What a training run can be told, and how many batches of what each network then sees."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from inspector.training.loop import MEMORY, Plan
from inspector.training.split import VALIDATION

BATCH = 32
VIEW = 128
"""Side of small training views, in pixels of the detector's input: several times what one output can see well."""

WHOLE_BATCH = 16
"""Views in a batch where each is a whole picture."""

MANY_STEPS, LONG_EPOCH = 1000, 50
"""From so many batches on an epoch has LONG_EPOCH: what is done between epochs, on whole pictures, would else take a
third of the time. More and shorter ones gave no better detector (measured)."""

FINISH, FINISH_RATE = 0.2, 0.3
"""Share of the detector's epochs that it goes on with the pictures that were held back, and of its learning rate."""

RIM = 1
"""Pixels beside a mask that are hidden from the repairer too; it has learned to see through what is left beyond."""

REPAIRER_STEPS = 1400
"""Batches that the repairer sees where no epochs are given: 4 minutes on two cores."""

REPAIRER_EPOCH = 100
"""Batches of an epoch of the repairer: its batches are small, and windows on pictures have no natural number."""

REPAIRER_RATE = 1.5
"""The repairer's learning rate, in units of the detector's: norms throughout let it go faster."""

Mode: TypeAlias = Literal["normal", "masks", "reference"]
"""What the detector learns from: normal pictures alone, defective ones too, with masks or without, or pictures beside
others of how they should look."""


@dataclass(frozen=True, slots=True)
class Settings:
    """See `inspector train --help`; None means: chosen from the pictures.

    augmentation: what is told of `Augmentation`, by the names of its fields
    """

    data: Path
    out: Path
    name: str
    version: str = "1"
    description: str = ""
    licence: str = "not stated"
    mode: Mode | None = None
    detector: str | None = None
    size: tuple[int, int] | None = None
    epochs: int | None = None
    repair_epochs: int | None = None
    adversarial_epochs: int = 0
    rate: float = 2e-3
    seed: int = 0
    validation: float = VALIDATION
    augmentation: Mapping[str, float | str] = field(default_factory=dict)
    golden: Path | None = None
    int8: bool = True
    resume: bool = False

    @property
    def work(self) -> Path:
        """Where checkpoints, logs and plots are kept: beside the bundle, which holds only what the daemon needs."""
        return self.out.with_name(self.out.name + ".work")


def plan(settings: Settings, pictures: int, epochs: int | None, steps: int, batch: int = BATCH) -> Plan:
    """An epoch is 20 to 30 batches, by the pictures' number, or LONG_EPOCH; epochs by `steps` unless given."""
    an_epoch = LONG_EPOCH if steps >= MANY_STEPS else min(max(math.ceil(pictures / batch), 20), 30)
    return Plan(epochs or math.ceil(steps / an_epoch), an_epoch, batch, settings.rate, settings.seed)


def plan_finish(detector: Plan) -> Plan:
    """How a detector that was trained by `detector` goes on, when its decision is chosen.

    For no fewer batches than the mean of its weights looks back, unless it was trained for fewer: it would get worse.
    """
    epochs = max(math.ceil(FINISH * detector.epochs), math.ceil(MEMORY / detector.steps))
    return replace(detector, epochs=min(epochs, detector.epochs), learning_rate=FINISH_RATE * detector.learning_rate)


def plan_repairer(settings: Settings) -> Plan:
    """Epochs of REPAIRER_EPOCH batches, by REPAIRER_STEPS unless given."""
    epochs = settings.repair_epochs or math.ceil(REPAIRER_STEPS / REPAIRER_EPOCH)
    return Plan(epochs, REPAIRER_EPOCH, BATCH, settings.rate * REPAIRER_RATE, settings.seed)
