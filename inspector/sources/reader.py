"""The one loop over every source: stamp, number, queue; and for a live one, open it again after a failure."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from inspector.clock import Clock
from inspector.condition.checks import Values
from inspector.condition.limits import Limits
from inspector.condition.monitor import Finding, Monitor
from inspector.condition.presence import DELIVERS, SHORTEST_SILENCE, Presence, State
from inspector.errors import ModelError, RefusedError, SourceError
from inspector.ledger import Ledger
from inspector.logs import Tally
from inspector.mailbox import Closed, Mailbox
from inspector.matching import Trigger, Triggers
from inspector.redact import redact
from inspector.sources import Source
from inspector.sources.throttle import Throttle
from inspector.types import MAX_CHANNELS, Cause, Event, Frame, Image, Inspection, Reason, Shot, Span, Verdict

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE, REFUSED_PAUSE = 0.5, 1.0, 60.0
"""Seconds before a lost camera is opened again: the first time, and at the most (it doubles, with jitter).

One that is away is asked at least every second, so that the line has it back at once; that costs it nothing while it
is away. One that is there and refuses is asked less and less: too many wrong passwords lock a user out.
"""
FEW_REFUSALS = 4
"""In a row they are nothing: a camera that has just started refuses at first."""
KNOWN = 60.0
"""Seconds after its last frame in which a camera knows us: it refuses as its network has just come back, say."""
REPEAT = 600.0
"""Seconds after which it is said again that a camera is lost for the same reason."""


@dataclass(slots=True)
class CameraState:
    """What the metrics read of a camera; written by its reader. `last_frame`: wall clock, seconds, 0 for none.

    partless: frames without a part's id
    """

    presence: Presence
    monitor: Monitor
    reconnects: int = 0
    last_frame: float = 0.0
    partless: int = 0

    @property
    def state(self) -> State:
        """What it does."""
        return self.presence.state

    @property
    def up(self) -> bool:
        """Whether it delivers frames."""
        return self.state in DELIVERS

    @property
    def failing(self) -> frozenset[Cause]:
        """The checks of its pictures that fail."""
        return self.monitor.failing

    @property
    def values(self) -> Values:
        """The last picture's, by check."""
        return self.monitor.values


NOTHING = Limits({})
"""Decides nothing."""
_NOTHING_FOUND = Finding()
_GOOD_NEWS = (State.STREAMING, State.ENDED, "healthy")


class Reader:
    """Reads one camera; `run` is its thread's body.

    fit: makes of a picture [H,W,C] what the detector takes, or raises ModelError: the frame is `unknown: model`. It is
    done here, where the picture is still in the cache of the core that decoded it, and by every camera's thread for
    itself, so that the workers are left to the models.
    deadline: seconds from capture until a live camera's verdict is due. A source that is not live waits for room in
    the queue instead of losing frames, and has no deadline: no part passes by a file.
    throttle: what a live camera's frames have to pass before anything is done with them
    monitor: looks at each picture before that; one that cannot be judged is `unknown: camera`, and never queued
    silence: seconds without a frame before a live camera counts as stalled, at the least
    triggers: say which part each frame is of, where the camera is triggered; else the source may know
    on_capture: told of every frame once the ledger has it, and maybe its verdict too
    """

    def __init__(
        self,
        camera: str,
        source: Source,
        fit: Callable[[Image], Image],
        deadline: float,
        ledger: Ledger,
        inbox: Mailbox[Frame],
        settle: Callable[[Inspection], None],
        announce: Callable[[Event], None],
        clock: Clock,
        monitor: Monitor | None = None,
        silence: float = SHORTEST_SILENCE,
        triggers: Triggers | None = None,
        throttle: Throttle | None = None,
        on_capture: Callable[[Frame], None] = lambda _: None,
    ) -> None:
        self.camera = camera
        self.state = CameraState(Presence(source.live, silence), monitor or Monitor(NOTHING))
        self.failed = False
        self._source = source
        self._fit = fit
        self._deadline = deadline if source.live else float("inf")
        self._ledger = ledger
        self._inbox = inbox
        self._settle = settle
        self._announce = announce
        self._clock = clock
        self._triggers = triggers
        self._on_capture = on_capture
        self._throttle = throttle if source.live else None
        self._stopping = threading.Event()
        self._changing = threading.RLock()  # so that events come in the order of the changes
        self._entering = threading.Lock()
        self._number = 0
        self._latest = float("-inf")
        self._said, self._said_at = "", float("-inf")
        self._unreadable = Tally(log, logging.WARNING, f"camera {camera}: {{count}} unusable, last {{detail}}", clock)

    def run(self, beat: Callable[[], None]) -> None:
        """Read until the source comes to its end, or until `stop`."""
        try:
            self._run(beat)
        finally:
            self._unreadable.flush()

    def _run(self, beat: Callable[[], None]) -> None:
        pause, refusals = FIRST_PAUSE / 2, 0
        while not self._stopping.is_set():
            before = self._number
            try:
                self._read(beat)
                self._down(State.ENDED, "the source was stopped or came to its end")
                return
            except Closed:
                return
            except SourceError as error:
                if self._stopping.is_set():
                    return
                self._down(State.LOST, str(error))
                if not self._source.live:
                    self.failed = True
                    return
                refusals = refusals + 1 if isinstance(error, RefusedError) else 0
                is_known = self._clock.monotonic() - self._latest < KNOWN
                longest = LONGEST_PAUSE if is_known or refusals <= FEW_REFUSALS else REFUSED_PAUSE
            pause = FIRST_PAUSE if self._number > before else min(2 * pause, longest)
            self._stopping.wait(pause * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, no secret
            self.state.reconnects += 1

    def stop(self) -> None:
        """Read nothing more; from any thread."""
        self._stopping.set()
        self._source.close()

    @property
    def stalls_at(self) -> float:
        """When `look` will find it stalled, unless a frame comes before: monotonic seconds, or infinity."""
        return self.state.presence.due

    def look(self, now: float) -> None:
        """Notice that frames stopped, which a thread that waits for one cannot; from any thread, and at once."""
        presence = self.state.presence
        if now < presence.due or not self._changing.acquire(blocking=False):
            return  # whose thread is about to tell of something else does not hang in its driver
        try:
            if presence.look(now) is not None:
                self._tell(State.STALLED, f"no frame for {presence.silent(now):.2g} s, though the source says nothing")
        finally:
            self._changing.release()

    def expire(self) -> None:
        """Give a verdict for each trigger whose frame did not come in time; from any thread."""
        if self._triggers is not None:
            with self._entering:
                missed = self._missed(self._triggers.expired(self._clock.monotonic()))
            self._settle_missed(missed, Reason.CAMERA)

    def abandon(self) -> None:
        """Give a verdict for each trigger that waits for its frame, and take no more; from any thread."""
        if self._triggers is not None:
            with self._entering:
                missed = self._missed(self._triggers.close())
            self._settle_missed(missed, Reason.SHUTDOWN)

    def _read(self, beat: Callable[[], None]) -> None:
        for shot in self._source.frames():
            if self._stopping.is_set():
                return
            now, now_ns = self._clock.monotonic(), self._clock.wall_ns()
            beat()
            with self._changing:
                if (state := self.state.presence.frame(now)) is not None:
                    self._tell(state, "frames arrive")
            age = _age(shot, now_ns)
            # Stamps never go back. The deadline counts from what the source said, so that no frame gains by that.
            self._latest = captured = max(now - age, self._latest)
            captured_ns = now_ns - round((now - captured) * 1e9)
            self.state.last_frame = captured_ns / 1e9
            self._take(shot, captured, captured_ns, now - age + self._deadline)

    def _take(self, shot: Shot, captured: float, captured_ns: int, deadline: float) -> None:
        """Account for the shot first; from then on it ends in a verdict, whatever happens."""
        fault = shot.fault if shot.image is None else _fault(shot.image)
        image = shot.image if fault is None else None
        now = self._clock.monotonic()
        stale = now >= deadline  # it came too old, and may push no other one out
        flood = not stale and image is not None and self._throttle is not None and not self._throttle.passes(now)
        passes = not (stale or flood)
        finding = self.state.monitor.look(image) if image is not None and passes else _NOTHING_FOUND
        fitted, misfit = self._fitted(image if passes and finding.cause is None else None)
        missed: list[Frame] = []
        part = shot.part
        with self._entering:  # a trigger is matched and its frame accounted for, or neither is
            if self._triggers is not None:
                trigger, gone = self._triggers.match(captured)
                part = None if trigger is None else trigger.part
                missed = self._missed(gone)
            frame = self._enter(captured_ns, captured, deadline, part, image, fitted, shot.reports)
        self._settle_missed(missed, Reason.CAMERA)
        self._on_capture(frame)
        self._report(finding, frame.number)
        self._unreadable.tick()
        if image is None:
            detail = f"frame {frame.number} ({frame.part or 'no part id'}): {fault or 'no picture'}"
            self._unreadable.add(1, detail)
            self._announce(Event(self.camera, "unreadable", detail, captured_ns))
            self._settle(Inspection(frame, Verdict.UNKNOWN, Reason.CAMERA, cause=shot.cause))
        elif finding.cause is not None:
            self._unreadable.add(1, f"frame {frame.number}: {finding.cause}: {finding.detail}")
            self._settle(Inspection(frame, Verdict.UNKNOWN, Reason.CAMERA, cause=finding.cause))
        elif misfit is not None:
            self._unreadable.add(1, f"frame {frame.number}: {misfit}")
            self._settle(Inspection(frame, Verdict.UNKNOWN, Reason.MODEL))
        elif stale or flood:
            self._settle(Inspection(frame, Verdict.UNKNOWN, Reason.DEADLINE if stale else Reason.OVERLOAD))
        elif self._source.live:
            pushed_out = self._inbox.offer(self.camera, frame)
            if pushed_out is not None:
                self._settle(Inspection(pushed_out, Verdict.UNKNOWN, Reason.OVERLOAD))
        else:
            self._inbox.put(self.camera, frame)

    def _report(self, finding: Finding, frame: int) -> None:
        """Tell of checks that begin to fail and of those that are well again; to be frozen is a state as well."""
        if finding.cause is None and not finding.over:
            return
        with self._changing:
            state = self.state.presence.repeating(Cause.FROZEN in self.state.failing)
            if state is not None:
                self._tell(state, f"frame {frame}: {finding.detail or 'its pictures change again'}")
            if finding.began not in (None, Cause.FROZEN):
                self._tell(finding.began, f"frame {frame}: {finding.detail}")
            for cause in finding.over:
                if cause is not Cause.FROZEN:
                    self._tell("healthy", f"frame {frame}: not {cause} any more")

    def _enter(
        self,
        captured_ns: int,
        captured: float,
        deadline: float,
        part: str | None,
        image: Image | None = None,
        fitted: Image | None = None,
        reports: Span | None = None,
    ) -> Frame:
        """Number a frame and open its account."""
        frame = Frame(self.camera, self._number + 1, captured_ns, captured, deadline, image, part, fitted, reports)
        self._ledger.open(frame)
        self._number += 1
        self.state.partless += part is None
        return frame

    def _missed(self, triggers: Sequence[Trigger]) -> list[Frame]:
        """Frames that should have been there."""
        due = self._clock.monotonic() + self._deadline
        return [self._enter(trigger.at_ns, trigger.at, due, trigger.part) for trigger in triggers]

    def _settle_missed(self, missed: Sequence[Frame], reason: Reason) -> None:
        for frame in missed:
            self._on_capture(frame)
            detail = f"frame {frame.number} ({frame.part}): no picture came for the trigger"
            self._announce(Event(self.camera, "missing", detail, self._clock.wall_ns()))
            cause = Cause.MISSING if reason is Reason.CAMERA else None
            self._settle(Inspection(frame, Verdict.UNKNOWN, reason, cause=cause))

    def _fitted(self, image: Image | None) -> tuple[Image | None, str | None]:
        """What the detector takes, or why it takes no such picture."""
        try:
            return (None if image is None else self._fit(image)), None
        except ModelError as error:
            return None, str(error)

    def _down(self, state: State, detail: str) -> None:
        presence, now = self.state.presence, self._clock.monotonic()
        with self._changing:
            news = detail != self._said or now - self._said_at >= REPEAT
            told = self.state.up or presence.state is State.STALLED or (state is State.LOST and news)
            (presence.lost if state is State.LOST else presence.ended)()
            if told:
                self._said, self._said_at = detail, now
                self._tell(state, detail)

    def _tell(self, state: str, detail: str) -> None:
        detail = redact(detail)  # sources of other packages may raise anything
        level = logging.INFO if state in _GOOD_NEWS else logging.WARNING
        log.log(level, "camera %s %s: %s", self.camera, state, detail)
        self._announce(Event(self.camera, state, detail, self._clock.wall_ns()))


def _age(shot: Shot, now_ns: int) -> float:
    """Seconds since its capture, as far as its source knows; no frame is from the future."""
    return 0.0 if shot.captured_ns is None else max((now_ns - shot.captured_ns) / 1e9, 0.0)


def _fault(image: np.ndarray) -> str | None:
    """Why `image` cannot be judged, if so; sources of other packages may hand out anything."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] > MAX_CHANNELS or 0 in image.shape:
        what = f"uint8 [height, width, 1 to {MAX_CHANNELS}]"
        return f"the picture is {image.dtype} {image.shape}; a source gives {what}"
    return None
