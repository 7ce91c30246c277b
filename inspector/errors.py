"""Every error that a person can mend, and the exit code that it ends the program with.

An error's message is one clear sentence that names the thing, the value and the remedy. Anything
that is not an `InspectorError` is a bug and keeps its traceback.

Exit codes follow sysexits.h where it has a fitting one, so that systemd and people read them alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar


class InspectorError(Exception):
    """Base of all errors with a remedy; `exit_code` is what the process ends with."""

    exit_code: ClassVar[int] = 1


class ConfigError(InspectorError):
    """The configuration is wrong. `problems` holds one sentence for each mistake."""

    exit_code = 78  # EX_CONFIG: systemd should not restart it (RestartPreventExitStatus=78)

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class DataError(InspectorError):
    """A picture, a folder of pictures or a message is not what it should be."""

    exit_code = 65  # EX_DATAERR


class BundleError(InspectorError):
    """A model bundle is incomplete, damaged, or does not reproduce its golden pictures here."""

    exit_code = 65  # EX_DATAERR


class DeviceError(InspectorError):
    """The device that was asked for is not what the model would really run on."""

    exit_code = 69  # EX_UNAVAILABLE


class SourceError(InspectorError):
    """A source cannot deliver (now); a live one is opened again after a pause."""

    exit_code = 66  # EX_NOINPUT


class RefusedError(SourceError):
    """A camera is there and says no, to this user or this path; asked too often, it may lock its user out."""


class OutputError(InspectorError):
    """An output cannot be opened, for example because its address is taken."""

    exit_code = 74  # EX_IOERR


class InUseError(OutputError):
    """An address cannot be had, since somebody has it."""


class ModelError(InspectorError):
    """A model failed on a batch; its frames become `unknown: model`."""

    exit_code = 70  # EX_SOFTWARE


class WireError(InspectorError):
    """Bytes from a socket are not a message of ours, or of a major version we do not speak."""

    exit_code = 65  # EX_DATAERR


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """For tools that read and write many files: an OSError inside becomes an OutputError that names the file."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{error.filename or folder} cannot be read or written: {error.strerror or error}; "
            "choose another place, or mend its rights or room"
        ) from error


@contextmanager
def reading(path: Path, refuse: type[InspectorError], what: str = "") -> Iterator[None]:
    """For what somebody named: an OSError inside becomes a `refuse` that names the path, and says why and the remedy.

    So does a path that may not be looked at: some Pythons raise for it, others say that nothing is there.
    what: words before the path
    """
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
        yield
    except OSError as error:
        raise refuse(
            f"{what}{str(error.filename or path)!r} cannot be read ({error.strerror or error}); mend its rights, or "
            "those of the folders above it, or name another"
        ) from error


@contextmanager
def noting(problems: list[InspectorError]) -> Iterator[None]:
    """For what is looked at one after another: an InspectorError inside is appended to `problems`, and it goes on."""
    try:
        yield
    except InspectorError as error:
        problems.append(error)
