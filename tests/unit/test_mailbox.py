from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.mailbox import BatchEnd, Closed, Mailbox


def box(depth: int = 3) -> Mailbox[tuple[float, str]]:
    lanes = {"a": ("m", depth), "b": ("m", depth), "c": ("other", depth)}
    return Mailbox(lanes, urgency=lambda item: (item[0],))


def test_most_urgent_first_across_lanes() -> None:
    mailbox = box()
    mailbox.offer("a", (5.0, "a1"))
    mailbox.offer("b", (2.0, "b1"))
    mailbox.offer("a", (6.0, "a2"))
    assert [name for _, name in mailbox.take(3).items] == ["b1", "a1", "a2"]


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
    assert done.wait(10)
    thread.join(10)
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
    assert raised.wait(10)
    thread.join(10)
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


def test_an_empty_mailbox_gives_an_empty_batch_after_the_wait() -> None:
    assert box().take(1, wait=0.0).items == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 100)), max_size=60), st.integers(1, 7))
def test_nothing_is_lost_or_doubled_and_lanes_keep_their_order(puts: list[tuple[str, int]], most: int) -> None:
    mailbox: Mailbox[tuple[int, str, int]] = Mailbox(
        {key: ("even" if key == "b" else "odd", 4) for key in "abc"}, urgency=lambda item: (item[0],)
    )
    pushed_out, taken = [], []
    for index, (key, urgency) in enumerate(puts):
        oldest = mailbox.offer(key, (urgency, key, index))
        if oldest is not None:
            pushed_out.append(oldest)
    mailbox.close()
    while len(mailbox):
        batch = mailbox.take(most).items
        assert 1 <= len(batch) <= most
        assert len({key == "b" for _, key, _ in batch}) == 1
        taken += batch
    assert sorted(index for _, _, index in pushed_out + taken) == list(range(len(puts)))
    for lane in "abc":
        order = [index for _, key, index in taken if key == lane]
        assert order == sorted(order)
