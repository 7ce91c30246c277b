"""What the command line of `inspector train` becomes, and how long that trains."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch, which `make test-all` installs")

from inspector import cli
from inspector.training.commands import _settings
from inspector.training.settings import Settings, plan, plan_finish

pytestmark = pytest.mark.full


def told(*arguments: str) -> Settings:
    return _settings(cli.build_parser().parse_args(["train", "pictures", *arguments]))


def test_what_stands_at_a_links_end_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "v5").mkdir()
    (tmp_path / "current").symlink_to("v5")
    settings = told("--out", str(tmp_path / "current"))
    assert (settings.out, settings.name) == (tmp_path / "v5", "v5")
    assert settings.work == tmp_path / "v5.work"


def test_the_folder_that_one_is_in_has_a_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    settings = told("--out", ".")
    assert (settings.out, settings.name, settings.work) == (tmp_path / "mine", "mine", tmp_path / "mine.work")


def test_a_name_that_is_given_is_taken(tmp_path: Path) -> None:
    assert told("--out", str(tmp_path / "mein modell"), "--name", "mine").name == "mine"


@pytest.mark.parametrize("pictures", [1, 150, 900, 100_000])
@pytest.mark.parametrize("steps", [500, 1500])
def test_all_batches_are_seen_and_no_epoch_more(pictures: int, steps: int) -> None:
    """The longer it trains, the longer its epochs: between them it looks at whole pictures."""
    settings = told("--out", "mine")
    planned = plan(settings, pictures, None, steps)
    assert steps <= planned.epochs * planned.steps < steps + planned.steps
    assert planned.steps == 50 if steps == 1500 else 20 <= planned.steps <= 30
    assert plan(settings, pictures, 7, steps).epochs == 7


@pytest.mark.parametrize(("epochs", "more"), [(1, 1), (4, 4), (6, 5), (25, 5), (26, 6), (100, 20)])
def test_it_goes_on_for_a_fifth_of_the_epochs_or_100_batches_and_more_slowly(epochs: int, more: int) -> None:
    first = plan(told("--out", "mine"), 150, epochs, 500)
    finish = plan_finish(first)
    assert finish.epochs == more
    assert finish.learning_rate < first.learning_rate
    assert (finish.steps, finish.batch, finish.seed) == (first.steps, first.batch, first.seed)
