"""Files from strangers, read within limits: whatever is too large or no plain file is a DataError.

Its sentence goes on after "PATH is", which the caller knows. And files of our own, which the power may fail for.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from inspector.errors import DataError

MAX_PICTURE_BYTES = 256 << 20
"""Of a picture's file."""


def read(path: Path, limit: int = MAX_PICTURE_BYTES, within: Path | None = None) -> bytes:
    """All of a file that has at most `limit` bytes. Raises DataError, and OSError where it cannot be read.

    within: a folder that must hold the file itself, too, not just a link to it
    """
    if within is not None and not path.resolve().is_relative_to(within.resolve()):
        raise DataError(f"a link out of {within}; put the file itself there")
    with _open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = b"" if size > limit else file.read(size + 1)
    if size > limit or len(content) > limit:
        raise DataError(f"larger than the {_words(limit)} that are allowed")
    return content


def read_private(path: Path, most: int) -> tuple[bytes, int]:
    """The first `most` bytes of a file that should be its owner's alone, and its mode. Raises DataError and OSError."""
    with _open_plain(path) as file:
        return file.read(most), stat.S_IMODE(os.fstat(file.fileno()).st_mode)


def beside(path: Path, content: bytes) -> Path:
    """Write what is to replace `path`, with the owner and rights of what is there: whole, and on the disk; where.

    Raises OSError, and leaves nothing then.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            there = path.stat()
            with suppress(PermissionError):  # another user's, who lets us write here
                os.chown(new, there.st_uid, there.st_gid)
            shutil.copymode(path, new)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    return new


def replace(contents: Mapping[Path, bytes]) -> None:
    """Put whole files in the places of those that are there, in this order, once all of them are on the disk.

    Raises OSError; all that is there stays then, but where a later one cannot take its place, those before it have.
    """
    written: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            place = path.resolve()  # so that what stands at a link's end is replaced, and not the link
            written[place] = beside(place, content)
        for place, new in written.items():
            new.replace(place)
    except OSError:
        for new in written.values():
            new.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Have what a file holds, or the names in a folder, on the disk before what is written after it. Raises OSError."""
    place = os.open(path, os.O_RDONLY)
    try:
        os.fsync(place)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a shared folder's file system may have no such thing for folders
            raise
    finally:
        os.close(place)


def _open_plain(path: Path) -> BinaryIO:
    """Open a file to read, and nothing else: a pipe or a device could keep us reading for ever. Raises DataError."""
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise DataError("no plain file")
    return file


def _words(limit: int) -> str:
    return f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit} bytes"
