"""Which frame is judged next (pure): earliest deadline first, fairly between cameras, and none that is too late.

Earliest deadline first is the order that meets deadlines as long as there is time for all (Liu and Layland 1973), but
under overload it serves frames that are about to be late, and cameras with short deadlines alone. So four rules stand
before it:

1. A frame that has its verdict, or is past its deadline, is dropped; whoever keeps the ledger sees to its verdict.
2. A frame that would be late by the time its batch is done is without hope. It gives way to every other, and is
   dropped where a newer one of its camera waits (the "early drop" of Nexus, SOSP 2019). As that time is an estimate,
   such a frame is served all the same if there is no better work, or if its camera was not served for `PATIENCE`
   seconds: an estimate that is wrong puts itself right, and no camera is shut out for ever, even if its deadline is
   shorter than its model's time.
3. Where there was too much to do of late, cameras that had more than their share of the workers' time wait until
   those are served that had not (shares.py); for `PATIENCE` seconds at the most. So what one camera sends too much is
   lost to it alone.
4. Where there is time for all, frames of a camera that sends more than it may (`max_rate`) give way to other live
   cameras' as long as they can still be judged in the first quarter of their time.

A frame that is cut into tiles holds its worker for many runs of the model. Between two of them a frame that is due
earlier overtakes it, unless its camera has had more or it gives way itself: so preemption is by deadline too, a run of
the model at a time, and a large frame costs the others its work and no more.

A frame that finds its camera's queue full of young ones is refused before anything is spent on it: of a flood, hardly
more is prepared than is judged.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from inspector.clock import Clock
from inspector.estimate import Estimate
from inspector.mailbox import Order
from inspector.shares import Shares
from inspector.types import Frame

PATIENCE = 3.0
"""Seconds after which a camera's frame is tried in spite of the estimate."""
MEMORY = 5.0
"""Seconds for which it counts that frames were lost, or taken when half of their time was over: there was too much."""
RESERVE = 0.002
"""Seconds that a batch is closed earlier than its estimate asks for: so long a verdict may take to leave."""


class Schedule(Order[Frame]):
    """The order of frames in the inbox.

    is_open: whether a frame still waits for its verdict
    """

    def __init__(
        self,
        cameras: Iterable[str],
        is_open: Callable[[Frame], bool],
        clock: Clock,
    ) -> None:
        cameras = list(cameras)
        self._is_open = is_open
        self._clock = clock
        self._estimates: defaultdict[str, Estimate] = defaultdict(Estimate)  # by the pace of frames
        self._rows = {camera: Estimate() for camera in cameras}  # what one takes: with repair it is several times that
        self._shares = Shares(cameras)
        self._served = dict.fromkeys(cameras, -math.inf)
        self._pressed = -math.inf  # when there was too much to do, last

    def ran(self, frames: Sequence[Frame], seconds: float) -> None:
        """Learn how long a batch took, until its last verdict; from any thread."""
        self._estimates[_pace(max(frames, key=self.rows))].add(seconds)
        row = seconds / sum(map(self.rows, frames))
        for frame in frames:
            self._rows[frame.camera].add(row)

    def estimate(self, frame: Frame) -> float:
        """Seconds that its batch will take; 0 while nothing is known of it."""
        return self._estimates[_pace(frame)].seconds

    def group(self, frame: Frame) -> str:
        """The model that judges it."""
        return "" if frame.standard is None else frame.standard.tag.sha256

    def is_spoiled(self, frame: Frame, newest: bool) -> bool:
        """Whether to drop it. newest: no newer frame of its camera waits"""
        now = self._clock.monotonic()
        return now >= frame.deadline or not self._is_open(frame) or not (newest or self._has_hope(frame, now))

    def first(self, heads: Sequence[Frame]) -> int:
        """Which of `heads`, the oldest frame of each camera that has any, is judged next."""
        now = self._clock.monotonic()
        hopeful = {frame.camera: index for index, frame in enumerate(heads) if self._has_hope(frame, now)}
        within = self._shares.within(hopeful or [frame.camera for frame in heads])
        if not hopeful:
            return max(range(len(heads)), key=lambda index: self._slack(heads[index], now))
        rivals: Iterable[str] = hopeful
        if self._is_overloaded(now):
            rivals = [camera for camera in hopeful if camera in within or self._is_neglected(camera, now)]
        elif preferred := [camera for camera, index in hopeful.items() if self._is_preferred(heads[index], now)]:
            rivals = preferred
        return min((hopeful[camera] for camera in rivals), key=lambda index: _due(heads[index]))

    def close_by(self, frame: Frame) -> float:
        """Monotonic seconds by which a batch must be closed for `frame` to be judged in time."""
        return frame.deadline - self.estimate(frame) - RESERVE

    def rows(self, frame: Frame) -> int:
        """How many rows of a batch it takes."""
        return 1 if frame.standard is None or frame.fitted is None else frame.standard.rows(frame.fitted)

    def keeps(self, oldest: Frame) -> bool:
        """While half of its time is left: were it pushed out for a newer one, its preparation would be for nothing."""
        return not _is_old(oldest, self._clock.monotonic()) and self._is_open(oldest)

    def overtakes(self, frame: Frame, running: Frame) -> bool:
        """Whether it goes before a frame that is being worked on."""
        now = self._clock.monotonic()
        if frame.deadline >= running.deadline or not self._has_hope(frame, now) or self._gives_way(frame, now):
            return False
        return not (self._is_overloaded(now) and self._shares.has_had_more(frame.camera, running.camera))

    def taken(self, frame: Frame) -> None:
        """Learn that a worker takes it."""
        now = self._served[frame.camera] = self._clock.monotonic()
        if _is_old(frame, now):
            self._pressed = now
        self._shares.charge(frame.camera, self.rows(frame) * self._rows[frame.camera].mean)

    def lost(self, frame: Frame) -> None:
        """Learn that no worker will take it, or one that was refused for it: there is more than there is time for."""
        self._pressed = self._clock.monotonic()

    def _is_overloaded(self, now: float) -> bool:
        return now - self._pressed < MEMORY

    def _has_hope(self, frame: Frame, now: float) -> bool:
        return self._slack(frame, now) >= 0 or self._is_neglected(frame.camera, now)

    def _is_neglected(self, camera: str, now: float) -> bool:
        return now - self._served[camera] >= PATIENCE

    def _is_preferred(self, frame: Frame, now: float) -> bool:
        return math.isfinite(frame.deadline) and not self._gives_way(frame, now)

    def _gives_way(self, frame: Frame, now: float) -> bool:
        return frame.excess and now + self.estimate(frame) < frame.captured + (frame.deadline - frame.captured) / 4

    def _slack(self, frame: Frame, now: float) -> float:
        """Seconds that it can still wait."""
        return frame.deadline - now - self.estimate(frame)


def _is_old(frame: Frame, now: float) -> bool:
    return now >= (frame.captured + frame.deadline) / 2


def _due(frame: Frame) -> tuple[float, float]:
    return frame.deadline, frame.captured


def _pace(frame: Frame) -> str:
    return "" if frame.standard is None else frame.standard.pace
