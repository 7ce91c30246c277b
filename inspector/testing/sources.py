"""What every source promises, as tests for pytest: subclass `SourceContract` and say what your source talks to.

    from inspector.testing.sources import Counterpart, SourceContract, Unplugged

    class TestMyCamera(Unplugged, SourceContract):
        @pytest.fixture
        def counterpart(self, camera):
            return Counterpart("mycamera://7", unplug=camera.switch_off, plug=camera.switch_on)

`Unplugged` is for sources whose counterpart can go away, `Ending` for streams that end. `bound` is how many seconds
anything may take. Use a real counterpart, or a simulation of your camera's maker: a stub proves nothing.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from inspector.errors import SourceError
from inspector.sources import Source, open_source
from inspector.types import Image, Shot

Result = TypeVar("Result")

ENOUGH = 8
"""Frames that are looked at; more than most drivers have buffers."""


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Counterpart:
    """What a source talks to, ready to deliver. Give it at least 8 frames, or let it never end.

    url: names it;  count: frames until the end of the stream
    number: which frame a picture is, where it can be told; 0, 1, 2, ..., and from 0 again after `cycle`
    unplug, plug: take the counterpart away, and bring it back;  secret: a password in the URL
    """

    url: str
    count: int | None = None
    number: Callable[[Image], int] | None = None
    cycle: int = 2**63
    unplug: Callable[[], None] = _nothing
    plug: Callable[[], None] = _nothing
    secret: str | None = None


class Bounded:
    """A thread that does one thing after another, none of which may take more than `bound` seconds."""

    def __init__(self, bound: float) -> None:
        self._bound = bound
        self._asked: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()

    def __enter__(self) -> Bounded:
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._asked.put(None)

    def __call__(self, what: str, call: Callable[[], Result]) -> Result:
        """What `call` returns or raises; fails, and says that `what` took too long, where it does neither in time."""
        done: Future[Result] = Future()
        self._asked.put((call, done))
        wait([done], self._bound)
        assert done.done(), f"{what} took more than {self._bound:g} s"
        return done.result()

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            call, done = asked
            try:
                done.set_result(call())
            except BaseException as error:
                done.set_exception(error)


@dataclass
class Reading:
    """A source that is read by a thread, as the daemon does it; `copies` are its pictures as they were at first."""

    source: Source
    shots: list[Shot] = field(default_factory=list)
    copies: list[Image | None] = field(default_factory=list)
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_for(self, number: int, bound: float) -> list[Shot]:
        """Until so many shots came; fails where they do not within `bound` seconds."""
        end = time.monotonic() + bound
        while len(self.shots) < number:
            assert self.error is None, f"{self.source} failed: {self.error!r}"
            assert self._thread.is_alive(), f"it ended after {len(self.shots)} of {number} frames"
            assert time.monotonic() < end, f"{len(self.shots)} of {number} frames came in {bound:g} s"
            time.sleep(0.01)
        return self.shots[:number]

    def wait_for_end(self, bound: float) -> None:
        """Until `frames` returned or raised; fails where it does neither within `bound` seconds."""
        self._thread.join(bound)
        assert not self._thread.is_alive(), f"it neither ended nor failed in {bound:g} s"

    def close(self, bound: float) -> None:
        """Close the source from another thread; fails where that, or the end of `frames`, takes longer than `bound`."""
        with Bounded(bound) as within:
            within("close", self.source.close)
        self.wait_for_end(bound)

    def _run(self) -> None:
        try:
            for shot in self.source.frames():
                self.copies.append(None if shot.image is None else shot.image.copy())
                self.shots.append(shot)
        except BaseException as error:
            self.error = error


class SourceContract:
    """Of every source."""

    bound = 10.0

    def test_its_pictures_are_uint8_and_of_one_shape(self, counterpart: Counterpart) -> None:
        source = open_source(counterpart.url)
        assert isinstance(source.live, bool)
        shots = self._read(source).shots[:ENOUGH]
        images = [shot.image for shot in shots if shot.image is not None]
        assert images, f"no picture: {shots[0].fault}"
        for image in images:
            assert image.dtype == np.uint8
            assert image.ndim == 3
            assert image.shape[2] in (1, 3)
        assert len({image.shape for image in images}) == 1
        assert all(shot.fault for shot in shots if shot.image is None), "what has no picture says why"

    def test_its_pictures_own_their_memory(self, counterpart: Counterpart) -> None:
        """No buffer is filled again while somebody looks at it."""
        reading = self._read(open_source(counterpart.url))
        shots = reading.shots[:ENOUGH]
        kept = [shot.image for shot in shots if shot.image is not None]
        assert not any(np.shares_memory(one, other) for one, other in itertools.combinations(kept, 2))
        for shot, copy in zip(shots, reading.copies, strict=False):
            assert (shot.image is None) == (copy is None)
            np.testing.assert_array_equal(shot.image, copy)

    def test_frames_come_in_order_and_stamps_do_not_go_back(self, counterpart: Counterpart) -> None:
        shots = self._read(open_source(counterpart.url)).shots[:ENOUGH]
        stamps = [shot.captured_ns for shot in shots if shot.captured_ns is not None]
        assert stamps == sorted(stamps)
        assert all(stamp <= time.time_ns() for stamp in stamps), "no frame is from the future"
        if counterpart.number is not None:
            numbers = [counterpart.number(shot.image) for shot in shots if shot.image is not None]
            steps = [(b - a) % counterpart.cycle for a, b in itertools.pairwise(numbers)]
            assert all(0 < step < counterpart.cycle // 2 for step in steps), numbers

    def test_close_ends_it_from_another_thread(self, counterpart: Counterpart) -> None:
        reading = Reading(open_source(counterpart.url))
        reading.wait_for(1, self.bound)
        reading.close(self.bound)
        assert reading.error is None

    def test_closed_it_yields_nothing_more(self, counterpart: Counterpart) -> None:
        source = open_source(counterpart.url)
        with Bounded(self.bound) as within:
            frames = within("the first frame", lambda: _begun(source))
            within("close", source.close)
            more = within("the end of what is closed", lambda: next(frames, None))
            again = within("the end of what was closed before", lambda: next(source.frames(), None))
        assert more is None, "closed, it yields more"
        assert again is None, "closed and read again, it yields more"

    def test_it_can_be_read_again_and_leaves_nothing_behind(self, counterpart: Counterpart) -> None:
        source = open_source(counterpart.url)
        held = []
        with Bounded(self.bound) as within:
            for _ in range(4):
                within("the first frame", lambda: _glance(source))
                held.append(_held())
        for first, last in zip(held[0], held[-1], strict=True):
            assert last <= first, f"threads and descriptors after each reading: {held}"

    def _read(self, source: Source) -> Reading:
        """Read until enough frames came, or more, and close it."""
        reading = Reading(source)
        reading.wait_for(ENOUGH, self.bound)
        reading.close(self.bound)
        return reading


class Ending:
    """Of a source whose stream ends by itself."""

    bound = 10.0

    def test_it_yields_every_frame_and_ends_and_can_be_read_again(self, counterpart: Counterpart) -> None:
        source = open_source(counterpart.url)
        for _ in range(2):
            reading = Reading(source)
            reading.wait_for_end(self.bound)
            assert reading.error is None
            assert len(reading.shots) == counterpart.count


class Unplugged:
    """Of a source whose counterpart can be taken away and brought back while it is read."""

    bound = 10.0
    rounds = 2

    def test_unplugged_it_fails_in_a_sentence_and_plugged_in_it_works_again(self, counterpart: Counterpart) -> None:
        source = open_source(counterpart.url)
        for _ in range(self.rounds):
            reading = Reading(source)
            reading.wait_for(ENOUGH, self.bound)
            counterpart.unplug()
            self._assert_fails(reading, counterpart)
            self._assert_fails(Reading(source), counterpart)
            counterpart.plug()
        reading = Reading(source)
        reading.wait_for(ENOUGH, self.bound)
        reading.close(self.bound)

    def test_close_ends_it_while_it_is_unplugged(self, counterpart: Counterpart) -> None:
        reading = Reading(open_source(counterpart.url))
        reading.wait_for(1, self.bound)
        counterpart.unplug()
        reading.close(self.bound)
        counterpart.plug()

    def _assert_fails(self, reading: Reading, counterpart: Counterpart) -> None:
        reading.wait_for_end(self.bound)
        assert isinstance(reading.error, SourceError), f"{reading.error!r} after {len(reading.shots)} frames"
        sentence = str(reading.error)
        assert sentence.strip()
        assert "\n" not in sentence
        assert counterpart.secret is None or counterpart.secret not in sentence


def _begun(source: Source) -> Iterator[Shot]:
    """Its frames, the first of which has come."""
    frames = source.frames()
    assert next(frames, None) is not None, "it ended before its first frame"
    return frames


def _glance(source: Source) -> None:
    """Leave off reading after a frame, as a program does that has seen enough."""
    frames = _begun(source)
    if isinstance(frames, Generator):  # other iterators have nothing to close: they are only let go
        frames.close()


def _held() -> tuple[int, int]:
    """Threads and descriptors of this process, as far as the system tells."""
    threads, descriptors = Path("/proc/self/task"), Path("/proc/self/fd")
    if not threads.is_dir():
        return threading.active_count(), 0
    return len(list(threads.iterdir())), len(list(descriptors.iterdir()))
