"""Opens a daemon's journal: checks what the last one left, closes its books, and begins a session."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from inspector import __version__
from inspector.clock import Clock
from inspector.errors import DataError, OutputError
from inspector.journal import recovery
from inspector.journal.captures import Captures
from inspector.journal.journal import Journal
from inspector.journal.keeper import Keeper
from inspector.journal.lost_parts import LostParts, lost_parts
from inspector.journal.reading import Reader
from inspector.journal.recovery import Loss
from inspector.journal.store import Store, damage_note


@dataclass(frozen=True, slots=True)
class Terms:
    """How a journal is kept: see the configuration's `[journal]`."""

    path: Path
    sync: Literal["full", "normal"]
    keep_seconds: float
    max_bytes: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A journal that is ready, and what it needs.

    session: the number of the session that it begins
    losses, lost_parts: what the daemon before left behind, if it was killed
    """

    journal: Journal
    keeper: Keeper
    captures: Captures
    session: int
    losses: Sequence[Loss]
    lost_parts: Sequence[LostParts]


@contextmanager
def opened(
    terms: Terms,
    line: str,
    cameras: Sequence[str],
    captured: Callable[[], Mapping[tuple[str, str], int]],
    shift: Callable[[int], str],
    clock: Clock,
    stations: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Iterator[Opened]:
    """The journal at `terms.path`, made if it is missing, for a new session of `line`.

    captured: see Journal;  shift: names the shift of a moment (nanoseconds since 1970 UTC)
    stations: the cameras of each
    One that is damaged beyond reading is moved aside, for a line must not stand still for it. Raises OutputError where
    no file can be had.
    """
    path = terms.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _refuse_folder(path)
    except OSError as error:
        raise OutputError(
            f"journal {path} cannot be made: {error.strerror}; mend the folder, or choose another journal.path"
        ) from error
    with ExitStack() as stack:
        captures = Captures(path.with_name(f"{path.name}-captures"))
        stack.callback(captures.close)
        try:
            try:
                store, reader, cut_off, losses, parts = _open(terms, line, captures, shift, clock, stations)
                damaged = None
            except (sqlite3.DatabaseError, DataError) as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                damaged = f"{error}; it was moved to {_moved_aside(path, clock)}, and a new one begins"
                store, reader, cut_off, losses, parts = _open(terms, line, captures, shift, clock, stations)
            stack.callback(store.close)
            stack.callback(reader.close)
        except (sqlite3.DatabaseError, OSError) as error:
            raise OutputError(
                f"journal {path} cannot be written: {error}; make room, mend the disk, or choose another journal.path"
            ) from error
        captures.begin(store.session, cameras)
        journal = Journal(
            store, reader, captured, shift, terms.keep_seconds, terms.max_bytes, terms.memory_bytes, clock
        )
        if damaged is not None:
            journal.report("damaged", damaged)
        yield Opened(journal, Keeper(path, bool(cut_off), journal.report), captures, store.session, losses, parts)


def probe(path: Path) -> None:
    """Raise OutputError where `opened` could not have the file at `path`, leaving everything as it is."""
    try:
        is_there = path.exists()
    except OSError as error:  # under systemd it lies where the service alone, and root, can look
        raise OutputError(f"journal {path} cannot be looked at: {error.strerror}; be root or its owner") from error
    _refuse_folder(path)
    if is_there:
        try:
            Reader(path).close()
        except DataError as error:
            raise OutputError(str(error)) from error
    place = next(one for one in (path, *path.absolute().parents) if one.exists())
    if not os.access(place, os.W_OK) or (place != path and not place.is_dir()):
        raise OutputError(f"journal {path}: {place} cannot be written; mend its rights, or choose another journal.path")


def _refuse_folder(path: Path) -> None:
    if path.is_dir():
        raise OutputError(f"journal {path} is a folder; give journal.path the name of a file, in it or elsewhere")


def _open(
    terms: Terms,
    line: str,
    captures: Captures,
    shift: Callable[[int], str],
    clock: Clock,
    stations: Mapping[str, Sequence[str]],
) -> tuple[Store, Reader, list[int], list[Loss], list[LostParts]]:
    """The file, to be written and read, with the books of all earlier sessions closed and a new one begun."""
    note = damage_note(terms.path)
    if note.exists():
        if terms.path.exists():
            raise DataError(f"the journal {terms.path} is damaged: {note.read_text('utf-8')}")
        note.unlink()  # somebody moved the file away, and left the note
    with ExitStack() as stack:
        store = Store(terms.path, terms.sync)
        stack.callback(store.close)
        store.probe()
        reader = Reader(terms.path)
        stack.callback(reader.close)
        cut_off, losses = recovery.settle(store, reader, line, captures.session, captures.counts, shift)
        parts = [lost for number in cut_off for lost in lost_parts(reader, number, line, stations)]
        # Milliseconds since 1970 name the session: greater than that of every run before.
        store.begin(clock.wall_ns() // 1_000_000, line, __version__)
        stack.pop_all()
        return store, reader, cut_off, losses, parts


def _moved_aside(path: Path, clock: Clock) -> Path:
    """Where the damaged journal lies now, for whoever wants to save something out of it."""
    aside = path.with_name(f"{path.name}.damaged-{clock.wall_ns() // 1_000_000}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(aside.with_name(aside.name + suffix))
    damage_note(path).unlink(missing_ok=True)
    return aside
