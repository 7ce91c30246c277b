"""What a check finds: how bad it is, in a sentence, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from inspector.errors import ConfigError, InspectorError
from inspector.redact import redact

WARNED = 75
"""EX_TEMPFAIL: the line would run, but not as it should."""


class Level(StrEnum):
    """How bad it is."""

    FINE = "fine"
    SKIPPED = "skipped"
    """Not looked at, which proves nothing."""
    WARNING = "warning"
    """The line runs, but not as well, as long or as safely as it should."""
    FAILURE = "failure"
    """The line does not run, or loses frames."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence on one thing. check: the name of the check that found it

    remedy: what to do, empty where nothing is to be done;  exit_code: what the program ends with for it
    """

    level: Level
    text: str
    remedy: str = ""
    exit_code: int = 0
    check: str = ""

    def of(self, check: str) -> Finding:
        """The same, found by `check`; without any password."""
        return replace(self, check=check, text=redact(self.text), remedy=redact(self.remedy))


def fine(text: str) -> Finding:
    """All is well."""
    return Finding(Level.FINE, text)


def skipped(text: str, remedy: str = "") -> Finding:
    """It was not looked at."""
    return Finding(Level.SKIPPED, text, remedy)


def warning(text: str, remedy: str) -> Finding:
    """It runs, but."""
    return Finding(Level.WARNING, text, remedy, WARNED)


def failure(text: str, remedy: str, error: type[InspectorError] = ConfigError) -> Finding:
    """It does not run; `error` is what the daemon would end with."""
    return Finding(Level.FAILURE, text, remedy, error.exit_code)


def of_error(error: InspectorError) -> list[Finding]:
    """An error of the daemon's own, whose remedy stands after its first semicolon; of several mistakes one each."""
    sentences = error.problems if isinstance(error, ConfigError) else (str(error),)
    return [failure(text, remedy, type(error)) for text, _, remedy in (one.partition("; ") for one in sentences)]


def exit_code(findings: list[Finding]) -> int:
    """Of all of them: that of the first failure, else of a warning, else 0."""
    for level in (Level.FAILURE, Level.WARNING):
        for finding in findings:
            if finding.level is level:
                return finding.exit_code
    return 0
