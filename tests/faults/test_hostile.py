"""Hostile bytes on every port of a real daemon, which goes on publishing every verdict to whoever may listen.

1. thousands of random and mutated handshakes, frames and requests, made from a seed, beside a good subscriber
2. the same behind CURVE, out of what a real subscriber with good keys says: replayed and mutated
3. whatever hypothesis makes up, and the daemon still answers
4. connections that say half of something and wait

FUZZ_INPUTS says how many in each of 1 and 2 (1500; `make fuzz` throws 50,000 in each), FUZZ_SEED which ones.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspector.journal.journal import PATIENCE
from inspector.keys import ClientKeys, generate
from tests.daemon import Process, configure
from tests.ears import Ear
from tests.hostile import (
    GREETING,
    MANNERS,
    REQUESTS,
    Target,
    ask_samples,
    inputs,
    recorded,
    throw,
    trigger_samples,
    zmtp_samples,
)

INPUTS = int(os.environ.get("FUZZ_INPUTS", "1500"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
THROWERS = 3
SOURCE = "sim://line?rate=30&width=128&height=96"
GROWTH_MIB = 24
"""What a daemon may grow by from the first third of the inputs to the end: allocators and histograms settle."""


KEPT = '[journal]\npath = "journal.sqlite"'
CATCHUP = 'catchup = "tcp://127.0.0.1:*"'
PARTS = '[trigger]\nendpoint = "tcp://127.0.0.1:*"\n[[station]]\nname = "gate"\ncameras = ["cam1", "cam2"]\n'
TRIGGERED = "trigger_window = 0.1"


def targets(daemon: Process, samples: Sequence[bytes], catchup: str | None = None) -> list[Target]:
    """Every port that the daemon has opened; a new one belongs here, with what its clients say."""
    found = [Target.at("publish", daemon.endpoint, samples), Target.at("http", daemon.http, REQUESTS)]
    if catchup is not None:
        found.append(Target.at("catch-up", catchup, [*ask_samples(), *samples]))
        found.append(Target.at("triggers", daemon.triggers, [*trigger_samples(), *samples]))
    return found


class Storm:
    """Throws `count` inputs at each of the targets in turn, from a few threads."""

    def __init__(self, where: Sequence[Target], seed: int, count: int) -> None:
        self.thrown = 0
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._throw, args=(where, f"{seed}{number}", count // THROWERS))
            for number in range(THROWERS)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def over(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _throw(self, where: Sequence[Target], seed: str, count: int) -> None:
        streams = [inputs(int(seed), target.samples) for target in where]
        turns = itertools.cycle(zip(where, streams, strict=True))
        for target, stream in itertools.islice(turns, count):
            if self._stopping.is_set():
                return
            throw(target, *next(stream))
            self.thrown += 1


def weather(daemon: Process, ear: Ear, where: Sequence[Target], seed: int) -> None:
    """A storm, in which `ear` hears everything and the daemon stays as it was, and ends as it should."""
    process = psutil.Process(daemon.pid)
    hears: list[int] = []
    for count in (INPUTS // 3, INPUTS - INPUTS // 3):
        storm = Storm(where, seed, count)
        try:
            ear.listen(lambda storm=storm: storm.over, seconds=3600)  # type: ignore[misc]
        finally:
            storm.stop()
        assert storm.thrown >= count - THROWERS
        hears.append(process.memory_info().rss >> 20)
        seed += 1
    assert hears[1] - hears[0] <= GROWTH_MIB, hears
    assert daemon.get("/readyz") == "ok\n"
    more = ear.heard + 50
    ear.listen(lambda: ear.heard >= more)
    daemon.send(signal.SIGTERM)
    ear.listen(lambda: False)
    ear.check_complete()
    assert daemon.wait() == 0
    faults = [line for line in daemon.log if "traceback" in line or line["level"] in ("error", "critical")]
    slow = f": no answer for {PATIENCE} s;"  # a busy machine's disk, which is no fault of the storm
    assert [line for line in faults if slow not in line["message"]] == []


def test_1_a_storm_in_plaintext(tmp_path: Path, bright: Path) -> None:
    config = configure(
        tmp_path / "line.toml", bright, SOURCE, SOURCE, more=f"{KEPT}\n{PARTS}", publish=CATCHUP, camera=TRIGGERED
    )
    with Process(config) as daemon:
        daemon.keep_reading()
        with Ear(daemon.endpoint) as ear:
            ear.listen(lambda: ear.heard >= 20 and ear.catchup is not None)
            weather(daemon, ear, targets(daemon, zmtp_samples(), ear.catchup), SEED)


def test_2_a_storm_behind_curve(tmp_path: Path, bright: Path) -> None:
    (tmp_path / "subscribers").mkdir()
    for name in ("daemon", "alice"):
        generate(name, tmp_path / "keys")
    shutil.copy(tmp_path / "keys/alice.pub", tmp_path / "subscribers")
    keys = ClientKeys.load(tmp_path / "keys/alice.secret", tmp_path / "keys/daemon.pub")
    security = '[security]\nsecret_key = "keys/daemon.secret"\nsubscribers = "subscribers"'
    config = configure(
        tmp_path / "line.toml", bright, SOURCE, SOURCE, more=f"{KEPT}\n{PARTS}", publish=f"{CATCHUP}\n{security}",
        camera=TRIGGERED,
    )  # fmt: skip
    with Process(config) as daemon:
        daemon.keep_reading()
        with Ear(daemon.endpoint, keys) as ear:
            ear.listen(lambda: ear.heard >= 20 and ear.catchup is not None)
            said = recorded(daemon.endpoint, keys)
            assert len(said) > 500  # a greeting, HELLO, INITIATE and more
            weather(daemon, ear, targets(daemon, [said] * 3 + zmtp_samples(), ear.catchup), SEED)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, bright: Path) -> Iterator[Process]:
    with Process(configure(tmp_path_factory.mktemp("hostile") / "line.toml", bright, SOURCE)) as daemon:
        daemon.keep_reading()
        yield daemon
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
        assert all("traceback" not in line for line in daemon.log)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.integers(0, 1),
    data=st.binary(max_size=300) | st.sampled_from([GREETING, *REQUESTS]).flatmap(
        lambda start: st.binary(max_size=100).map(start.__add__)
    ),
    manner=st.sampled_from(MANNERS),
)  # fmt: skip
def test_3_whatever_comes_it_answers(standing: Process, which: int, data: bytes, manner: str) -> None:
    throw(targets(standing, ())[which], data, manner)
    assert standing.get("/healthz") == "ok\n"


def test_4_who_says_half_of_something_keeps_nobody_waiting(standing: Process) -> None:
    with ExitStack() as stack:
        for target in targets(standing, ()):
            for start in (b"", GREETING[:20], GREETING, b"GET /metrics HTTP/1.1\r\nHost: "):
                for _ in range(5):
                    connection = socket.create_connection(target.address, timeout=60)
                    stack.callback(connection.close)
                    connection.sendall(start)
        assert standing.get("/readyz") == "ok\n"
        with Ear(standing.endpoint) as ear:
            ear.listen(lambda: ear.heard >= 50)
        for sequences in ear.verdicts.values():
            assert sequences == list(range(sequences[0], sequences[-1] + 1))
