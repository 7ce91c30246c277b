"""Where a subscriber is, as a file: a JSON object, by topic the session and the sequence handed out last."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TypeAlias

from inspector import wire
from inspector.errors import ConfigError, OutputError, WireError
from inspector.fields import Fields

Position: TypeAlias = Mapping[str, tuple[int, int]]


def load(path: Path) -> Position:
    """What `save` wrote; empty where there is no such file. Raises ConfigError for a file that is something else."""
    try:
        fields = Fields.parse(path.read_bytes())
        position = {}
        for topic in fields:
            session, sequence = fields.wholes(topic, 2)
            if not wire.is_topic(topic):
                raise WireError(f"{topic!r:.80} is no topic")
            position[topic] = (session, sequence)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"position {path} cannot be read: {error.strerror}") from error
    except WireError as error:
        raise ConfigError(f"{path} is no saved position ({error}); remove it, and begin with what comes") from error
    return position


def save(path: Path, position: Position) -> None:
    """Write so that whoever is killed or cut off finds the old file or the new one; raises OutputError."""
    try:
        with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                json.dump(position, file)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise OutputError(f"position {path} cannot be written: {error.strerror}") from error
