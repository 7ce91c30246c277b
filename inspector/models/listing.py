"""Bundles found in folders, with what is on their cards, and whether each proves itself on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from inspector.errors import BundleError, InspectorError
from inspector.inference import bundle, engine, runtimes
from inspector.inference.bundle import CARD, Bundle
from inspector.types import Precision


@dataclass(frozen=True, slots=True)
class Row:
    """A bundle, or why it is none: `error`, with its exit code.

    made: UTC, of the card's file;  bytes: of all of its files;  proven: what it was proven on, if it was asked to
    """

    folder: str
    name: str = ""
    version: str = ""
    sha256: str = ""
    input: str = ""
    compares: bool = False
    heads: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    bytes: int = 0
    licence: str = ""
    made: str = ""
    proven: str | None = None
    error: str | None = None
    code: int = 0


def found(folders: Sequence[Path]) -> Iterator[Path]:
    """The bundles that `folders` are, or hold; a folder with neither is one of its own, to be told of."""
    for folder in folders:
        try:
            held = [folder] if (folder / CARD).exists() else [card.parent for card in folder.glob(f"*/{CARD}")]
        except OSError:  # whoever loads it is told why
            held = []
        yield from sorted(held) or [folder]


def rows(folders: Iterable[Path], device: str | None) -> Iterator[Row]:
    """One for each of `folders`. device: where each is proven; None: it is not."""
    for folder in folders:
        try:
            one = bundle.load(folder)
            proven = None if device is None else _proven(one, device)
        except InspectorError as error:
            yield Row(str(folder), error=str(error), code=error.exit_code)
        else:
            yield _row(one, proven)


def _row(one: Bundle, proven: str | None) -> Row:
    card = one.card
    height, width, channels = card.input.shape
    heads = ("detector",) if one.repairer is None else ("detector", "repairer")
    size = sum(path.stat().st_size for path in one.folder.rglob("*") if path.is_file())
    made = datetime.fromtimestamp((one.folder / CARD).stat().st_mtime, UTC)
    return Row(
        str(one.folder),
        card.name,
        card.version,
        one.sha256,
        f"{width}x{height}x{channels}",
        card.input.reference,
        heads,
        ("fp32", *(precision.value for precision in one.variants)),
        size,
        card.licence,
        made.strftime("%Y-%m-%dT%H:%M:%SZ"),
        proven,
    )


def _proven(one: Bundle, device: str) -> str:
    """Prove it in all precisions that it has and the device takes; what that was."""
    device, _ = runtimes.resolve(device, one.networks)
    proven, refused = [], []
    for precision in runtimes.precisions(device):
        if precision is not Precision.FP32 and precision not in one.variants:
            continue
        try:
            began = time.monotonic()
            provider = engine.start(one, device, 1, precision).tag.provider
            proven.append(f"{provider} in {precision} ({time.monotonic() - began:.1f} s)")
        except BundleError as error:
            refused.append(error)
    if refused:
        raise refused[0]
    return ", ".join(proven)


def write_json(found: Sequence[Row], out: TextIO) -> None:
    """All of them as a JSON list."""
    json.dump([asdict(row) for row in found], out, indent=1)
    out.write("\n")


def write_table(found: Sequence[Row], out: TextIO) -> None:
    """A table of those that can be read, and a sentence on each other one."""
    from rich.console import Console
    from rich.table import Table

    console = Console(file=out, width=None if out.isatty() else 160)
    table = Table()
    asked = any(row.proven is not None for row in found)
    names = ["name", "version", "sha256", "input", "heads", "precisions", "MB", "licence", "made"]
    for column in [*names, "proven on"] if asked else names:
        table.add_column(column, justify="right" if column == "MB" else "left", overflow="fold")
    for row in found:
        if row.error is None:
            shown = f"{row.input}{' beside a reference' if row.compares else ''}"
            megabytes = f"{row.bytes / 1e6:.1f}"
            cells = (row.name, row.version, row.sha256[:12], shown, ", ".join(row.heads), ", ".join(row.precisions))
            table.add_row(*cells, megabytes, row.licence, row.made[:10], *([row.proven or ""] if asked else []))
    if table.row_count:
        console.print(table)
    for row in found:
        if row.error is not None:
            console.print(row.error, markup=False, highlight=False, soft_wrap=True)
