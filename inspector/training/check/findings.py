"""What the data check says: findings, each with its severity and its remedy, and the report that holds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How much it matters."""

    ERROR = "error"
    """It is wrong: training stops at it or leaves the picture out, or a figure would be untrue."""
    WARNING = "warning"
    """It is likely to make a worse model or a wrong figure: look, then mend it or know why not."""
    NOTE = "note"
    """Worth knowing before one believes a figure."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    rule: which rule found it, one word;  text: what is the matter;  remedy: what to do, one sentence
    files: all that it is about, relative to the data's folder
    """

    severity: Severity
    rule: str
    text: str
    remedy: str
    files: tuple[str, ...] = ()


def error(rule: str, text: str, remedy: str, files: Iterable[str] = ()) -> Finding:
    """A finding that is wrong."""
    return Finding(Severity.ERROR, rule, text, remedy, tuple(files))


def warning(rule: str, text: str, remedy: str, files: Iterable[str] = ()) -> Finding:
    """A finding to look at."""
    return Finding(Severity.WARNING, rule, text, remedy, tuple(files))


def note(rule: str, text: str, remedy: str, files: Iterable[str] = ()) -> Finding:
    """A finding to know of."""
    return Finding(Severity.NOTE, rule, text, remedy, tuple(files))


@dataclass(frozen=True)
class Report:
    """All findings on a folder, the worst first.

    pictures: how many, by side and kind;  sizes: how many, by "WIDTHxHEIGHT", the most frequent first
    """

    data: str
    pictures: Mapping[str, Mapping[str, int]]
    sizes: Mapping[str, int]
    findings: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        """Findings of that severity."""
        return sum(finding.severity is severity for finding in self.findings)

    @property
    def summary(self) -> str:
        """One line, such as "1 error, 2 warnings, 0 notes"."""
        counts = [(self.count(severity), severity) for severity in Severity]
        return ", ".join(f"{count} {severity}{'' if count == 1 else 's'}" for count, severity in counts)

    def briefly(self, folder: str) -> Iterator[str]:
        """For a tool that goes on: each error, and one line that counts; nothing where there are only notes."""
        for finding in self.findings:
            if finding.severity is Severity.ERROR:
                yield f"data check: {finding.text}; {finding.remedy}"
        if self.count(Severity.ERROR) or self.count(Severity.WARNING):
            yield f"data check: {self.summary}; see `inspector data check {folder}`"

    def as_json(self) -> dict[str, Any]:
        """For machines; every name in it is stable."""
        return {
            "data": self.data,
            "pictures": {side: dict(kinds) for side, kinds in self.pictures.items()},
            "sizes": dict(self.sizes),
            "counts": {severity.value: self.count(severity) for severity in Severity},
            "findings": [
                {
                    "severity": finding.severity.value,
                    "rule": finding.rule,
                    "text": finding.text,
                    "remedy": finding.remedy,
                    "files": list(finding.files),
                }
                for finding in self.findings
            ],
        }


def sorted_by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, else in the order given."""
    order = list(Severity)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))
