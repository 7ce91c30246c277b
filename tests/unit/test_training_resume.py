"""Whose checkpoints may be resumed: those of the same pictures and settings, and no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inspector.errors import DataError
from inspector.training.resume import begin

RUN: dict[str, Any] = {"pictures": {"sha256": "a", "training_normal": 9}, "detector": "unet", "input": (64, 64, 3)}


def begun(folder: Path, run: dict[str, Any] = RUN, *networks: str) -> Path:
    """A folder where `run` was begun and left checkpoints of `networks`."""
    begin(folder, run, resume=False)
    for network in networks:
        (folder / f"{network}.checkpoint").write_bytes(b"weights")
    return folder


def left(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.checkpoint"))


def test_the_same_run_is_resumed(tmp_path: Path) -> None:
    begin(begun(tmp_path / "work", RUN, "detector", "repairer"), dict(RUN), resume=True)
    assert left(tmp_path / "work") == ["detector", "repairer"]


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"pictures": {"sha256": "b", "training_normal": 9}}, "other pictures than"),
        ({"pictures": {"sha256": "a", "training_normal": 8}}, "other pictures than"),
        ({"detector": "closeup", "input": (48, 64, 3)}, "other detector, input than"),
        ({"views": {"rotation": 5.0}}, "other views than"),
    ],
)
def test_another_run_is_refused_with_what_differs(tmp_path: Path, other: dict[str, Any], named: str) -> None:
    folder = begun(tmp_path, RUN, "detector")
    with pytest.raises(DataError, match=named) as caught:
        begin(folder, RUN | other, resume=True)
    assert "\n" not in str(caught.value)
    assert left(folder) == ["detector"]


def test_a_new_run_leaves_nothing_of_the_old_one_to_resume(tmp_path: Path) -> None:
    folder = begun(tmp_path, RUN, "detector", "repairer", "texture")
    begun(folder, RUN | {"detector": "closeup"}, "detector")
    assert left(folder) == ["detector"]
    begin(folder, RUN | {"detector": "closeup"}, resume=True)


def test_where_nothing_is_to_be_resumed_it_begins(tmp_path: Path) -> None:
    folder = begun(tmp_path / "work", RUN)
    begin(folder, RUN | {"detector": "closeup"}, resume=True)
    assert json.loads((folder / "run.json").read_text())["detector"] == "closeup"


@pytest.mark.parametrize("content", [None, "", "[]"])
def test_checkpoints_of_nobody_knows_what_are_refused(tmp_path: Path, content: str | None) -> None:
    folder = begun(tmp_path, RUN, "detector")
    (folder / "run.json").unlink()
    if content is not None:
        (folder / "run.json").write_text(content)
    with pytest.raises(DataError, match="does not say what run its checkpoints are of; train without --resume"):
        begin(folder, RUN, resume=True)
