"""The training loop on a task of one straight line: what is kept, what is resumed, what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch, which `make test-all` installs")
torch.set_num_threads(1)  # more only take turns on networks this small

from inspector.errors import DataError  # noqa: E402
from inspector.training.loop import Plan, Task, fit, schedule  # noqa: E402
from tests.disks import no_room  # noqa: E402

pytestmark = pytest.mark.full

PLAN = Plan(epochs=4, steps=5, batch=8, learning_rate=0.05, seed=3)


class Stopped(Exception):  # noqa: N818 - what a kill does, at a place of the test's choice
    pass


def line_task(
    validate: Callable[[torch.nn.Module], Mapping[str, float]] | None = None,
    stop_at: int | None = None,
    rank: str | None = None,
) -> Task:
    """Learn y = 2x + 1, from what the loop's own random numbers draw, with dropout; `stop_at`: dies at that step."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.BatchNorm1d(1), torch.nn.Linear(1, 1), torch.nn.Dropout(0.25))
    steps = iter(range(10**6))

    def loss(rng: np.random.Generator) -> torch.Tensor:
        if next(steps) == stop_at:
            raise Stopped
        x = torch.from_numpy(rng.normal(size=(8, 1)).astype(np.float32))
        return (network(x) - 2 * x - 1).square().mean()

    def error(candidate: torch.nn.Module) -> Mapping[str, float]:
        x = torch.linspace(-1, 1, 9)[:, None]
        return {"rank": -float((candidate(x) - 2 * x - 1).square().mean())}

    return Task("line", network, loss, validate or error, rank)


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole, figures = fit(line_task(), PLAN, tmp_path / "whole", resume=False)
    with pytest.raises(Stopped):
        fit(line_task(stop_at=12), PLAN, tmp_path / "parts", resume=False)  # in the middle of the third epoch
    parts, same = fit(line_task(), PLAN, tmp_path / "parts", resume=True)
    assert same == figures
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    logs = [(tmp_path / name / "line.jsonl").read_text() for name in ("whole", "parts")]
    assert logs[0] == logs[1]


def test_the_log_has_a_line_an_epoch(tmp_path: Path) -> None:
    fit(line_task(), PLAN, tmp_path, resume=False)
    rows = [json.loads(line) for line in (tmp_path / "line.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert all(row.keys() == {"epoch", "loss", "rank"} for row in rows)
    assert rows[-1]["loss"] < rows[0]["loss"]


@pytest.mark.parametrize(("rank", "epoch"), [("rank", 2), (None, 4)])
def test_the_best_epoch_is_kept_where_it_is_asked_for_and_else_the_last(
    rank: str | None, epoch: int, tmp_path: Path
) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    ranks = iter([1.0, 5.0, 2.0, 3.0])

    def validate(candidate: torch.nn.Module) -> Mapping[str, float]:
        seen.append({key: value.clone() for key, value in candidate.state_dict().items()})
        return {"rank": next(ranks)}

    kept, figures = fit(line_task(validate, rank=rank), PLAN, tmp_path, resume=False)
    assert (figures["epoch"], figures["rank"]) == (epoch, {2: 5.0, 4: 3.0}[epoch])
    assert all(torch.equal(kept[key], seen[epoch - 1][key]) for key in kept)
    assert not all(torch.equal(kept[key], seen[2][key]) for key in kept)


def test_what_is_kept_is_a_mean_that_lags_behind_the_weights(tmp_path: Path) -> None:
    task = line_task()
    kept, figures = fit(task, Plan(1, 40, 8, 0.05, 3), tmp_path, resume=False)
    assert figures["epoch"] == 1
    assert not torch.equal(kept["1.weight"], task.network.state_dict()["1.weight"])


def test_another_plan_cannot_be_resumed(tmp_path: Path) -> None:
    fit(line_task(), PLAN, tmp_path, resume=False)
    with pytest.raises(DataError, match="train alike, or not --resume"):
        fit(line_task(), Plan(5, 5, 8, 0.05, 3), tmp_path, resume=True)


def test_an_epoch_that_was_logged_but_not_kept_is_logged_once(tmp_path: Path) -> None:
    fit(line_task(), PLAN, tmp_path, resume=False)
    log = tmp_path / "line.jsonl"
    log.write_text(log.read_text() + '{"epoch": 5}\n')
    fit(line_task(), PLAN, tmp_path, resume=True)
    assert [json.loads(line)["epoch"] for line in log.read_text().splitlines()] == [1, 2, 3, 4]


def test_a_damaged_checkpoint_is_one_sentence(tmp_path: Path) -> None:
    fit(line_task(), PLAN, tmp_path, resume=False)
    checkpoint = tmp_path / "line.checkpoint"
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(DataError, match="damaged and cannot be resumed"):
        fit(line_task(), PLAN, tmp_path, resume=True)
    checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(DataError, match="damaged and cannot be resumed"):
        fit(line_task(), PLAN, tmp_path, resume=True)


def test_a_full_disk_is_told_as_one_and_costs_no_checkpoint(tmp_path: Path) -> None:
    fit(line_task(), PLAN, tmp_path, resume=False)
    checkpoint = (tmp_path / "line.checkpoint").read_bytes()
    with no_room(1000), pytest.raises(OSError, match="File too large"):
        fit(line_task(), PLAN, tmp_path, resume=False)
    assert (tmp_path / "line.checkpoint").read_bytes() == checkpoint
    assert {path.name for path in tmp_path.iterdir()} == {"line.checkpoint", "line.jsonl"}


def test_without_resume_it_begins_anew(tmp_path: Path) -> None:
    first, _ = fit(line_task(), PLAN, tmp_path, resume=False)
    second, _ = fit(line_task(), PLAN, tmp_path, resume=False)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert len((tmp_path / "line.jsonl").read_text().splitlines()) == PLAN.epochs


def test_a_loss_that_explodes_is_refused_with_a_remedy(tmp_path: Path) -> None:
    task = line_task()
    broken = Task("line", task.network, lambda rng: task.loss(rng) * math.nan, task.validate)
    with pytest.raises(DataError, match="lower --rate"):
        fit(broken, PLAN, tmp_path, resume=False)


def test_the_rate_rises_and_then_falls_to_nothing() -> None:
    rates = [schedule(step, 200) for step in range(200)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[9] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 <= rates[-1] < 0.001
    assert schedule(0, 1) == 1.0
