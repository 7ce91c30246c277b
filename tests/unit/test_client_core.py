"""The subscriber's core against everything that can happen between a daemon and it, by hypothesis."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from inspector import asking, codecs, wire
from inspector.archive import Chunk, Kept
from inspector.asking import Ask, AskSessions, Busy, ChunkAnswer, Refused, SessionsAnswer
from inspector.client.core import Core
from inspector.messages import EventMessage, Gone, Item
from inspector.types import Event
from inspector.wire import Encoder
from tests.archives import MemoryArchive
from tests.inspections import ng

ENDPOINT = "tcp://127.0.0.1:5600"
CATCHUP = "tcp://127.0.0.1:5601"
SUBJECTS = ("cam1", "cam2", "cam3")
TOPICS = [wire.topic("event", "line1", subject) for subject in SUBJECTS]
PREFIXES = ("event/", "beat/")
A_MESSAGE = 260
"""About its bytes."""

subjects = st.sampled_from(SUBJECTS)
fates = st.sampled_from(["arrives", "arrives", "is late", "is lost", "comes twice"])
answers = st.sampled_from(["comes", "comes", "comes", "is lost", "comes twice", "is late", "busy", "damaged"])


class World(RuleBasedStateMachine):
    """A daemon, its journal, a subscriber, and a network between them that does what it likes.

    `started` is what the subscriber owes: by topic, the session and sequence that it begins with. `at` is how far it
    came: by topic, session and sequence.
    """

    def __init__(self) -> None:
        super().__init__()
        self.archive = MemoryArchive()
        self.session = 100
        self.now = 0.0
        self.underway: dict[str, deque[list[bytes]]] = defaultdict(deque)
        self.late_answers: list[list[bytes]] = []
        self.at: dict[str, tuple[int, int]] = {}
        self.core: Core | None = None

    # ---- the daemon

    @precondition(lambda self: self.core is None)
    @rule(names=st.sets(subjects), explicit=st.booleans(), holds=st.integers(0, 6), before=st.integers(0, 3))
    def begin(self, names, explicit, holds, before):
        self.explicit, self.holds = explicit, holds
        self.start_daemon(names)
        for name in names:
            for _ in range(before):
                self.publish(name, "is lost", True)
        self.start_subscriber({})

    def start_daemon(self, names):
        self.encoder = Encoder("line1", self.session, "0" * 64, catchup=CATCHUP)
        self.archive.begin(self.session, [wire.topic("event", "line1", name) for name in sorted(names)])

    @precondition(lambda self: self.core)
    @rule(subject=subjects, fate=fates, number=st.integers(1, 6), kept=st.integers(0, 4))
    def publish_some(self, subject, fate, number, kept):
        for _ in range(number):
            self.publish(subject, fate, kept > 0)

    def publish(self, subject, fate, is_kept):
        topic = wire.topic("event", "line1", subject)
        sequence = self.archive.last().get(topic, 0) + 1
        parts = self.encoder.event(Event(subject, "up", f"{self.session} {sequence}", 5), sequence)
        assert self.archive.keep(topic, parts) == sequence
        if not is_kept:
            self.archive.forget(self.session, topic, sequence, sequence)
        if fate != "is lost":
            self.underway[topic] += [parts] * (2 if fate == "comes twice" else 1)
        if fate != "is late":
            self.deliver(topic)

    @precondition(lambda self: self.core)
    @rule(topic=st.sampled_from(TOPICS))
    def deliver(self, topic):
        """What is late comes now, in its topic's order."""
        while self.underway[topic]:
            parts = self.underway[topic].popleft()
            message = wire.decode(parts)
            if message.session not in self.heard and message.session < max(self.heard, default=0):
                continue  # topics overtake each other, but not so far that a whole run comes after the next one
            self.hears(message.session, {topic: message.sequence - 1})
            self.core.live(parts)

    @precondition(lambda self: self.core)
    @rule(final=st.booleans())
    def beat(self, final):
        """It overtakes nothing: all that it tells of is here, or lost."""
        for topic in TOPICS:
            self.deliver(topic)
        self.hears(self.session, self.archive.last())
        self.is_told = True
        self.core.live(self.encoder.beat(self.archive.last(), 5, final))

    @precondition(lambda self: self.core)
    @rule(names=st.sets(subjects), times=st.integers(1, 3), unheard=st.integers(0, 2))
    def restart_daemon(self, names, times, unheard):
        for _ in range(times):
            self.session += 1
            self.start_daemon(names)
            for name in names:
                for _ in range(unheard):
                    self.publish(name, "is lost", True)

    @precondition(lambda self: self.core)
    @rule(topic=st.sampled_from(TOPICS), back=st.integers(0, 2), first=st.integers(1, 9), more=st.integers(0, 9))
    def retention(self, topic, back, first, more):
        self.archive.forget(self.session - back, topic, first, first + more)

    # ---- the subscriber

    def start_subscriber(self, position):
        self.core = Core(
            ENDPOINT, PREFIXES, frozenset({"event"}), position, CATCHUP if self.explicit else None,
            self.holds * A_MESSAGE,
        )  # fmt: skip
        self.is_told = self.explicit
        self.heard = {session for session, _ in position.values()}
        if not position:
            self.joined: int | None = None
            self.started: dict[str, tuple[int, int]] = {}
        for topic in set(self.started) - set(position):
            del self.started[topic]  # nothing of it was ever handed out, nor was it told where it begins
        assert set(self.at) <= set(position)

    def hears(self, session, told):
        """In the session that it came to late, a topic begins with what is heard of it first."""
        self.heard.add(session)
        if self.joined is None:
            self.joined = session
        if session == self.joined == max(self.heard):
            for topic, last in told.items():
                self.started.setdefault(topic, (session, last + 1))

    @precondition(lambda self: self.core)
    @rule(number=st.integers(1, 10))
    def take(self, number):
        for _ in range(number):
            if not self.take_one():
                return

    def take_one(self):
        item = self.core.take()
        if item is None:
            return False
        assert isinstance(item, EventMessage | Gone)
        if isinstance(item, Gone):
            topic, first, last = item.topic, item.first, item.last
            kept = self.archive.read(item.session, topic, first, last, 1 << 40).messages
            assert kept == (), "what is said to be gone is gone"
        else:
            topic = wire.topic("event", "line1", item.event.subject)
            first = last = item.sequence
            assert item.event.detail == f"{item.session} {first}"
        assert (item.session, first) == self.due(topic)
        assert first <= last
        self.at[topic] = item.session, last
        return True

    def due(self, topic):
        """What comes next of a topic: session and sequence; None where nothing does."""
        ends = {session.session: session.sequences.get(topic, 0) for session in self.archive.sessions(0)}
        if topic in self.at:
            session, last = self.at[topic]
            following = last + 1
        elif topic in self.started:
            session, following = self.started[topic]
        elif self.joined is None:
            return None
        else:
            session, following = self.joined, ends[self.joined] + 1
        while following > ends[session]:
            session, following = min((other for other in ends if other > session), default=None), 1
            if session is None:
                return None
        return session, following

    @precondition(lambda self: self.core)
    @rule()
    def restart_subscriber(self):
        self.underway.clear()
        self.late_answers.clear()
        self.start_subscriber(self.core.position())

    # ---- catch-up

    @precondition(lambda self: self.core)
    @rule(fate=answers, pause=st.sampled_from([0.0, 0.3, 4.0, 30.0]))
    def ask_some(self, fate, pause):
        self.ask(fate, pause)

    def ask(self, fate, pause):
        self.now += pause if self.is_told else 0.0
        requests = list(self.core.requests(self.now))
        for name, endpoint, request in requests:
            assert (name, endpoint) == ("line1", CATCHUP)
            parts = asking.encode_answer(self.answer(asking.decode_request(asking.encode_request(request)), fate))
            if fate == "is late":
                self.late_answers.append(parts)
            elif fate == "damaged":
                self.core.answered(name, [parts[0].replace(b'first":', b'first":1'), *parts[1:]], self.now)
                self.core.answered(name, [b"{}"], self.now)
            elif fate != "is lost":
                for _ in range(2 if fate == "comes twice" else 1):
                    self.core.answered(name, parts, self.now)
        return len(requests)

    @precondition(lambda self: self.late_answers)
    @rule()
    def late_answers_come(self):
        while self.late_answers:
            self.core.answered("line1", self.late_answers.pop(), self.now)

    def answer(self, request, fate):
        if fate == "busy":
            return Busy(request.id, 0.2)
        if isinstance(request, AskSessions):
            return SessionsAnswer(request.id, tuple(self.archive.sessions(request.since)[:2]))
        assert isinstance(request, Ask)
        of = request.session, request.topic, request.first, request.last
        return ChunkAnswer(request.id, self.archive.read(*of, 4 * A_MESSAGE))

    # ---- the end

    def teardown(self):
        """The network heals: all that was owed comes, and nothing else."""
        if self.core is None:
            return
        self.beat(True)
        for _ in range(3000):
            asked = self.ask("comes", 4.0)
            took = self.take_one()
            if not self.core.waits and not asked and not took:
                break
        assert not self.core.waits
        assert {topic: self.due(topic) for topic in TOPICS} == dict.fromkeys(TOPICS)
        assert self.core._room.take(self.holds * A_MESSAGE), "nothing is held any more"


class TestWorld(World.TestCase):
    settings = settings(max_examples=300, stateful_step_count=40)


@pytest.mark.full
class TestWorldForLong(World.TestCase):
    settings = settings(max_examples=1000, stateful_step_count=50)


# ---- what hypothesis found, and what it seldom would


def late_listener() -> World:
    """It came into session 100, before there was any message, and has heard of 101."""
    world = World()
    world.begin(before=0, explicit=False, holds=6, names=set())
    world.beat(final=False)
    world.restart_daemon(names=set(), times=1, unheard=0)
    return world


def test_a_topic_that_is_new_in_a_later_session_is_not_forgotten_by_a_restart():
    world = late_listener()
    world.publish("cam1", "arrives", True)
    world.ask("comes", 0.0)
    world.take(number=2)
    world.publish("cam2", "arrives", True)
    world.restart_subscriber()
    world.teardown()


def test_a_topic_that_was_new_after_the_list_was_made_is_caught_up_with():
    world = late_listener()
    world.beat(final=False)
    world.ask("comes", 0.0)
    world.publish("cam1", "is lost", True)
    world.restart_daemon(names=set(), times=1, unheard=0)
    world.teardown()


def test_a_list_that_was_made_before_a_session_ended_does_not_count():
    world = late_listener()
    world.beat(final=False)
    world.ask("is late", 0.0)
    world.publish("cam1", "is lost", True)
    world.restart_daemon(names=set(), times=1, unheard=0)
    world.beat(final=False)
    world.late_answers_come()
    world.publish("cam1", "arrives", True)
    world.teardown()


def gap() -> World:
    """Message 1 of cam1 was handed out, 2 and 3 are missing, 4 is held."""
    world = World()
    world.begin(before=0, explicit=True, holds=6, names={"cam1"})
    for fate in ("arrives", "is lost", "is lost", "arrives"):
        world.publish("cam1", fate, True)
    world.take(number=1)
    return world


def test_what_is_held_is_not_gone_though_the_journal_lost_it():
    world = gap()
    world.archive.forget(100, TOPICS[0], 1, 9)
    ((name, _, request),) = world.core.requests(0.0)
    lost = Chunk(100, TOPICS[0], 2, 3, (), ((2, 3),))
    third = world.encoder.event(Event("cam1", "up", "100 3", 5), 3)
    world.core.live(third)
    world.core.answered(name, asking.encode_answer(ChunkAnswer(request.id, lost)), 0.0)
    items = [world.core.take() for _ in range(3)]
    assert items[0] == Gone("line1", TOPICS[0], 100, 2, 2)
    assert [item.sequence for item in items[1:]] == [3, 4]
    assert world.core.counts.missing == {TOPICS[0]: 1}


def test_an_answer_to_something_else_is_malformed_and_the_right_one_still_counts():
    world = gap()
    ((name, _, request),) = world.core.requests(0.0)
    kept = world.archive.read(100, TOPICS[0], 2, 3, 1 << 20)
    for wrong in (
        ChunkAnswer(request.id, replace(kept, topic=TOPICS[1])),
        ChunkAnswer(request.id, replace(kept, session=99)),
        ChunkAnswer(request.id, world.archive.read(100, TOPICS[0], 2, 4, 1 << 20)),
        ChunkAnswer(request.id, world.archive.read(100, TOPICS[0], 3, 3, 1 << 20)),
        SessionsAnswer(request.id, ()),
    ):
        world.core.answered(name, asking.encode_answer(wrong), 0.0)
        assert world.core.take() is None
    assert world.core.counts.malformed == 5
    world.core.answered(name, asking.encode_answer(ChunkAnswer(request.id, kept)), 0.0)
    assert [world.core.take().sequence for _ in range(3)] == [2, 3, 4]


def test_a_kept_message_that_cannot_be_read_is_gone():
    world = gap()
    ((name, _, request),) = world.core.requests(0.0)
    good = world.archive.read(100, TOPICS[0], 2, 3, 1 << 20).messages
    for_another = Kept(2, good[1].parts)  # says of itself that it is number 3
    answer = ChunkAnswer(request.id, Chunk(100, TOPICS[0], 2, 3, (for_another, Kept(3, (b"?",))), ()))
    world.core.answered(name, asking.encode_answer(answer), 0.0)
    gone = [world.core.take(), world.core.take()]
    assert [(item.first, item.last) for item in gone] == [(2, 2), (3, 3)]
    assert world.core.counts.malformed == 2


def test_what_is_refused_is_gone():
    world = gap()
    ((name, _, request),) = world.core.requests(0.0)
    world.core.answered(name, asking.encode_answer(Refused(request.id, "no")), 0.0)
    assert world.core.take() == Gone("line1", TOPICS[0], 100, 2, 3)
    assert world.core.take().sequence == 4


def test_a_request_is_made_again_when_no_answer_comes_or_later_when_it_could_not_be_sent():
    world = gap()
    ((name, _, request),) = world.core.requests(0.0)
    assert list(world.core.requests(2.9)) == []
    ((_, _, again),) = world.core.requests(3.0)
    assert again == replace(request, id=again.id)
    world.core.unsent(name, again, 3.0)
    assert list(world.core.requests(3.05)) == []
    assert len(list(world.core.requests(3.2))) == 1


def test_an_answer_that_comes_late_counts_and_then_those_to_what_was_asked_again_do_not():
    world = gap()
    ((name, _, first),) = world.core.requests(0.0)
    ((_, _, again),) = world.core.requests(3.0)
    world.core.answered(name, asking.encode_answer(world.answer(first, "comes")), 4.0)
    assert [world.core.take().sequence for _ in range(3)] == [2, 3, 4]
    for request in (first, again, again):
        world.core.answered(name, asking.encode_answer(world.answer(request, "comes")), 5.0)
    assert (world.core.take(), world.core.waits) == (None, False)


def test_a_list_that_comes_late_counts_once():
    world = late_listener()
    world.publish("cam1", "arrives", True)
    ((name, _, first),) = world.core.requests(0.0)
    ((_, _, again),) = world.core.requests(3.0)
    for request in (first, again):
        world.core.answered(name, asking.encode_answer(world.answer(request, "comes")), 4.0)
    assert not world.core.waits
    world.teardown()


def test_a_late_refusal_to_wait_does_not_count_and_one_to_answer_does():
    world = gap()
    ((name, _, first),) = world.core.requests(0.0)
    ((_, _, again),) = world.core.requests(3.0)
    world.core.answered(name, asking.encode_answer(Busy(first.id, 30.0)), 4.0)
    world.core.unsent(name, again, 4.0)
    assert len(list(world.core.requests(5.0))) == 1
    world.core.answered(name, asking.encode_answer(Refused(again.id, "no")), 5.0)
    assert world.core.take() is None, "it was never sent"


def test_each_time_that_no_answer_comes_it_is_waited_for_longer_up_to_a_minute():
    world = gap()
    asked = [second for second in range(300) for _ in world.core.requests(float(second))]
    assert asked == [0, 3, 9, 21, 45, 93, 153, 213, 273]


def test_a_slow_network_is_not_filled_with_what_was_asked_before():
    """An answer takes it 10 s, and the server drops what does not fit in its queue of 16."""
    world = World()
    world.begin(before=0, explicit=True, holds=6, names=set(SUBJECTS))
    for name in SUBJECTS:
        for fate in ["arrives"] + ["is lost"] * 40:
            world.publish(name, fate, True)
    world.beat(final=False)
    queue: deque[list[bytes]] = deque()
    came = 0
    for second in range(1, 2000):
        for _, _, request in world.core.requests(float(second)):
            if len(queue) < 16:
                queue.append(asking.encode_answer(world.answer(request, "comes")))
        if second % 10 == 0 and queue:
            world.core.answered("line1", queue.popleft(), float(second))
            came += 1
        while world.take_one():
            pass
    assert not world.core.waits
    assert came <= 60, "30 would do"
    world.teardown()


def beats(world: World, seconds: range, sent: bool) -> list[Item]:
    """What is handed out while the daemon beats and does not answer; whether requests can be sent at all."""
    items: list[Item] = []
    for second in seconds:
        world.core.live(world.encoder.beat(world.archive.last(), 5, False))
        for name, _, request in world.core.requests(float(second)):
            if not sent:
                world.core.unsent(name, request, float(second))
        items += iter(world.core.take, None)
    return items


def test_what_nobody_can_be_asked_for_though_the_daemon_beats_is_given_up_and_what_is_missing_later_is_asked_for():
    world = gap()
    assert beats(world, range(100, 158), sent=False) == []
    gone, fourth = beats(world, range(158, 164), sent=False)
    assert gone == Gone("line1", TOPICS[0], 100, 2, 3, f"catch-up at {CATCHUP} does not answer")
    assert (fourth.sequence, world.core.waits, world.core.counts.missing) == (4, False, {TOPICS[0]: 2})
    world.at[TOPICS[0]] = 100, 4
    world.publish("cam1", "is lost", True)
    world.teardown()
    assert world.core.counts.missing == {TOPICS[0]: 2}


def test_a_session_whose_beginning_nobody_can_be_asked_for_is_gone_on_to():
    world = late_listener()
    world.publish("cam1", "arrives", True)
    assert beats(world, range(100, 158), sent=False) == []
    assert [item.sequence for item in beats(world, range(158, 164), sent=False)] == [1]
    assert not world.core.waits


def test_a_daemon_that_is_down_or_busy_or_not_looked_at_for_long_is_waited_for():
    world = gap()
    for second in range(10_000):  # nobody beats
        for name, _, request in world.core.requests(float(second)):
            world.core.unsent(name, request, float(second))
    for _ in range(1000):  # all at once
        world.core.live(world.encoder.beat(world.archive.last(), 5, False))
    assert beats(world, range(11_000, 30_000, 1000), sent=False) == []
    for second in range(30_000, 31_000):
        world.core.live(world.encoder.beat(world.archive.last(), 5, False))
        for name, _, request in world.core.requests(float(second)):
            world.core.answered(name, asking.encode_answer(Busy(request.id, 60.0)), float(second))
    assert world.core.take() is None
    world.now = 31_000.0
    world.teardown()
    assert world.core.counts.missing == {}


def test_an_answer_that_takes_minutes_is_waited_for_and_one_that_takes_longer_is_not():
    world = gap()
    ((name, _, request),) = world.core.requests(0.0)
    assert beats(world, range(1, 500), sent=True) == []
    world.core.answered(name, asking.encode_answer(world.answer(request, "comes")), 500.0)
    assert [world.core.take().sequence for _ in range(3)] == [2, 3, 4]
    world = gap()
    assert beats(world, range(598), sent=True) == []
    assert [item.kind for item in beats(world, range(598, 604), sent=True)] == ["gone", "event"]


def test_without_any_beat_a_gap_is_given_up_after_a_while():
    core = Core(ENDPOINT, PREFIXES, frozenset({"event"}), {}, None, 1 << 20)
    encoder = Encoder("line1", 7, "0" * 64)
    for sequence in (1, 3):
        core.live(encoder.event(Event("cam1", "up", "", 5), sequence))
    assert core.take().sequence == 1
    assert list(core.requests(10.0)) == []
    assert list(core.requests(14.9)) == []
    assert core.take() is None
    assert list(core.requests(15.0)) == []
    assert core.take() == Gone("line1", TOPICS[0], 7, 2, 2)
    assert core.take().sequence == 3


def test_a_daemon_whose_clock_was_set_back_without_a_journal_is_followed():
    core = Core(ENDPOINT, PREFIXES, frozenset({"event"}), {}, None, 1 << 20)
    for session, sequences in ((700, (1, 2)), (300, (1, 3))):
        encoder = Encoder("line1", session, "0" * 64)
        core.live(encoder.beat({}, 5, False))
        for sequence in sequences:
            core.live(encoder.event(Event("cam1", "up", "", 5), sequence))
    items = []
    while (item := core.take()) is not None:
        items.append((item.session, item.kind))
    assert items == [(700, "event"), (700, "event"), (300, "event"), (300, "gone"), (300, "event")]


def test_previews_are_handed_out_as_they_come_to_whoever_asked_for_them():
    inspection = ng()
    parts = Encoder("line1", 7, "0" * 64).preview(inspection, codecs.preview(inspection.frame.image))
    for wanted, handed in ((frozenset({"preview"}), 2), (frozenset({"verdict"}), 0)):
        core = Core(ENDPOINT, ("preview/", "verdict/", "beat/"), wanted, {}, None, 1 << 20)
        core.live(parts)
        core.live(parts)
        items = list(iter(core.take, None))
        assert [item.frame for item in items] == [1] * handed
        assert not core.waits
        assert core.position() == {}
        assert core.counts.duplicates == 0
