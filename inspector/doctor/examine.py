"""All checks, one after the other; one that fails keeps none of the others from looking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inspector.doctor.case import Case, Check
from inspector.doctor.checks import CHECKS
from inspector.doctor.finding import Finding, of_error, skipped
from inspector.errors import InspectorError
from inspector.types import Say


def examine(case: Case, checks: Sequence[Check] = CHECKS, progress: Say = lambda _: None) -> Iterator[Finding]:
    """What is found, as it is found. progress: told the name of the check that begins"""
    for check in checks:
        progress(check.name)
        yield from (finding.of(check.name) for finding in _found(check, case))


def _found(check: Check, case: Case) -> Iterator[Finding]:
    if (why := _missing(check, case)) is not None:
        yield skipped(why, "mend what failed above")
        return
    try:
        yield from check.run(case)
    except InspectorError as error:
        yield from of_error(error)


def _missing(check: Check, case: Case) -> str | None:
    """What the check needs and there is not."""
    if check.needs and case.settings is None:
        return "not looked at: the configuration cannot be read"
    if check.needs == "sound settings" and case.broken:
        return "not looked at: the configuration is wrong"
    if check.needs == "models" and case.judging is None:
        return "not looked at: it needs the models"
    return None
