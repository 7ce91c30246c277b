"""The only way between threads: a bounded queue with lanes.

Each lane (a camera, say) keeps its own order and its own bound, so that one lane cannot crowd out another. A taker
gets the most urgent head of all lanes, and more of the same group (the same model, say) to fill a batch. A closed
mailbox takes nothing in but still hands out what it holds.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from threading import Condition, Lock
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Closed(Exception):  # noqa: N818 - not an error: it ends a loop, as StopIteration does
    """The mailbox takes nothing in any more, or (for a taker) is also empty."""


class BatchEnd(StrEnum):
    """Why a batch was closed."""

    FULL = "full"
    WAIT = "wait"
    CLOSED = "closed"


class Batch(NamedTuple, Generic[T]):
    """What a taker gets; `opened` is the monotonic time at which the first item was there to be taken."""

    items: list[T]
    opened: float
    end: BatchEnd


class _Lane(Generic[T]):
    __slots__ = ("depth", "emptied", "group", "items")

    def __init__(self, group: str, depth: int, lock: Lock) -> None:
        self.group = group
        self.depth = depth
        self.items: deque[T] = deque()
        # One for each lane: were it shared, every taken item would wake the putters of all lanes for nothing.
        self.emptied = Condition(lock)

    def pop(self) -> T:
        """The oldest item; who waits for room is woken at half: it then fills the lane in one go, not item by item."""
        item = self.items.popleft()
        if len(self.items) <= self.depth // 2:
            self.emptied.notify()
        return item


class Mailbox(Generic[T]):
    """A bounded queue with one lane a key of `lanes`, which maps it to (group, depth).

    urgency: the least is handed out first; where lanes tie, the first of `lanes` is served
    """

    def __init__(
        self, lanes: Mapping[str, tuple[str, int]], urgency: Callable[[T], tuple[float, ...]] = lambda _: ()
    ) -> None:
        lock = Lock()
        self._lanes = {key: _Lane[T](group, depth, lock) for key, (group, depth) in lanes.items()}
        self._urgency = urgency
        self._closed = False
        self._filled = Condition(lock)

    def __len__(self) -> int:
        """Items held, over all lanes."""
        return sum(len(lane.items) for lane in self._lanes.values())

    def offer(self, key: str, item: T) -> T | None:
        """Put without waiting; a full lane pushes out its oldest item, which is returned. Raises Closed."""
        lane = self._lanes[key]
        with self._filled:
            if self._closed:
                raise Closed
            oldest = lane.items.popleft() if len(lane.items) >= lane.depth else None
            lane.items.append(item)
            self._filled.notify()
        return oldest

    def put(self, key: str, item: T) -> None:
        """Put, and wait for room if the lane is full. Raises Closed, also while waiting."""
        lane = self._lanes[key]
        with lane.emptied:
            while not self._closed and len(lane.items) >= lane.depth:
                lane.emptied.wait()
            if self._closed:
                raise Closed
            lane.items.append(item)
            self._filled.notify()

    def take(self, most: int, linger: float = 0.0, wait: float | None = None) -> Batch[T]:
        """Take up to `most` items of one group, most urgent first.

        Waits up to `wait` seconds (None: as long as it takes) for the first; then lingers up to `linger` seconds for
        more. Load itself makes batches grow: what is queued is taken at once. Returns an empty batch when nothing
        came in time; raises Closed when closed and empty.
        """
        with self._filled:
            if not self._filled.wait_for(self._has_items_or_closed, wait):
                return Batch([], time.monotonic(), BatchEnd.WAIT)
            opened = time.monotonic()
            first = self._most_urgent(self._lanes.values())
            if first is None:
                raise Closed
            items = [first.pop()]
            mates = [lane for lane in self._lanes.values() if lane.group == first.group]
            self._fill(items, mates, most)
            last_call = opened + linger
            while len(items) < most and not self._closed:
                remaining = last_call - time.monotonic()
                if remaining <= 0:
                    break
                self._filled.wait(remaining)
                self._fill(items, mates, most)
            if any(lane.items for lane in self._lanes.values()):
                self._filled.notify()  # this taker may have swallowed a wake-up that another needs
            end = BatchEnd.FULL if len(items) == most else BatchEnd.CLOSED if self._closed else BatchEnd.WAIT
            return Batch(items, opened, end)

    def close(self) -> None:
        """Take nothing in any more; wakes everyone who waits."""
        with self._filled:
            self._closed = True
            self._filled.notify_all()
            for lane in self._lanes.values():
                lane.emptied.notify_all()

    def _has_items_or_closed(self) -> bool:
        return self._closed or any(lane.items for lane in self._lanes.values())

    def _most_urgent(self, lanes: Iterable[_Lane[T]]) -> _Lane[T] | None:
        best: _Lane[T] | None = None
        least: tuple[float, ...] = ()
        for lane in lanes:
            if lane.items and (best is None or self._urgency(lane.items[0]) < least):
                best, least = lane, self._urgency(lane.items[0])
        return best

    def _fill(self, items: list[T], lanes: list[_Lane[T]], most: int) -> None:
        while len(items) < most and (lane := self._most_urgent(lanes)) is not None:
            items.append(lane.pop())
