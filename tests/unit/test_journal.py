from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.accounting import rss
from inspector.archive import Chunk, Kept
from inspector.clock import DOUBT_SECONDS, ManualClock
from inspector.errors import DataError, OutputError
from inspector.journal import journal as module
from inspector.journal import reading
from inspector.journal.opening import probe
from inspector.journal.reading import Choice, Reader, gaps
from inspector.journal.store import TRIMMED_AT_ONCE, Account, Entry, Store, note_damage
from inspector.outcomes import CAPTURED
from tests.inspections import few
from tests.journals import OK, SHIFT, VERDICTS, Parts, capture, entries, entry, running
from tests.waiting import until

RESULTS = "result/line1/cam1/"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 60.0)  # a disk that is slow here fails for no test that is not about it


# ---- what is kept can be had again


def test_a_message_comes_back_as_it_was(tmp_path: Path) -> None:
    with Parts(tmp_path / "j") as parts:
        kept = entry(1, RESULTS, payloads=(b"mask", b"", b"picture"))
        parts.journal.append([kept])
        chunk = parts.journal.read(1000, RESULTS, 1, 9, 1 << 20)
    assert chunk == Chunk(1000, RESULTS, 1, 1, (Kept(1, tuple(kept.parts)),), ())


def test_what_was_written_is_let_go_of_whatever_number_came_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "j")
    store.begin(1000, "line1", "test")
    sequence, picture, before = 0, bytes(500_000), rss(os.getpid())
    for number in range(1, 13):
        store.write([entry(sequence + index, RESULTS, payloads=[picture]) for index in range(1, number + 1)])
        sequence += number
    assert rss(os.getpid()) - before < sequence * len(picture) / 2
    store.close()


def test_what_was_appended_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    with Parts(tmp_path / "j") as parts:
        for sequence in range(1, 50):
            parts.journal.append([entry(sequence)])
            stranger = Reader(tmp_path / "j")
            assert stranger.last(1000, VERDICTS) == sequence
            stranger.close()


def test_a_chunk_ends_before_the_budget_is_passed_but_holds_one_message_at_least(tmp_path: Path) -> None:
    with Parts(tmp_path / "j") as parts:
        parts.journal.append(entries(1, 5, size=1000))
        for budget, last in ((1, 1), (2500, 2), (1 << 20, 4)):
            chunk = parts.journal.read(1000, VERDICTS, 1, 4, budget)
            assert (chunk.last, len(chunk.messages), chunk.gone) == (last, last, ())


def test_what_is_not_there_yet_is_not_gone(tmp_path: Path) -> None:
    with Parts(tmp_path / "j") as parts:
        parts.journal.append(entries(1, 5))
        assert parts.journal.read(1000, VERDICTS, 6, 9, 1000) == Chunk(1000, VERDICTS, 6, 5, (), ())
        assert parts.journal.read(1000, "verdict/line1/cam2/", 1, 9, 1000).last == 0


def test_what_was_counted_and_never_appended_is_gone(tmp_path: Path) -> None:
    with Parts(tmp_path / "j") as parts:
        parts.journal.append(entries(1, 3))
        parts.journal.told({VERDICTS: 5, RESULTS: 2, "result/line1/cam2/": 0})
        assert parts.journal.read(1000, VERDICTS, 3, 9, 1000).gone == ((4, 5),)
        assert parts.journal.read(1000, RESULTS, 1, 9, 1000) == Chunk(1000, RESULTS, 1, 2, (), ((1, 2),))
        assert parts.journal.read(1000, RESULTS, 3, 9, 1000) == Chunk(1000, RESULTS, 3, 2, (), ())
        assert parts.journal.read(1000, RESULTS, 7, 9, 1000).last == 6
        parts.journal.append([entry(3, RESULTS)])
        chunk = parts.journal.read(1000, RESULTS, 1, 9, 1000)
        assert ([kept.sequence for kept in chunk.messages], chunk.gone) == ([3], ((1, 2),))


def test_what_a_session_that_is_over_never_kept_is_gone_and_counted(tmp_path: Path) -> None:
    with running(tmp_path / "j") as first:
        first.journal.append(entries(1, 3))
        first.journal.told({VERDICTS: 5, RESULTS: 2})
    with running(tmp_path / "j") as second:
        chunk = second.journal.read(first.session, VERDICTS, 3, 9, 1000)
        assert ([kept.sequence for kept in chunk.messages], chunk.last, chunk.gone) == ([3], 9, ((4, 9),))
        assert second.journal.read(first.session, "event/line1/cam1/", 1, 2, 1000).gone == ((1, 2),)
        assert second.journal.sessions(0)[0].sequences == {VERDICTS: 5, RESULTS: 2}


def test_what_a_session_that_was_cut_off_never_kept_is_gone(tmp_path: Path) -> None:
    store = Store(tmp_path / "j")
    store.begin(1000, "line1", "test")
    store.write(entries(1, 3))
    store.close()
    with running(tmp_path / "j") as parts:
        chunk = parts.journal.read(1000, VERDICTS, 3, 9, 1000)
        assert ([kept.sequence for kept in chunk.messages], chunk.last, chunk.gone) == ([3], 9, ((4, 9),))


def test_all_of_a_session_that_nobody_knows_is_gone(tmp_path: Path) -> None:
    with Parts(tmp_path / "j") as parts:
        assert parts.journal.read(7, VERDICTS, 3, 9, 1000) == Chunk(7, VERDICTS, 3, 9, (), ((3, 9),))


def test_sessions_tell_the_last_of_each_topic_but_of_evidence(tmp_path: Path) -> None:
    with Parts(tmp_path / "j") as parts:
        parts.journal.append([*entries(1, 3), entry(1, RESULTS), entry(1, "late/line1/cam1/")])
        (session,) = parts.journal.sessions(0)
    assert (session.session, session.sequences, session.final) == (1000, {VERDICTS: 3, RESULTS: 1}, False)
    reader = Reader(tmp_path / "j")
    assert [one.final for one in reader.sessions(1000)] == [True]
    assert reader.sessions(1001) == []
    reader.close()


@few
@given(st.integers(1, 30), st.integers(0, 40), st.sets(st.integers(1, 60)))
def test_messages_and_gaps_fill_a_range_without_overlap(first: int, length: int, kept: set[int]) -> None:
    last = first + length
    inside = [Kept(sequence, ()) for sequence in sorted(kept) if first <= sequence <= last]
    gone = [sequence for begin, end in gaps(first, last, inside) for sequence in range(begin, end + 1)]
    assert sorted([*gone, *(one.sequence for one in inside)]) == list(range(first, last + 1))


def test_a_replay_tells_everything_in_the_order_in_which_it_came(tmp_path: Path) -> None:
    with Parts(tmp_path / "j") as parts:
        now = time.time_ns()
        for sequence in range(1, 251):
            parts.journal.append(
                [entry(sequence, at_ns=now + sequence), entry(sequence, RESULTS, at_ns=now + sequence)]
            )
        everything = list(parts.reader.messages(Choice()))
        assert [(one.topic, one.kept.sequence) for one in everything] == [
            (topic, sequence) for sequence in range(1, 251) for topic in (VERDICTS, RESULTS)
        ]
        chosen = Choice("verdict/", 1000, first=10, last=40, since_ns=now + 20, until_ns=now + 30)
        assert [one.kept.sequence for one in parts.reader.messages(chosen)] == list(range(20, 30))
        assert list(parts.reader.messages(Choice(session=999))) == []


# ---- the disk fails


def fill(parts: Parts) -> None:
    """Let the file grow no more; SQLite then says what it says on a full disk."""
    (pages,) = parts.store._db.execute("PRAGMA page_count").fetchone()
    parts.store._db.execute(f"PRAGMA max_page_count = {pages}")


def empty(parts: Parts) -> None:
    parts.store._db.execute("PRAGMA max_page_count = 4294967294")


def until_well(parts: Parts) -> None:
    changed = parts.journal._changed
    with changed:
        assert changed.wait_for(lambda: not parts.journal.failing, 30)


def until_failing(parts: Parts, first: int, size: int = 1000) -> int:
    """Append one by one until the disk is full; the sequence after the last."""
    while not parts.journal.failing:
        parts.journal.append([entry(first, size=size)])
        first += 1
    return first


def test_a_full_disk_is_told_once_and_nothing_is_lost_when_there_is_room_again(tmp_path: Path) -> None:
    with Parts(tmp_path / "j") as parts:
        parts.journal.append(entries(1, 5))
        fill(parts)
        after = until_failing(parts, 6)
        parts.journal.append(entries(after, after + 9))
        assert parts.sequences() == list(range(1, after + 10)), "what waits in memory can be had, too"
        ((state, detail),) = parts.journal.news()
        assert state == "failing"
        assert "full" in detail
        assert str(tmp_path / "j") in detail
        empty(parts)
        until_well(parts)
        assert parts.journal.news() == [
            ("recovered", f"the journal {tmp_path / 'j'} works again; every message was kept")
        ]
        assert parts.sequences() == list(range(1, after + 10))
        until(lambda: parts.journal.shift() == {("cam1", "ok"): after + 9})
        assert parts.journal.unkept_messages == 0


def test_what_waits_in_memory_comes_within_the_budget_too(tmp_path: Path) -> None:
    with Parts(tmp_path / "j") as parts:
        parts.journal.append(entries(1, 2, size=1000))
        fill(parts)
        after = until_failing(parts, 3)
        parts.journal.append(entries(after, after + 9, size=1000))
        parts.journal.append(entries(after + 12, after + 13, size=1000))  # and 2 that were not to be kept
        taken, first = [], 1
        while first <= after + 13:
            chunk = parts.journal.read(1000, VERDICTS, first, after + 13, 2500)
            sequences = [kept.sequence for kept in chunk.messages]
            assert 1 <= len(sequences) <= 2
            gone = [sequence for begin, end in chunk.gone for sequence in range(begin, end + 1)]
            assert sorted([*sequences, *gone]) == list(range(first, chunk.last + 1))
            taken += sequences
            first = chunk.last + 1
        assert taken == [*range(1, after + 10), after + 12, after + 13]
        assert len(parts.journal.read(1000, VERDICTS, after, after + 1, 10).messages) == 1, "one, however large"


def test_what_there_is_no_room_for_is_named_by_its_sequences(tmp_path: Path) -> None:
    with Parts(tmp_path / "j", memory_bytes=20_000) as parts:
        fill(parts)
        after = until_failing(parts, 1)
        for sequence in range(after, after + 100):
            parts.journal.append([entry(sequence, size=1000)])
        there = parts.sequences()
        lost = sorted(set(range(1, after + 100)) - set(there))
        assert 0 < len(lost) == parts.journal.unkept_messages
        empty(parts)
        until_well(parts)
        state, detail = parts.journal.news()[-1]
        assert (state, detail.partition("; ")[2]) == ("recovered", f"not kept: {VERDICTS} {lost[0]} to {lost[-1]}")
        assert lost == list(range(lost[0], lost[-1] + 1))
        assert parts.sequences() == there, "what was not kept is gone, all else is there"
        until(lambda: parts.journal.shift() == {("cam1", "ok"): after + 99})  # the account balances all the same


def test_a_disk_that_hangs_holds_nobody_up_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    with Parts(tmp_path / "j") as parts:
        other = sqlite3.connect(tmp_path / "j", isolation_level=None, timeout=30)
        other.execute("BEGIN IMMEDIATE")  # nobody else can write now
        parts.journal.append(entries(1, 3))
        parts.journal.append(entries(4, 6))
        assert parts.journal.failing
        assert parts.sequences() == [1, 2, 3, 4, 5, 6]
        other.execute("ROLLBACK")
        other.close()
        until_well(parts)
        assert parts.sequences() == [1, 2, 3, 4, 5, 6]


def test_the_end_does_not_wait_for_a_disk_that_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Parts(tmp_path / "j") as parts:
        fill(parts)
        until_failing(parts, 1)
    assert "still fails at the end; not kept: verdict/line1/cam1/" in caplog.text


@pytest.mark.parametrize("attempts", [1, 2])
def test_the_end_tries_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attempts: int) -> None:
    """A disk that fails for so many attempts; the end comes while the second is waited for."""
    monkeypatch.setattr(module, "RETRY", 3600.0)
    with Parts(tmp_path / "j") as parts:
        write, failures = parts.store.write, iter(range(attempts))

        def fails(what: Sequence[Entry]) -> None:
            if next(failures, None) is not None:
                raise sqlite3.OperationalError("disk I/O error")
            write(what)

        monkeypatch.setattr(parts.store, "write", fails)
        parts.journal.append(entries(1, 3))
        assert parts.journal.failing
    reader = Reader(tmp_path / "j")
    kept = [one.kept.sequence for one in reader.messages(Choice())]
    reader.close()
    assert (kept, parts.journal.unkept_messages) == (([1, 2, 3], 0) if attempts == 1 else ([], 3))
    assert [state for state, _ in parts.journal.news()] == ["failing", "recovered"][: 3 - attempts]


def test_many_threads_may_append_and_read_at_once(tmp_path: Path) -> None:
    with Parts(tmp_path / "j") as parts:
        seen: list[list[int]] = []
        reading = threading.Thread(target=lambda: seen.extend(parts.sequences() for _ in range(20)))
        reading.start()
        for sequence in range(1, 200):
            parts.journal.append([entry(sequence)])
        reading.join()
        assert all(one == list(range(1, len(one) + 1)) for one in seen)


# ---- retention


def test_what_is_too_old_is_deleted_and_then_gone(tmp_path: Path) -> None:
    clock = ManualClock()
    with Parts(tmp_path / "j", clock=clock) as parts:
        parts.journal.append(entries(1, 450, at_ns=clock.wall_ns()))
        clock.advance(7200.0)
        parts.journal.append(entries(451, 460, at_ns=clock.wall_ns()))
        until(lambda: parts.journal.oldest_ns == clock.wall_ns())
        chunk = parts.journal.read(1000, VERDICTS, 440, 455, 1 << 20)
        assert chunk.gone == ((440, 450),)
        assert [kept.sequence for kept in chunk.messages] == [451, 452, 453, 454, 455]


def test_the_last_message_of_an_idle_line_stays_and_is_not_told_as_too_old(tmp_path: Path) -> None:
    clock = ManualClock()
    parts = Parts(tmp_path / "j", clock=clock)
    parts.store.write(entries(1, 5, at_ns=clock.wall_ns()))
    parts.journal._keep_house()
    assert parts.journal.oldest_ns == clock.wall_ns()
    clock.advance(7200.0)
    parts.journal._keep_house()
    assert kept_in(parts.store) == 1
    assert parts.journal.oldest_ns is None
    parts.store.write(entries(6, 7, at_ns=clock.wall_ns()))
    clock.advance(1.0)
    parts.journal._keep_house()
    assert parts.journal.oldest_ns == clock.wall_ns() - 10**9
    parts.reader.close()
    parts.store.close()


def test_a_clock_that_is_set_forward_makes_nothing_old_until_a_day_has_passed(tmp_path: Path) -> None:
    clock = ManualClock()
    parts = Parts(tmp_path / "j", clock=clock)
    parts.store.write(entries(1, 5, at_ns=clock.wall_ns()))
    clock.step(7200.0)
    parts.journal._keep_house()
    assert kept_in(parts.store) == 5
    clock.advance(3601.0)  # what has passed is age all the same
    parts.journal._keep_house()
    assert kept_in(parts.store) == 1
    clock.advance(DOUBT_SECONDS)
    parts.store.write(entries(6, 9, at_ns=clock.wall_ns() - round(3601e9)))
    parts.journal._keep_house()
    assert kept_in(parts.store) == 1
    parts.reader.close()
    parts.store.close()


def test_trimming_deletes_a_little_at_a_time_and_down_to_the_limit(tmp_path: Path) -> None:
    store = Store(tmp_path / "j", "normal")
    store.begin(1, "line1", "test")
    store.write(entries(1, 1000, size=1000, at_ns=50))
    assert not store.trim(before_ns=50, max_bytes=1 << 30)
    full = store.size()
    assert store.trim(before_ns=0, max_bytes=full // 2)
    assert kept_in(store) == 1000 - TRIMMED_AT_ONCE
    while store.trim(before_ns=0, max_bytes=full // 2):
        pass
    assert full * 0.45 < store.size() <= full // 2
    assert store.file_size() >= full, "what is free again is still on the disk"
    store.close()


def test_trimming_deletes_large_messages_one_at_a_time_and_no_more_than_is_too_much(tmp_path: Path) -> None:
    store = Store(tmp_path / "j", "normal")
    store.begin(1, "line1", "test")
    store.write([entry(sequence, RESULTS, payloads=[bytes(600_000)], at_ns=50) for sequence in range(1, 11)])
    assert store.trim(before_ns=60, max_bytes=1 << 30)
    assert kept_in(store) == 9
    assert not store.trim(before_ns=0, max_bytes=store.size() - 1)
    assert kept_in(store) == 8
    while store.trim(before_ns=60, max_bytes=1 << 30):
        pass
    assert kept_in(store) == 1
    assert not store.trim(before_ns=0, max_bytes=0)
    store.close()


def kept_in(store: Store) -> int:
    (number,) = store._db.execute("SELECT count(*) FROM messages").fetchone()
    return int(number)


def test_pages_of_what_was_deleted_are_used_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "j", "normal")
    store.begin(1, "line1", "test")
    for turn in range(5):
        store.write(entries(turn * 500 + 1, turn * 500 + 500, size=1000, at_ns=turn))
        while store.trim(before_ns=turn + 1, max_bytes=1 << 30):
            pass
        store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert (tmp_path / "j").stat().st_size < 2 * 500 * 1100
    store.close()


# ---- the file


def test_only_the_newest_messages_of_a_session_count_its_sequences(tmp_path: Path) -> None:
    with running(tmp_path / "j") as first:
        first.journal.append(entries(1, 3))
    with running(tmp_path / "j") as second:
        assert second.session > first.session
        second.journal.append(entries(1, 2))
        assert second.journal.read(first.session, VERDICTS, 1, 3, 1000).last == 3
        assert [one.sequences for one in second.journal.sessions(0)] == [{VERDICTS: 3}, {VERDICTS: 2}]
    assert second.losses == []


def test_a_clock_that_was_set_back_makes_no_session_twice(tmp_path: Path) -> None:
    store = Store(tmp_path / "j", "normal")
    assert store.begin(5000, "line1", "test") == 5000
    assert store.begin(4000, "line1", "test") == 5001
    store.close()


def test_a_second_daemon_is_refused(tmp_path: Path) -> None:
    with (
        running(tmp_path / "j"),
        pytest.raises(OutputError, match="in use; stop the daemon that writes it"),
        running(tmp_path / "j"),
    ):
        pass


def test_a_damaged_file_is_moved_aside_and_the_line_goes_on(tmp_path: Path) -> None:
    with running(tmp_path / "j") as first:
        first.journal.append(entries(1, 3))
    size = (tmp_path / "j").stat().st_size
    (tmp_path / "j").write_bytes(b"\xa5" * size)
    with running(tmp_path / "j") as second:
        second.journal.append(entries(1, 2))
        ((state, detail),) = second.journal.news()
        assert state == "damaged"
        (aside,) = tmp_path.glob("j.damaged-*")
        assert str(aside) in detail
        assert aside.stat().st_size == size


@pytest.mark.parametrize("name", ["messages", "messages_by_sequence", "accounts", "sessions"])
def test_a_file_in_which_a_page_is_damaged_is_moved_aside_too(tmp_path: Path, name: str) -> None:
    with running(tmp_path / "j") as first:
        first.journal.append(entries(1, 500))
    with closing(sqlite3.connect(tmp_path / "j")) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with (tmp_path / "j").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)
    with running(tmp_path / "j") as second:
        second.journal.append(entries(1, 2))
        assert [state for state, _ in second.journal.news()] == ["damaged"]
        assert second.journal.read(second.session, VERDICTS, 1, 2, 1000).last == 2
    assert len(list(tmp_path.glob("j.damaged-*"))) == 1


def malformed() -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


@pytest.mark.parametrize("what", ["write", "trim"])
def test_a_file_that_is_found_damaged_meanwhile_is_moved_aside_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Messages that can be written are written meanwhile."""
    monkeypatch.setattr(module, "RETRY", 0.01)
    monkeypatch.setattr(module, "HOUSE_SECONDS", 0.01)
    tries: list[object] = []

    def fail(*_: object) -> None:
        tries.append(what)
        raise malformed()

    with running(tmp_path / "j") as first:
        monkeypatch.setattr(first.journal._store, what, fail)
        first.journal.append([entry(1)])
        until(lambda: len(tries) >= (3 if what == "write" else 1))
        news: list[tuple[str, str]] = []
        until(lambda: news.extend(first.journal.news()) or len(news) >= 2)
        assert [state for state, _ in news[:2]] == ["damaged", "failing"]
        assert "restart the daemon, which moves it aside and begins a new one" in news[0][1]
        assert "malformed; restart the daemon. The line goes on" in news[1][1]
        if what == "trim":
            first.journal.append([entry(2)])
            until(lambda: not first.journal.failing)
            first.journal.append([entry(3)])
            assert len(tries) == 1
    for turn in ("damaged", None):
        with running(tmp_path / "j") as second:
            second.journal.append(entries(1, 2))
            news = second.journal.news()
            assert [state for state, _ in news] == ([turn] if turn else [])
            assert turn is None or "malformed; it was moved to" in news[0][1]
    assert len(list(tmp_path.glob("j.damaged-*"))) == 1


def test_a_journal_that_was_moved_away_by_hand_is_not_taken_for_the_damaged_one(tmp_path: Path) -> None:
    with running(tmp_path / "j"):
        pass
    assert "restart the daemon" in note_damage(tmp_path / "j", "a page")
    (tmp_path / "j").rename(tmp_path / "old")
    for _ in range(2):
        with running(tmp_path / "j") as begun:
            assert begun.journal.news() == []
    assert "move it away" in note_damage(tmp_path / "missing" / "j", "a page")


def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "j")
    other.execute("CREATE TABLE treasure (gold)")
    other.commit()
    other.close()
    before = (tmp_path / "j").read_bytes()
    with pytest.raises(OutputError, match="no journal of inspector's; move it away"), running(tmp_path / "j"):
        pass
    assert (tmp_path / "j").read_bytes() == before


def test_a_replay_holds_few_messages_at_once_and_lets_the_file_go_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BATCH_BYTES", 3000)
    store = Store(tmp_path / "j")
    store.begin(1000, "line1", "test")
    store.write([entry(sequence, RESULTS, payloads=[bytes(1000)]) for sequence in range(1, 11)])
    reader = Reader(tmp_path / "j")
    assert [one.kept.sequence for one in reader.messages(Choice())] == list(range(1, 11))
    recorded = reader.messages(Choice())
    assert next(recorded).kept.sequence == 1
    store._db.execute("DELETE FROM messages WHERE sequence < 8")
    (is_busy, *_) = store._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    assert not is_busy
    assert [one.kept.sequence for one in recorded] == [2, 3, 8, 9, 10]
    reader.close()
    store.close()


@pytest.mark.parametrize("what", ["missing", "text"])
def test_reading_what_is_no_journal_is_one_sentence(tmp_path: Path, what: str) -> None:
    if what == "text":
        (tmp_path / "j").write_text("Dear diary, " * 1000)
    with pytest.raises(DataError, match=r"journal .*/j"):
        Reader(tmp_path / "j")


def test_captured_frames_and_ended_ones_are_added(tmp_path: Path) -> None:
    with Parts(tmp_path / "j") as parts:
        for number in (1, 2, 3, 4):
            capture(parts.ledger, number)
            if number != 2:
                parts.journal.append([entry(number)])
    assert parts.journal.shift() == {("cam1", CAPTURED): 4, ("cam1", "ok"): 3}
    reader = Reader(tmp_path / "j")
    assert [account for _, _, account, _ in reader.accounts()] == [Account(SHIFT, "cam1", CAPTURED), OK]
    assert reader.unaccounted(parts.session) == []
    reader.close()


def test_a_clock_that_is_set_back_by_many_shifts_goes_on_counting_in_the_old_one(tmp_path: Path) -> None:
    clock = ManualClock()
    parts = Parts(tmp_path / "j", clock=clock)
    hours = [6, 6, 6, 7, 8, 9, 6, 6]
    for number, hour in enumerate(hours):
        parts.shift = f"2026-01-31 {hour:02}:00"
        capture(parts.ledger, number)
        clock.advance(module.HOUSE_SECONDS)
        parts.journal._keep_house()
    parts.reader.close()
    parts.store.close()
    with closing(Reader(tmp_path / "j")) as reader:
        counted = {entry.shift: frames for _, _, entry, frames in reader.accounts()}
    assert counted == {f"2026-01-31 {hour:02}:00": hours.count(hour) for hour in (6, 7, 8, 9)}


def test_captured_frames_wait_for_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    parts = Parts(tmp_path / "j", clock=clock)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    capture(parts.ledger, 1)
    with monkeypatch.context() as patch:
        patch.setattr(parts.store, "_add", full)
        with pytest.raises(sqlite3.OperationalError):
            parts.journal._keep_house()
    capture(parts.ledger, 2)
    clock.advance(module.HOUSE_SECONDS)
    parts.journal._keep_house()
    parts.reader.close()
    parts.store.close()
    assert parts.journal.shift() == {("cam1", CAPTURED): 2}


def test_the_frames_of_this_shift_are_told_without_a_look_at_the_disk(tmp_path: Path) -> None:
    clock = ManualClock()
    for captured in (3, 4):
        parts = Parts(tmp_path / "j", clock=clock)
        for number in range(captured):
            capture(parts.ledger, number)
        parts.journal._keep_house()
        parts.reader.close()
        parts.store.close()
    assert parts.journal.shift() == {("cam1", CAPTURED): 7}, "over all sessions"
    parts.shift = "2026-01-31 14:00"
    assert parts.journal.shift() == {}, "a shift that has just begun has none"


def test_a_journal_out_of_reach_is_one_sentence(tmp_path: Path) -> None:
    """As under systemd, whose services' state none but they and root can look into."""
    folder = tmp_path / "private"
    folder.mkdir()
    folder.chmod(0)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65_534)
    try:
        with pytest.raises(
            OutputError, match=r"journal .*/private/journal.sqlite cannot be looked at: Permission denied"
        ):
            probe(folder / "journal.sqlite")
    finally:
        os.seteuid(before)
        folder.chmod(0o700)
