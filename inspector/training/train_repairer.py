"""The repairer: fills holes in normal pictures, at the pictures' own resolution, and may learn their texture too."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial

from torch import nn

from inspector.training import explain
from inspector.training.fit_repairer import fit_repairer
from inspector.training.fit_texture import fit_texture, gain
from inspector.training.guides import GuidedBatches
from inspector.training.material import Material
from inspector.training.networks import GUIDED, REPAIRERS
from inspector.training.plots import plot
from inspector.training.repair_batches import RepairBatches
from inspector.training.settings import BATCH, Settings, plan_repairer
from inspector.types import Say


@dataclass(frozen=True, slots=True)
class TrainedRepairer:
    """network: in evaluation mode;  card: what is told of its training, by the stage"""

    network: nn.Module
    card: dict[str, object]


def train_repairer(settings: Settings, material: Material, windows: tuple[int, ...], say: Say) -> TrainedRepairer:
    """Train a repairer for `windows` of so many pixels a side; `say` is told what is done and what came of it."""
    compares = material.mode == "reference"
    plan = plan_repairer(settings)
    say(explain.duration("repairer", plan, f"windows of {', '.join(map(str, windows))} pixels"))
    kind, build = (GuidedBatches, GUIDED["guided"]) if compares else (RepairBatches, REPAIRERS["membrane"])
    shown = kind(material.training, windows, BATCH, material.augmentation)
    held_back = kind(material.validation, windows, BATCH, material.augmentation)
    network, figures = fit_repairer(
        partial(build, material.training.channels), shown, held_back, plan, settings.work, settings.resume
    )
    plot(settings.work / "repairer.jsonl", settings.work / "repairer.png")
    card: dict[str, object] = {"repairer": {**asdict(plan), "figures": figures}}

    if settings.adversarial_epochs:
        plan = replace(plan, epochs=settings.adversarial_epochs)
        network, figures = fit_texture(network, shown, held_back, plan, settings.work, settings.resume)
        say(gain(figures))
        card["texture"] = {**asdict(plan), "figures": figures}
    return TrainedRepairer(network, card)
