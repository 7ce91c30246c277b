"""Reads a journal while a daemon may write it: ranges, sessions and accounts."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from inspector.archive import Chunk, Kept, Session
from inspector.errors import DataError, reading
from inspector.journal.store import APPLICATION_ID, SCHEMA_VERSION, Account

LATE = "late/"
"""What topics of evidence begin with; they are never published, so no subscriber is told of them."""

BATCH_BYTES = 16 << 20
"""What `Reader.messages` holds at once. It reads ahead of whoever takes them, who may take long: an open reading keeps
the write-ahead log from beginning anew.
"""
_END = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Choice:
    """Which messages: of topics that begin with `prefix`, of one session or all, by sequence (both ends included) and
    by when they were kept (nanoseconds since 1970 UTC, `until_ns` not included).
    """

    prefix: str = ""
    session: int | None = None
    first: int = 0
    last: int = _END
    since_ns: int = 0
    until_ns: int = _END


class Recorded(NamedTuple):
    """A message with its session and topic, and when it was kept (nanoseconds since 1970 UTC)."""

    session: int
    topic: str
    at_ns: int
    kept: Kept


class Reader:
    """Opens the journal at `path` for reading; an `archive.Archive`. Its methods may be called from any thread.

    Raises DataError for what is no journal, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with reading(path, DataError, "journal "):
            if not path.is_file():
                raise DataError(f"journal {path}: there is no such file; give the file that journal.path names")
        self._lock = Lock()
        with self._reading():
            self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
            found = [self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        if found != [APPLICATION_ID, SCHEMA_VERSION]:
            self._db.close()
            raise DataError(f"journal {path} is no journal of this version of inspector; give one that it wrote")

    def read(self, session: int, topic: str, first: int, last: int, budget: int) -> Chunk:
        """See `archive.Archive`."""
        with self._reading():
            return self._read(session, topic, first, last, budget)

    def sessions(self, since: int) -> list[Session]:
        """See `archive.Archive`."""
        with self._reading():
            found = self._db.execute(
                "SELECT session, state FROM sessions WHERE session >= ? ORDER BY session", (since,)
            )
            return [Session(session, self._lasts(session), state != "running") for session, state in found.fetchall()]

    def messages(self, choice: Choice) -> Iterator[Recorded]:
        """What was kept, evidence included, in the order in which it was; messages that are deleted meanwhile are left
        out.
        """
        last = 0
        while True:
            batch, size = [], 0
            with self._reading():
                rows = self._db.execute(
                    "SELECT messages.id, session, topics.topic, at_ns, sequence, header, sizes, payloads "
                    "FROM messages JOIN topics ON topics.id = messages.topic WHERE messages.id > ? "
                    "AND substr(topics.topic, 1, length(?2)) = ?2 AND (?3 IS NULL OR session = ?3) "
                    "AND sequence BETWEEN ? AND ? AND at_ns >= ? AND at_ns < ? ORDER BY messages.id",
                    (last, choice.prefix, choice.session, choice.first, choice.last, choice.since_ns, choice.until_ns),
                )
                for number, session, topic, at_ns, sequence, header, sizes, payloads in rows:
                    last = number
                    kept = Kept(sequence, (topic.encode(), header, *_split(sizes, payloads)))
                    batch.append(Recorded(session, topic, at_ns, kept))
                    size += kept.size
                    if size >= BATCH_BYTES:
                        break
                rows.close()
            if not batch:
                return
            yield from batch

    def last(self, session: int, topic: str) -> int:
        """The topic's last sequence in that session, as far as the journal was told; 0 if there is none."""
        with self._reading():
            return self._last(session, topic)

    def accounts(self) -> list[tuple[int, str, Account, int]]:
        """Session, its state (running, ended or cut off), account and frames, ordered by shift and camera."""
        with self._reading():
            rows = self._db.execute(
                "SELECT session, state, shift, camera, outcome, frames FROM accounts JOIN sessions USING (session) "
                "ORDER BY shift, camera, session"
            )
            return [(session, state, Account(*account), frames) for session, state, *account, frames in rows]

    def running(self) -> dict[int, Counter[Account]]:
        """The sessions that never ended, ascending, each with its accounts."""
        with self._reading():
            found = self._db.execute("SELECT session FROM sessions WHERE state = 'running' ORDER BY session")
            return {session: self._accounts(session) for (session,) in found.fetchall()}

    def unaccounted(self, session: int) -> list[bytes]:
        """The headers of the session's verdicts that are in no account yet."""
        with self._reading():
            rows = self._db.execute(
                "SELECT header FROM messages JOIN topics ON topics.id = messages.topic JOIN sessions USING (session) "
                "WHERE messages.id > accounted AND session = ? AND topics.topic GLOB 'verdict/*'",
                (session,),
            )
            return [header for (header,) in rows]

    def check(self) -> str | None:
        """What is damaged, or None; reads the whole file (PRAGMA quick_check)."""
        with self._reading():
            (word,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        return None if word == "ok" else str(word)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    def _read(self, session: int, topic: str, first: int, last: int, budget: int) -> Chunk:
        state = self._db.execute("SELECT state FROM sessions WHERE session = ?", (session,)).fetchone()
        if state is None:
            return Chunk(session, topic, first, last, (), ((first, last),))
        # Before the rows: more may come, never less. To a session that is over nothing comes any more.
        end = min(last, self._last(session, topic)) if state == ("running",) else last
        rows = self._db.execute(
            "SELECT sequence, header, sizes, payloads FROM messages JOIN topics ON topics.id = messages.topic "
            "WHERE session = ? AND topics.topic = ? AND sequence BETWEEN ? AND ? ORDER BY sequence",
            (session, topic, first, end),
        )
        messages: list[Kept] = []
        for sequence, header, sizes, payloads in rows:
            budget -= len(header) + len(payloads or b"")
            if budget < 0 and messages:
                end = messages[-1].sequence
                break
            messages.append(Kept(sequence, (topic.encode(), header, *_split(sizes, payloads))))
        rows.close()
        return Chunk(session, topic, first, max(end, first - 1), tuple(messages), gaps(first, end, messages))

    def _accounts(self, session: int) -> Counter[Account]:
        rows = self._db.execute("SELECT shift, camera, outcome, frames FROM accounts WHERE session = ?", (session,))
        return Counter({Account(*account): frames for *account, frames in rows})

    def _last(self, session: int, topic: str) -> int:
        row = self._db.execute("SELECT id FROM topics WHERE topic = ?", (topic,)).fetchone()
        return 0 if row is None else self._last_of(session, row[0])

    def _last_of(self, session: int, number: int) -> int:
        """By the topic's number. It is looked up, not kept: keeping it would cost each verdict a statement more."""
        (last,) = self._db.execute(
            "SELECT max(coalesce((SELECT max(sequence) FROM messages WHERE session = ?1 AND topic = ?2), 0), "
            "coalesce((SELECT sequence FROM trimmed WHERE session = ?1 AND topic = ?2), 0))",
            (session, number),
        ).fetchone()
        return int(last)

    def _lasts(self, session: int) -> dict[str, int]:
        topics = self._db.execute("SELECT id, topic FROM topics").fetchall()
        lasts = {topic: self._last_of(session, number) for number, topic in topics if not topic.startswith(LATE)}
        return {topic: last for topic, last in lasts.items() if last}

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.DatabaseError as error:
            raise DataError(f"journal {self._path} cannot be read: {error}; mend the disk, or give another") from error


def _split(sizes: str | None, payloads: bytes | None) -> Iterator[bytes]:
    at = 0
    for size in map(int, sizes.split(",") if sizes else ()):
        yield (payloads or b"")[at : at + size]
        at += size


def gaps(first: int, last: int, messages: Sequence[Kept]) -> tuple[tuple[int, int], ...]:
    """The ranges of `first` to `last` that no message fills."""
    gaps, due = [], first
    for message in messages:
        if message.sequence > due:
            gaps.append((due, message.sequence - 1))
        due = message.sequence + 1
    if due <= last:
        gaps.append((due, last))
    return tuple(gaps)
