"""One at a time: the daemon, or a verb while it is stopped, changes what is kept in a state folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inspector.errors import ConfigError, OutputError


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep others from it; made if it is missing. The kernel lets go of it for a process that is killed.

    Raises OutputError where another one has it, ConfigError where the folder cannot be used.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise unusable(folder, error) from error
    try:
        _lock(place, folder)
        yield
    finally:
        os.close(place)


def _lock(place: int, folder: Path) -> None:
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(
            f"{folder} is another daemon's, which runs, starts or stops, or a verb changes it; try again in a moment, "
            "and give each daemon its own models.state"
        ) from error


def unusable(folder: Path, error: OSError) -> ConfigError:
    """What is wrong with it."""
    return ConfigError(
        f"models.state = {str(folder)!r} cannot be used ({error.strerror}); be root or its owner, or name a folder "
        "that can be written"
    )
