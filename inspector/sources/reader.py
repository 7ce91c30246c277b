"""The one loop over every source: stamp, number, queue; and for a live one, open it again after a failure."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from inspector.clock import Clock
from inspector.errors import ModelError, RefusedError, SourceError
from inspector.ledger import Ledger
from inspector.logs import Tally
from inspector.mailbox import Closed, Mailbox
from inspector.redact import redact
from inspector.sources import Source
from inspector.sources.throttle import Throttle
from inspector.types import Event, Frame, Image, Inspection, Reason, Shot, Verdict

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE, REFUSED_PAUSE = 0.5, 1.0, 60.0
"""Seconds before a lost camera is opened again: the first time, and at the most (it doubles, with jitter).

One that is away is asked at least every second, so that the line has it back at once; that costs it nothing while it
is away. One that is there and refuses is asked less and less: too many wrong passwords lock a user out.
"""
REPEAT = 600.0
"""Seconds after which it is said again that a camera is lost for the same reason."""


@dataclass(slots=True)
class CameraState:
    """What the metrics read of a camera; written by its reader alone. `last_frame`: wall clock, seconds, 0 for none."""

    up: bool = False
    reconnects: int = 0
    last_frame: float = 0.0


class Reader:
    """Reads one camera; `run` is its thread's body.

    fit: makes of a picture [H,W,C] what the detector takes, or raises ModelError: the frame is `unknown: model`. It is
    done here, where the picture is still in the cache of the core that decoded it, and by every camera's thread for
    itself, so that the workers are left to the models.
    deadline: seconds from capture until a live camera's verdict is due. A source that is not live waits for room in
    the queue instead of losing frames, and has no deadline: no part passes by a file.
    throttle: what a live camera's frames have to pass before anything is done with them
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
        throttle: Throttle | None = None,
    ) -> None:
        self.camera = camera
        self.state = CameraState()
        self.failed = False
        self._source = source
        self._fit = fit
        self._deadline = deadline if source.live else float("inf")
        self._ledger = ledger
        self._inbox = inbox
        self._settle = settle
        self._announce = announce
        self._clock = clock
        self._throttle = throttle if source.live else None
        self._stopping = threading.Event()
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
        pause = FIRST_PAUSE / 2
        while not self._stopping.is_set():
            before = self._number
            try:
                self._read(beat)
                self._down("ended", "the source was stopped or came to its end")
                return
            except Closed:
                return
            except SourceError as error:
                if self._stopping.is_set():
                    return
                self._down("lost", str(error))
                if not self._source.live:
                    self.failed = True
                    return
                longest = REFUSED_PAUSE if isinstance(error, RefusedError) else LONGEST_PAUSE
            pause = FIRST_PAUSE if self._number > before else min(2 * pause, longest)
            self._stopping.wait(pause * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, no secret
            self.state.reconnects += 1

    def stop(self) -> None:
        """Read nothing more; from any thread."""
        self._stopping.set()
        self._source.close()

    def _read(self, beat: Callable[[], None]) -> None:
        for shot in self._source.frames():
            if self._stopping.is_set():
                return
            now, now_ns = self._clock.monotonic(), self._clock.wall_ns()
            beat()
            if not self.state.up:
                self.state.up = True
                self._tell("streaming", "frames arrive")
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
        fitted, misfit = (None, None) if stale or flood else self._fitted(image)
        frame = Frame(
            self.camera,
            self._number + 1,
            captured_ns,
            captured,
            deadline,
            image,
            shot.part,
            fitted,
        )
        self._ledger.open(frame)
        self._number += 1
        self._unreadable.tick()
        if image is None:
            detail = f"frame {frame.number} ({shot.part or 'no part id'}): {fault or 'no picture'}"
            self._unreadable.add(1, detail)
            self._announce(Event(self.camera, "unreadable", detail, captured_ns))
            self._settle(Inspection(frame, Verdict.UNKNOWN, Reason.CAMERA))
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

    def _fitted(self, image: Image | None) -> tuple[Image | None, str | None]:
        """What the detector takes, or why it takes no such picture."""
        try:
            return (None if image is None else self._fit(image)), None
        except ModelError as error:
            return None, str(error)

    def _down(self, state: str, detail: str) -> None:
        now = self._clock.monotonic()
        if self.state.up or (state == "lost" and (detail != self._said or now - self._said_at >= REPEAT)):
            self._said, self._said_at = detail, now
            self._tell(state, detail)
        self.state.up = False

    def _tell(self, state: str, detail: str) -> None:
        detail = redact(detail)  # sources of other packages may raise anything
        level = logging.WARNING if state == "lost" else logging.INFO
        log.log(level, "camera %s %s: %s", self.camera, state, detail)
        self._announce(Event(self.camera, state, detail, self._clock.wall_ns()))


def _age(shot: Shot, now_ns: int) -> float:
    """Seconds since its capture, as far as its source knows; no frame is from the future."""
    return 0.0 if shot.captured_ns is None else max((now_ns - shot.captured_ns) / 1e9, 0.0)


def _fault(image: np.ndarray) -> str | None:
    """Why `image` cannot be judged, if so; sources of other packages may hand out anything."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3) or 0 in image.shape:
        return f"the picture is {image.dtype} {image.shape}; a source gives uint8 [height, width, 1 or 3]"
    return None
