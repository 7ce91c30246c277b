from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.journal import keeper as module
from inspector.journal.keeper import Keeper
from inspector.journal.store import Store, damage_note
from tests.journals import entries


def failing(what: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have one thing that a keeper does fail; how often it was tried is the list's length."""
    tried: list[str] = []

    def instead(real: Callable[..., object], error: Exception, *suffixes: str) -> Callable[..., object]:
        def fail(path: object, *how: object, **more: object) -> object:
            if not str(path).endswith(suffixes):
                return real(path, *how, **more)
            tried.append(str(path))
            raise error

        return fail

    if what == "open":
        monkeypatch.setattr(os, "open", instead(os.open, OSError(5, "Input/output error"), "-wal"))
    else:
        error = sqlite3.OperationalError("unable to open database file")
        monkeypatch.setattr(sqlite3, "connect", instead(sqlite3.connect, error, "/j"))
    return tried


@pytest.mark.parametrize("what", ["open", "connect"])
def test_a_file_that_cannot_be_opened_does_not_end_the_keeper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    store = Store(tmp_path / "j")
    store.begin(1000, "line1", "test")
    monkeypatch.setattr(module, "PERIOD", 0.0)
    monkeypatch.setattr(module, "WAL_BYTES", 0)
    keeper = Keeper(tmp_path / "j", False, lambda *_: None)
    beats = iter(range(3))

    def beat() -> None:
        if next(beats) == 2:
            keeper.stop()

    tried = failing(what, monkeypatch)
    keeper.run(beat)
    assert len(tried) == 3
    store.close()


def test_the_write_ahead_log_is_moved_into_the_file_as_it_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "j")
    store.begin(1000, "line1", "test")
    store.write(entries(1, 100, size=10_000))
    before = (tmp_path / "j").stat().st_size
    monkeypatch.setattr(module, "PERIOD", 0.0)
    monkeypatch.setattr(module, "WAL_BYTES", 0)
    keeper = Keeper(tmp_path / "j", False, lambda *_: None)
    keeper.run(keeper.stop)
    assert (tmp_path / "j").stat().st_size > before + 1_000_000
    store.close()


def test_a_killed_daemons_journal_that_is_found_damaged_is_noted_for_the_next_start(tmp_path: Path) -> None:
    store = Store(tmp_path / "j")
    store.begin(1000, "line1", "test")
    store.write(entries(1, 500))
    (root,) = store._db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'messages'").fetchone()
    (size,) = store._db.execute("PRAGMA page_size").fetchone()
    store.close()
    with (tmp_path / "j").open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xa5" * size)
    told: list[tuple[str, str]] = []
    keeper = Keeper(tmp_path / "j", True, lambda *event: told.append(event))
    keeper.stop()
    keeper.run(lambda: None)
    ((state, detail),) = told
    assert state == "damaged"
    assert detail.endswith("; restart the daemon, which moves it aside and begins a new one")
    assert damage_note(tmp_path / "j").exists()


def test_a_file_that_cannot_be_looked_through_is_not_noted_as_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(tmp_path / "j").close()

    def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite3, "connect", fail)
    told: list[str] = []
    keeper = Keeper(tmp_path / "j", True, lambda _, detail: told.append(detail))
    keeper.stop()
    keeper.run(lambda: None)
    assert "may be damaged, and could not be looked through: journal" in told[0]
    assert not damage_note(tmp_path / "j").exists()


class BetweenCommits(sqlite3.Connection):
    """The keeper's, whose work a transaction of the writer overlaps each time, unless it holds the writer off."""

    writer: Store

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:  # type: ignore[override]
        if "RESTART" in sql:
            return super().execute(sql)
        self.writer._db.execute("BEGIN IMMEDIATE")
        rows = super().execute(sql)
        self.writer.write(entries(self.writer._db.total_changes, self.writer._db.total_changes, size=100_000))
        self.writer._db.execute("COMMIT")
        return rows


@pytest.mark.parametrize("is_read", [False, True])
def test_the_log_of_a_writer_that_never_pauses_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_read: bool
) -> None:
    """A reader that holds on to what it sees holds it up, and no longer."""
    store = Store(tmp_path / "j")
    store.begin(1000, "line1", "test")
    reader = sqlite3.connect(tmp_path / "j", isolation_level=None)
    if is_read:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM messages").fetchone()
    real = sqlite3.connect
    monkeypatch.setattr(BetweenCommits, "writer", store, raising=False)
    monkeypatch.setattr(sqlite3, "connect", lambda *how, **more: real(*how, **more, factory=BetweenCommits))
    monkeypatch.setattr(module, "WAL_BYTES", 0)
    monkeypatch.setattr(module, "RESTART_BYTES", 1 << 20)
    keeper = Keeper(tmp_path / "j", False, lambda *_: None)

    def grown(rounds: int) -> int:
        for _ in range(rounds):
            keeper._checkpoint()
        return (tmp_path / "j-wal").stat().st_size

    if is_read:
        assert grown(15) > 2 << 20
        reader.close()
        assert grown(1) == grown(10)
    else:
        assert grown(40) < 2 << 20
    reader.close()
    store.close()
