"""Which run the checkpoints in a folder are of, so that no other run goes on with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inspector.errors import DataError

RUN = "run.json"


def begin(folder: Path, run: Mapping[str, Any], resume: bool) -> None:
    """Make `folder` the place of `run`: all that decides what its networks are shown, by what each thing is called.

    Checkpoints that are there are removed, or left to resume. Raises DataError where those are of another run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoints = list(folder.glob("*.checkpoint"))
    if resume and checkpoints:
        _check_same(folder, run)
        return
    for checkpoint in checkpoints:  # first: what run.json says of them is true at any moment
        checkpoint.unlink()
    (folder / RUN).write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")


def _check_same(folder: Path, run: Mapping[str, Any]) -> None:
    try:
        known = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        known = None
    if not isinstance(known, dict):
        raise DataError(f"{folder} does not say what run its checkpoints are of; train without --resume")
    wanted = json.loads(json.dumps(run))
    differing = [name for name in {**wanted, **known} if wanted.get(name) != known.get(name)]
    if differing:
        raise DataError(
            f"{folder} holds a run with other {', '.join(differing)} than this one; train alike, or without --resume"
        )
