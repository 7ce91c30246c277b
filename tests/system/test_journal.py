"""The journal of a real daemon: what it keeps, what its verbs say of it, and what it costs nobody."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from inspector.client import Subscriber
from inspector.journal.reading import Choice, Reader
from inspector.messages import BeatMessage, EventMessage, ResultMessage, VerdictMessage
from inspector.wire import decode
from tests.daemon import Process, configure, environment, run
from tests.waiting import PATIENCE, until

JOURNAL = '[journal]\npath = "journal.sqlite"\n'


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def finished(bright: Path, pictures: Path, tmp_path: Path, **more: str) -> Process:
    """A daemon that judged all of `pictures` and ended."""
    with Process(configure(tmp_path / "c.toml", bright, f"folder:{pictures}", more=JOURNAL, **more)) as daemon:
        assert daemon.wait() == 0
    return daemon


def test_1_every_message_is_kept_though_nobody_listens(
    bright: Path, pictures: Path, tmp_path: Path, journal: Path
) -> None:
    finished(bright, pictures, tmp_path)
    reader = Reader(journal)
    messages = [decode(one.kept.parts) for one in reader.messages(Choice())]
    (session,) = reader.sessions(0)
    reader.close()
    verdicts = [message for message in messages if isinstance(message, VerdictMessage)]
    assert [message.sequence for message in verdicts] == list(range(1, 21))
    assert sorted(message.frame for message in verdicts) == list(range(1, 21))
    results = [message for message in messages if isinstance(message, ResultMessage)]
    assert len(results) == sum(message.verdict == "ng" for message in verdicts) == 4
    assert all(result.mask() is not None for result in results)
    states = [message.event.state for message in messages if isinstance(message, EventMessage)]
    assert {"ready", "streaming", "ended", "stopping"} <= set(states)
    assert session.final
    assert session.sequences["verdict/line1/cam1/"] == 20


def test_2_what_is_kept_is_what_was_published(bright: Path, tmp_path: Path, journal: Path) -> None:
    config = configure(tmp_path / "c.toml", bright, "sim://line?seed=1&rate=20", more=JOURNAL)
    heard = {}
    with Process(config) as daemon, Subscriber(daemon.endpoint, kinds=["verdict", "result", "event"]) as subscriber:
        for message in subscriber.messages(timeout=PATIENCE):
            if not isinstance(message, BeatMessage):
                heard[message.kind, message.sequence] = message.raw
            if len(heard) == 20:
                break
        assert len(heard) == 20
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    reader = Reader(journal)
    kept = {one.topic.split("/")[0]: {} for one in reader.messages(Choice())}
    for one in reader.messages(Choice()):
        kept[one.topic.split("/")[0]][one.kept.sequence] = one.kept.parts[1]
    reader.close()
    assert all(kept[kind][sequence] == raw for (kind, sequence), raw in heard.items() if kind != "event")


def test_3_results_may_be_left_out(bright: Path, pictures: Path, tmp_path: Path, journal: Path) -> None:
    config = configure(tmp_path / "c.toml", bright, f"folder:{pictures}", more=JOURNAL + "results = false\n")
    with Process(config) as daemon:
        assert daemon.wait() == 0
    reader = Reader(journal)
    kinds = {one.topic.split("/")[0] for one in reader.messages(Choice())}
    reader.close()
    assert kinds == {"verdict", "event"}


def test_4_the_ledger_balances_over_restarts(bright: Path, pictures: Path, tmp_path: Path, journal: Path) -> None:
    for _ in range(3):
        finished(bright, pictures, tmp_path)
    rows = json.loads(run("ledger", journal, "--json").stdout)  # two, where a shift ended meanwhile
    assert {row["camera"] for row in rows} == {"cam1"}
    assert [sum(row[what] for row in rows) for what in ("captured", "in_flight", "unaccounted")] == [60, 0, 0]
    ends = sum((Counter(row["ends"]) for row in rows), Counter[str]())
    assert {end: frames for end, frames in ends.items() if frames} == {"ok": 48, "ng": 12}
    lines = list(csv.DictReader(io.StringIO(run("ledger", tmp_path / "c.toml", "--csv").stdout)))
    assert [sum(int(line[end]) for line in lines) for end in ("ok", "ng")] == [48, 12]
    table = run("ledger", journal).stdout
    assert all(str(row["captured"]) in table for row in rows)
    assert json.loads(run("ledger", journal, "--json", "--camera", "cam9").stdout) == []


def test_5_metrics_tell_of_the_journal_and_of_this_shift(
    bright: Path, pictures: Path, tmp_path: Path, journal: Path
) -> None:
    finished(bright, pictures, tmp_path)
    config = configure(tmp_path / "c.toml", bright, f"folder:{pictures}", "sim://line?seed=1&rate=20", more=JOURNAL)
    outcomes = [f'inspector_shift_frames{{camera="cam1",outcome="{which}"}}' for which in ("captured", "ok", "ng")]
    with Process(config) as daemon:
        # Accounts are brought up to date once a second, in the midst of frames, too.
        until(lambda: list(map(daemon.metrics().get, outcomes)) == [40, 32, 8], "the shift has other frames")
        until(lambda: daemon.metrics()["inspector_journal_failing"] == 0, "the journal fails")
        metrics = daemon.metrics()
        assert metrics['inspector_frames_unaccounted{camera="cam1"}'] == 0
        assert metrics["inspector_journal_bytes"] > 0
        assert metrics["inspector_journal_oldest_timestamp_seconds"] > 1.7e9


def test_6_a_replay_prints_saves_and_publishes(bright: Path, pictures: Path, tmp_path: Path, journal: Path) -> None:
    finished(bright, pictures, tmp_path)
    printed = [json.loads(line) for line in run("replay", journal, "--topic", "verdict/").stdout.splitlines()]
    assert [one["sequence"] for one in printed] == list(range(1, 21))
    part = run("replay", journal, "--topic", "verdict/line1/cam1/", "--first", 5, "--last", 7).stdout
    assert [json.loads(line)["sequence"] for line in part.splitlines()] == [5, 6, 7]
    assert run("replay", journal, "--since", "2100-01-01").stdout == ""

    assert run("replay", journal, "--topic", "result/", "--save", tmp_path / "saved").returncode == 0
    assert len(list((tmp_path / "saved").glob("cam1-*-mask.png"))) == 4

    command = ["replay", journal, "--publish", "tcp://127.0.0.1:*", "--speed", 0]
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "inspector", *map(str, command)],
        env=environment(), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    endpoint = process.stderr.readline().split()[2].rstrip(",")
    with Subscriber(endpoint, kinds=["verdict"]) as subscriber:
        heard = [message.raw for message in islice(subscriber.messages(timeout=60), 20)]
        assert process.wait(PATIENCE) == 0
        assert subscriber.receive(1.0) is None, "there were 20"
    process.stderr.close()
    assert [json.loads(raw)["sequence"] for raw in heard] == list(range(1, 21))


def test_7_check_begins_no_session(bright: Path, pictures: Path, tmp_path: Path, journal: Path) -> None:
    config = configure(tmp_path / "c.toml", bright, f"folder:{pictures}", more=JOURNAL)
    assert run("check", config).returncode == 0
    assert not journal.exists()
    finished(bright, pictures, tmp_path)
    before = journal.read_bytes()
    assert run("check", config).returncode == 0
    assert journal.read_bytes() == before


@pytest.mark.parametrize("verb", ["run", "check"])
def test_8_a_journal_that_cannot_be_had_is_one_sentence(
    bright: Path, pictures: Path, tmp_path: Path, verb: str
) -> None:
    (tmp_path / "journal.sqlite").mkdir()
    done = run(verb, configure(tmp_path / "c.toml", bright, f"folder:{pictures}", more=JOURNAL))
    assert done.returncode == 74
    complaint = (
        f"journal {tmp_path / 'journal.sqlite'} is a folder; give journal.path the name of a file, in it or elsewhere"
    )
    assert done.stderr.splitlines()[-1] == f"inspector: {complaint}"


def test_9_shifts_that_are_no_times_are_one_sentence(bright: Path, tmp_path: Path) -> None:
    config = configure(tmp_path / "c.toml", bright, "sim://line", more='[journal]\nshifts = ["6"]\n')
    done = run("check", config)
    assert done.returncode == 78
    assert "journal.shifts" in done.stderr
    assert "such as" in done.stderr


@pytest.mark.parametrize("arguments", [("ledger", "nothing"), ("replay", "nothing")])
def test_10_a_journal_that_is_not_there_is_one_sentence(tmp_path: Path, arguments: tuple[str, str]) -> None:
    done = run(arguments[0], tmp_path / arguments[1])
    assert done.returncode == 65
    assert done.stderr.count("\n") == 1
    assert "nothing" in done.stderr
