"""The journal's file: SQLite in WAL mode (sqlite.org/wal.html). One writer; readers have connections of their own."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from inspector.errors import OutputError

SCHEMA = """
CREATE TABLE sessions (
    session INTEGER PRIMARY KEY, line TEXT NOT NULL, version TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'ended', 'cut off')),
    accounted INTEGER NOT NULL DEFAULT 0  -- up to which id its verdicts are in the accounts
) STRICT;
CREATE TABLE topics (id INTEGER PRIMARY KEY, topic TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, topic INTEGER NOT NULL, sequence INTEGER NOT NULL,
    at_ns INTEGER NOT NULL, header BLOB NOT NULL, sizes TEXT, payloads BLOB
) STRICT;
CREATE UNIQUE INDEX messages_by_sequence ON messages (session, topic, sequence);
CREATE TABLE trimmed (  -- the last sequence of what was deleted, or never kept
    session INTEGER, topic INTEGER, sequence INTEGER NOT NULL, PRIMARY KEY (session, topic)
) STRICT, WITHOUT ROWID;
CREATE TABLE accounts (
    session INTEGER, shift TEXT, camera TEXT, outcome TEXT, frames INTEGER NOT NULL,
    PRIMARY KEY (session, shift, camera, outcome)
) STRICT, WITHOUT ROWID;
CREATE INDEX accounts_by_shift ON accounts (shift);
"""
APPLICATION_ID = 0x496E7370  # "Insp", where file(1) looks
SCHEMA_VERSION = 1
TRIMMED_AT_ONCE, TRIMMED_BYTES = 200, 256 << 10
"""Messages deleted in one transaction, and their bytes, but one message at least: about a millisecond, which is what a
verdict may have to wait for."""
_COLUMNS = 7

State: TypeAlias = Literal["running", "ended", "cut off"]


class Account(NamedTuple):
    """What a number of frames belongs to; `outcome` is one of outcomes.py."""

    shift: str
    camera: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A message to be kept.

    parts: topic, header, payloads;  at_ns: wall clock, nanoseconds since 1970 UTC
    end: what the frame is counted as that ends with it
    """

    topic: str
    sequence: int
    parts: Sequence[bytes]
    at_ns: int
    end: Account | None = None

    @property
    def size(self) -> int:
        """What it takes, about."""
        return sum(map(len, self.parts)) + 100


def is_damage(error: BaseException | None) -> bool:
    """Whether `error` is SQLite's word that the file is damaged, which no waiting mends."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def damage_note(path: Path) -> Path:
    """What a daemon leaves beside the journal at `path` that it found damaged: the next one begins another."""
    return path.with_name(f"{path.name}-damaged")


def note_damage(path: Path, why: str) -> str:
    """Leave the note; the sentence that tells of it."""
    try:
        damage_note(path).write_text(why, "utf-8")
    except OSError:
        return f"the journal {path} is damaged: {why}; stop the daemon and move it away, so that a new one begins"
    return f"the journal {path} is damaged: {why}; restart the daemon, which moves it aside and begins a new one"


class Store:
    """Writes the file at `path`, which is made if it is missing. Raises sqlite3.Error where the disk fails.

    sync: `full` survives a power cut, `normal` the death of the process (SQLite's PRAGMA synchronous)
    Raises OutputError for a file that is no journal of this version.
    """

    def __init__(self, path: Path, sync: Literal["full", "normal"] = "normal") -> None:
        self.path = path
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))  # a line's results are not everybody's
        # A cached statement keeps what it wrote last, and there would be one for each number of entries.
        self._db = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=1.0, cached_statements=0
        )
        try:
            is_new = self._is_new()
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute(f"PRAGMA synchronous = {sync}")
            self._db.execute("PRAGMA wal_autocheckpoint = 0")  # the keeper's work: no verdict waits for it
            self._db.execute(f"PRAGMA journal_size_limit = {16 << 20}")
            if is_new:
                self._db.executescript(
                    f"BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; "
                    f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
                )
        except BaseException:
            self._db.close()
            raise
        self._topics = {topic: number for number, topic in self._db.execute("SELECT id, topic FROM topics")}
        self._session = 0

    def probe(self) -> None:
        """Write a message and an account and take them back; raises sqlite3.DatabaseError where what that touches is
        damaged.
        """
        last = (1 << 63) - 1
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute(
                # Large enough to take pages that are free.
                "INSERT INTO messages (session, topic, sequence, at_ns, header, payloads) "
                "VALUES (?, 0, 0, 0, x'', zeroblob(65536))",
                (last,),
            )
            self._add(last, {Account("", "", ""): 0})
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def begin(self, session: int, line: str, version: str) -> int:
        """Begin a session, whose number is `session` or, had the clock been set back, one above all before it."""
        (last,) = self._db.execute("SELECT max(session) FROM sessions").fetchone()
        self._session = session if last is None else max(session, last + 1)
        self._db.execute(
            "INSERT INTO sessions (session, line, version, state) VALUES (?, ?, ?, 'running')",
            (self._session, line, version),
        )
        return self._session

    @property
    def session(self) -> int:
        """The running session; 0 before `begin`."""
        return self._session

    def write(self, entries: Sequence[Entry]) -> None:
        """Keep `entries`; all of them, or none.

        It is one statement: sqlite3 lets go of Python's lock for each, and a verdict would wait for it each time.
        """
        if not entries:
            return
        values = [value for entry in entries for value in self._row(entry)]
        rows = ", ".join([f"({', '.join('?' * _COLUMNS)})"] * len(entries))
        # A disk that failed may have kept what is written again now; it is the same.
        into = "INSERT OR IGNORE INTO messages (session, topic, sequence, at_ns, header, sizes, payloads)"
        self._db.execute(f"{into} VALUES {rows}", values)

    def account(self, frames: Mapping[Account, int]) -> None:
        """Add to the accounts: frames that were captured, and those that ended with what was written so far."""
        with self._transaction():
            self._add(self._session, frames)
            self._db.execute(
                "UPDATE sessions SET accounted = coalesce((SELECT max(id) FROM messages), 0) WHERE session = ?",
                (self._session,),
            )

    def shift(self, shift: str) -> dict[tuple[str, str], int]:
        """The frames of a shift by camera and outcome, over all sessions."""
        rows = self._db.execute(
            "SELECT camera, outcome, sum(frames) FROM accounts WHERE shift = ? GROUP BY camera, outcome", (shift,)
        )
        return {(camera, outcome): frames for camera, outcome, frames in rows}

    def settle(self, session: int, state: State, accounts: Mapping[Account, int]) -> None:
        """Close the books of `session`: its state, and what is to be added to its accounts."""
        with self._transaction():
            self._add(session, accounts)
            self._db.execute("UPDATE sessions SET state = ? WHERE session = ?", (state, session))

    def end(self, lasts: Mapping[str, int]) -> None:
        """The session ended in good order. lasts: the last sequence of each topic, whether or not it was kept"""
        rows = [(self._session, self._topic(topic), last) for topic, last in lasts.items() if last]
        with self._transaction():
            self._db.executemany(
                "INSERT INTO trimmed SELECT ?1, ?2, ?3 "
                "WHERE ?3 > (SELECT coalesce(max(sequence), 0) FROM messages WHERE session = ?1 AND topic = ?2) "
                "ON CONFLICT DO UPDATE SET sequence = max(sequence, ?3)",
                rows,
            )
        self.settle(self._session, "ended", {})

    def trim(self, before_ns: int, max_bytes: int) -> bool:
        """Delete some of the oldest messages, if they are older than `before_ns` or the file holds more than
        `max_bytes`; whether there is more to do. Deleted pages are used again; the file does not shrink.
        """
        excess = self.size() - max_bytes
        rows = self._db.execute(
            # All but the newest: SQLite would number what comes next from 1 again.
            "SELECT id, session, topic, sequence, at_ns, length(header) + coalesce(length(payloads), 0) "
            "FROM messages WHERE id < (SELECT max(id) FROM messages) ORDER BY id LIMIT ?",
            (TRIMMED_AT_ONCE,),
        ).fetchall()
        old: list[list[int]] = []
        size, is_full = 0, len(rows) == TRIMMED_AT_ONCE
        for *row, at_ns, length in rows:
            is_young = at_ns >= before_ns and size >= excess
            if is_young or (old and size + length > TRIMMED_BYTES):
                is_full = not is_young
                break
            old.append(row)
            size += length
        if not old:
            return False
        lasts = {(session, topic): sequence for _, session, topic, sequence in old}
        with self._transaction():
            self._db.executemany(
                "INSERT INTO trimmed VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET sequence = max(sequence, ?3)",
                [(*where, sequence) for where, sequence in lasts.items()],
            )
            self._db.execute("DELETE FROM messages WHERE id <= ?", (old[-1][0],))
        return is_full or self.size() > max_bytes

    def size(self) -> int:
        """Bytes that the file holds, without the pages that are free to be used again."""
        return self.file_size() - self._pragma("freelist_count") * self._pragma("page_size")

    def file_size(self) -> int:
        """Bytes of the file, free pages included: it never shrinks."""
        return self._pragma("page_count") * self._pragma("page_size")

    def free(self) -> int:
        """Bytes of room on its disk for this user; 0 where nobody can tell."""
        try:
            return shutil.disk_usage(self.path.absolute().parent).free
        except OSError:  # a disk that fails is found by writing
            return 0

    def oldest_ns(self, before_ns: int) -> int | None:
        """When the oldest message was kept (wall clock), None where there is none, or none but the newest, which `trim`
        leaves though it is older than `before_ns`.
        """
        row = self._db.execute(
            "SELECT at_ns FROM messages WHERE at_ns >= ? OR id < (SELECT max(id) FROM messages) ORDER BY id LIMIT 1",
            (before_ns,),
        ).fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _is_new(self) -> bool:
        """Whether there is nothing yet; raises OutputError where there is something else than a journal."""
        application, version = self._pragma("application_id"), self._pragma("user_version")
        if application == 0 and version == 0 and not self._pragma("schema_version"):
            return True
        if (application, version) != (APPLICATION_ID, SCHEMA_VERSION):
            what = "of another version of inspector" if application == APPLICATION_ID else "no journal of inspector's"
            raise OutputError(f"journal {self.path} is {what}; move it away, or choose another journal.path")
        return False

    def _pragma(self, name: str) -> int:
        return int(self._db.execute(f"PRAGMA {name}").fetchone()[0])

    def _row(self, entry: Entry) -> tuple[int, int, int, int, bytes, str | None, bytes | None]:
        _, header, *payloads = entry.parts
        kept = (",".join(str(len(payload)) for payload in payloads), b"".join(payloads)) if payloads else (None, None)
        return (self._session, self._topic(entry.topic), entry.sequence, entry.at_ns, header, *kept)

    def _topic(self, topic: str) -> int:
        number = self._topics.get(topic)
        if number is None:
            number = self._db.execute("INSERT INTO topics (topic) VALUES (?)", (topic,)).lastrowid or 0
            self._topics[topic] = number
        return number

    def _add(self, session: int, accounts: Mapping[Account, int]) -> None:
        self._db.executemany(
            "INSERT INTO accounts VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET frames = frames + ?5",
            [(session, *account, frames) for account, frames in accounts.items()],
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk has SQLite roll back by itself
                self._db.execute("ROLLBACK")
            raise
