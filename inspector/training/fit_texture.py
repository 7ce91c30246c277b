"""The repairer's second stage, where it is asked for: an adversary, so that a filled hole has the grain of its part.

Trained for the error alone, a network draws the mean of all that might be in a hole, which is smooth. The adversary
(hinge loss; Lim and Ye 2017) sees that, as do the statistics of pretrained features (Huang and Belongie 2017). What
comes of it is kept only where by validation it looks more like the truth and costs little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from inspector.training import loop
from inspector.training.fit_detector import best_device
from inspector.training.fit_repairer import CHECKED, Windows
from inspector.training.losses import hole_mean, repair_loss
from inspector.training.networks.lite0 import Lite0
from inspector.training.networks.patch import PatchDiscriminator
from inspector.training.repair_batches import RepairBatches

LIKENESS = 0.1
"""Weight of the features' distance, beside that of the pixels."""

ADVERSARY = 0.02
"""Weight of the adversary's opinion."""

SLOWER = 0.5
"""The learning rate, as a share of the first stage's."""

PRICE = 0.3
"""PSNR in dB that a better texture may cost."""


class Duel(nn.Module):
    """Repairer and adversary as one module, so that one optimiser trains both and a checkpoint holds both."""

    def __init__(self, repairer: nn.Module, channels: int) -> None:
        super().__init__()
        self.repairer = repairer
        self.adversary = PatchDiscriminator(channels)

    def loss(self, window: Windows, features: Features) -> Tensor:
        """Of the repairer: error, likeness and the adversary's opinion; of the adversary: real from drawn."""
        drawn = self.repairer(window.seen, window.unknown)
        complete = window.wanted + (drawn - window.wanted) * window.hole
        frozen = {name: value.detach() for name, value in self.adversary.state_dict(keep_vars=True).items()}
        opinion = functional_call(self.adversary, frozen, (complete, window.hole))
        real = self.adversary(window.wanted, window.hole)
        fake = self.adversary(complete.detach(), window.hole)
        inside = functional.adaptive_max_pool2d(window.hole, real.shape[-2:])
        told_apart = hole_mean(functional.relu(1 - real) + functional.relu(1 + fake), inside)
        likeness = features.distance(complete, window.wanted, window.hole)
        wanted = repair_loss(drawn, window.wanted, window.hole) + LIKENESS * likeness.mean()
        return wanted - ADVERSARY * hole_mean(opinion, inside).mean() + told_apart.mean()


class Features(nn.Module):
    """How alike the textures of two pictures are inside a hole, by the pretrained trunk's first two levels.

    Compared are each feature's mean and spread over the hole, not its values place by place: of two pictures with the
    same grain no two grains need to meet, and the mean of both would come nearer to either.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.trunk = Lite0(channels, levels=2).eval().requires_grad_(False)

    def distance(self, drawn: Tensor, wanted: Tensor, hole: Tensor) -> Tensor:
        """Of each picture [N], in units of the features' mean size."""
        total = torch.zeros(len(drawn), device=drawn.device)
        for ours, theirs in zip(self.trunk(drawn), self.trunk(wanted), strict=True):
            inside = functional.adaptive_max_pool2d(hole, ours.shape[-2:])
            differences = [
                (a - b).abs().mean(dim=1) for a, b in zip(_moments(ours, inside), _moments(theirs, inside), strict=True)
            ]
            total = total + (differences[0] + differences[1]) / (theirs.abs().mean() + 1e-6)
        return total


def _moments(feature: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [N,C] of `feature` [N,C,H,W] where `inside` [N,1,H,W] is 1."""
    pixels = inside.sum(dim=(2, 3)).clamp(min=1)
    mean = (feature * inside).sum(dim=(2, 3)) / pixels
    variance = ((feature - mean[:, :, None, None]).square() * inside).sum(dim=(2, 3)) / pixels
    return mean, (variance + 1e-4).sqrt()


def fit_texture(
    repairer: nn.Module, batches: RepairBatches, validation: RepairBatches, plan: loop.Plan, folder: Path, resume: bool
) -> tuple[nn.Module, dict[str, float]]:
    """The repairer with a truer texture, or as it came where validation sees none; and the figures, `before_` too.

    psnr in dB;  distance: of textures, see `Features`;  grain: energy of the gradients in the hole, of the truth's
    """
    torch.manual_seed(plan.seed)
    device = best_device()
    channels = batches.pictures.channels
    duel, features = Duel(repairer, channels).to(device), Features(channels).to(device)
    duel.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rng = np.random.default_rng(plan.seed)
    checked = [validation.draw(rng) for _ in range(CHECKED)]

    def measured(network: nn.Module) -> dict[str, float]:
        squares, distances, energies = [], [], []
        for window in (Windows.of(*batch, device) for batch in checked):
            drawn = network(window.seen, window.unknown).clamp(0, 1)
            complete = window.wanted + (drawn - window.wanted) * window.hole
            squares.append(float(hole_mean((drawn - window.wanted).square(), window.hole).mean()))
            distances.append(float(features.distance(complete, window.wanted, window.hole).mean()))
            energies.append([float((_energy(p) * window.hole).sum()) for p in (complete, window.wanted)])
        ours, theirs = np.sum(energies, axis=0)
        psnr = float(-10 * np.log10(np.mean(squares)))
        return {"psnr": psnr, "distance": float(np.mean(distances)), "grain": float(ours / max(theirs, 1e-9))}

    repairer.eval()
    with torch.inference_mode():
        before = measured(repairer)
    floor = before["psnr"] - PRICE

    def validate(candidate: nn.Module) -> dict[str, float]:
        now = measured(candidate.repairer)  # type: ignore[arg-type]
        return {**now, "texture": -now["distance"] if now["psnr"] >= floor else -1e3 + now["psnr"]}

    def loss(rng: np.random.Generator) -> Tensor:
        return duel.loss(Windows.of(*batches.draw(rng), device), features)

    slower = replace(plan, learning_rate=plan.learning_rate * SLOWER)
    first = {name: value.detach().clone() for name, value in repairer.state_dict().items()}
    kept, figures = loop.fit(loop.Task("texture", duel, loss, validate, "texture"), slower, folder, resume)
    figures |= {f"before_{name}": value for name, value in before.items()}
    duel.load_state_dict(kept)
    if not improved(figures):
        repairer.load_state_dict(first)
    return repairer.cpu().eval(), figures


def improved(figures: Mapping[str, float]) -> bool:
    """Whether what the adversary taught is kept."""
    return figures["texture"] > -figures["before_distance"]


def gain(figures: Mapping[str, float]) -> str:
    """What came of it, in a sentence."""
    changes = ", ".join(
        f"{what} {figures['before_' + name]:.3g} -> {figures[name]:.3g}"
        for name, what in (("distance", "feature distance"), ("grain", "grain of the truth's"), ("psnr", "PSNR"))
    )
    return f"adversary: {'kept' if improved(figures) else 'not kept'} ({changes})"


def _energy(image: Tensor) -> Tensor:
    """Squared differences to the right and lower neighbour, [N,1,H,W]."""
    right = functional.pad((image[..., :, 1:] - image[..., :, :-1]).square(), (0, 1, 0, 0))
    below = functional.pad((image[..., 1:, :] - image[..., :-1, :]).square(), (0, 0, 0, 1))
    return (right + below).mean(dim=1, keepdim=True)
