"""The whole flow. Read this first.

    reader (one a camera) -> inbox -> worker (one a core or GPU) -> outbox -> publisher -> outputs

A reader stamps a frame and enters it into the ledger; from then on the frame ends in exactly one verdict, by whoever
settles it first: a worker that inspected it, the watch at its deadline, its live camera's full queue, or the drain at
shutdown. Where several cameras see a part, its verdict follows theirs (parts.py). What is settled goes to the outbox;
the publisher has the journal keep it, if there is one, and then hands it out. Verdicts of frames that were refused at
the door wait a moment for more of their flood. A result that comes after its frame's verdict goes the same way as
evidence, but never out.

There is no batcher: a free worker takes the frame that the schedule puts first, lingers a moment for more of the same
model if no deadline forbids it, and goes; so load itself makes batches grow. A frame that is cut into tiles lets those
pass that are due before it, between two runs of the model. A defect that is found waits for its repair as long as its
own deadline and those of others allow, and leaves without it otherwise. A challenge (challenges/) goes the same way
after all frames, and into no account. The pipeline is handed what touches the world and opens nothing.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from inspector.challenges.challenger import LANE, Challenger, Challenges
from inspector.challenges.order import LastOfAll
from inspector.clock import Clock
from inspector.ledger import Ledger
from inspector.mailbox import Batch, Closed, Mailbox
from inspector.parts import Parts
from inspector.publisher import Publisher
from inspector.schedule import Schedule
from inspector.sources.intake import Camera
from inspector.sources.reader import Reader
from inspector.sources.state import CameraState
from inspector.stage import Service, Stage
from inspector.types import Challenge, Event, Frame, Image, Inspection, Late, PartVerdict, Reason, Standard, Verdict
from inspector.worker import Worker

log = logging.getLogger(__name__)

OUTBOX_DEPTH = 64
"""Inspections that may wait to be encoded, where memory allows; workers wait when it is full."""
REFUSALS_WAIT = 0.01
"""Seconds that verdicts of frames refused at the door may wait for more of them, while nothing else is due."""
LONGEST_WAIT = 0.25
"""Seconds after which an idle stage looks up, beats and waits again."""
SHORTEST_LOOK = 0.01
"""Seconds between two looks for cameras that stall: it need not be known as exactly as a deadline."""
SHORTEST_GRACE = 8.0
"""Seconds that who tells and keeps the last verdicts can count on a quarter of, however little time frames get."""
WORKERS_NICENESS = 5
"""So that a verdict that is due does not wait until a model gives up its core: by the kernel's tick that takes 4 ms."""


class Pipeline:
    """Joins `cameras`, `ledger`, `workers` and `publisher`.

    max_batch, max_wait: how many frames a worker takes at most, and how many seconds it lingers for more
    on_batch: told of every batch, by the workers' threads
    aside: what works beside the flow, by the names of their stages; begins before it and ends after it
    parts: those that several cameras see
    on_stage_end: called by a stage's thread when it returned or raised
    outbox_depth: inspections that may wait to be encoded; each may hold a picture
    challenges: by camera, of those that are challenged
    """

    def __init__(
        self,
        cameras: Sequence[Camera],
        ledger: Ledger,
        workers: Sequence[Worker],
        publisher: Publisher,
        max_batch: int,
        max_wait: float,
        on_batch: Callable[[Batch[Frame]], None],
        on_stage_end: Callable[[], None],
        clock: Clock,
        aside: Mapping[str, Service] = MappingProxyType({}),
        parts: Parts | None = None,
        outbox_depth: int = OUTBOX_DEPTH,
        challenges: Mapping[str, Challenges] = MappingProxyType({}),
    ) -> None:
        self.ledger = ledger
        self.parts = Parts() if parts is None else parts
        lanes = {camera.name: camera.queue for camera in cameras}
        self.challenger, self.schedule = None, Schedule(lanes, self.ledger.is_open, clock)
        if challenges:
            self.challenger = asker = Challenger(challenges, self._fit, self._pose, self.announce, clock)
            self.schedule = LastOfAll(lanes, self.ledger.is_open, clock, max_batch, asker.awaits, asker.dropped)
            lanes[LANE] = 1
        self.inbox = Mailbox(lanes, self.schedule)
        self.outbox: Mailbox[Inspection | PartVerdict | Late | Event] = Mailbox({"": outbox_depth})
        self.readers = [
            Reader(camera, self.ledger, self.inbox, self._settle, self.announce, clock, self._on_capture)
            for camera in cameras
        ]
        self._intakes = {reader.camera: reader.intake for reader in self.readers}
        self._publisher = publisher
        self._doubted: Set[str] = frozenset() if self.challenger is None else self.challenger.doubted
        self._max_batch, self._max_wait = max_batch, max_wait
        self._on_batch = on_batch
        self._clock = clock
        deadlines = [camera.deadline for camera in cameras] + self.parts.deadlines
        self._longest_nap = min([LONGEST_WAIT, *deadlines])
        # Whose frame comes as a repair begins shall have half of its time left when that is over.
        self._longest_repair = min((one.deadline for one in cameras if one.source.live), default=math.inf) / 2
        self._repairs_end = math.inf
        self._is_drained = False
        self._looks_at = math.inf  # when the watch looks next, unless it is hurried
        self._hurried = threading.Event()
        self._pressing = threading.Event()  # something came into the outbox that no flood of frames makes
        self._busy = [False] * len(workers)

        def stage(name: str, body: Callable[[Stage], None], niceness: int = 0) -> Stage:
            return Stage(name, body, clock, on_stage_end, niceness)

        self.reading = [stage(f"read-{reader.camera}", partial(self._read, reader)) for reader in self.readers]
        self.working = [
            stage(f"work-{index}", partial(self._work, index, worker), WORKERS_NICENESS)
            for index, worker in enumerate(workers)
        ]
        self.watching = stage("watch", self._watch)
        self.publishing = stage("publish", self._publish)
        services = dict(aside) if self.challenger is None else {**aside, "challenge": self.challenger}
        self._services = list(services.values())
        self.aside = [stage(name, partial(_serve, service), service.niceness) for name, service in services.items()]

    def start(self) -> None:
        """Start downstream first, so that nothing is handed to a stage that does not run yet."""
        for stage in (*self.aside, self.publishing, self.watching, *self.working, *self.reading):
            stage.start()

    @property
    def cameras(self) -> dict[str, CameraState]:
        """Their states, by name."""
        return {reader.camera: reader.state for reader in self.readers}

    def idle(self) -> bool:
        """Whether no frame waits, and a worker has nothing to do; from any thread."""
        return not len(self.inbox) and not all(self._busy)

    def announce(self, event: Event) -> None:
        """Publish an event; from any thread."""
        self._send(event)

    def challenge(self, cameras: Collection[str] | None = None) -> None:
        """Challenge all cameras that can be, or those of `cameras`, at once: their model is a new one; from any thread.

        A camera that was found blind says `ok` again only when it has passed.
        """
        if self.challenger is not None:
            self.challenger.begin(cameras)

    def drain(self, grace: float) -> int:
        """Stop upstream first, within `grace` seconds; the number of frames that had to end as `unknown: shutdown`.

        Soon no frame is captured any more, and every frame captured before gets its verdict, and every part.
        """
        end = self._clock.monotonic() + grace
        self._repairs_end = end - grace / 2
        if self.challenger is not None:
            self.challenger.stop()
        for reader in self.readers:
            reader.intake.abandon()
        self.ledger.close()
        closing = [
            threading.Thread(target=reader.stop, name=f"close-{reader.camera}", daemon=True) for reader in self.readers
        ]
        for thread in closing:
            thread.start()
        share = self._clock.monotonic() + grace / 4  # those that hang in a driver may not use up the workers'
        for thread in closing:
            thread.join(max(share - self._clock.monotonic(), 0.0))
        for stage in self.reading:
            stage.join(share - self._clock.monotonic())
        self.inbox.close()
        for stage in self.working:
            stage.join(end - self._clock.monotonic())
        cut = self.ledger.in_flight()
        for frame in cut:
            self._settle(Inspection(frame, Verdict.UNKNOWN, Reason.SHUTDOWN))
        self._send_all(self.parts.close())
        self._is_drained = True
        self._hurried.set()
        share = max(grace, SHORTEST_GRACE) / 4
        self.watching.join(share)
        self.outbox.close()
        if not self.publishing.join(max(end - self._clock.monotonic(), share)):
            log.error("some of the last verdicts are not published: that takes longer than there is time")
            self._publisher.cut_off()
        for service in self._services:
            service.stop()
        for stage in self.aside:
            stage.join(max(end - self._clock.monotonic(), share))
        return len(cut)

    def abandoned(self) -> list[str]:
        """The stages that did not come to their end in the drain."""
        stages = (*self.reading, *self.working, self.watching, self.publishing, *self.aside)
        return [stage.name for stage in stages if stage.alive]

    def _read(self, reader: Reader, stage: Stage) -> None:
        reader.run(stage.beat)

    def _work(self, index: int, worker: Worker, stage: Stage) -> None:
        while True:
            stage.beat()
            try:
                batch = self.inbox.take(self._max_batch, self._max_wait, wait=LONGEST_WAIT)
            except Closed:
                worker.flush()
                return
            if batch.items:
                self._busy[index] = True
                self._inspect(worker, batch, stage)
                self._busy[index] = False
            else:
                worker.tick()
            del batch  # a frame that is held holds its model

    def _inspect(self, worker: Worker, batch: Batch[Frame], stage: Stage) -> None:
        closed, lent = self._clock.monotonic(), 0.0
        challenger = self.challenger if isinstance(batch.items[0], Challenge) else None
        if challenger is None:
            settle, is_open = self._settle, self.ledger.is_open
            self._on_batch(batch)
        else:
            settle, is_open = challenger.judged, challenger.awaits

        def goes_on(frame: Frame) -> bool:
            """Serve who overtakes `frame`; whether it is still worth going on with."""
            nonlocal lent
            stage.beat()
            while (others := self.inbox.overtake(frame)).items:
                began = self._clock.monotonic()
                self._inspect(worker, others, stage)
                lent += self._clock.monotonic() - began
            return is_open(frame) and self._clock.monotonic() < frame.deadline

        def left(frame: Frame) -> float:
            """Seconds that there are for the verdict of `frame`."""
            stage.beat()
            return min(frame.deadline, self._repairs_end) - self._clock.monotonic()

        worker.inspect(batch.items, batch.opened, closed, settle, goes_on, left, self._longest_repair)
        if challenger is None:
            self.schedule.ran(batch.items, self._clock.monotonic() - closed - lent)

    def _watch(self, stage: Stage) -> None:
        """Settle frames and parts when they are due, and notice what stalls, by a clock that depends on nobody else."""
        while not self._is_drained:
            # Already now, lest a frame that comes while it looks is overlooked for the length of a nap.
            latest = self._looks_at = self._clock.monotonic() + self._longest_nap
            stage.beat()
            for reader in self.readers:
                reader.intake.expire()
            for frame in self.ledger.overdue(self._clock.monotonic()):
                self._settle(Inspection(frame, Verdict.UNKNOWN, Reason.DEADLINE))
            now = self._clock.monotonic()
            for reader in self.readers:
                reader.look(now)
            stall = min((reader.stalls_at for reader in self.readers), default=float("inf"))
            self._send_all(self.parts.overdue(self._clock.monotonic()))
            missing = min((reader.intake.expires_at for reader in self.readers), default=math.inf)
            due = min(self.ledger.next_deadline(), self.parts.next_deadline(), missing)
            self._looks_at = min(due, max(stall, now + SHORTEST_LOOK), latest)
            self._hurried.wait(max(self._looks_at - self._clock.monotonic(), 0.0))
            self._hurried.clear()

    def _publish(self, stage: Stage) -> None:
        try:
            while (items := self._outgoing()) is not None:
                stage.beat()
                self._publisher.tick()
                self._publisher.publish(items)
                self._publisher.pay()
                if items and all(map(_is_refusal, items)):
                    # A flood of them would else wake this thread each time, and push the workers of all cameras aside.
                    self._pressing.wait(REFUSALS_WAIT)
            self._publisher.goodbye()
        finally:
            self.outbox.close()  # nobody shall wait for room that nobody makes

    def _outgoing(self) -> Sequence[Inspection | PartVerdict | Late | Event] | None:
        """What is to be published next; None when nothing more comes, and no result is owed."""
        self._pressing.clear()
        owed = self._publisher.owed
        if owed >= OUTBOX_DEPTH:  # then others wait for room
            return []
        try:
            return self.outbox.take(OUTBOX_DEPTH - owed, wait=0.0 if owed else LONGEST_WAIT).items
        except Closed:
            return [] if owed else None

    def _on_capture(self, frame: Frame) -> None:
        self._send_all(self.parts.capture(frame))
        if min(frame.deadline, self.parts.due(frame)) < self._looks_at:  # it comes with an age
            self._hurried.set()

    def _fit(self, camera: str, image: Image) -> tuple[Standard, Image | None, str | None]:
        return self._intakes[camera].fit(image)

    def _pose(self, challenge: Challenge) -> None:
        self.inbox.offer(LANE, challenge)

    def _settle(self, inspection: Inspection) -> None:
        if self._doubted and inspection.verdict is Verdict.OK and inspection.frame.camera in self._doubted:
            inspection = replace(inspection, verdict=Verdict.UNKNOWN, reason=Reason.MODEL)
        for item in self.ledger.settle(inspection, self._clock.monotonic()):
            self._send(item)
            if isinstance(item, Inspection):  # its part's verdict comes after it
                self._send_all(self.parts.judge(item))

    def _send_all(self, parts: Sequence[PartVerdict]) -> None:
        for part in parts:
            self._send(part)

    def _send(self, item: Inspection | PartVerdict | Late | Event) -> None:
        try:
            self.outbox.put("", item)
        except Closed:
            log.warning("%s comes when nothing is published any more", type(item).__name__)
        if not _is_refusal(item):
            self._pressing.set()


def _is_refusal(item: Inspection | PartVerdict | Late | Event) -> bool:
    """Whether it is of a frame that was refused at the door, which may be one of a flood."""
    return isinstance(item, Inspection) and item.reason is Reason.OVERLOAD and item.frame.fitted is None


def _serve(service: Service, stage: Stage) -> None:
    service.run(stage.beat)
