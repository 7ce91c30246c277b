"""The verb `data` with `check` below it: a table for people, JSON for machines, an exit code for scripts."""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from inspector.errors import DataError, working_in

if TYPE_CHECKING:
    from inspector.training.check.findings import Finding, Report

SHOWN = 3
"""File names of a finding, and rows of sizes, that the table shows; the JSON has them all."""

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    data = verbs.add_parser("data", help="look after the pictures to train with")
    below = data.add_subparsers(title="verbs", required=True, metavar="VERB")
    check = below.add_parser(
        "check",
        help="find what is wrong with pictures before training with them; exit code 65 where there are errors",
    )
    check.add_argument("data", type=Path, help="a folder as for train and evaluate")
    check.add_argument("--json", type=Path, metavar="FILE", help="also write the findings there, with every file name")
    check.add_argument("--strict", action="store_true", help="exit code 65 for warnings too")
    check.set_defaults(verb=_check)


def _check(options: argparse.Namespace) -> int:
    from inspector.training.check.findings import Severity
    from inspector.training.check.run import check

    console = Console()
    with working_in(options.data):
        report = check(
            options.data,
            lambda samples: track(samples, "looking", console=console, transient=True, disable=not console.is_terminal),
        )
    show(report, console)
    if options.json is not None:
        with working_in(options.json):
            options.json.write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
    failed = report.count(Severity.ERROR) or (options.strict and report.count(Severity.WARNING))
    return DataError.exit_code if failed else 0


def show(report: Report, console: Console) -> None:
    """Print the report as people read it."""
    if len(report.sizes) > 1:
        console.print(_sizes(report))
    if report.findings:
        table = Table("", "what was found", "what to do", show_lines=True)
        for finding in report.findings:
            colour = _COLOURS[finding.severity]
            table.add_row(f"[{colour}]{finding.severity}[/]", _text(finding), escape(finding.remedy))
        console.print(table)
    for side, kinds in report.pictures.items():
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        console.print(f"{side}: {counts or 'no pictures'}", markup=False, highlight=False)
    console.print(f"{report.data}: {report.summary}", markup=False, highlight=False)


def _text(finding: Finding) -> str:
    names = "".join(f"\n[dim]{escape(name)}[/]" for name in finding.files[:SHOWN])
    more = len(finding.files) - SHOWN
    return f"{escape(finding.text)}{names}" + (f"\n[dim]and {more} more[/]" if more > 0 else "")


def _sizes(report: Report) -> Table:
    table = Table("size", "pictures")
    for size, count in islice(report.sizes.items(), SHOWN):
        table.add_row(size, str(count))
    rest = list(report.sizes.values())[SHOWN:]
    if rest:
        table.add_row(f"{len(rest)} others", str(sum(rest)))
    return table
