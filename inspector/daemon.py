"""The daemon's life: start, ready, watch over the stages, drain with a deadline, exit code."""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType

from inspector import notify
from inspector.clock import Clock
from inspector.errors import InspectorError, ModelError, SourceError
from inspector.pipeline import SHORTEST_GRACE, Pipeline
from inspector.redact import redact
from inspector.stage import Stage
from inspector.types import Event, Verdict

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)
LONGEST_STOP = 2.5
"""Times the drain that a stop takes, where readers, the publisher and the journal use up their own shares as well."""
LONGEST_NAP = 1.0
"""Seconds between looks at the stages."""


class Wake:
    """What the daemon sleeps on. A signal handler may ring it: `SimpleQueue.put` is reentrant, an Event's is not."""

    def __init__(self) -> None:
        self._rings: queue.SimpleQueue[None] = queue.SimpleQueue()

    def ring(self) -> None:
        """Wake the sleeper; from any thread or signal handler."""
        self._rings.put(None)

    def sleep(self, seconds: float) -> None:
        """Sleep until somebody rings, at most `seconds`."""
        try:
            self._rings.get(timeout=seconds)
        except queue.Empty:
            return


class Daemon:
    """Runs a pipeline from start to exit.

    drain: seconds that captured frames get for their verdict at the end
    stall: seconds without a beat after which a worker, the watch, the publisher or what is `beside` counts as hung: it
    fails the health check, and the watchdog is no longer fed, so that systemd restarts the process. A reader may wait
    for its camera, and the journal for its disk, as long as they like; so may all others that no verdict waits for.
    news: events to be published first
    beside: stages that serve whoever is outside; watched like those, started and stopped by others
    reload: has the configuration read again, at SIGHUP, by another thread; it gives a sentence on what came of it, or
        raises InspectorError. Frames are judged meanwhile, and by what was in force where it fails
    status: makes a line for people of how the line does; without it, they are told the counts
    """

    def __init__(
        self,
        pipeline: Pipeline,
        wake: Wake,
        drain: float,
        stall: float,
        clock: Clock,
        news: Sequence[Event] = (),
        beside: Sequence[Stage] = (),
        reload: Callable[[], Future[str]] | None = None,
        status: Callable[[], str] | None = None,
    ) -> None:
        self.ready = False
        self._pipeline = pipeline
        self._wake = wake
        self._drain = drain
        self._stall = stall
        self._clock = clock
        self._beside = beside
        self._news = news
        self._signalled: signal.Signals | None = None
        self._reload = reload
        self._tell = status or self._status
        self._hung_up = False
        self._reloads: list[Future[str]] = []

    def run(self) -> int:
        """Run until a signal, the end of every source or a failed stage; the exit code."""
        with self._signals():
            self._pipeline.start()
            for event in self._news:
                self._pipeline.announce(event)
            self.ready = True
            notify.ready()
            self._announce("ready", f"{len(self._pipeline.readers)} camera(s)")
            log.info("ready")
            while self._signalled is None and not self._ended() and not self._failed():
                if not self.failing():
                    notify.watchdog()
                notify.status(self._line())
                self._wake.sleep(self._nap())
                self._see_to_reloads()
            return self._stop()

    def leave(self, code: int) -> None:
        """End the process with `code` where a thread of it did not end: one that comes back from a library's code while
        the interpreter closes would have it abort.
        """
        if abandoned := self._pipeline.abandoned():
            log.warning("ending without %s, which did not end", ", ".join(abandoned))
            logging.shutdown()
            os._exit(code)

    def failing(self) -> list[str]:
        """One line for each stage that died or hangs; empty when all is well."""
        lines = [redact(f"{stage.name}: {stage.error!r}") for stage in self._stages() if stage.error is not None]
        steady = (*self._pipeline.working, self._pipeline.watching, self._pipeline.publishing, *self._beside)
        lines += [
            f"{stage.name}: no progress for {stage.silence:.0f} s"
            for stage in steady
            if stage.alive and stage.silence > self._stall
        ]
        return lines

    def _stop(self) -> int:
        why = self._signalled.name if self._signalled else "a failed stage" if self._failed() else "all sources ended"
        log.info("stopping (%s): up to %.1f s for the frames in flight", why, self._drain)
        notify.stopping(LONGEST_STOP * max(self._drain, SHORTEST_GRACE))
        notify.status(f"stopping ({why}): {self._status()}")
        self.ready = False
        self._announce("stopping", why)
        cut = self._pipeline.drain(self._drain)
        if cut:
            log.warning("%d frame(s) were still in flight and ended as unknown: shutdown", cut)
        log.info("stopped: %s", self._status())
        if self._failed():
            return ModelError.exit_code
        if self._signalled is None and any(reader.failed for reader in self._pipeline.readers):
            return SourceError.exit_code
        return 0

    def _see_to_reloads(self) -> None:
        """Begin what SIGHUP asked for, and tell of what is done."""
        if self._hung_up:
            self._hung_up = False
            if self._reload is None:
                log.warning("SIGHUP: there is no configuration to be read again")
                return
            notify.reloading()
            log.info("reading the configuration again")
            future = self._reload()
            future.add_done_callback(lambda _: self._wake.ring())
            self._reloads.append(future)
        while self._reloads and self._reloads[0].done():
            self._tell_of(self._reloads.pop(0))
            if not self._reloads:
                notify.ready()

    def _tell_of(self, reload: Future[str]) -> None:
        try:
            outcome = reload.result()
        except InspectorError as error:
            log.error("not reloaded, all stays as it was: %s", error)
            self._announce("reload-refused", redact(str(error)))
        except Exception as error:  # a bug, which the line need not stop for
            log.exception("reloading failed")
            self._announce("reload-refused", redact(repr(error)))
        else:
            log.info("reloaded: %s", outcome)
            self._announce("reloaded", outcome)

    def _announce(self, state: str, detail: str) -> None:
        self._pipeline.announce(Event("daemon", state, detail, self._clock.wall_ns()))

    def _stages(self) -> Iterator[Stage]:
        yield from self._pipeline.reading
        yield from self._pipeline.working
        yield self._pipeline.watching
        yield self._pipeline.publishing
        yield from self._beside
        yield from self._pipeline.aside

    def _failed(self) -> bool:
        return any(stage.error is not None for stage in self._stages())

    def _ended(self) -> bool:
        """Whether every source came to its end and every frame has its verdict."""
        return not any(stage.alive for stage in self._pipeline.reading) and not self._pipeline.ledger.in_flight()

    def _nap(self) -> float:
        interval = notify.watchdog_interval()
        return LONGEST_NAP if interval is None else min(LONGEST_NAP, interval / 3)

    def _line(self) -> str:
        """What `systemctl status` shows: what hangs, then how the line does."""
        return "; ".join([*self.failing(), self._tell()])

    def _status(self) -> str:
        counts = self._pipeline.ledger.counts().values()
        total = dict.fromkeys(Verdict, 0)
        for count in counts:
            for (verdict, _), frames in count.verdicts.items():
                total[verdict] += frames
        up = sum(reader.state.up for reader in self._pipeline.readers)
        return (
            f"{up}/{len(self._pipeline.readers)} cameras, {sum(count.captured for count in counts)} frames: "
            + ", ".join(f"{frames} {verdict}" for verdict, frames in total.items())
        )

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The first signal drains; the second ends the process at once, with 128 + its number. SIGHUP reloads."""

        def handle(number: int, _: FrameType | None) -> None:
            if self._signalled is not None:
                os._exit(128 + number)
            self._signalled = signal.Signals(number)
            self._wake.ring()

        def hang_up(_: int, __: FrameType | None) -> None:
            self._hung_up = True
            self._wake.ring()

        if threading.current_thread() is not threading.main_thread():
            yield  # embedded in another program's thread, whose signals are not ours
            return
        before = {number: signal.signal(number, handle) for number in SIGNALS}
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, hang_up)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
