"""Housekeeping beside the journal's writer, on a connection of its own, so that no verdict waits for it."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from inspector.errors import DataError
from inspector.journal.reading import Reader
from inspector.journal.store import is_damage, note_damage
from inspector.stage import Service

log = logging.getLogger(__name__)

PERIOD = 1.0
WAL_BYTES = 4 << 20
"""How long the write-ahead log grows before its pages are moved into the file."""
RESTART_BYTES = 32 << 20
"""How long it grows before it is made to begin anew, for which the writer waits: about one sync."""


class Keeper(Service):
    """Looks after the journal at `path`.

    Every second it has the disk take what the kernel holds back, so that a power cut takes no more than that.

    doubtful: the last daemon was killed, so the whole file is checked once, beside the work
    report: told the state and detail of an event, if damage is found
    """

    def __init__(self, path: Path, doubtful: bool, report: Callable[[str, str], None]) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._doubtful = doubtful
        self._report = report
        self._stopping = threading.Event()

    def run(self, beat: Callable[[], None]) -> None:
        """Move pages out of the write-ahead log as it grows, until `stop`; `beat` is called as it makes progress."""
        if self._doubtful:
            self._check()
        while not self._stopping.wait(PERIOD):
            beat()
            self._flush()
            self._checkpoint()

    def stop(self) -> None:
        """Have `run` come to its end; from any thread."""
        self._stopping.set()

    def _flush(self) -> None:
        try:
            file = os.open(self._log, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(file)
            finally:
                os.close(file)
        except OSError as error:  # nothing was written yet; or the disk fails, which is the writer's to report
            log.debug("no flush of %s: %s", self._log, error)

    def _checkpoint(self) -> None:
        """Move what is in the log. By itself it begins anew only if nothing is written meanwhile, so one that grew all
        the same is moved once more, to leave little, and then the writer is held off while the rest is.
        """
        try:
            size = self._log.stat().st_size
            if size > WAL_BYTES:
                # The time is for the writer's turn and for readers of what is moved: shorter than the writer's own.
                with closing(sqlite3.connect(self._path, isolation_level=None, timeout=0.1)) as db:
                    for how in ("PASSIVE", "PASSIVE", "RESTART") if size > RESTART_BYTES else ("PASSIVE",):
                        db.execute(f"PRAGMA wal_checkpoint({how})")
        except (OSError, sqlite3.DatabaseError) as error:
            log.debug("no checkpoint of %s: %s", self._path, error)  # a disk that fails is the writer's to report

    def _check(self) -> None:
        try:
            with closing(Reader(self._path)) as reader:
                damage = reader.check()
        except (DataError, OSError) as error:
            if not is_damage(error.__cause__):
                self._report("damaged", f"the journal may be damaged, and could not be looked through: {error}")
                return
            damage = str(error.__cause__)
        if damage is not None:
            self._report("damaged", note_damage(self._path, damage))
