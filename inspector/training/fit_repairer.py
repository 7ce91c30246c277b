"""Trains the repairer: a generative network that fills holes in normal pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from inspector.training import loop
from inspector.training.batches import RepairBatches
from inspector.training.fit_detector import as_input, best_device
from inspector.training.losses import hole_mean, repair_loss
from inspector.training.networks import REPAIRERS

CHECKED = 8
"""Batches of validation views that each epoch is measured on; always the same ones."""


def fit_repairer(
    batches: RepairBatches, validation: RepairBatches, plan: loop.Plan, folder: Path, resume: bool
) -> tuple[nn.Module, dict[str, float]]:
    """The trained repairer (best epoch, in evaluation mode) and that epoch's figures."""
    torch.manual_seed(plan.seed)
    device = best_device()
    network = REPAIRERS["gated"](batches.pictures.channels).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rng = np.random.default_rng(plan.seed)
    checked = [validation.draw(rng) for _ in range(CHECKED)]

    def tensors(wanted: np.ndarray, holes: np.ndarray) -> tuple[Tensor, Tensor]:
        return as_input(wanted, device), torch.from_numpy(holes).to(device).gt(0).float()[:, None]

    def loss(rng: np.random.Generator) -> Tensor:
        wanted, hole = tensors(*batches.draw(rng))
        return repair_loss(network(wanted, hole), wanted, hole)

    def validate(candidate: nn.Module) -> dict[str, float]:
        losses, squares = [], []
        for wanted, hole in (tensors(*batch) for batch in checked):
            drawn = candidate(wanted, hole).clamp(0, 1)
            losses.append(float(repair_loss(drawn, wanted, hole)))
            squares.append(float(hole_mean((drawn - wanted).square(), hole).mean()))
        return {"validation_loss": float(np.mean(losses)), "psnr": float(-10 * np.log10(np.mean(squares)))}

    best, figures = loop.fit(loop.Task("repairer", network, loss, validate, "psnr"), plan, folder, resume)
    network.load_state_dict(best)
    return network.cpu().eval(), figures
