from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.mailbox import Batch, BatchEnd, Closed, Mailbox, Order
from tests.waiting import until

Item = tuple[float, str]


class Least(Order[Item]):
    """The least number first; by the number too a batch must be closed, if it `hurries`."""

    def __init__(self, spoiled: Callable[[Item, bool], bool] = lambda *_: False, hurries: bool = False) -> None:
        self.spoiled = spoiled
        self.hurries = hurries
        self.log: list[tuple[str, str]] = []

    def is_spoiled(self, item: Item, newest: bool) -> bool:
        return self.spoiled(item, newest)

    def first(self, heads: Sequence[Item]) -> int:
        return min(range(len(heads)), key=lambda index: heads[index][0])

    def close_by(self, item: Item) -> float:
        return item[0] if self.hurries else super().close_by(item)

    def group(self, item: Item) -> str:
        return "other" if item[1].startswith("c") else "m"

    def taken(self, item: Item) -> None:
        self.log.append(("taken", item[1]))

    def lost(self, item: Item) -> None:
        self.log.append(("lost", item[1]))


def box(depth: int = 3, order: Order[Item] | None = None) -> Mailbox[Item]:
    return Mailbox(dict.fromkeys("abc", depth), order or Least())


def test_the_order_decides_across_lanes() -> None:
    mailbox = box()
    mailbox.offer("a", (5.0, "a1"))
    mailbox.offer("b", (2.0, "b1"))
    mailbox.offer("a", (6.0, "a2"))
    assert [name for _, name in mailbox.take(3).items] == ["b1", "a1", "a2"]


def test_items_of_many_rows_fill_their_last_batch_with_others() -> None:
    class Rows(Least):
        def rows(self, item: Item) -> int:
            return int(item[1])

    mailbox = box(order=Rows())
    for number, rows in ((1.0, "6"), (2.0, "1"), (3.0, "3")):
        mailbox.offer("a", (number, rows))
    mailbox.offer("b", (2.5, "1"))
    # 6 rows need 2 batches of 4, in which there is room for 2 more.
    assert [rows for _, rows in mailbox.take(4).items] == ["6", "1", "1"]
    batch = mailbox.take(4)
    assert [rows for _, rows in batch.items] == ["3"]
    assert batch.end is BatchEnd.WAIT


def test_a_batch_is_of_one_group() -> None:
    mailbox = box()
    mailbox.offer("c", (1.0, "c1"))
    mailbox.offer("a", (2.0, "a1"))
    mailbox.offer("c", (3.0, "c2"))
    assert [name for _, name in mailbox.take(8).items] == ["c1", "c2"]
    assert [name for _, name in mailbox.take(8).items] == ["a1"]


def test_a_full_lane_pushes_out_its_own_oldest() -> None:
    mailbox = box(depth=2)
    assert mailbox.offer("b", (0.0, "b1")) is None
    assert mailbox.offer("a", (1.0, "a1")) is None
    assert mailbox.offer("a", (2.0, "a2")) is None
    assert mailbox.offer("a", (3.0, "a3")) == (1.0, "a1")
    assert len(mailbox) == 3


def test_put_waits_for_room() -> None:
    mailbox = box(depth=1)
    mailbox.put("a", (1.0, "a1"))
    done = threading.Event()

    def put() -> None:
        mailbox.put("a", (2.0, "a2"))
        done.set()

    thread = threading.Thread(target=put)
    thread.start()
    assert [name for _, name in mailbox.take(1).items] == ["a1"]
    assert done.wait(30)
    thread.join(30)
    assert [name for _, name in mailbox.take(1).items] == ["a2"]


def test_closing_wakes_a_waiting_put() -> None:
    mailbox = box(depth=1)
    mailbox.put("a", (1.0, "a1"))
    raised = threading.Event()

    def put() -> None:
        with pytest.raises(Closed):
            mailbox.put("a", (2.0, "a2"))
        raised.set()

    thread = threading.Thread(target=put)
    thread.start()
    mailbox.close()
    assert raised.wait(30)
    thread.join(30)
    assert [name for _, name in mailbox.take(9).items] == ["a1"]


def test_closed_hands_out_what_it_holds_then_raises() -> None:
    mailbox = box()
    mailbox.offer("a", (1.0, "a1"))
    mailbox.close()
    batch = mailbox.take(2, linger=60.0)
    assert batch.items == [(1.0, "a1")]
    assert batch.end is BatchEnd.CLOSED
    with pytest.raises(Closed):
        mailbox.take(1)
    with pytest.raises(Closed):
        mailbox.offer("a", (1.0, "late"))


def test_lingers_until_full() -> None:
    mailbox = box()
    mailbox.offer("a", (1.0, "a1"))
    taken: list[object] = []
    thread = threading.Thread(target=lambda: taken.append(mailbox.take(2, linger=60.0)))
    thread.start()
    mailbox.offer("b", (2.0, "b1"))
    thread.join(30)
    assert not thread.is_alive()
    (batch,) = taken
    assert batch.items == [(1.0, "a1"), (2.0, "b1")]  # type: ignore[attr-defined]
    assert batch.end is BatchEnd.FULL  # type: ignore[attr-defined]


class Groups(Order[Item]):
    """A group is the first letter of an item's name; tells when `name` was taken."""

    def __init__(self) -> None:
        self.took_a1 = threading.Event()

    def group(self, item: Item) -> str:
        return item[1][0]

    def rows(self, item: Item) -> int:
        return round(item[0])

    def taken(self, item: Item) -> None:
        if item[1] == "a1":
            self.took_a1.set()


@pytest.mark.parametrize("other", [(1.0, "b1"), (9.0, "a2")], ids=["another group", "does not fit"])
def test_who_lingers_leaves_what_it_does_not_take_to_who_is_idle(other: Item) -> None:
    order = Groups()
    mailbox = box(order=order)
    taken: queue.SimpleQueue[list[Item]] = queue.SimpleQueue()

    def take(linger: float) -> None:
        taken.put(mailbox.take(4, linger=linger).items)

    lingering = threading.Thread(target=take, args=(60.0,))
    lingering.start()
    mailbox.offer("a", (1.0, "a1"))
    assert order.took_a1.wait(30)  # it gives up the lock only to linger
    idle = threading.Thread(target=take, args=(0.0,))
    idle.start()
    until(lambda: len(mailbox._filled._waiters) > 0)  # type: ignore[attr-defined]
    mailbox.offer("b", other)
    assert taken.get(timeout=30) == [other]
    idle.join(30)
    assert lingering.is_alive()
    mailbox.offer("b", (3.0, "a3"))
    assert taken.get(timeout=30) == [(1.0, "a1"), (3.0, "a3")]
    lingering.join(30)


def test_an_empty_mailbox_gives_an_empty_batch_after_the_wait() -> None:
    assert box().take(1, wait=0.0).items == []


def test_without_an_order_lanes_are_served_in_turn() -> None:
    mailbox: Mailbox[str] = Mailbox({"a": 3, "b": 3})
    for key in "bab":
        mailbox.offer(key, key)
    assert mailbox.take(3).items == ["a", "b", "b"]


def test_lingering_ends_when_the_order_says_so() -> None:
    mailbox = box(order=Least(hurries=True))
    mailbox.offer("a", (time.monotonic() + 0.02, "a1"))
    batch = mailbox.take(2, linger=60.0)
    assert [name for _, name in batch.items] == ["a1"]
    assert batch.end is BatchEnd.DEADLINE


def test_whoever_joins_may_hurry_the_batch() -> None:
    mailbox = box(order=Least(hurries=True))
    mailbox.offer("a", (time.monotonic() + 60.0, "a1"))
    taken: list[Batch[Item]] = []
    thread = threading.Thread(target=lambda: taken.append(mailbox.take(3, linger=60.0)))
    thread.start()
    mailbox.offer("b", (time.monotonic(), "b1"))
    thread.join(30)
    (batch,) = taken
    assert {name for _, name in batch.items} == {"a1", "b1"}
    assert batch.end is BatchEnd.DEADLINE


def test_a_deadline_beyond_the_longest_wait_does_not_count() -> None:
    mailbox = box(order=Least(hurries=True))
    mailbox.offer("a", (time.monotonic() + 60.0, "a1"))
    assert mailbox.take(2, linger=0.001).end is BatchEnd.WAIT


def test_what_is_spoiled_is_dropped_and_told() -> None:
    order = Least(lambda item, _: item[0] < 0)
    mailbox = box(order=order)
    for key, item in (("a", (-1.0, "a1")), ("a", (2.0, "a2")), ("b", (-1.0, "b1")), ("a", (-1.0, "a3"))):
        mailbox.offer(key, item)
    assert [name for _, name in mailbox.take(8).items] == ["a2"]
    assert sorted(order.log) == [("lost", "a1"), ("lost", "a3"), ("lost", "b1"), ("taken", "a2")]
    assert mailbox.take(8, wait=0.0).items == []


def test_the_order_hears_whether_an_item_is_its_lanes_newest() -> None:
    mailbox = box(order=Least(lambda _, newest: not newest))
    for number in (1.0, 2.0, 3.0):
        mailbox.offer("a", (number, f"a{number:.0f}"))
    assert [name for _, name in mailbox.take(8).items] == ["a3"]


def test_the_order_hears_of_what_is_pushed_out() -> None:
    order = Least()
    mailbox = box(depth=1, order=order)
    mailbox.offer("a", (1.0, "a1"))
    mailbox.offer("a", (2.0, "a2"))
    assert order.log == [("lost", "a1")]


def test_who_waits_for_room_gets_that_of_what_is_spoiled() -> None:
    mailbox = box(depth=1, order=Least(lambda item, _: item[0] < 0))
    mailbox.put("a", (-1.0, "a1"))
    thread = threading.Thread(target=lambda: mailbox.put("a", (1.0, "a2")))
    thread.start()
    assert [name for _, name in mailbox.take(1).items] == ["a2"]
    thread.join(30)
    assert not thread.is_alive()


def test_closed_with_nothing_but_what_is_spoiled_is_closed() -> None:
    mailbox = box(order=Least(lambda *_: True))
    mailbox.offer("a", (1.0, "a1"))
    mailbox.close()
    with pytest.raises(Closed):
        mailbox.take(1)
    assert not len(mailbox)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(-20, 100)), max_size=60), st.integers(1, 7), st.booleans()
)
def test_nothing_is_lost_untold_or_doubled_and_lanes_keep_their_order(
    puts: list[tuple[str, int]], most: int, drops: bool
) -> None:
    order = Least(lambda item, _: drops and item[0] < 0)
    mailbox: Mailbox[Item] = Mailbox(dict.fromkeys("abc", 4), order)
    taken: list[str] = []
    for index, (key, number) in enumerate(puts):
        mailbox.offer(key, (number, f"{key}{index:02}"))
    mailbox.close()
    while len(mailbox):
        try:
            batch = [name for _, name in mailbox.take(most).items]
        except Closed:
            break
        assert 1 <= len(batch) <= most
        assert len({name[0] == "c" for name in batch}) == 1
        taken += batch
    assert [name for fate, name in order.log if fate == "taken"] == taken
    assert sorted(name[1:] for _, name in order.log) == [f"{index:02}" for index in range(len(puts))]
    for lane in "abc":
        names = [name for name in taken if name[0] == lane]
        assert names == sorted(names)
    if drops:
        assert not {name for name in taken if puts[int(name[1:])][1] < 0}
