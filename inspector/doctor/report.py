"""What was found, as a table for people and as JSON for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from inspector.doctor.finding import Finding, Level, exit_code
from inspector.doctor.prediction import Prediction

STYLES = {Level.FINE: "green", Level.SKIPPED: "dim", Level.WARNING: "yellow", Level.FAILURE: "bold red"}


def table(findings: Sequence[Finding]) -> Table:
    """A row each; the remedy stands below what it is for."""
    shown = Table(show_lines=False)
    shown.add_column("check", no_wrap=True)
    shown.add_column("", no_wrap=True)
    shown.add_column("found, and what to do")
    last = ""
    for finding in findings:
        text = Text(_printable(finding.text))
        if finding.remedy and finding.level is not Level.FINE:
            text.append(f"\n-> {_printable(finding.remedy)}", style="italic")
        name = finding.check if finding.check != last else ""
        shown.add_row(Text(name), Text(finding.level.value, style=STYLES[finding.level]), text)
        last = finding.check
    return shown


def costs(found: Prediction) -> Table:
    """What a frame costs, part by part."""
    shown = Table(title="CPU time of a frame", title_justify="left")
    shown.add_column("part")
    shown.add_column("ms", justify="right")
    shown.add_column("of")
    for part, cost in found.parts.items():
        shown.add_row(part, f"{cost:.3f}", "every frame")
    for part, cost in found.bad_parts.items():
        shown.add_row(part, f"{cost:.3f}", f"a frame with defects ({found.share:.0%} of them)")
    shown.add_section()
    shown.add_row("together", f"{found.cpu_ms:.3f}", "a frame, on average")
    return shown


def summary(findings: Sequence[Finding]) -> str:
    """The outcome in a line."""
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    said = f"{counts[Level.FAILURE]} failure(s), {counts[Level.WARNING]} warning(s), {counts[Level.SKIPPED]} skipped"
    if counts[Level.FAILURE]:
        return f"this machine cannot run this line yet: {said}"
    return f"this machine can run this line: {said}"


def as_json(config: Path, findings: Sequence[Finding], prediction: Prediction | None) -> dict[str, Any]:
    """All of it; seconds, milliseconds and bytes as `Prediction` has them."""
    predicted = None
    if prediction is not None:
        predicted = asdict(prediction) | {
            "cpu_ms": prediction.cpu_ms,
            "needed": prediction.needed,
            "bytes_a_frame": prediction.bytes_a_frame,
        }
    return {
        "config": str(config),
        "exit_code": exit_code(list(findings)),
        "findings": [asdict(finding) for finding in findings],
        "prediction": predicted,
    }


def _printable(text: str) -> str:
    """Without control characters: what a camera or a file is called comes from outside."""
    return "".join(char if char.isprintable() else "?" for char in text)
