"""Reads a configuration, and looks at all files and sources that it names: mistakes are told together."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from inspector import calibration
from inspector import settings as configuration
from inspector.allowlist import AllowList
from inspector.cameras import source_problems, station_problems
from inspector.challenges import pictures
from inspector.errors import ConfigError
from inspector.inference import bundle, references
from inspector.judging import reference_problem
from inspector.keys import ServerKeys
from inspector.mistakes import Probe
from inspector.settings import Settings
from inspector.sources import open_source


def read(path: Path) -> Settings:
    """The configuration at `path`, and all files and sources that it names, looked at. Raises ConfigError."""
    probes: dict[str, Probe] = {
        "source": open_source,
        "bundle": lambda folder: bundle.load(Path(folder)),
        "reference": lambda pictures: references.load(Path(pictures), channels=1),
        "calibration": lambda file: calibration.load(Path(file)),
        "challenges": lambda folder: pictures.load(Path(folder)),
    }
    settings = configuration.load(path, probes)
    problems = [f"{path}: {problem}" for camera in settings.camera if (problem := reference_problem(camera))]
    problems += [f"{path}: {problem}" for problem in source_problems(settings.camera)]
    problems += [f"{path}: {problem}" for problem in station_problems(settings)]
    problems += [f"{path}: security: {problem}" for problem in _key_problems(settings.security)]
    if settings.publish.catchup is not None and settings.journal.path is None:
        problems.append(f"{path}: publish.catchup answers from the journal, and there is none; set journal.path")
    if problems:
        raise ConfigError(*problems)
    return settings


def _key_problems(security: configuration.Security) -> list[str]:
    """What is wrong with the daemon's key and those of its subscribers."""
    problems: list[str] = []
    if security.secret_key is not None and security.subscribers is not None:
        for probe in (partial(ServerKeys.load, security.secret_key), partial(AllowList, security.subscribers)):
            try:
                probe()
            except ConfigError as error:
                problems += error.problems
    return problems
