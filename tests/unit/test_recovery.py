"""What a killed daemon leaves behind, and what its successor makes of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.errors import OutputError
from inspector.journal import account
from inspector.journal import lost_parts as lost_module
from inspector.journal.captures import Captures
from inspector.journal.lost_parts import LostParts, lost_parts
from inspector.journal.reading import Reader
from inspector.journal.recovery import settle
from inspector.journal.store import Account, Entry, Store
from inspector.ledger import Ledger
from inspector.outcomes import CAPTURED
from inspector.types import Inspection, PartVerdict
from inspector.wire import Encoder
from tests.inspections import few, ok, part
from tests.journals import SHIFT, Parts, capture, entry


def left_behind(path: Path, verdicts: list[int], told: int, accounted: int) -> None:
    """A session that was cut off with these frames' verdicts on record, the first `accounted` of them in the accounts,
    and `told` frames noted as captured.
    """
    store = Store(path, "normal")
    store.begin(1000, "line1", "test")
    rows = [replace(entry(frame), sequence=sequence) for sequence, frame in enumerate(verdicts, 1)]
    store.write(rows[:accounted])
    ended = {Account(SHIFT, "cam1", "ok"): accounted} if accounted else {}
    store.account({Account(SHIFT, "cam1", CAPTURED): told, **ended})
    store.write(rows[accounted:])
    store.close()


@few
@given(st.data())
def test_frames_without_a_verdict_are_counted_and_bounded(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("j") / "j"
    captured = data.draw(st.integers(1, 60))
    lost = data.draw(st.sets(st.integers(1, captured), min_size=1))
    verdicts = data.draw(st.permutations([frame for frame in range(1, captured + 1) if frame not in lost]))
    accounted = data.draw(st.integers(0, len(verdicts)))
    left_behind(path, verdicts, data.draw(st.integers(accounted, captured)), accounted)
    store, reader = Store(path, "normal"), Reader(path)
    cut_off, (loss,) = settle(store, reader, "line1", 1000, {"cam1": captured}, lambda _: SHIFT)
    assert cut_off == [1000]
    assert (loss.camera, loss.frames, loss.first, loss.last) == ("cam1", len(lost), min(lost), max(lost))
    (row,) = account.rows(reader.accounts(), [], "")
    assert (row.captured, row.ends["crash"], row.unaccounted) == (captured, len(lost), 0)
    assert settle(store, reader, "line1", 1000, {"cam1": captured}, lambda _: SHIFT) == ([], []), "the books are closed"
    reader.close()
    store.close()


def test_a_session_that_lost_nothing_is_just_closed(tmp_path: Path) -> None:
    left_behind(tmp_path / "j", [1, 2, 3], told=3, accounted=2)
    store, reader = Store(tmp_path / "j", "normal"), Reader(tmp_path / "j")
    assert settle(store, reader, "line1", 1000, {"cam1": 3}, lambda _: SHIFT) == ([1000], [])
    reader.close()
    store.close()


def test_a_session_whose_last_verdicts_were_not_published_is_settled_at_the_next_start(tmp_path: Path) -> None:
    with Parts(tmp_path / "j") as parts:
        for number in (1, 2):
            capture(parts.ledger, number)
        parts.journal.append([entry(1)])
        parts.journal.cut_off()
    store, reader = Store(tmp_path / "j", "normal"), Reader(tmp_path / "j")
    cut_off, (loss,) = settle(store, reader, "line1", 1000, {"cam1": 2}, lambda _: SHIFT)
    assert (cut_off, loss.frames, loss.first) == ([1000], 1, 2)
    (row,) = account.rows(reader.accounts(), [], "")
    assert (row.captured, row.ends["ok"], row.ends["crash"], row.unaccounted) == (2, 1, 1, 0)
    reader.close()
    store.close()


def test_sessions_that_ended_are_not_looked_at_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "j", "normal")
    counts = []
    for _ in range(2):
        for _ in range(20):
            store.begin(1, "line1", "test")
            store.write([entry(1)])
            store.account({Account(SHIFT, "cam1", CAPTURED): 1, Account(SHIFT, "cam1", "ok"): 1})
            store.end({})
        store.begin(1, "line1", "test")
        reader = Reader(tmp_path / "j")
        asked: list[str] = []
        reader._db.set_trace_callback(asked.append)
        assert settle(store, reader, "line1", None, {}, lambda _: SHIFT) == ([store.session], [])
        counts.append(len(asked))
        reader.close()
    assert counts[0] == counts[1]
    store.close()


def test_captures_of_another_session_say_nothing_of_this_one(tmp_path: Path) -> None:
    left_behind(tmp_path / "j", [1, 2], told=3, accounted=2)
    store, reader = Store(tmp_path / "j", "normal"), Reader(tmp_path / "j")
    _, (loss,) = settle(store, reader, "line1", 999, {"cam1": 50}, lambda _: SHIFT)
    assert (loss.frames, loss.first, loss.last) == (1, 3, 3)
    reader.close()
    store.close()


# ---- parts


def kept(path: Path, *messages: Inspection | PartVerdict) -> Reader:
    """A journal of session 1000 that was cut off after these messages."""
    encoder, counts = Encoder("line1", 1000, ""), Counter[str]()
    store = Store(path, "normal")
    store.begin(1000, "line1", "test")
    for message in messages:
        is_part = isinstance(message, PartVerdict)
        topic = f"part/line1/{message.station}/" if is_part else f"verdict/line1/{message.frame.camera}/"
        counts[topic] += 1
        told = (encoder.part if is_part else encoder.verdict)(message, counts[topic], 0.0)  # type: ignore[operator]
        store.write([Entry(topic, counts[topic], told, 1)])
    store.close()
    return Reader(path)


STATIONS = {"gate": ("cam1", "cam2"), "exit": ("cam3",)}


def test_parts_whose_frames_have_verdicts_and_they_none_are_named(tmp_path: Path) -> None:
    partless = ok("cam2", 9)
    reader = kept(
        tmp_path / "j",
        *[ok(camera, number) for number in (1, 2, 3) for camera in ("cam1", "cam2")],
        part("gate", 1),
        part("gate", 3),
        ok("cam1", 4),
        replace(partless, frame=replace(partless.frame, part=None)),
    )
    (lost,) = lost_parts(reader, 1000, "line1", STATIONS)
    reader.close()
    assert lost == LostParts(1000, "gate", ("part-2", "part-4"))
    assert str(lost) == (
        "the daemon was cut off: 2 part(s) of session 1000 have frames with a verdict, and none of their own at "
        "station gate: part-2, part-4"
    )


def test_parts_of_a_long_session_are_told_from_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_module, "NEWEST", 3)
    messages: list[Inspection | PartVerdict] = []
    for number in range(1, 9):
        seen = ok("cam3", number)
        messages.append(replace(seen, frame=replace(seen.frame, captured_ns=number)))
        if number < 8:
            messages.append(part("exit", number, captured_ns=number))
    reader = kept(tmp_path / "j", *messages)
    assert lost_parts(reader, 1000, "line1", STATIONS) == [LostParts(1000, "exit", ("part-8",))]
    reader.close()


def test_a_sentence_names_some_of_many_parts() -> None:
    sentence = str(LostParts(1, "gate", tuple(f"A{number}" for number in range(50))))
    assert sentence.endswith("A18, A19 and 30 more")


def test_a_session_without_parts_lost_none(tmp_path: Path) -> None:
    reader = kept(tmp_path / "j")
    assert lost_parts(reader, 1000, "line1", STATIONS) == []
    reader.close()


# ---- captured frames


def test_counts_outlive_the_process_that_counted(tmp_path: Path) -> None:
    captures = Captures(tmp_path / "c")
    assert (captures.session, captures.counts) == (None, {})
    captures.begin(7, ["a", "b"])
    captures.count("b", 41)
    captures.count("b", 42)
    captures.close()
    again = Captures(tmp_path / "c")
    assert (again.session, again.counts) == (7, {"a": 0, "b": 42})
    again.close()


def test_the_file_is_held_by_one(tmp_path: Path) -> None:
    captures = Captures(tmp_path / "c")
    with pytest.raises(OutputError, match="in use"):
        Captures(tmp_path / "c")
    captures.close()
    Captures(tmp_path / "c").close()


@few
@given(st.binary(max_size=200))
def test_whatever_the_file_holds_is_read_or_left(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("c") / "c"
    path.write_bytes(content)
    captures = Captures(path)
    captures.begin(1, ["a"])
    captures.close()
    again = Captures(path)
    assert (again.session, again.counts) == (1, {"a": 0})
    again.close()


def test_the_ledger_tells_captures_and_shifts() -> None:
    told: list[tuple[str, int]] = []
    ledger = Ledger(["cam1"], lambda moment_ns: f"shift {moment_ns}", lambda *what: told.append(what))
    for number, moment in enumerate((1, 1, 2), 1):
        capture(ledger, number, moment)
    assert told == [("cam1", number) for number in range(1, 4)]
    assert ledger.newly_captured() == {("cam1", "shift 1"): 2, ("cam1", "shift 2"): 1}
    capture(ledger, 4, 1)
    assert ledger.newly_captured() == {("cam1", "shift 1"): 1}
    assert ledger.newly_captured() == {}
