"""How many frames each camera has captured, where no crash of the process can take it.

A frame in flight exists nowhere but in memory. So that a killed daemon's successor knows how many there were, the
readers count into a file that is mapped into memory: a store of 8 bytes a frame, and the kernel writes it out whatever
becomes of the process.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from inspector.errors import OutputError

_COUNT = struct.Struct("<Q")
_HEADER_BYTES = 65_536
"""Room for a line of JSON that names the session and its cameras; the counts follow, in their order."""


class Captures:
    """The file at `path`, held for this process alone until `close`. Raises OutputError.

    session, counts: what the last process left, by camera; None and empty where there is nothing to be read
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise OutputError(
                f"journal {path} cannot be opened: {error.strerror}; mend its rights, or choose another journal.path"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise OutputError(
                f"journal {path} is in use; stop the daemon that writes it, or choose another journal.path"
            ) from error
        self._path = path
        self._map: mmap.mmap | None = None
        self._offsets: dict[str, int] = {}
        self.session, self.counts = self._left()

    def begin(self, session: int, cameras: Sequence[str]) -> None:
        """Forget what was left, and count for `cameras` from 0. Raises OutputError."""
        header = json.dumps({"session": session, "cameras": list(cameras)}).encode() + b"\n"
        if len(header) > _HEADER_BYTES:
            raise OutputError(f"journal {self._path}: {len(cameras)} cameras have names too long to be listed")
        content = header.ljust(_HEADER_BYTES, b"\0") + bytes(_COUNT.size * len(cameras))
        try:
            # Written, not just sized: a hole in a file on a full disk kills the process that stores into it.
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, content, 0)
            os.fsync(self._file)
            self._map = mmap.mmap(self._file, len(content))
        except OSError as error:
            raise OutputError(f"journal {self._path} cannot be written: {error.strerror}; make room") from error
        self._offsets = {camera: _HEADER_BYTES + _COUNT.size * index for index, camera in enumerate(cameras)}

    def count(self, camera: str, frames: int) -> None:
        """Note that `camera` has captured `frames` so far; from any thread, one a camera."""
        if self._map is not None:
            _COUNT.pack_into(self._map, self._offsets[camera], frames)

    def close(self) -> None:
        """Let the file go to another process. The map stays: a reader that hangs in its driver may count yet."""
        fcntl.flock(self._file, fcntl.LOCK_UN)  # the map keeps the file open, and so would keep it locked
        os.close(self._file)

    def _left(self) -> tuple[int | None, Mapping[str, int]]:
        content = os.pread(self._file, 1 << 20, 0)
        try:
            header = json.loads(content[:_HEADER_BYTES].split(b"\n")[0])
            session, cameras = int(header["session"]), list(header["cameras"])
            counts = _COUNT.iter_unpack(content[_HEADER_BYTES:][: _COUNT.size * len(cameras)])
            return session, dict(zip(cameras, (count for (count,) in counts), strict=True))
        except (ValueError, KeyError, TypeError, struct.error):
            return None, {}  # a new file, or one that a power cut left half written
