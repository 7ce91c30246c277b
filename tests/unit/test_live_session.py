"""Live sources to calibrate with, by a model that is slower than they are."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.calibrate.live import RUN
from inspector.calibrate.session import Picture, Session
from inspector.errors import SourceError
from inspector.inference import bundle
from inspector.sources import Source
from inspector.types import Shot
from tests.bundles import picture
from tests.waiting import until


class Impatient:
    """A live source that gives runs of so many frames, each once it may go on; then it may fail.

    taken: frames for which nobody lets it wait any more
    """

    live = True

    def __init__(self, *runs: int, fails: bool = False) -> None:
        self.taken, self.closed = 0, False
        self._runs, self._fails = runs, fails
        self._allowed = threading.Semaphore(1)

    def go_on(self) -> None:
        self._allowed.release()

    def frames(self) -> Iterator[Shot]:
        for run in self._runs:
            self._allowed.acquire()
            for _ in range(run):
                if self.closed:
                    return
                yield Shot(picture(), part=str(self.taken))
                self.taken += 1
        if self._fails:
            raise SourceError("unplugged")

    def close(self) -> None:
        self.closed = True
        self.go_on()


def pictures(bright: Path, source: Source, frames: int = 1000) -> Iterator[Picture]:
    """Those of a session with that source."""
    return Session(["sim://line"], [], frames, bundle.load(bright), lambda _: source).pictures()


def parts(shown: list[Picture]) -> list[int]:
    return [int(one.part.removeprefix("sim://line ")) for one in shown]


def is_read() -> bool:
    return any(thread.name == "read" for thread in threading.enumerate())


def test_a_source_waits_for_no_model_and_its_frames_come_in_runs(bright: Path) -> None:
    source = Impatient(1, 99, 1)
    session = pictures(bright, source)
    assert parts([next(session)]) == [0]
    source.go_on()
    until(lambda: source.taken == 100, "the source waits until its frame is judged")
    assert parts(list(itertools.islice(session, RUN))) == list(range(1, RUN + 1))
    source.go_on()
    assert parts(list(session)) == [100]


def test_what_ends_a_source_is_raised_after_what_came_before(bright: Path) -> None:
    session = pictures(bright, Impatient(RUN, fails=True))
    assert parts(list(itertools.islice(session, RUN))) == list(range(RUN))
    with pytest.raises(SourceError, match="unplugged"):
        next(session)
    until(lambda: not is_read())


def test_enough_frames_end_a_source_that_waits_for_the_next(bright: Path) -> None:
    source = Impatient(RUN, 1)
    assert parts(list(pictures(bright, source, RUN))) == list(range(RUN))
    assert source.closed
    until(lambda: not is_read())
