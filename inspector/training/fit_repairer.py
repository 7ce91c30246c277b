"""Trains the repairer: a generative network that fills holes in normal pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from inspector.training import loop
from inspector.training.fit_detector import as_input, best_device
from inspector.training.holes import OUTSIDE
from inspector.training.losses import hole_mean, repair_loss
from inspector.training.repair_batches import RepairBatches

CHECKED = 16
"""Batches of validation windows that each epoch is measured on; always the same ones."""


@dataclass(frozen=True, slots=True)
class Windows:
    """A batch for the network: pictures [N,C,S,S] in [0, 1] and masks [N,1,S,S] in {0, 1}.

    unknown: what it is not to see;  hole: what of that it is to fill
    """

    seen: Tensor
    wanted: Tensor
    unknown: Tensor
    hole: Tensor

    @classmethod
    def of(cls, seen: np.ndarray, wanted: np.ndarray, masks: np.ndarray, device: torch.device) -> Windows:
        """From what RepairBatches draw."""
        mask = torch.from_numpy(masks).to(device)[:, None]
        return cls(as_input(seen, device), as_input(wanted, device), mask.gt(0).float(), mask.gt(OUTSIDE).float())


def fit_repairer(
    build: Callable[[], nn.Module],
    batches: RepairBatches,
    validation: RepairBatches,
    plan: loop.Plan,
    folder: Path,
    resume: bool,
) -> tuple[nn.Module, dict[str, float]]:
    """The network that `build` makes, trained and in evaluation mode, and the last epoch's figures."""
    torch.manual_seed(plan.seed)
    device = best_device()
    network = build().to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rng = np.random.default_rng(plan.seed)
    checked = [validation.draw(rng) for _ in range(CHECKED)]

    def loss(rng: np.random.Generator) -> Tensor:
        window = Windows.of(*batches.draw(rng), device)
        return repair_loss(network(window.seen, window.unknown), window.wanted, window.hole)

    def validate(candidate: nn.Module) -> dict[str, float]:
        losses, squares = [], []
        for window in (Windows.of(*batch, device) for batch in checked):
            drawn = candidate(window.seen, window.unknown).clamp(0, 1)
            losses.append(float(repair_loss(drawn, window.wanted, window.hole)))
            squares.append(float(hole_mean((drawn - window.wanted).square(), window.hole).mean()))
        return {"validation_loss": float(np.mean(losses)), "psnr": float(-10 * np.log10(np.mean(squares)))}

    kept, figures = loop.fit(loop.Task("repairer", network, loss, validate), plan, folder, resume)
    network.load_state_dict(kept)
    return network.cpu().eval(), figures
