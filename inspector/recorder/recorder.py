"""The recorder: is told of every verdict once it is out, and writes aside what is worth it.

Whoever publishes only hands a frame over, which costs microseconds. A thread of its own, that gives way to those who
publish, writes; a disk that is slow, full or hangs costs recordings, never a verdict.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from inspector.clock import AgeClock, Clock
from inspector.errors import DataError
from inspector.judging import Judging
from inspector.logs import Tally
from inspector.recorder.draft import Draft
from inspector.recorder.folder import Folder
from inspector.recorder.ring import Kept, Ring, Step, Terms, Window
from inspector.recorder.setup import Setup, Setups
from inspector.settings import config_sha256
from inspector.stage import Service
from inspector.types import Inspection

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
HOUSE_SECONDS = 60.0
HANGS_AFTER = 10.0
"""Seconds that one step of the disk may take."""


@dataclass(slots=True)
class _Begun:
    """A recording that is being written; without a draft once that failed.

    setup: what judged when it began;  models: the sha256 of those that judged
    """

    window: Window
    setup: Setup
    draft: Draft | None = None
    models: set[str] = field(default_factory=set)


class Recorder(Service):
    """Keeps recordings in `folder`.

    terms: by camera, what is recorded;  about: what every recording tells of this daemon

    recordings, failures: how many were kept, and could not be
    written, lost: by camera, how many frames of recordings were kept, and could not be
    """

    # As the workers', and no more: at moments it holds the interpreter's lock, for which all others would wait while a
    # thread that gives way to everybody waits for a core.
    niceness = 5

    def __init__(
        self,
        folder: Folder,
        setups: Setups,
        terms: Mapping[str, Terms],
        about: Mapping[str, object],
        clock: Clock,
    ) -> None:
        self.rings = {camera: Ring(one) for camera, one in terms.items()}
        self.recordings = self.failures = 0
        self.written, self.lost = dict.fromkeys(terms, 0), dict.fromkeys(terms, 0)
        self.folder = folder
        self._setups, self._about, self._clock = setups, about, clock
        self._ages = AgeClock(clock, f"the recorder {folder.path}")
        self._begun: dict[str, _Begun] = {}
        self._began: float | None = None
        self._trouble = ""
        self._told = False
        self._work, self._stopping = threading.Event(), threading.Event()
        says = "{count} frame(s) begin no recording while the recorder rests, last {detail}"
        self._resting = Tally(log, logging.INFO, says, clock)

    @property
    def failing(self) -> bool:
        """Whether its disk was full or failed, and no recording has been written since, or hangs."""
        return self._ails() is not None

    def verdict(self, inspection: Inspection, header: bytes, late: bool = False) -> None:
        """Take a frame whose verdict is out, with its header, or its late result; by the publisher's thread."""
        ring = self.rings[inspection.frame.camera]
        skipped = ring.skipped
        if ring.add(inspection, header, late):
            self._work.set()
        if ring.skipped > skipped:
            self._resting.add(1, f"frame {inspection.frame.number} of camera {inspection.frame.camera}")

    def news(self) -> list[tuple[str, str]]:
        """State and detail of the events that are to be told since the last call; by the publisher's thread."""
        self._resting.tick()
        ails = self._ails()
        if (ails is not None) == self._told:
            return []
        self._told = ails is not None
        if ails is None:
            return [("recovered", f"the recorder works again; {self.failures} recording(s) were lost since the start")]
        return [("failing", f"the recorder cannot write to {self.folder.path}: {ails}; make room, or mend the disk")]

    def judge_by(self, judging: Judging, changed: Collection[str]) -> None:
        """Have recordings that begin from now on tell that `judging` judges; from any thread, one at a time.

        changed: the cameras that it judges otherwise than what judged so far
        """
        self._setups.judge_by(Setup.of(judging, self._setups.now, changed))

    def run(self, beat: Callable[[], None]) -> None:
        """Write recordings until `stop`; then end those that are begun, and return."""
        carried = self._setups.now
        for work in (self.folder.tidy, self._setups.carry, self._keep_house):
            self._try(work)
        house_due = self._clock.monotonic() + HOUSE_SECONDS
        while True:
            self._work.wait(LOOK_SECONDS)
            self._work.clear()
            beat()
            over = self._stopping.is_set()
            if carried is not self._setups.now:
                carried = self._setups.now
                self._try(self._setups.carry)
            for camera, ring in self.rings.items():  # one step each: no camera that outruns the disk holds up the rest
                if (step := ring.take(self._clock.monotonic(), flush=over)) is not None:
                    self._work.set()
                    beat()
                    self._take(camera, step)
            if self._clock.monotonic() >= house_due:
                house_due = self._clock.monotonic() + HOUSE_SECONDS
                self._try(self._keep_house)
            if over and not self._work.is_set():
                self._resting.flush()  # whoever publishes, and counts, has come to an end before
                return

    def stop(self) -> None:
        """Have `run` come to its end; from any thread."""
        self._stopping.set()
        self._work.set()

    def _keep_house(self) -> None:
        self.folder.shared = self._setups.size
        self.folder.keep_house(self._ages.now_ns() / 1e9)

    def _take(self, camera: str, step: Step) -> None:
        """Do one step of a recording; once one failed, the rest of that recording is lost."""
        begun = self._begun.get(camera)
        if begun is None or begun.window is not step.window:
            begun = self._begun[camera] = _Begun(step.window, self._setups.now)
            if not self._try(lambda: self._begin(camera, begun)):
                self.failures += 1
        if step.frame is None:
            del self._begun[camera]
            self.lost[camera] += step.window.lost
        work = self._finish if step.frame is None else partial(self._add, frame=step.frame)
        if begun.draft is None or not self._try(lambda: work(camera, begun)):
            self.lost[camera] += step.frame is not None and step.frame.image is not None
            self._give_up(camera, begun)

    def _begin(self, camera: str, begun: _Begun) -> None:
        number, _ = begun.window.triggers[0]
        at = datetime.fromtimestamp(begun.window.captured_ns / 1e9, UTC)
        name = f"{camera}-{at:%Y%m%dT%H%M%S}.{at.microsecond // 1000:03}Z-{number}"
        begun.draft = Draft(self.folder.path, name)

    def _add(self, camera: str, begun: _Begun, frame: Kept) -> None:
        draft = begun.draft
        assert draft is not None  # noqa: S101 - looked at before
        written = sum(one.draft.size for one in self._begun.values() if one.draft is not None)
        if not self.folder.has_room(written + frame.size):
            raise OSError(None, "recorder.max_gb is too little for one recording")
        draft.add(frame)
        model = json.loads(frame.header)["model"]
        if model is not None:
            begun.models.add(model["sha256"])

    def _finish(self, camera: str, begun: _Begun) -> None:
        window, draft = begun.window, begun.draft
        assert draft is not None  # noqa: S101 - looked at before
        models = sorted(begun.models or {begun.setup.models[camera]})
        about = {
            **self._about,
            "config_sha256": config_sha256(begun.setup.settings),
            "camera": camera,
            "captured_ns": window.captured_ns,
            "triggers": [{"frame": number, "end": end} for number, end in window.triggers],
            "frames": draft.frames,
            "lost": window.lost,
            "skipped": window.skipped,
            "setup": self._setups.lay(begun.setup, camera, models, draft.folder),
        }
        place = draft.finish(about)
        self.folder.add(draft.name)
        self.recordings += 1
        self.written[camera] += draft.frames
        self._trouble = ""
        (number, end), more = window.triggers[0], len(window.triggers) - 1
        what = f"frame {number} was {end}" + (f", and {more} more" if more else "")
        log.info(
            "camera %s: %s; %d frame(s) recorded in %s", camera, what, draft.frames, place, extra={"camera": camera}
        )

    def _give_up(self, camera: str, begun: _Begun) -> None:
        if begun.draft is not None:
            self.failures += 1
            self.lost[camera] += begun.draft.frames
            begun.draft.abandon()
            begun.draft = None

    def _ails(self) -> str | None:
        """What is wrong with the disk, if anything."""
        began = self._began
        if began is not None and self._clock.monotonic() - began > HANGS_AFTER:
            return f"no answer for {HANGS_AFTER:.0f} s"
        return self._trouble or None

    def _try(self, work: Callable[[], None]) -> bool:
        """Whether `work` could be done."""
        self._began = self._clock.monotonic()
        try:
            work()
        except (OSError, DataError) as error:
            self._trouble = (error.strerror if isinstance(error, OSError) else None) or str(error)
            log.error("recorder %s: %s", self.folder.path, error)
            return False
        finally:
            self._began = None
        return True
