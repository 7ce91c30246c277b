"""What is killed, stopped, cut off or full: a subscriber that uses the client has every verdict once and in order.

Real daemons, real sockets, real signals. INSPECTOR_FAULTS=N does it N times as long (`make faults`).
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from operator import le
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from inspector.client import Subscriber
from inspector.journal.reading import Choice, Reader
from inspector.journal.store import Store
from inspector.messages import EventMessage
from inspector.wire import decode
from tests.daemon import Process, configure, environment, run
from tests.disks import fill, small_disk
from tests.observer import Observer
from tests.waiting import PATIENCE, free_port, until

CAPTURED = 'inspector_frames_captured_total{camera="cam1"}'
LONG = int(os.environ.get("INSPECTOR_FAULTS", "1"))
SEED = int(os.environ.get("INSPECTOR_SEED", "0")) or random.SystemRandom().randrange(1 << 32)


class House:
    """A line of two cameras whose daemon comes back at the same addresses, with the same journal."""

    def __init__(
        self, folder: Path, bundle: Path, pictures: Path, publish: str = "", rate: str = "60", endpoint: str = ""
    ) -> None:
        sources = (f"folder:{pictures}?loop=1&rate={rate}", "sim://line?seed=1&rate=30&width=128&height=96")
        self.endpoint = endpoint or f"tcp://127.0.0.1:{free_port()}"
        self.catchup = f"tcp://127.0.0.1:{free_port()}"
        self.journal = folder / "journal.sqlite"
        self.config = configure(
            folder / "c.toml", bundle, *sources, more=f'[journal]\npath = "{self.journal}"\n',
            publish=f'catchup = "{self.catchup}"\n{publish}',
        )  # fmt: skip
        text = self.config.read_text().replace("tcp://127.0.0.1:*", self.endpoint)
        self.config.write_text(text)

    def start(self) -> Process:
        return Process(self.config)

    def ledger(self) -> list[dict[str, object]]:
        """The rows of `inspector ledger`."""
        return list(json.loads(run("ledger", self.journal, "--json").stdout))

    def assert_balanced(self) -> None:
        for row in self.ledger():
            assert row["unaccounted"] == 0, row
            assert row["in_flight"] == 0, row
            assert row["captured"] == sum(row["ends"].values()), row  # type: ignore[attr-defined]


@pytest.fixture
def house(tmp_path: Path, bright: Path, pictures: Path) -> House:
    return House(tmp_path, bright, pictures)


def ended(daemon: Process) -> None:
    daemon.send(signal.SIGTERM)
    assert daemon.wait() == 0


def test_1_a_daemon_that_is_killed_again_and_again(house: House) -> None:
    """kill -9 at random moments under load, 4 times (20 in the long run)."""
    chance, kills = random.Random(SEED), 4 if LONG == 1 else 20
    with Observer(house.endpoint, catchup=house.catchup) as observer:  # it may be killed before it has beaten
        for _ in range(kills):
            with house.start() as daemon:
                observer.wait_for(observer.count + chance.randrange(1, 120))
                daemon.send(signal.SIGKILL)
                assert daemon.wait() == -signal.SIGKILL
        with house.start() as daemon:
            observer.wait_for_all(house.journal)
            observer.wait_for(observer.count + 20)
            ended(daemon)
        observer.wait_for_all(house.journal)
        observer.assert_complete(house.journal)
    assert len({session for session, _ in observer.heard}) == kills + 1
    house.assert_balanced()


def test_2_what_a_crash_left_without_a_verdict_is_told(house: House) -> None:
    """Frames in flight at kill -9: an event with their bounds, and `crash` in the ledger."""
    with Observer(house.endpoint) as observer, house.start() as daemon, closing(sqlite3.connect(house.journal)) as db:
        observer.wait_for(50)
        db.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}")
        db.execute("BEGIN IMMEDIATE")  # none captured from here on has its verdict on record
        captured = daemon.metrics()[CAPTURED]
        until(lambda: daemon.metrics()[CAPTURED] > captured, "cam1 captured nothing more")
        daemon.send(signal.SIGKILL)
        daemon.wait()
    with house.start() as daemon:
        ended(daemon)
    reader = Reader(house.journal)
    kept = [decode(one.kept.parts) for one in reader.messages(Choice("event/"))]
    reader.close()
    told = {m.event.subject: m.event.detail for m in kept if isinstance(m, EventMessage) and m.event.state == "cut-off"}
    crashed = {str(row["camera"]): row["ends"]["crash"] for row in house.ledger()}  # type: ignore[index]
    assert crashed["cam1"] > 0  # type: ignore[operator]
    assert set(told) == {camera for camera, frames in crashed.items() if frames}
    for camera, detail in told.items():
        assert detail.startswith(f"the daemon was cut off: {crashed[camera]} frame(s) of session ")
    house.assert_balanced()


SUBSCRIBER = """
import json, sys
from pathlib import Path
from inspector.client import Subscriber
endpoint, out, catchup = sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None
position = {}
if out.exists():  # what was written down is where to go on
    whole = [line for line in out.read_text().splitlines(keepends=True) if line.endswith("\\n")]
    out.write_text("".join(whole))
    for line in map(json.loads, whole):
        position[line[0]] = tuple(line[1:])
how = {"kinds": ["verdict"], "position": position, "catchup": catchup}
with out.open("a") as file, Subscriber(endpoint, **how) as subscriber:
    for message in subscriber:
        if message.kind == "gone":
            raise SystemExit(f"gone: {message}")
        heard = [f"verdict/{message.line}/{message.camera}/", message.session, message.sequence]
        print(json.dumps(heard), file=file, flush=True)
"""


def written(path: Path) -> list[list[object]]:
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


@contextmanager
def subscriber(endpoint: str, out: Path, *catchup: str) -> Iterator[subprocess.Popen[bytes]]:
    """catchup: whom to ask; without it the beats tell"""
    process = subprocess.Popen([sys.executable, "-c", SUBSCRIBER, endpoint, str(out), *catchup], env=environment())
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)


def test_3_a_subscriber_that_is_killed_again_and_again(house: House, tmp_path: Path) -> None:
    """kill -9 of a subscriber that goes on from what it had written down; 3 times (15 in the long run)."""
    out, chance = tmp_path / "heard", random.Random(SEED)
    with house.start() as daemon:
        for _ in range(3 * (1 if LONG == 1 else 5)):
            with subscriber(house.endpoint, out, house.catchup):
                goal = len(written(out)) + chance.randrange(30, 120)
                until(lambda goal=goal: len(written(out)) >= goal, "messages")
        ended(daemon)
    with house.start() as daemon, subscriber(house.endpoint, out, house.catchup):
        goal = len(written(out)) + 60  # all of which may be of the first session
        until(lambda: len(written(out)) >= goal and len({one[1] for one in written(out)}) > 1, "the second session")
        ended(daemon)
    by_topic: dict[tuple[object, object], list[object]] = {}
    for topic, session, sequence in written(out):
        by_topic.setdefault((topic, session), []).append(sequence)
    for (_, session), sequences in by_topic.items():
        assert sequences == list(range(int(str(sequences[0])), int(str(sequences[-1])) + 1)), session
    sessions = sorted({int(str(session)) for _, session in by_topic})
    assert len(sessions) == 2
    assert all(by_topic[topic, sessions[1]][0] == 1 for topic, session in by_topic if session == sessions[1])


def test_4_one_that_stops_reading_costs_the_others_nothing(tmp_path: Path, bright: Path, pictures: Path) -> None:
    """SIGSTOP of one subscriber beside a healthy one, until its messages are dropped; then SIGCONT."""
    out = tmp_path / "heard"
    # A Unix socket holds some 200 KiB; the kernel would keep megabytes for TCP on loopback, and hide the loss.
    with TemporaryDirectory(prefix="insp") as short:
        house = House(tmp_path, bright, pictures, "buffer_mb = 1", "300", f"ipc://{short}/publish")
        _stop_one(house, out)
    sequences = [line[2] for line in written(out) if line[0] == "verdict/line1/cam1/"]
    assert sequences == list(range(int(str(sequences[0])), int(str(sequences[-1])) + 1))


def _stop_one(house: House, out: Path) -> None:
    with Observer(house.endpoint, catchup=house.catchup) as healthy:
        with house.start() as daemon, subscriber(house.endpoint, out) as other:
            until(lambda: len(written(out)) >= 20, "messages")
            other.send_signal(signal.SIGSTOP)
            before, judged = len(written(out)), verdicts(daemon)
            until(lambda: verdicts(daemon) >= judged + 1500 * LONG, "the line goes on")
            # A busy machine may have cut the healthy one short, too.
            told = daemon.metrics()["inspector_catchup_messages_total"]
            other.send_signal(signal.SIGCONT)
            until(lambda: len(written(out)) >= before + 1000 * LONG, "what came meanwhile")
            assert daemon.metrics()["inspector_catchup_messages_total"] > told, "nothing was dropped"
            ended(daemon)
        with house.start():  # somebody to ask for what was cut short at the end
            healthy.wait_for_all(house.journal)
    healthy.assert_complete(house.journal)


def verdicts(daemon: Process) -> float:
    """So far, of both cameras."""
    return sum(value for name, value in daemon.metrics().items() if name.startswith("inspector_verdicts_total{"))


def test_5_a_disk_that_is_full_and_has_room_again(tmp_path: Path, bright: Path, pictures: Path) -> None:
    """The journal on a small tmpfs that something else fills up: the line goes on, and nothing is lost in the end."""
    with small_disk(tmp_path / "disk", "64m") as disk:
        house = House(tmp_path, bright, pictures)
        text = house.config.read_text().replace(str(house.journal), str(disk / "journal.sqlite"))
        house.config.write_text(text)
        house.journal = disk / "journal.sqlite"
        with house.start() as daemon, Observer(house.endpoint) as observer:
            observer.wait_for(50)
            fill(disk / "filler")
            until(lambda: daemon.metrics()["inspector_journal_failing"] == 1, "the journal fails")
            observer.wait_for(observer.count + 100)  # the line goes on
            assert daemon.get("/healthz") == "ok\n"
            (disk / "filler").unlink()
            until(lambda: daemon.metrics()["inspector_journal_failing"] == 0, "the journal works again")
            assert daemon.metrics()["inspector_journal_unkept_messages_total"] == 0
            observer.wait_for(observer.count + 50)
            ended(daemon)
            observer.wait_for_all(house.journal)
            observer.assert_complete(house.journal)
        messages = [line["message"] for line in daemon.log]
        # Why: the disk is full, or, where that took long to find out, gave no answer.
        assert any("cannot be written: " in message and "; make room" in message for message in messages)
        assert any("works again; every message was kept" in message for message in messages)
        house.assert_balanced()


def test_6_a_clock_that_was_set_back(house: House) -> None:
    """The last session began an hour from now: the next one is later all the same, and a subscriber sees that."""
    store = Store(house.journal)
    ahead = store.begin(time.time_ns() // 1_000_000 + 3_600_000, "line1", "test")
    store.end({})
    store.close()
    with house.start() as daemon, Observer(house.endpoint) as observer:
        observer.wait_for(20)
        ended(daemon)
    assert {session for session, _ in observer.heard} == {ahead + 1}


def test_7_a_thousand_subscribers_come_and_go(house: House) -> None:
    """50 connect, hear a message and leave (1,000 in the long run); the daemon's files and threads stay as many."""
    with house.start() as daemon, Observer(house.endpoint) as observer:
        observer.wait_for(10)

        def come_and_go(number: int) -> None:
            for _ in range(number):
                with Subscriber(house.endpoint, kinds=["verdict"]) as guest:
                    assert guest.receive(PATIENCE) is not None

        come_and_go(5)
        daemon.metrics()  # reads the journal: SQLite opens some files at the first reading
        before = settled(daemon)
        guests = [threading.Thread(target=come_and_go, args=(10 if LONG == 1 else 200,)) for _ in range(5)]
        for guest in guests:
            guest.start()
        for guest in guests:
            guest.join(PATIENCE * LONG)
        until(lambda: all(map(le, resources(daemon), (before[0] + ASIDE, before[1]))), f"back to {before} or so")
        ended(daemon)
        observer.wait_for_all(house.journal)
        observer.assert_complete(house.journal)


ASIDE = 5
"""Files that the daemon may open once more meanwhile, whoever comes: another connection to its journal, for one."""


def settled(daemon: Process) -> tuple[int, int]:
    """Its resources, once they have stayed the same for a while: those who left are seen off one after another.

    The fewest count: its keeper opens a file of the journal's each second, for as long as the disk takes.
    """
    seen = [resources(daemon)]
    while len(seen) < 40 or min(seen[-20:]) != min(seen[-40:-20]):
        time.sleep(0.1)
        seen.append(resources(daemon))
    return min(seen[-20:])


def resources(daemon: Process) -> tuple[int, int]:
    """Open files and threads."""
    process = Path(f"/proc/{daemon.pid}")
    return len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))
