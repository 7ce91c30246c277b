"""A real daemon with a journal, killed and started again; its subscribers lose nothing of what it published."""

from __future__ import annotations

import signal
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import inspector
from inspector.client import Gone, Subscriber
from inspector.messages import VerdictMessage
from tests.daemon import Process
from tests.readers import endless, reading, rest

SCRIPT = Path(inspector.__file__).parents[1] / "examples" / "subscribe.py"
CATCHUP = 'catchup = "tcp://127.0.0.1:0"'


def config(folder: Path, bundle: Path) -> Path:
    path = endless(folder, bundle, publish=CATCHUP)
    path.write_text(path.read_text() + f'\n[journal]\npath = "{folder / "journal.sqlite"}"\n')
    return path


def read(subscriber: Subscriber, number: int) -> list[tuple[int, int]]:
    """The next so many verdicts, by session and sequence; nothing may be gone."""
    places: list[tuple[int, int]] = []
    while len(places) < number:
        item = subscriber.receive(60)
        assert item is not None
        assert not isinstance(item, Gone)
        if isinstance(item, VerdictMessage):
            places.append((item.session, item.sequence))
    return places


def gapless(places: list[tuple[int, int]]) -> dict[int, int]:
    """How many verdicts came of each session; each session's but the first must count from 1, without gaps."""
    sessions: defaultdict[int, list[int]] = defaultdict(list)
    for session, sequence in places:
        sessions[session].append(sequence)
    for index, sequences in enumerate(sessions.values()):
        start = sequences[0] if index == 0 else 1
        assert sequences == list(range(start, start + len(sequences)))
    assert list(sessions) == sorted(sessions)
    return {session: len(sequences) for session, sequences in sessions.items()}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_subscriber_that_was_away_gets_all_that_was_published_meanwhile(
    bright: Path, tmp_path: Path, how: signal.Signals
) -> None:
    path = config(tmp_path, bright)
    position = tmp_path / "position.json"
    with Process(path) as daemon:
        with Subscriber(daemon.endpoint, kinds=["verdict"], position=position) as subscriber:
            places = read(subscriber, 30)
            subscriber.save(position)
        with Subscriber(daemon.endpoint, kinds=["verdict"]) as other:
            read(other, 50)  # while it is away
        daemon.send(how)
        daemon.wait()
    with (
        Process(path) as daemon,
        Subscriber(daemon.endpoint, kinds=["verdict"], position=position, catchup=daemon.catchup) as subscriber,
    ):
        while len(gapless(places)) == 1 or gapless(places)[places[-1][0]] < 20:
            places += read(subscriber, 1)
        assert gapless(places)[places[0][0]] >= 80, "also what came while it was away"
        assert not subscriber.missing


def test_the_plain_script_follows_a_daemon_through_a_stop_of_its_own(bright: Path, tmp_path: Path) -> None:
    with Process(config(tmp_path, bright)) as daemon:
        with reading([sys.executable, "-u", str(SCRIPT), daemon.endpoint, "400"]) as script:
            assert script.stdout is not None
            lines = [script.stdout.readline()]
            script.send_signal(signal.SIGSTOP)
            with Subscriber(daemon.endpoint, kinds=["verdict"]) as other:
                read(other, 100)
            script.send_signal(signal.SIGCONT)
            out, errors = rest(script)
            assert (script.returncode, errors) == (0, "")
        lines += out.splitlines()
        frames = [int(line.split()[2].rstrip(":")) for line in lines if line.startswith("cam1 frame ")]
        assert len(set(frames)) == len(frames) == 400
        # A frame that was refused has its verdict before those that wait, so that some are missing at both ends.
        middle = sorted(frames)[20:-20]
        assert middle == list(range(middle[0], middle[0] + len(middle)))
