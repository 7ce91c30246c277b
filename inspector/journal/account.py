"""`inspector ledger`: what became of every frame, by shift and camera, over all runs of the daemon."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TextIO

from rich.console import Console
from rich.table import Table

from inspector.journal.store import Account
from inspector.outcomes import CAPTURED, ENDS

FILE_WIDTH = 200
"""Columns of a table that goes to a file, where nothing wraps."""


@dataclass(frozen=True, slots=True)
class Row:
    """A camera's frames in one shift.

    ends: frames by what they ended as, every one of `ENDS`
    in_flight: captured by a daemon that runs, without a verdict yet
    unaccounted: what is missing then; 0, or there is a bug
    """

    shift: str
    camera: str
    captured: int
    ends: Mapping[str, int]
    in_flight: int
    unaccounted: int


def rows(accounts: Iterable[tuple[int, str, Account, int]], cameras: Sequence[str], since: str) -> list[Row]:
    """The rows of `accounts` (session, its state, account, frames), by shift and camera.

    cameras: of these alone, or all if it is empty;  since: of this shift and later ones; labels sort as shifts follow
    """
    found: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    in_flight: Counter[tuple[str, str]] = Counter()
    for _, state, (shift, camera, outcome), frames in accounts:
        if shift >= since and (not cameras or camera in cameras):
            key = shift, camera
            found[key][outcome] += frames
            if state == "running":
                in_flight[key] += frames if outcome == CAPTURED else -frames
    return [_row(shift, camera, counts, in_flight[shift, camera]) for (shift, camera), counts in sorted(found.items())]


def _row(shift: str, camera: str, counts: Counter[str], in_flight: int) -> Row:
    ends = {end: counts[end] for end in ENDS}
    unaccounted = counts[CAPTURED] - sum(ends.values()) - in_flight
    return Row(shift, camera, counts[CAPTURED], ends, in_flight, unaccounted)


def write_json(found: Sequence[Row], out: TextIO) -> None:
    """A list of objects, one a row."""
    json.dump([asdict(row) for row in found], out, indent=1)
    out.write("\n")


def write_csv(found: Sequence[Row], out: TextIO) -> None:
    """A header, and a line a row; the ends are columns."""
    writer = csv.writer(out)
    writer.writerow(("shift", "camera", CAPTURED, *ENDS, "in_flight", "unaccounted"))
    for row in found:
        writer.writerow((row.shift, row.camera, row.captured, *row.ends.values(), row.in_flight, row.unaccounted))


def write_table(found: Sequence[Row], out: TextIO) -> None:
    """A table for people; reasons that no frame has are left out."""
    seen = [end for end in ENDS if end in ENDS[:2] or any(row.ends[end] for row in found)]
    table = Table("shift", "camera", *(("captured", *seen, "in flight", "unaccounted")))
    for column in table.columns:
        column.no_wrap = True
    for column in table.columns[2:]:
        column.justify = "right"
    for row in found:
        numbers = (row.captured, *(row.ends[end] for end in seen), row.in_flight, row.unaccounted)
        table.add_row(row.shift, row.camera, *(f"{number:,}" for number in numbers))
    Console(file=out, width=None if out.isatty() else FILE_WIDTH).print(table)
