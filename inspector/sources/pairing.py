"""Which shots of several cameras show the same part (pure).

By part id where both shots have one. Else, of live cameras, by the time of capture: shots that lie closer together than
`within`. Else by order, since files wait for each other.

Every camera sends its parts in the order of the line, so a part that one has passed over will not come from it any
more. Each shot that is added leaves in exactly one group, and each camera's shots leave in their order.

A frame that a camera counted and lost is told with the next one and has that one's time: all that is known is that it
lies between the camera's frames before and after. It goes with a part from between these, or alone if no camera has
one. One that is told when such a part has left without the camera says nothing new, and leaves in no group.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import TypeAlias

from inspector.types import Shot

Group: TypeAlias = tuple[Shot | None, ...]
"""What there is of one part: each camera's shot, None where it has none."""

INTERVALS = 9
"""Of each camera, between its latest shots: their median tells how fast parts come."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A shot, when it was captured and when it came: seconds, each of a clock that all cameras share.

    after: when its camera captured the frame before it, which `Pairing` fills in
    """

    shot: Shot
    captured: float
    came: float
    after: float = -math.inf

    @property
    def is_gap(self) -> bool:
        """Whether it is a lost frame, of which only `after` and `captured` are known, and that it lies between them."""
        return self.shot.is_lost and self.shot.part is None

    @property
    def begin(self) -> float:
        """The earliest that it may have been captured; `captured` is the latest."""
        return self.after if self.is_gap else self.captured


class Pairing:
    """Pairs the shots of cameras 0, 1, ...

    depth: shots of one camera that may wait;  live: whether the cameras go on without us
    within: seconds between the captures of one part's shots, at the most; None: half of the time from part to part,
        as it is seen. Until there is one, nothing is paired by time
    patience: seconds that a live camera's shot waits for the others'
    """

    def __init__(self, cameras: int, depth: int, live: bool, within: float | None, patience: float) -> None:
        self._waiting: list[deque[Taken]] = [deque() for _ in range(cameras)]
        self._intervals: list[deque[float]] = [deque(maxlen=INTERVALS) for _ in range(cameras)]
        self._latest = [-math.inf] * cameras
        self._without = [0] * cameras  # groups that left since each camera's last frame, and had none of it
        self._ended = [False] * cameras
        self._depth, self._live, self._within, self._patience = depth, live, within, patience

    def has_room(self, camera: int) -> bool:
        """Whether another shot of it may wait."""
        return len(self._waiting[camera]) < self._depth

    def add(self, camera: int, taken: Taken) -> None:
        """One more shot of a camera, for which there is room."""
        taken = replace(taken, after=self._latest[camera])
        self._waiting[camera].append(taken)
        if taken.is_gap:
            self._drop_known(camera)
            return
        interval = taken.captured - taken.after
        self._latest[camera] = taken.captured
        if 0 < interval < math.inf:
            self._intervals[camera].append(interval)

    def end(self, camera: int) -> None:
        """Nothing comes from it any more."""
        self._ended[camera] = True

    @property
    def is_over(self) -> bool:
        """Whether all came to their end and nothing waits."""
        return all(self._ended) and not any(self._waiting)

    @property
    def due(self) -> float:
        """When, by the clock of `came`, the next patience is over; infinity where nothing is waited for."""
        if not self._live:
            return math.inf
        return min((taken.came for taken in self._heads()), default=math.inf) + self._patience

    def take(self, now: float) -> Group | None:
        """The next part of which all is there that will come, or None; `now` by the clock of `came`."""
        # Gaps first: of the part that follows one, the others' frames may be overdue by now.
        heads = sorted((not taken.is_gap, taken.came, camera) for camera, taken in self._headed())
        for *_, camera in heads:
            members = self._members(camera)
            absent = [other for other in range(len(self._waiting)) if other not in members]
            if self._is_overdue(camera, now) or all(self._has_passed(other, camera) for other in absent):
                return self._out(members)
        stuck = all(ended or not self.has_room(camera) for camera, ended in enumerate(self._ended))
        return self._out(self._members(heads[0][-1])) if heads and stuck else None  # their orders contradict each other

    def _out(self, members: list[int]) -> Group:
        group = [queue.popleft() if camera in members else None for camera, queue in enumerate(self._waiting)]
        for camera, taken in enumerate(group):
            if taken is None:
                self._without[camera] += 1
            elif not taken.is_gap:
                self._without[camera] = 0
            self._drop_known(camera)
        return tuple(None if taken is None else taken.shot for taken in group)

    def _drop_known(self, camera: int) -> None:
        """Leave out its lost frames whose parts have left without it."""
        queue = self._waiting[camera]
        while queue and queue[0].is_gap and self._without[camera]:
            queue.popleft()
            self._without[camera] -= 1

    def _headed(self) -> Iterator[tuple[int, Taken]]:
        return ((camera, queue[0]) for camera, queue in enumerate(self._waiting) if queue)

    def _heads(self) -> Iterator[Taken]:
        return (taken for _, taken in self._headed())

    def _members(self, camera: int) -> list[int]:
        """The cameras whose next shots are of the same part as that of `camera`, which is among them."""
        members = [camera]
        for other, taken in self._headed():
            if other != camera and all(self._is_same(taken, self._waiting[member][0]) for member in members):
                members.append(other)
        return members

    def _is_same(self, a: Taken, b: Taken) -> bool:
        if a.shot.part is not None and b.shot.part is not None:
            return a.shot.part == b.shot.part
        if not self._live:
            return True
        tolerance = self._tolerance()
        if tolerance is None:
            return False
        if a.is_gap or b.is_gap:
            return a.begin + tolerance < b.captured and b.begin + tolerance < a.captured
        return abs(a.captured - b.captured) <= tolerance

    def _tolerance(self) -> float | None:
        if self._within is not None:
            return self._within
        paces = [median(intervals) for intervals in self._intervals if intervals]
        return min(paces) / 2 if paces else None

    def _is_overdue(self, camera: int, now: float) -> bool:
        """Whether its next shot waits no longer: a live camera cannot be held up."""
        return self._live and (not self.has_room(camera) or now - self._waiting[camera][0].came >= self._patience)

    def _has_passed(self, other: int, camera: int) -> bool:
        """Whether `other` will never send what the next shot of `camera` shows."""
        head, *later = self._waiting[camera]
        theirs = self._waiting[other]
        if any(self._is_same(head, taken) for taken in theirs):
            return False
        if self._ended[other] or not self.has_room(other):
            return True
        if any(self._is_same(own, taken) for own in later for taken in theirs):
            return True
        by_time = bool(theirs) and (head.shot.part is None or theirs[0].shot.part is None)
        tolerance = self._tolerance()
        if not by_time or tolerance is None:
            return False
        if head.is_gap or theirs[0].is_gap:
            return theirs[0].begin >= head.captured - tolerance
        return theirs[0].captured > head.captured + tolerance
