"""A source in a process of its own: whatever happens to that process, nothing of it is left and it can start anew."""

from __future__ import annotations

import gc
import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from inspector.errors import ConfigError, RefusedError, SourceError
from inspector.sources import isolated, open_source
from inspector.sources.isolated import Isolated
from inspector.testing.sources import Reading
from tests.daemon import environment
from tests.drivers import GOOD, drivers
from tests.waiting import PATIENCE, until

__all__ = ["drivers"]

LINE = "sim://line?width=128&height=96&rate=50"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="isolation needs Linux")


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "BEATLESS", PATIENCE)  # no process is given up but where it is to be


def killed(source: Isolated, number: signal.Signals) -> None:
    assert source.pid is not None
    os.kill(source.pid, number)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_one_that_dies_is_an_error_and_starts_anew(number: signal.Signals) -> None:
    source = Isolated(LINE, hangs_after=PATIENCE)
    frames = source.frames()
    assert next(frames).part == "1"
    killed(source, number)
    with pytest.raises(SourceError, match=f"{LINE[:11]}.*: its process was killed by {number.name}; the log has what"):
        list(frames)
    assert next(source.frames()).part == "1"


def test_one_that_is_stopped_is_killed_and_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Isolated(LINE, hangs_after=PATIENCE)
    frames = source.frames()
    next(frames)
    first = source.pid
    killed(source, signal.SIGSTOP)
    monkeypatch.setattr(isolated, "BEATLESS", 1.0)
    with pytest.raises(SourceError, match="its process shows no sign of life for 1 s, and is killed"):
        list(frames)
    assert first is not None
    assert not psutil.pid_exists(first)
    monkeypatch.setattr(isolated, "BEATLESS", PATIENCE)
    assert next(source.frames()).part == "1"


def test_a_driver_that_waits_for_ever_is_killed(drivers: None) -> None:
    source = Isolated("hang:", hangs_after=PATIENCE)
    frames = source.frames()
    assert len(list(itertools.islice(frames, GOOD))) == GOOD
    pid = source.pid
    source._hangs_after = 1
    with pytest.raises(SourceError, match="hang: gave no picture for 1 s; its process is killed"):
        next(frames)
    assert pid is not None
    assert not psutil.pid_exists(pid)


def test_a_driver_that_keeps_python_from_running_is_killed(drivers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though no picture need be due: then the beats tell."""
    source = Isolated("hold:", hangs_after=PATIENCE)
    frames = source.frames()
    assert len(list(itertools.islice(frames, GOOD))) == GOOD
    monkeypatch.setattr(isolated, "BEATLESS", 1.0)
    with pytest.raises(SourceError, match="its process shows no sign of life"):
        next(frames)


def test_a_driver_that_crashes_leaves_its_last_words(drivers: None, caplog: pytest.LogCaptureFixture) -> None:
    source = Isolated("crash:", hangs_after=PATIENCE)
    with pytest.raises(SourceError, match="its process was killed by SIGSEGV; the log has what it wrote"):
        list(source.frames())
    assert "driver: about to fall" in caplog.text
    assert "Segmentation fault" in caplog.text


def test_errors_and_log_lines_come_through_without_passwords(drivers: None, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RefusedError, match=r"rtsp://user:\*\*\*@host/ refuses") as caught:
        list(Isolated("odd:", hangs_after=PATIENCE).frames())
    (record,) = (record for record in caplog.records if record.name == "acme.driver")
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "odd:: rtsp://user:***@host/ says no")
    assert "s3cret" not in f"{caught.value} {caplog.text}"


def test_shots_come_as_they_were_given(drivers: None) -> None:
    """Pictures that grow, of any type, and none at all."""
    bare, shots = list(open_source("plain:").frames()), list(Isolated("plain:", hangs_after=PATIENCE).frames())
    assert [(shot.part, shot.fault) for shot in shots] == [(shot.part, shot.fault) for shot in bare]
    assert [shot.captured_ns for shot in shots[:GOOD]] == list(range(GOOD))
    assert shots[-1].captured_ns is not None, "where the source does not know, it is when the process had it"
    for one, other in zip(shots, bare, strict=True):
        assert (one.image is None) == (other.image is None)
        if one.image is not None and other.image is not None:
            assert one.image.dtype == other.image.dtype
            np.testing.assert_array_equal(one.image, other.image)


def test_it_is_fired_where_it_is(drivers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says comes back; a driver that hangs in it is killed like any other, and can be fired again."""
    monkeypatch.setattr(isolated, "BEATLESS", 10.0)  # which the reader that waits when it hangs goes by
    source = Isolated("fired:", hangs_after=PATIENCE)
    fire = source.fire
    assert fire is not None
    with pytest.raises(SourceError, match="fired: is not open"):
        fire()
    reading = Reading(source)
    until(lambda: is_fired(fire), "it is open")
    for _ in range(2):
        fire()
    assert [shot.part for shot in reading.wait_for(3, PATIENCE)] == ["1", "2", "3"]
    with pytest.raises(SourceError, match=r"^rtsp://user:\*\*\*@host/ has no light$"):
        fire()
    with pytest.raises(SourceError, match=r"^KeyError\('light'\)$"):
        fire()
    monkeypatch.setattr(isolated, "BEATLESS", 1.0)
    with pytest.raises(SourceError, match=r"^fired:: its process (did not answer within 1 s|ended)$"):
        fire()
    reading.wait_for_end(PATIENCE)
    assert "shows no sign of life" in str(reading.error)
    monkeypatch.setattr(isolated, "BEATLESS", PATIENCE)
    reading = Reading(source)
    until(lambda: is_fired(fire), "it is open again")
    reading.wait_for(1, PATIENCE)
    source.close()
    reading.wait_for_end(PATIENCE)


def is_fired(fire: Callable[[], None]) -> bool:
    with suppress(SourceError):
        fire()
        return True
    return False


def test_what_others_fire_cannot_be_fired() -> None:
    assert Isolated(LINE, hangs_after=1).fire is None


def test_a_url_that_will_not_do_is_refused_before_anything_starts() -> None:
    with pytest.raises(ConfigError, match="write sim://line"):
        Isolated("sim://lane", hangs_after=1)


@pytest.mark.parametrize("kind", ["hang:", "hold:", LINE])
def test_close_ends_it_whatever_the_driver_does(kind: str, drivers: None) -> None:
    source = Isolated(kind, hangs_after=PATIENCE)
    pids, seen = set[int | None](), threading.Event()

    def read() -> None:
        for number, _ in enumerate(source.frames(), 1):
            pids.add(source.pid)
            if number == GOOD:
                seen.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    assert seen.wait(PATIENCE)
    source.close()
    reader.join(PATIENCE)
    assert not reader.is_alive()
    (pid,) = pids
    assert pid is not None
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("kind", ["hold:", LINE])
def test_it_dies_with_its_parent(kind: str, drivers: None, tmp_path: Path) -> None:
    """By kill -9, and though its driver hangs."""
    script = (
        "import sys\nfrom inspector.sources.isolated import Isolated\nsource = Isolated(sys.argv[1], 1000)\n"
        "for number, _ in enumerate(source.frames(), 1):\n"
        f"    if number == {GOOD}:\n        print(source.pid, flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, kind], stdout=subprocess.PIPE, text=True, env=environment()
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        parent.kill()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the child is gone")


def test_no_password_is_in_the_list_of_processes() -> None:
    """Nor is what the parent holds open: the child has the socket and the memory, and nothing else."""
    source = Isolated(f"{LINE}&frames=1&first=12345", hangs_after=PATIENCE)
    frames = source.frames()
    next(frames)
    child = psutil.Process(source.pid)
    assert "12345" not in " ".join(child.cmdline())
    assert child.num_fds() < 12
    list(frames)


def test_nothing_is_left_of_many_deaths() -> None:
    gc.collect()  # what other tests left to it would go in between, and hide what is left here
    me, source = psutil.Process(), Isolated(LINE, hangs_after=PATIENCE)
    owned: list[tuple[int, int]] = []
    for _ in range(5):
        frames = source.frames()
        next(frames)
        killed(source, signal.SIGKILL)
        with pytest.raises(SourceError):
            list(frames)
        owned.append((me.num_threads(), me.num_fds()))
    threads, descriptors = zip(*owned, strict=True)
    assert threads[-1] <= threads[0]
    assert descriptors[-1] <= descriptors[0]
    assert me.children() == []
