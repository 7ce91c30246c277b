"""Subscribers that know docs/wire.md and nothing of our code, at a real daemon behind CURVE that is killed.

1. kill -9 and a new start, twice: what they print is what the journal has, in order and once
"""

from __future__ import annotations

import json
import shutil
import signal
import threading
from pathlib import Path

from inspector.journal.reading import Choice, Reader
from tests.daemon import run
from tests.faults.test_losses import House
from tests.readers import reading
from tests.waiting import until

HEARD = 80
"""So many more lines are read before a run ends."""


def kept(journal: Path) -> list[str]:
    """What the examples should say of cam1's verdicts, in the order in which they were published."""
    reader = Reader(journal)
    headers = [json.loads(one.kept.parts[1]) for one in reader.messages(Choice("verdict/line1/cam1/"))]
    reader.close()
    return [f"cam1 frame {told['frame']}: {told['verdict']} {told['reason'] or ''}" for told in headers]


def test_1_a_daemon_that_is_killed_behind_curve(
    tmp_path: Path, bright: Path, pictures: Path, script: list[str]
) -> None:
    house = House(tmp_path, bright, pictures)
    for name in ("daemon", "alice"):
        assert run("keygen", name, "--out", tmp_path).returncode == 0
    (tmp_path / "subscribers").mkdir()
    shutil.copy(tmp_path / "alice.pub", tmp_path / "subscribers")
    security = '\n[security]\nsecret_key = "daemon.secret"\nsubscribers = "subscribers"\n'
    house.config.write_text(house.config.read_text() + security)
    keys = ["--secret", str(tmp_path / "alice.secret"), "--server", str(tmp_path / "daemon.pub")]
    said: list[str] = []
    with reading([*script, house.endpoint, *keys], PYTHONUNBUFFERED="1") as subscriber:

        def listen() -> None:
            assert subscriber.stdout is not None
            said.extend(line.removesuffix("\n") for line in subscriber.stdout if line.endswith("\n"))

        def begins() -> int:
            return sum(line.startswith("cam1 frame 1:") for line in said)

        listening = threading.Thread(target=listen)
        listening.start()
        for part, end in enumerate((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)):
            known = begins()
            with house.start() as daemon:
                if part > 0:
                    until(lambda known=known: begins() > known, "the beginning of the next run")
                enough = len(said) + HEARD
                until(lambda enough=enough: len(said) >= enough, "messages")
                daemon.send(end)
                assert daemon.wait() == (0 if end is signal.SIGTERM else -end)
        assert subscriber.poll() is None
    listening.join()
    heard = [line for line in said if line.startswith("cam1 frame ")]
    published = kept(house.journal)
    begin = published.index(heard[0])
    assert heard == published[begin : begin + len(heard)]
    assert not any("gone" in line for line in said)
