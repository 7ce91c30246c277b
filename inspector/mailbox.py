"""The only way between threads: a bounded queue with lanes.

Each lane (a camera, say) keeps its own order and its own bound, so that one lane cannot crowd out another. A taker
gets the head that the mailbox's order puts first, and more of the same group (the same model, say) to fill a batch. A
closed mailbox takes nothing in but still hands out what it holds.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from threading import Condition, Lock
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Closed(Exception):  # noqa: N818 - not an error: it ends a loop, as StopIteration does
    """The mailbox takes nothing in any more, or (for a taker) is also empty."""


class BatchEnd(StrEnum):
    """Why a batch was closed."""

    FULL = "full"
    WAIT = "wait"
    DEADLINE = "deadline"
    CLOSED = "closed"


class Batch(NamedTuple, Generic[T]):
    """What a taker gets; `opened` is the monotonic time at which the first item was there to be taken."""

    items: list[T]
    opened: float
    end: BatchEnd


class Order(Generic[T_contra]):
    """Decides what goes next: here the first lane that holds anything. Others do better; see schedule.py.

    It is called under the mailbox's lock, so it neither waits nor calls the mailbox.
    """

    def is_spoiled(self, item: T_contra, newest: bool) -> bool:
        """Whether to drop the item instead of handing it out. newest: it is the only one of its lane"""
        return False

    def first(self, heads: Sequence[T_contra]) -> int:
        """Which of `heads`, the oldest item of each lane that holds any (one lane at least), goes next."""
        return 0

    def close_by(self, item: T_contra) -> float:
        """The monotonic time by which a batch with this item must be closed."""
        return math.inf

    def group(self, item: T_contra) -> str:
        """What the items of a batch have in common."""
        return ""

    def rows(self, item: T_contra) -> int:
        """How many rows of a batch the item takes."""
        return 1

    def keeps(self, oldest: T_contra) -> bool:
        """Whether a full lane keeps its oldest item, and refuses another, rather than have that push it out."""
        return False

    def overtakes(self, item: T_contra, running: T_contra) -> bool:
        """Whether the item goes before one that is being worked on."""
        return False

    def taken(self, item: T_contra) -> None:
        """Learn that the item is handed out."""

    def lost(self, item: T_contra) -> None:
        """Learn that the item was dropped or pushed out, or that another was refused for its sake."""


class _Lane(Generic[T]):
    __slots__ = ("depth", "emptied", "items")

    def __init__(self, depth: int, lock: Lock) -> None:
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
    """A bounded queue with one lane a key of `lanes`, which maps it to its depth; `order` says what goes next."""

    def __init__(self, lanes: Mapping[str, int], order: Order[T] | None = None) -> None:
        lock = Lock()
        self._lanes = {key: _Lane[T](depth, lock) for key, depth in lanes.items()}
        self._order = Order[T]() if order is None else order
        self._closed = False
        self._filled = Condition(lock)
        self._joined = Condition(lock)  # of its own, so that who lingers takes no wake-up from who has nothing to do
        self._lingering: list[str] = []  # the groups that takers linger for

    def __len__(self) -> int:
        """Items held, over all lanes."""
        return sum(len(lane.items) for lane in self._lanes.values())

    def refuses(self, key: str) -> bool:
        """Whether the lane is full and its oldest item is kept: then another one is lost, and need not be made."""
        lane = self._lanes[key]
        with self._filled:
            refused = len(lane.items) >= lane.depth and self._order.keeps(lane.items[0])
            if refused:
                self._order.lost(lane.items[0])
        return refused

    def offer(self, key: str, item: T) -> T | None:
        """Put without waiting; a full lane pushes out its oldest item, which is returned. Raises Closed."""
        lane = self._lanes[key]
        with self._filled:
            if self._closed:
                raise Closed
            oldest = lane.items.popleft() if len(lane.items) >= lane.depth else None
            if oldest is not None:
                self._order.lost(oldest)
            lane.items.append(item)
            self._tell_of(item)
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
            self._tell_of(item)

    def take(self, most: int, linger: float = 0.0, wait: float | None = None) -> Batch[T]:
        """Take items of one group for up to `most` rows, as the order has them; what it finds spoiled is dropped.

        An item of more rows is taken with others that fill up its last batch.
        Waits up to `wait` seconds (None: as long as it takes) for the first; then lingers up to `linger` seconds for
        more, but no longer than the order allows for what it has. Load itself makes batches grow: what is queued is
        taken at once. Returns an empty batch when nothing came in time; raises Closed when closed and empty.
        """
        with self._filled:
            if not self._filled.wait_for(lambda: self._has_items() or self._closed, wait):
                return Batch([], time.monotonic(), BatchEnd.WAIT)
            opened = time.monotonic()
            first = self._next(self._lanes.values())
            if first is None:
                raise Closed
            items = [self._pop(first)]
            self._fill(items, most)
            last_call = opened + linger
            while self._room(items, most) > 0 and not self._closed:
                remaining = min(last_call, *map(self._order.close_by, items)) - time.monotonic()
                if remaining <= 0:
                    break
                self._linger(self._order.group(items[0]), remaining)
                self._fill(items, most)
                self._pass_on()
            self._pass_on()
            return Batch(items, opened, self._end(items, most, last_call))

    def overtake(self, running: T) -> Batch[T]:
        """Take, without waiting, one item that the order has go before one that is being worked on, if there is any."""
        with self._filled:
            opened = time.monotonic()
            lanes = []
            for lane in self._lanes.values():
                self._sift(lane)
                if lane.items and self._order.overtakes(lane.items[0], running):
                    lanes.append(lane)
            first = self._next(lanes)
            if first is None:
                return Batch([], opened, BatchEnd.WAIT)
            return Batch([self._pop(first)], opened, BatchEnd.DEADLINE)

    def close(self) -> None:
        """Take nothing in any more; wakes everyone who waits."""
        with self._filled:
            self._closed = True
            self._filled.notify_all()
            self._joined.notify_all()
            for lane in self._lanes.values():
                lane.emptied.notify_all()

    def _tell_of(self, item: T) -> None:
        """Wake who lingers for more of its group, or else one who has nothing to do."""
        if self._lingering and self._order.group(item) in self._lingering:
            self._joined.notify_all()
        else:
            self._filled.notify()

    def _linger(self, group: str, seconds: float) -> None:
        """Wait until more of `group` may have come."""
        self._lingering.append(group)
        self._joined.wait(seconds)
        self._lingering.remove(group)

    def _pass_on(self) -> None:
        """Wake one who has nothing to do for what this taker leaves: it may have been woken in the other's place."""
        if any(lane.items for lane in self._lanes.values()):
            self._filled.notify()

    def _fill(self, items: list[T], most: int) -> None:
        for lane in self._lanes.values():
            self._sift(lane)
        room, group = self._room(items, most), self._order.group(items[0])
        while room > 0 and (best := self._next(self._mates(group))) is not None:
            room -= self._order.rows(best.items[0])
            if room < 0:
                break
            items.append(self._pop(best))

    def _mates(self, group: str) -> Iterator[_Lane[T]]:
        """Lanes whose next item belongs to `group`."""
        return (lane for lane in self._lanes.values() if lane.items and self._order.group(lane.items[0]) == group)

    def _room(self, items: Sequence[T], most: int) -> int:
        """Rows that are left in the batch, or in the last of those that the first item alone needs."""
        rows = [self._order.rows(item) for item in items]
        return most * -(-rows[0] // most) - sum(rows)

    def _next(self, lanes: Iterable[_Lane[T]]) -> _Lane[T] | None:
        waiting = [lane for lane in lanes if lane.items]
        return waiting[self._order.first([lane.items[0] for lane in waiting])] if waiting else None

    def _pop(self, lane: _Lane[T]) -> T:
        item = lane.pop()
        self._order.taken(item)
        self._sift(lane)
        return item

    def _has_items(self) -> bool:
        """Whether there is anything when what is spoiled is dropped."""
        for lane in self._lanes.values():
            self._sift(lane)
        return any(lane.items for lane in self._lanes.values())

    def _sift(self, lane: _Lane[T]) -> None:
        """Drop what is spoiled at the head of a lane."""
        while lane.items and self._order.is_spoiled(lane.items[0], len(lane.items) == 1):
            self._order.lost(lane.pop())

    def _end(self, items: Sequence[T], most: int, last_call: float) -> BatchEnd:
        if self._room(items, most) <= 0:
            return BatchEnd.FULL
        if self._closed:
            return BatchEnd.CLOSED
        return BatchEnd.DEADLINE if min(map(self._order.close_by, items)) < last_call else BatchEnd.WAIT
