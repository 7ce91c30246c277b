"""The one loop over every source: stamp and take in; and for a live one, open it again after a failure."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from contextlib import suppress

from inspector.clock import Clock
from inspector.condition.limits import NOTHING
from inspector.condition.monitor import Finding, Monitor
from inspector.condition.presence import Presence, State
from inspector.errors import RefusedError, SourceError
from inspector.ledger import Ledger
from inspector.mailbox import Closed, Mailbox
from inspector.redact import redact
from inspector.sources import waits
from inspector.sources.intake import Camera, Intake
from inspector.sources.state import CameraState
from inspector.types import Cause, Event, Frame, Inspection, Shot

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

_GOOD_NEWS = (State.WAITING, State.STREAMING, State.ENDED, "healthy")


class Reader:
    """Reads one camera into the flow; `run` is its thread's body. The rest is as `Intake` has it."""

    def __init__(
        self,
        camera: Camera,
        ledger: Ledger,
        inbox: Mailbox[Frame],
        settle: Callable[[Inspection], None],
        announce: Callable[[Event], None],
        clock: Clock,
        on_capture: Callable[[Frame], None] = lambda _: None,
    ) -> None:
        self.camera = camera.name
        self.failed = False
        self.state = CameraState(Presence(camera.source.live, camera.silence), camera.monitor or Monitor(NOTHING))
        self.intake = Intake(camera, self.state, ledger, inbox, settle, announce, self._report, on_capture, clock)
        self._source = camera.source
        self._deadline = camera.deadline if camera.source.live else float("inf")
        self._announce = announce
        self._clock = clock
        self._stopping = threading.Event()
        self._changing = threading.RLock()  # so that events come in the order of the changes
        self._latest = float("-inf")
        self._said, self._said_at = "", float("-inf")
        self._puzzled = ""
        self._delivered = False  # whether a picture came since it was opened last
        self._seen = float("-inf")  # when the last one came

    def run(self, beat: Callable[[], None]) -> None:
        """Read until the source comes to its end, or until `stop`."""
        try:
            self._run(beat)
        finally:
            self.intake.flush()

    def _run(self, beat: Callable[[], None]) -> None:
        pause, refusals = FIRST_PAUSE / 2, 0
        while not self._stopping.is_set():
            self._delivered = False
            try:
                with suppress(Closed):  # the daemon stops, and takes no more frames
                    self._read(beat)
                self._down(State.ENDED, "the source was stopped or came to its end")
                return
            except Exception as error:  # also of a source that breaks its word, or of a bug: it hurts this camera alone
                if self._stopping.is_set():
                    return
                self._down(State.LOST, str(error) if isinstance(error, SourceError) else self._puzzle(error))
                if not self._source.live:
                    self.failed = True
                    return
                refusals = refusals + 1 if isinstance(error, RefusedError) else 0
                is_known = self._clock.monotonic() - self._seen < KNOWN
                longest = LONGEST_PAUSE if is_known or refusals <= FEW_REFUSALS else REFUSED_PAUSE
            pause = FIRST_PAUSE if self._delivered else min(2 * pause, longest)
            self._stopping.wait(pause * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, no secret
            self.state.reconnects += 1

    def _puzzle(self, error: Exception) -> str:
        """What to say of an exception that nobody foresaw; where it came from is logged when it is news."""
        detail = f"reading it failed with {error!r}"
        if detail != self._puzzled:
            self._puzzled = detail
            log.error("camera %s: %s", self.camera, detail, exc_info=error, extra={"camera": self.camera})
        return detail

    def stop(self) -> None:
        """Read nothing more; from any thread. It takes as long as the source takes to be closed."""
        self._stopping.set()
        try:
            self._source.close()
        except Exception:  # of sources of other packages anything: it must not keep others from their end
            log.exception("camera %s: its source could not be closed", self.camera, extra={"camera": self.camera})

    @property
    def stalls_at(self) -> float:
        """When `look` will find it stalled, unless a frame comes before: monotonic seconds, or infinity."""
        return self.state.presence.due

    def look(self, now: float) -> None:
        """Notice what a thread that waits for a frame cannot: that they stopped; from any thread, and at once."""
        presence = self.state.presence
        if (now < presence.due and not waits(self._source)) or not self._changing.acquire(blocking=False):
            return  # whose thread is about to tell of something else does not hang in its driver
        try:
            if presence.look(now) is not None:
                self._tell(State.STALLED, f"no frame for {presence.silent(now):.2g} s, though the source says nothing")
            elif waits(self._source) and (state := presence.waits()) is not None:
                self._tell(state, "it is there and waits for its trigger")
        finally:
            self._changing.release()

    def _read(self, beat: Callable[[], None]) -> None:
        asked = self._clock.monotonic()
        for shot in self._source.frames():
            if self._stopping.is_set():
                return
            now, now_ns = self._clock.monotonic(), self._clock.wall_ns()
            beat()
            if shot.image is not None:  # a stack has the pictures of its other cameras while one refuses
                self._delivered, self._seen = True, now
            if not shot.is_lost:  # many may be told of at once, which says nothing of the camera's pace
                with self._changing:
                    if (state := self.state.presence.frame(now)) is not None:
                        self._tell(state, "frames arrive")
            age = _age(shot, now_ns)
            # Stamps never go back. The deadline counts from what the source said, so that no frame gains by that.
            self._latest = captured = max(now - age, self._latest)
            captured_ns = now_ns - round((now - captured) * 1e9)
            self.state.last_frame = captured_ns / 1e9
            nap = self.intake.take(shot, captured, captured_ns, now - age + self._deadline)
            if (left := nap - (now - asked)) > 0:  # reading may take long enough: more would let frames wait and age
                self._stopping.wait(left)
            asked = self._clock.monotonic()

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
        about = {"camera": self.camera, "state": str(state)}
        log.log(level, "camera %s %s: %s", self.camera, state, detail, extra=about)
        self._announce(Event(self.camera, state, detail, self._clock.wall_ns()))


def _age(shot: Shot, now_ns: int) -> float:
    """Seconds since its capture, as far as its source knows; no frame is from the future."""
    return 0.0 if shot.captured_ns is None else max((now_ns - shot.captured_ns) / 1e9, 0.0)
