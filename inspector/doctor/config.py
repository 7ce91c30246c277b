"""The configuration: read, and all that it names looked at, by the code that the daemon reads it with."""

from __future__ import annotations

from collections.abc import Iterator

from inspector import settings as configuration
from inspector.doctor.case import Case
from inspector.doctor.finding import Finding, fine, of_error
from inspector.errors import ConfigError
from inspector.reading import read


def config(case: Case) -> Iterator[Finding]:
    """Every mistake; what can be read in spite of them is looked at on."""
    try:
        case.settings = read(case.config)
    except ConfigError as error:
        case.broken = True
        yield from of_error(error)
        try:
            case.settings = configuration.load(case.config, {})
        except ConfigError:
            return  # the same mistakes
    else:
        yield fine(f"{case.config}: {len(case.settings.camera)} camera(s) of line {case.settings.line!r}")
