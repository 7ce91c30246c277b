"""The door of the flow: each picture of a camera is accounted for, looked at, and queued or settled at once."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from inspector.clock import Clock
from inspector.condition.monitor import Finding, Monitor
from inspector.condition.presence import SHORTEST_SILENCE
from inspector.errors import ModelError
from inspector.ledger import Ledger
from inspector.logs import Tally
from inspector.mailbox import Mailbox
from inspector.matching import Trigger, Triggers
from inspector.sources import Source
from inspector.sources.state import CameraState
from inspector.sources.throttle import Throttle
from inspector.types import MAX_CHANNELS, Cause, Event, Frame, Image, Inspection, Reason, Shot, Span, Standard, Verdict

log = logging.getLogger(__name__)

_NOTHING_FOUND = Finding()

REFUSED_NAP = 0.003
"""Seconds in which a camera is left alone after a frame that was refused as one too many, unless its throttle says so:
each one of a flood would else wake its thread, and want a verdict of its own, which costs the other cameras time."""
EXCESS = 1.0
"""Seconds after a frame beyond its rate for which a camera counts as one that sends too many."""


@dataclass(frozen=True, slots=True)
class Camera:
    """What the flow needs of a camera. queue: frames

    standard: asked once for each frame, what it is judged by. Its picture is then fitted by the camera's own thread,
        where it is still in the cache of the core that decoded it, so that the workers are left to the models; one that
        does not fit is `unknown: model`
    deadline: seconds from capture until a live camera's verdict is due. A source that is not live waits for room in
        the queue instead of losing frames, and has no deadline: no part passes by a file
    monitor: looks at each picture; one that cannot be judged is `unknown: camera`, and never queued. None: at nothing
    silence: seconds without a frame before a live camera counts as stalled, at the least
    triggers: say which part each frame is of, where the camera is triggered; else the source may know
    throttle: what a live camera's frames have to pass before anything is done with them
    """

    name: str
    source: Source
    standard: Callable[[], Standard]
    deadline: float
    queue: int
    monitor: Monitor | None = None
    silence: float = SHORTEST_SILENCE
    triggers: Triggers | None = None
    throttle: Throttle | None = None


class Intake:
    """Takes in the shots of `camera`, and its triggers that have none; what it learns of it goes to `state`.

    number: of the last frame
    settle: told of each verdict that is known already;  report: told of what the monitor found of each frame
    on_capture: told of every frame once the ledger has it, and maybe its verdict too
    """

    def __init__(
        self,
        camera: Camera,
        state: CameraState,
        ledger: Ledger,
        inbox: Mailbox[Frame],
        settle: Callable[[Inspection], None],
        announce: Callable[[Event], None],
        report: Callable[[Finding, int], None],
        on_capture: Callable[[Frame], None],
        clock: Clock,
    ) -> None:
        self.number = 0
        self._camera, self._state = camera, state
        self._ledger = ledger
        self._inbox = inbox
        self._settle, self._announce, self._report, self._on_capture = settle, announce, report, on_capture
        self._clock = clock
        self._patience = camera.deadline if camera.source.live else float("inf")
        self._entering = threading.Lock()
        says = f"camera {camera.name}: {{count}} unusable, last {{detail}}"
        self._unusable = Tally(log, logging.WARNING, says, clock, camera.name)
        self._puzzled = ""
        self._nap = REFUSED_NAP if camera.throttle is None else camera.throttle.nap
        self._is_left_alone = False  # since the last frame that came was refused as one too many
        self._exceeded = -math.inf  # when a frame came beyond the camera's rate, last

    def flush(self) -> None:
        """Log what was gathered for the log."""
        self._unusable.flush()

    def take(self, shot: Shot, captured: float, captured_ns: int, deadline: float) -> float:
        """Account for the shot first; from then on it ends in a verdict, whatever happens.

        Seconds in which the camera is to be left alone: above 0 where this frame was refused as one too many, `unknown:
        overload` without a look at it. So are those that the camera loses meanwhile.
        captured, deadline: monotonic seconds;  captured_ns: wall clock, nanoseconds since 1970 UTC
        """
        if shot.is_lost and self._was_triggered(captured):
            return 0.0
        fault = shot.fault if shot.image is None else _fault(shot.image)
        image = shot.image if fault is None else None
        too_much = self._unread(shot) if image is None else self._too_much(deadline)
        wanted = image if too_much is None else None
        standard = self._camera.standard()
        finding, fitted, misfit = self._look_at(wanted, standard, captured)
        missed: list[tuple[Frame, str]] = []
        part = shot.part
        with self._entering:  # a trigger is matched and its frame accounted for, or neither is
            if self._camera.triggers is not None and not shot.is_lost:
                trigger, gone = self._camera.triggers.match(captured)
                part = None if trigger is None else trigger.part
                missed = self._missed(gone)
            excess = captured - self._exceeded < EXCESS
            frame = self._enter(captured_ns, captured, deadline, part, standard, image, fitted, shot.reports, excess)
        self._settle_missed(missed, Reason.CAMERA)
        self._on_capture(frame)
        self._report(finding, frame.number)
        self._unusable.tick()
        if not shot.is_lost:
            self._is_left_alone = too_much is Reason.OVERLOAD
        if too_much is not None:
            self._settle(Inspection(frame, Verdict.UNKNOWN, too_much))
        elif image is None:
            self._spoiled(frame, fault or "no picture", shot.cause)
        elif finding.cause is not None:
            self._unusable.add(1, f"frame {frame.number}: {finding.cause}: {finding.detail}")
            self._settle(Inspection(frame, Verdict.UNKNOWN, Reason.CAMERA, cause=finding.cause))
        elif misfit is not None:
            self._unusable.add(1, f"frame {frame.number}: {misfit}")
            self._settle(Inspection(frame, Verdict.UNKNOWN, Reason.MODEL))
        else:
            self._queue(frame)
        return self._nap if self._is_left_alone and not shot.is_lost else 0.0

    def _was_triggered(self, captured: float) -> bool:
        """Whether a frame that the camera counted, and that never came, was a trigger's, which then has its verdict."""
        if self._camera.triggers is None:
            return False
        with self._entering:
            was_triggered, gone = self._camera.triggers.lost(captured)
            missed = self._missed(gone)
        self._settle_missed(missed, Reason.CAMERA)
        return was_triggered

    def expire(self) -> None:
        """Give a verdict for each trigger whose frame did not come in time; from any thread."""
        if self._camera.triggers is not None:
            with self._entering:
                missed = self._missed(self._camera.triggers.expired(self._clock.monotonic()))
            self._settle_missed(missed, Reason.CAMERA)

    @property
    def expires_at(self) -> float:
        """When `expire` will find a trigger without a frame, unless that comes before: monotonic seconds, or infinity.

        Or minus infinity, where it will find one now.
        """
        return math.inf if self._camera.triggers is None else self._camera.triggers.next_expiry()

    def abandon(self) -> None:
        """Give a verdict for each trigger that waits for its frame, and take no more; from any thread."""
        if self._camera.triggers is not None:
            with self._entering:
                missed = self._missed(self._camera.triggers.close())
            self._settle_missed(missed, Reason.SHUTDOWN)

    def _too_much(self, deadline: float) -> Reason | None:
        """Why a live camera's frame is not even looked at, if so."""
        now = self._clock.monotonic()
        if now >= deadline:  # it came too old, and may push no other one out
            return Reason.DEADLINE
        if not self._camera.source.live:
            return None
        return Reason.OVERLOAD if self._inbox.refuses(self._camera.name) or self._exceeds(now) else None

    def _unread(self, shot: Shot) -> Reason | None:
        """Overload, if a frame without a picture is one too many as well: its camera floods, or was left alone."""
        is_excess = self._is_left_alone if shot.is_lost else self._exceeds(self._clock.monotonic())
        return Reason.OVERLOAD if is_excess else None

    def _exceeds(self, now: float) -> bool:
        """Whether the frame that came is beyond what its camera may send."""
        throttle = self._camera.throttle
        if throttle is None or not self._camera.source.live or throttle.passes(now):
            return False
        self._exceeded = now
        return True

    def _queue(self, frame: Frame) -> None:
        if not self._camera.source.live:
            self._inbox.put(frame.camera, frame)
        elif (pushed_out := self._inbox.offer(frame.camera, frame)) is not None:
            self._settle(Inspection(pushed_out, Verdict.UNKNOWN, Reason.OVERLOAD))

    def _spoiled(self, frame: Frame, fault: str, cause: Cause) -> None:
        detail = f"frame {frame.number} ({frame.part or 'no part id'}): {fault}"
        self._unusable.add(1, detail)
        self._announce(Event(frame.camera, "unreadable", detail, frame.captured_ns))
        self._settle(Inspection(frame, Verdict.UNKNOWN, Reason.CAMERA, cause=cause))

    def _enter(
        self,
        captured_ns: int,
        captured: float,
        deadline: float,
        part: str | None,
        standard: Standard,
        image: Image | None = None,
        fitted: Image | None = None,
        reports: Span | None = None,
        excess: bool = False,
    ) -> Frame:
        """Number a frame and open its account."""
        name, number = self._camera.name, self.number + 1
        frame = Frame(name, number, captured_ns, captured, deadline, image, part, fitted, reports, standard, excess)
        self._ledger.open(frame)
        self.number = number
        self._state.partless += part is None
        return frame

    def _missed(self, triggers: Sequence[Trigger]) -> list[tuple[Frame, str]]:
        """Frames that should have been there, and why they are not."""
        due, standard = self._clock.monotonic() + self._patience, self._camera.standard()
        return [
            (self._enter(one.at_ns, one.at, due, one.part, standard), one.fault or "no picture came for the trigger")
            for one in triggers
        ]

    def _settle_missed(self, missed: Sequence[tuple[Frame, str]], reason: Reason) -> None:
        for frame, why in missed:
            self._on_capture(frame)
            detail = f"frame {frame.number} ({frame.part}): {why}"
            self._announce(Event(self._camera.name, "missing", detail, self._clock.wall_ns()))
            cause = Cause.MISSING if reason is Reason.CAMERA else None
            self._settle(Inspection(frame, Verdict.UNKNOWN, reason, cause=cause))

    def _look_at(
        self, image: Image | None, standard: Standard, captured: float
    ) -> tuple[Finding, Image | None, str | None]:
        """What the monitor finds, and what the detector is shown of a picture, or why it takes no such one."""
        finding = _NOTHING_FOUND
        if image is None:
            return finding, None, None
        try:
            finding = self._state.monitor.look(image, captured)
            return finding, *_shown(None if finding.cause else image, standard)
        except Exception as error:  # a picture that nobody foresaw costs its own verdict and nothing else
            detail = f"looking at it failed with {error!r}"
            if detail != self._puzzled:  # where it came from is told when it is news
                self._puzzled = detail
                camera = self._camera.name
                log.error("camera %s: %s", camera, detail, exc_info=error, extra={"camera": camera})
            return finding, None, detail

    def fit(self, image: Image) -> tuple[Standard, Image | None, str | None]:
        """What judges the camera's next frame, and what that is shown of a picture, or why it takes no such one."""
        standard = self._camera.standard()
        return standard, *_shown(image, standard)


def _shown(image: Image | None, standard: Standard) -> tuple[Image | None, str | None]:
    try:
        return None if image is None else standard.fit(image), None
    except ModelError as error:
        return None, str(error)


def _fault(image: np.ndarray) -> str | None:
    """Why `image` cannot be judged, if so; sources of other packages may hand out anything."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] > MAX_CHANNELS or 0 in image.shape:
        what = f"uint8 [height, width, 1 to {MAX_CHANNELS}]"
        return f"the picture is {image.dtype} {image.shape}; a source gives {what}"
    return None
