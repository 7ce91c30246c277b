"""The recorder's folder: its recordings, within bounds of bytes, number and age; the oldest go first."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from inspector.errors import OutputError, reading
from inspector.recorder.draft import INDEX

log = logging.getLogger(__name__)

LOCK = ".lock"
_LEFT = re.compile(r"\.(deleted-)?[\w-]+-\d{8}T\d{6}\.\d{3}Z-\d+", re.ASCII)
"""Recordings half written or half deleted, as the recorder names them: other hidden folders may be anybody's."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """See the configuration's `[recorder]`."""

    max_bytes: int
    max_recordings: int
    keep_seconds: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A recording on disk: when it was finished (seconds since 1970), and its bytes without what it shares."""

    at: float
    size: int


class Folder:
    """The recordings in `path`, which is made if it is missing, and held for this process alone until `close`.

    Raises OutputError where it cannot be had.
    """

    def __init__(self, path: Path, bounds: Bounds) -> None:
        self.path = path
        self._bounds = bounds
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise OutputError(
                f"recorder {path} cannot be written: {error.strerror}; mend its rights, or choose another recorder.path"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise OutputError(
                f"recorder {path} is in use; stop the daemon that records there, or choose another recorder.path"
            ) from error
        self._entries: dict[str, Entry] = {}
        self.shared = 0

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._lock)

    @property
    def size(self) -> int:
        """Bytes of all recordings and of what they share; from any thread."""
        return self.shared + sum(entry.size for entry in list(self._entries.values()))

    @property
    def recordings(self) -> int:
        """How many there are."""
        return len(self._entries)

    def tidy(self) -> None:
        """Delete what the last daemon left half written or half deleted, and see what is there. Raises OSError."""
        for entry in list(os.scandir(self.path)):
            try:
                if _LEFT.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                elif not entry.name.startswith(".") and (index := Path(entry.path, INDEX)).is_file():
                    self._entries[entry.name] = Entry(index.stat().st_mtime, _size(Path(entry.path)))
            except OSError as error:  # a disk's own folder lost+found is root's
                log.info("recorder %s: %s is not counted, it cannot be read: %s", self.path, entry.name, error.strerror)

    def keep_house(self, now: float) -> None:
        """Delete recordings that are too old or too many, and forget those that somebody else deleted.

        now: seconds since 1970
        """
        for name, entry in list(self._entries.items()):
            if entry.at < now - self._bounds.keep_seconds or not (self.path / name).is_dir():
                self._delete(name)
        self._make_way(self._bounds.max_bytes, self._bounds.max_recordings)

    def has_room(self, size: int) -> bool:
        """Whether there is room for one more recording of so many bytes; the oldest make way, if that is enough."""
        return self._make_way(self._bounds.max_bytes - size, self._bounds.max_recordings - 1)

    def add(self, name: str) -> None:
        """Count a recording that is finished. Raises OSError."""
        self._entries[name] = Entry(time.time(), _size(self.path / name))

    def _make_way(self, max_bytes: int, max_recordings: int) -> bool:
        """Delete the oldest until there are no more than that; False where not even what they share fits."""
        if self.shared > max_bytes:
            return False
        while self._entries and (len(self._entries) > max_recordings or self.size > max_bytes):
            self._delete(min(self._entries, key=lambda name: self._entries[name].at))
        return True

    def _delete(self, name: str) -> None:
        """One that is half deleted is no recording either."""
        del self._entries[name]
        hidden = self.path / f".deleted-{name}"
        try:
            (self.path / name).rename(hidden)
        except FileNotFoundError:
            return
        shutil.rmtree(hidden, ignore_errors=True)


def _size(folder: Path) -> int:
    """Bytes of a recording's files, without those that it shares with the store."""
    stats = (file.stat() for file in folder.rglob("*") if file.is_file())
    return sum(stat.st_size for stat in stats if stat.st_nlink == 1)


def probe(path: Path) -> None:
    """Raise OutputError where `Folder` could not have `path`, leaving everything as it is."""
    with reading(path, OutputError, "recorder "):
        place = next(one for one in (path, *path.absolute().parents) if one.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise OutputError(
            f"recorder {path}: {place} cannot be written; mend its rights, or choose another recorder.path"
        )
