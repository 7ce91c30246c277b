"""The training loop, the same for both networks: Adam, a warm start, a cosine down to nothing.

What is validated and kept is a running mean of the weights (Polyak averaging), batch norms' statistics included: the
weights themselves still swing at a high learning rate, and their statistics lag behind them. Kept is the last epoch:
validation pictures are few, and which epoch they find best is for the most part chance.

A run can be stopped at any moment and resumed at the last whole epoch: what an epoch draws, dropout's places too,
depends on the seed and the epoch's number alone, and the learning rate on the step's number.
"""

from __future__ import annotations

import io
import json
import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from inspector import files
from inspector.errors import DataError
from inspector.types import Say

State: TypeAlias = dict[str, Tensor]

MEMORY = 100
"""Steps that the running mean of the weights looks back."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast to train; `steps` are an epoch's batches."""

    epochs: int
    steps: int
    batch: int
    learning_rate: float
    seed: int


@dataclass(frozen=True)
class Task:
    """What to train: the loss of one drawn batch, and figures of how good a network is.

    rank: the figure by which the best epoch is kept, more is better; None: the last one is
    trunk_rate: share of the learning rate for the parameters below `trunk`
    prepare: told the running mean's network before each epoch, so that batches can dwell on what it gets wrong
    """

    name: str
    network: nn.Module
    loss: Callable[[np.random.Generator], Tensor]
    validate: Callable[[nn.Module], Mapping[str, float]]
    rank: str | None = None
    trunk_rate: float = 1.0
    prepare: Callable[[nn.Module, np.random.Generator], None] | None = None


def fit(task: Task, plan: Plan, folder: Path, resume: bool) -> tuple[State, dict[str, float]]:
    """Train, and return the weights of the epoch that is kept, with its figures.

    Keeps `<name>.checkpoint` and `<name>.jsonl` (one line an epoch) in `folder`. Raises DataError where a checkpoint
    to resume was made with another plan, and OSError.
    """
    checkpoint, log = folder / f"{task.name}.checkpoint", folder / f"{task.name}.jsonl"
    optimiser = torch.optim.Adam(_groups(task), lr=plan.learning_rate)
    mean = AveragedModel(task.network, avg_fn=_averaged, use_buffers=True)
    done, kept, figures = 0, _copy(task.network), dict[str, float]()
    if resume and checkpoint.is_file():
        done, kept, figures = _load(checkpoint, task, mean, optimiser, plan)
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True) if log.is_file() else []
        log.write_text("".join(lines[:done]), encoding="utf-8")  # a stop may have come between log and checkpoint
    else:
        log.write_text("", encoding="utf-8")
    with _progress() as progress:
        bar = progress.add_task(task.name, total=plan.epochs * plan.steps, completed=done * plan.steps, note="")
        for epoch in range(done, plan.epochs):
            loss = _epoch(task, mean, plan, epoch, optimiser, lambda note: progress.update(bar, advance=1, note=note))
            now = {"epoch": epoch + 1, "loss": loss, **_validated(task, mean.module)}
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(now) + "\n")
            if task.rank is None or now[task.rank] > figures.get(task.rank, -math.inf):
                kept, figures = _copy(mean.module), now
            _save(checkpoint, task, mean, optimiser, plan, epoch + 1, kept, figures)
            progress.console.print(f"{task.name} " + "  ".join(f"{key} {value:.4g}" for key, value in now.items()))
    return kept, figures


def _epoch(
    task: Task,
    mean: AveragedModel,
    plan: Plan,
    epoch: int,
    optimiser: torch.optim.Optimizer,
    tell: Say,
) -> float:
    rng = np.random.default_rng([plan.seed, epoch])
    torch.manual_seed(int(np.random.SeedSequence([plan.seed, epoch]).generate_state(1, np.uint64)[0]))  # dropout's
    if task.prepare is not None:
        mean.module.eval()
        with torch.inference_mode():
            task.prepare(mean.module, rng)
    task.network.train()
    mean_loss = 0.0
    for step in range(plan.steps):
        rate = plan.learning_rate * schedule(epoch * plan.steps + step, plan.epochs * plan.steps)
        for group in optimiser.param_groups:
            group["lr"] = rate * group["share"]
        loss = task.loss(rng)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(task.network.parameters(), 5.0)
        optimiser.step()
        mean.update_parameters(task.network)
        mean_loss += (float(loss.detach()) - mean_loss) / (step + 1)
        tell(f"epoch {epoch + 1}/{plan.epochs} loss {mean_loss:.4f}")
    if not math.isfinite(mean_loss):
        raise DataError(f"{task.name}: the loss became {mean_loss} in epoch {epoch + 1}; train with a lower --rate")
    return mean_loss


def _groups(task: Task) -> list[dict[str, Any]]:
    named = [(name, parameter) for name, parameter in task.network.named_parameters() if parameter.requires_grad]
    trunk = [parameter for name, parameter in named if name.startswith("trunk.")]
    others = [parameter for name, parameter in named if not name.startswith("trunk.")]
    return [{"params": others, "share": 1.0}, *([{"params": trunk, "share": task.trunk_rate}] if trunk else [])]


def _averaged(mean: Tensor, now: Tensor, updates: Tensor | int) -> Tensor:
    """The running mean's next value: over the last hundred steps or so, over fewer at the start."""
    return mean + (now - mean) * max(1 / MEMORY, 10 / (10 + int(updates)))


def _validated(task: Task, network: nn.Module) -> Mapping[str, float]:
    network.eval()
    with torch.inference_mode():
        return task.validate(network)


def schedule(step: int, steps: int) -> float:
    """Share of the learning rate at `step` of `steps`: up over the first twentieth, then down along a cosine."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _copy(network: nn.Module) -> State:
    return {key: value.detach().clone() for key, value in network.state_dict().items()}


def _save(
    path: Path,
    task: Task,
    mean: AveragedModel,
    optimiser: torch.optim.Optimizer,
    plan: Plan,
    done: int,
    kept: State,
    figures: Mapping[str, float],
) -> None:
    content = io.BytesIO()  # of a file that it cannot write to torch says so by a RuntimeError, and not why
    torch.save(
        {
            "plan": asdict(plan),
            "epoch": done,
            "network": task.network.state_dict(),
            "mean": mean.state_dict(),
            "optimiser": optimiser.state_dict(),
            "kept": kept,
            "figures": dict(figures),
        },
        content,
    )
    files.replace({path: content.getvalue()})


def _load(
    path: Path, task: Task, mean: AveragedModel, optimiser: torch.optim.Optimizer, plan: Plan
) -> tuple[int, State, dict[str, float]]:
    try:
        saved: dict[str, Any] = torch.load(path, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"{path} is damaged and cannot be resumed; remove it, or train without --resume") from error
    if saved["plan"] != asdict(plan):
        raise DataError(f"{path} was made with {saved['plan']}, now it is {asdict(plan)}; train alike, or not --resume")
    task.network.load_state_dict(saved["network"])
    mean.load_state_dict(saved["mean"])
    optimiser.load_state_dict(saved["optimiser"])
    return saved["epoch"], saved["kept"], saved["figures"]


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"),
        TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
    )  # fmt: skip
