"""The journal: takes messages before they are published, and keeps them on disk.

Whoever publishes waits until what it appended is safe, but never for a disk that fails or hangs: then the line goes on,
messages wait in memory for the disk to come back, and what there is no room for is named by its sequences.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from inspector.archive import Chunk, Kept, Session
from inspector.clock import AgeClock, Clock
from inspector.errors import DataError, OutputError
from inspector.journal.reading import LATE, Reader, gaps
from inspector.journal.store import Account, Entry, Store, is_damage, note_damage
from inspector.outcomes import CAPTURED
from inspector.stage import Service

log = logging.getLogger(__name__)

PATIENCE = 0.5
"""Seconds that a verdict waits for the disk before the line goes on without it."""
RETRY = 1.0
"""Seconds between two attempts on a disk that failed."""
HOUSE_SECONDS = 1.0
"""How often the accounts are brought up to date, and old messages looked for."""
MOST_RANGES = 20
"""That a sentence lists."""
MOST_ENTRIES, MOST_BYTES = 1000, 8 << 20
"""Of one transaction; more only comes together while the disk fails."""


class Journal(Service):
    """Keeps the entries of `store`'s running session; what is not `run` is for any thread.

    reader: reads what `store` wrote
    captured: by camera and shift, how many frames were captured since it was last called
    shift: names the shift of a moment (nanoseconds since 1970 UTC)
    keep_seconds, max_bytes: what is older, or more, is deleted, the oldest first
    memory_bytes: how much may wait for a disk that fails

    keep_seconds, max_bytes: as given
    failing: whether the disk fails or hangs just now
    unkept_messages: how many messages could not be kept
    size, file_size: bytes that the file holds, and that it takes on the disk, as of the last second
    oldest_ns, free: when its oldest message was kept, and bytes of room on its disk, as of the last second
    """

    def __init__(
        self,
        store: Store,
        reader: Reader,
        captured: Callable[[], Mapping[tuple[str, str], int]],
        shift: Callable[[int], str],
        keep_seconds: float,
        max_bytes: int,
        memory_bytes: int,
        clock: Clock,
    ) -> None:
        self.failing = False
        self.unkept_messages = 0
        self.keep_seconds, self.max_bytes = keep_seconds, max_bytes
        self._store = store
        self._reader = reader
        self._captured = captured
        self._shift = shift
        self._frames: tuple[str, Mapping[tuple[str, str], int]] = "", {}  # of the shift that it was, as last found
        self._memory_bytes = memory_bytes
        self._clock = clock
        self._ages = AgeClock(clock, f"the journal {store.path}")
        self._look()
        self._changed = threading.Condition()
        self._pending: deque[Entry] = deque()
        self._pending_bytes = 0
        self._writing: list[Entry] = []
        self._appended = self._done = 0
        self._lasts: dict[str, int] = {}
        self._unkept: dict[str, list[tuple[int, int]]] = {}
        self._ended: Counter[Account] = Counter()
        self._begun: Counter[Account] = Counter()  # captured, and in no account yet
        self._news: deque[tuple[str, str]] = deque(maxlen=100)
        self._stopping = threading.Event()
        self._is_damaged = self._is_cut_off = False
        self._house_due = clock.monotonic()

    @property
    def path(self) -> Path:
        """The file."""
        return self._store.path

    def append(self, entries: Sequence[Entry]) -> None:
        """Keep `entries`; returns when they are kept, or when the disk fails or takes longer than `PATIENCE`."""
        with self._changed:
            self._pending += entries
            self._pending_bytes += sum(entry.size for entry in entries)
            self._appended += len(entries)
            ticket = self._appended
            self._changed.notify_all()
            if not self.failing and not self._changed.wait_for(lambda: self._done >= ticket or self.failing, PATIENCE):
                self._fail(f"no answer for {PATIENCE} s")
            self._make_room()
            for entry in entries:
                self._lasts[entry.topic] = entry.sequence

    def told(self, sequences: Mapping[str, int]) -> None:
        """Take note of the last sequence of each topic so far: what was not appended by now never will be."""
        with self._changed:
            self._lasts.update(sequences)

    def news(self) -> list[tuple[str, str]]:
        """State and detail of the events that are to be told since the last call."""
        with self._changed:
            news = list(self._news)
            self._news.clear()
        return news

    def report(self, state: str, detail: str) -> None:
        """Have an event told; from any thread."""
        with self._changed:
            self._tell(state, detail)

    def run(self, beat: Callable[[], None]) -> None:
        """Write what is appended, and delete what is too old, until `stop`; then write the rest and return.

        beat: called as it makes progress
        """
        while True:
            beat()
            with self._changed:
                nap = max(self._house_due - self._clock.monotonic(), 0.0)
                self._changed.wait_for(lambda: self._pending or self._stopping.is_set(), min(nap, HOUSE_SECONDS))
                ending = self._stopping.is_set()
                over = ending and not self._pending and not self._writing
            if over:
                break
            try:
                while self._pending or self._writing:
                    beat()
                    self._write()
                self._keep_house()
            except sqlite3.DatabaseError as error:
                if is_damage(error) and not self._is_damaged:
                    self._is_damaged = True
                    self.report("damaged", note_damage(self.path, str(error)))
                with self._changed:
                    self._fail(str(error))
                if ending:  # the disk has had its last chance
                    break
                self._stopping.wait(RETRY)
        self._end()

    def stop(self) -> None:
        """Have `run` come to its end; from any thread."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()

    def cut_off(self) -> None:
        """Leave the session open at the end, so that the next start tells of what it lacks; from any thread."""
        self._is_cut_off = True

    def read(self, session: int, topic: str, first: int, last: int, budget: int) -> Chunk:
        """See `archive.Archive`: of what is on disk, and of what waits for a disk that fails."""
        with self._changed:  # before the disk is asked: what moves there meanwhile is in both, not in neither
            waiting = [entry for entry in (*self._writing, *self._pending) if entry.topic == topic]
            end = min(last, self._lasts.get(topic, 0))
        try:
            chunk = self._reader.read(session, topic, first, last, budget)
            on_disk = self._reader.last(session, topic)
        except DataError as error:
            raise OutputError(str(error)) from error
        if session != self._store.session or end <= chunk.last or chunk.last < on_disk:
            return chunk
        messages = list(chunk.messages)
        budget -= sum(kept.size for kept in messages)
        for entry in waiting:
            if chunk.last < entry.sequence <= end:
                kept = Kept(entry.sequence, tuple(entry.parts))
                budget -= kept.size
                if budget < 0 and messages:
                    end = entry.sequence - 1
                    break
                messages.append(kept)
        return replace(chunk, last=end, messages=tuple(messages), gone=gaps(first, end, messages))

    def shift(self) -> Mapping[tuple[str, str], int]:
        """The frames of this shift by camera and outcome, over all sessions, as of the last second: who asks waits for
        no disk.
        """
        shift, frames = self._frames
        return frames if shift == self._shift(self._clock.wall_ns()) else {}

    def sessions(self, since: int) -> list[Session]:
        """See `archive.Archive`."""
        running = self._store.session
        with self._changed:
            lasts = {topic: last for topic, last in self._lasts.items() if not topic.startswith(LATE)}
        try:
            found = self._reader.sessions(since)
        except DataError as error:
            raise OutputError(str(error)) from error
        return [replace(one, sequences={**one.sequences, **lasts}) if one.session == running else one for one in found]

    def _write(self) -> None:
        """Write some of what waits, at once."""
        with self._changed:
            size = sum(entry.size for entry in self._writing)  # what an attempt that failed has left
            while self._pending and len(self._writing) < MOST_ENTRIES and size < MOST_BYTES:
                entry = self._pending.popleft()
                self._pending_bytes -= entry.size
                size += entry.size
                self._writing.append(entry)
        self._store.write(self._writing)
        with self._changed:
            self._ended.update(entry.end for entry in self._writing if entry.end is not None)
            self._done += len(self._writing)
            self._writing = []
            if self.failing and not self._pending:
                self._recover()
            self._changed.notify_all()

    def _keep_house(self) -> None:
        """Bring the accounts up to date, and delete some of what is too old or too much; once a second, or until that
        is done.
        """
        if self._clock.monotonic() < self._house_due:
            return
        if self._is_damaged:  # what can still be written is, and no house is kept
            self._house_due = self._clock.monotonic() + HOUSE_SECONDS
            return
        self._account()
        more = self._store.trim(self._too_old_ns(), self.max_bytes)
        self._house_due = self._clock.monotonic() + (0 if more else HOUSE_SECONDS)
        self._look()

    def _look(self) -> None:
        self.size, self.file_size = self._store.size(), self._store.file_size()
        self.oldest_ns, self.free = self._store.oldest_ns(self._too_old_ns()), self._store.free()

    def _too_old_ns(self) -> int:
        """What was kept before (nanoseconds since 1970 UTC) is older than `keep_seconds`."""
        return self._ages.now_ns() - round(self.keep_seconds * 1e9)

    def _account(self) -> None:
        with self._changed:
            ended = Counter(self._ended)
        # After what ended, so that nothing ends that was not captured. Added, not set: a clock that is set back counts
        # on in a shift of long ago.
        self._begun.update({Account(shift, camera, CAPTURED): n for (camera, shift), n in self._captured().items()})
        self._store.account(self._begun + ended)
        self._begun.clear()
        with self._changed:
            self._ended = self._ended - ended
        shift = self._shift(self._clock.wall_ns())
        self._frames = shift, self._store.shift(shift)

    def _end(self) -> None:
        with self._changed:
            lost = [*self._writing, *self._pending]
            self._pending.clear()
            for entry in lost:
                self._drop(entry)
        if lost:
            log.error("the journal %s still fails at the end; not kept: %s", self.path, _ranges(self._unkept))
        try:
            self._account()
            if not self._is_cut_off:
                self._store.end(self._lasts)
        except sqlite3.DatabaseError as error:
            log.error("the journal %s cannot be closed in good order: %s", self.path, error)

    def _make_room(self) -> None:
        """Drop the oldest of what waits for a disk that fails, where it is too much."""
        while self._pending_bytes > self._memory_bytes and self._pending:
            entry = self._pending.popleft()
            self._pending_bytes -= entry.size
            self._drop(entry)

    def _drop(self, entry: Entry) -> None:
        self._done += 1
        self.unkept_messages += 1
        if entry.end is not None:  # its verdict was given, so it counts
            self._ended[entry.end] += 1
        spans = self._unkept.setdefault(entry.topic, [])
        if spans and spans[-1][1] == entry.sequence - 1:
            spans[-1] = spans[-1][0], entry.sequence
        else:
            spans.append((entry.sequence, entry.sequence))

    def _fail(self, why: str) -> None:
        if not self.failing:
            self.failing = True
            self._unkept.clear()
            remedy = "restart the daemon" if self._is_damaged else "make room, or mend the disk"
            self._tell(
                "failing",
                f"the journal {self.path} cannot be written: {why}; {remedy}. The line goes on, and the newest "
                f"{self._memory_bytes >> 20} MiB wait in memory",
            )
            self._changed.notify_all()

    def _recover(self) -> None:
        self.failing = False
        what = f"not kept: {_ranges(self._unkept)}" if self._unkept else "every message was kept"
        self._tell("recovered", f"the journal {self.path} works again; {what}")

    def _tell(self, state: str, detail: str) -> None:
        log.log(logging.ERROR if state == "failing" else logging.WARNING, "%s", detail)
        self._news.append((state, detail))


def _ranges(unkept: Mapping[str, Sequence[tuple[int, int]]]) -> str:
    spans = [f"{topic} {first} to {last}" for topic, found in unkept.items() for first, last in found]
    more = f" and {len(spans) - MOST_RANGES} more ranges" if len(spans) > MOST_RANGES else ""
    return ", ".join(spans[:MOST_RANGES]) + more
