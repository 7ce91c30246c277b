"""What remembers, put together as the configuration says: the ledger, the journal with its stages, and catch-up."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from inspector import address
from inspector.archive import Empty
from inspector.catchup.server import CatchUp
from inspector.clock import Clock
from inspector.guard import Guard
from inspector.journal.opening import Terms, opened, probe
from inspector.ledger import Ledger
from inspector.publisher import DAEMON, Keeping
from inspector.settings import Settings
from inspector.shifts import Shifts
from inspector.stage import Service
from inspector.types import Event

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """The ledger, and the journal if there is one.

    session: the number of the session that begins
    aside: the stages of the journal;  news: what became of the daemon before
    """

    ledger: Ledger
    session: int
    keeping: Keeping | None = None
    aside: Mapping[str, Service] = field(default_factory=dict)
    news: Sequence[Event] = ()


def open_record(stack: ExitStack, settings: Settings, cameras: Sequence[str], clock: Clock, rehearsal: bool) -> Record:
    """The record of a new session; `stack` closes it. In a rehearsal none is begun. Raises OutputError."""
    wish, shifts = settings.journal, Shifts(settings.journal.shifts)
    if wish.path is None:
        log.warning("nothing is kept: what a subscriber misses is lost to it; set journal.path")
    elif rehearsal:
        probe(wish.path)
    if wish.path is None or rehearsal:
        # Milliseconds since 1970 name the session: greater than that of every run before.
        return Record(Ledger(cameras), clock.wall_ns() // 1_000_000)
    terms = Terms(wish.path, wish.sync, wish.keep_days * 86_400, round(wish.max_gb * 1e9), wish.memory_mb << 20)
    stations = {station.name: station.cameras for station in settings.station}
    begun = stack.enter_context(
        opened(terms, settings.line, cameras, lambda: ledger.newly_captured(), shifts.at, clock, stations)
    )
    ledger = Ledger(cameras, shifts.at, begun.captures.count)
    news = []
    for loss in begun.losses:
        log.error("camera %s: %s", loss.camera, loss, extra={"camera": loss.camera})
        subject = loss.camera if loss.camera in cameras else DAEMON  # who is configured no more has no topic
        news.append(Event(subject, "cut-off", str(loss), clock.wall_ns()))
    for lost in begun.lost_parts:
        log.error("%s", lost)
        news.append(Event(DAEMON, "cut-off", str(lost), clock.wall_ns()))
    return Record(
        ledger,
        begun.session,
        Keeping(begun.journal, shifts.at, wish.results),
        {"journal": begun.journal, "keep": begun.keeper},
        news,
    )


def open_catchup(
    stack: ExitStack, settings: Settings, record: Record, clock: Clock, guard: Guard | None
) -> CatchUp | None:
    """What answers subscribers from the journal, if that is wished for; `stack` closes it. Raises OutputError."""
    publish = settings.publish
    if publish.catchup is None:
        return None
    archive = record.keeping.journal if record.keeping else Empty()  # a rehearsal has none
    context = None if guard is None else guard.context
    catchup = CatchUp(publish.catchup, archive, clock, publish.allow_plaintext, guard, context)
    stack.callback(catchup.close)
    log.info("catch-up at %s", catchup.endpoint)
    if (problem := address.out_of_reach(publish.catchup, publish.endpoint)) is not None:
        log.warning("%s", problem)
    return catchup
