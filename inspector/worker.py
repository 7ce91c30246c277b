"""A worker: a batch of frames in, an inspection for each out."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress

from inspector.clock import Clock
from inspector.errors import ModelError
from inspector.inference.detector import Look
from inspector.inference.engine import Engine, Team
from inspector.inference.references import Match, References
from inspector.inference.view import View
from inspector.judge import Judge
from inspector.logs import Tally
from inspector.types import (
    Box,
    CalibrationTag,
    Cause,
    Challenge,
    Detection,
    Frame,
    Image,
    Inspection,
    ModelTag,
    Reason,
    Receipt,
    Verdict,
)

log = logging.getLogger(__name__)

SPARE, SPARE_SHARE = 0.01, 0.25
"""Seconds, and share of what the longest step took, that must be left beyond the next step of a repair.

For steps differ, and what is proven already shall not be lost for the sake of a repair.
"""


class _OutOfTime(Exception):  # noqa: N818 - not an error: it ends a repair, as StopIteration does a loop
    """There is no time for another step of a repair."""


class _Steps:
    """How long the steps of a batch take, between which others may be served: runs of the model, windows of repair."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._longest = 0.0
        self.begin()

    def begin(self) -> None:
        """A step begins."""
        self._began = self._clock.monotonic()

    def end(self) -> None:
        """It is over."""
        self._longest = max(self._longest, self._clock.monotonic() - self._began)

    def fit(self, seconds: float) -> bool:
        """Whether another one, as long as the longest so far, fits into so many seconds."""
        return (1 + SPARE_SHARE) * self._longest + SPARE < seconds


@dataclass(frozen=True, slots=True)
class Station:
    """What a camera's frames are judged with, a `types.Standard`: its model, its judge, and whether to repair.

    view: what of its frames is looked at, and how;  references: its reference pictures, where the model compares
    calibration: what the judge's threshold comes from, if it was calibrated
    """

    camera: str
    team: Team
    judge: Judge
    repair: bool
    view: View
    references: References | None = None
    calibration: CalibrationTag | None = None

    @property
    def tag(self) -> ModelTag:
        """The model."""
        return self.team.tag

    @property
    def pace(self) -> str:
        """Frames of one model take the same time; but those in tiles take their own, by the camera's size."""
        sha256 = self.team.tag.sha256
        return sha256 if self.view.overlap is None else f"{sha256}, {self.camera}"

    def fit(self, image: Image) -> Image:
        """What the detector is shown of `image` [H,W,C]. Raises ModelError where it cannot be judged."""
        return self.view.fit(image)

    def rows(self, shown: Image) -> int:
        """How many rows of a batch it takes to look at what `fit` gave."""
        return self.view.rows(shown)


@dataclass(frozen=True, slots=True)
class Placed:
    """A frame, and its reference picture where it was compared with one."""

    frame: Frame
    match: Match | None

    @property
    def position(self) -> str | None:
        """The reference picture's name."""
        return None if self.match is None else self.match.position

    @property
    def reference(self) -> Image | None:
        """The reference picture, laid under the frame."""
        return None if self.match is None else self.match.image


class Worker:
    """Inspects batches with an engine of its own of each model, those with its `index`; owned by one thread."""

    def __init__(self, index: int, clock: Clock) -> None:
        self._index = index
        self._clock = clock
        self._failures = Tally(log, logging.ERROR, "the model failed on {count} frame(s), last {detail}", clock)
        self._misplaced = Tally(
            log, logging.WARNING, "{count} frame(s) lie on no reference picture, last {detail}", clock
        )
        self._unrepaired = Tally(log, logging.ERROR, "repair failed on {count} frame(s), last {detail}", clock)
        self._unfinished = Tally(
            log, logging.WARNING, "there was no time to repair {count} frame(s), last {detail}", clock
        )
        self._tallies = self._failures, self._misplaced, self._unrepaired, self._unfinished

    def inspect(
        self,
        frames: Sequence[Frame],
        opened: float,
        closed: float,
        settle: Callable[[Inspection], None],
        goes_on: Callable[[Frame], bool] = lambda _: True,
        left: Callable[[Frame], float] = lambda _: math.inf,
        longest_repair: float = math.inf,
    ) -> None:
        """Inspect frames of one model, handing each inspection to `settle` as soon as it is complete.

        opened, closed: monotonic seconds between which the batch was collected; a model that fails makes its
        frames `unknown: model`, it never ends the worker; one that lies on no reference picture is `unknown: camera`
        goes_on: asked between two runs of the model whether a frame is still wanted; it may call `inspect` meanwhile. A
            frame that is not (its deadline has passed, so it has its verdict) is given up, and not settled here
        left: asked before each step of a repair how many seconds there are for the frame's verdict. One that is proven
            leaves without a repair rather than late
        longest_repair: seconds after which a batch's repairs hold the worker no longer. A frame without a deadline has
            all the time that it takes; before each step of its repair `goes_on` is asked as well
        """
        engine = _station(frames[0]).team.engines[self._index]
        self.tick()
        placed = self._place(frames, engine, settle)
        if not placed:
            return
        looks = [self._look(one, _queued(one.frame.fitted, one.frame)) for one in placed]
        done: list[Inspection] = []
        to_repair: list[tuple[Inspection, Placed, Detection]] = []
        pending, steps = dict(enumerate(placed)), _Steps(self._clock)

        def settle_done() -> None:
            """Together: to be woken by each would cost the publisher, and the interpreter, more than the judging."""
            for inspection in done:
                settle(inspection)
            done.clear()

        def between(index: int) -> bool:
            nonlocal to_repair
            steps.end()
            fits = [steps.fit(left(inspection.frame)) for inspection, _, _ in to_repair]
            done.extend(self._cut_short(one[0]) for one, fit in zip(to_repair, fits, strict=True) if not fit)
            to_repair = list(compress(to_repair, fits))
            settle_done()
            wanted = goes_on(placed[index].frame)
            steps.begin()
            return wanted

        try:
            for index, detection in engine.detector.look(looks, between):
                one = pending.pop(index)
                inspection = self._judge(one, detection, engine, opened, closed, len(looks))
                # Whoever needs no repair does not wait for those that do.
                if inspection.mask is not None and engine.repairer is not None and _is_repaired(inspection.frame):
                    to_repair.append((inspection, one, detection))
                else:
                    done.append(inspection)
        except ModelError as error:
            self._failures.add(len(pending), f"{engine.tag.name}: {error}")
            for one in pending.values():
                settle(Inspection(one.frame, Verdict.UNKNOWN, Reason.MODEL, model=engine.tag, position=one.position))
        steps.end()
        settle_done()
        until = self._clock.monotonic() + longest_repair

        def before_step(frame: Frame) -> None:
            """Raise _OutOfTime where the repair of `frame` is not to go on."""
            steps.end()
            has_turn = goes_on(frame) if math.isinf(frame.deadline) else self._clock.monotonic() < until
            if not (has_turn and steps.fit(left(frame))):
                raise _OutOfTime
            steps.begin()

        # What is due first goes first: so nothing waits for the repair of what is due later, or never.
        for inspection, one, detection in sorted(to_repair, key=lambda each: each[0].frame.deadline):
            steps.begin()
            settle(self._repair(inspection, one, detection, engine, partial(before_step, one.frame)))

    def tick(self) -> None:
        """Log what was gathered for the log, if it is a second old."""
        for tally in self._tallies:
            tally.tick()

    def flush(self) -> None:
        """Log what was gathered for the log."""
        for tally in self._tallies:
            tally.flush()

    def _place(self, frames: Sequence[Frame], engine: Engine, settle: Callable[[Inspection], None]) -> list[Placed]:
        """The frames with their references; one that lies on none is settled here, for nothing proves it good."""
        placed = []
        for frame in frames:
            references = _station(frame).references
            try:
                match = None if references is None else references.match(_queued(frame.image, frame))
            except ModelError as error:
                self._failures.add(1, f"{engine.tag.name}: {error}")
                settle(Inspection(frame, Verdict.UNKNOWN, Reason.MODEL, model=engine.tag))
                continue
            if references is not None and match is None:
                self._misplaced.add(1, f"camera {frame.camera}, frame {frame.number} ({frame.part or 'no part id'})")
                settle(Inspection(frame, Verdict.UNKNOWN, Reason.CAMERA, model=engine.tag, cause=Cause.UNMATCHED))
            else:
                placed.append(Placed(frame, match))
        return placed

    def _look(self, placed: Placed, shown: Image) -> Look:
        """What the detector is given of a frame, of which `shown` is what its view makes of the picture."""
        view = _station(placed.frame).view
        return Look(shown, None if placed.reference is None else view.crop(placed.reference), view.overlap)

    def _judge(
        self, placed: Placed, detection: Detection, engine: Engine, opened: float, closed: float, batch: int
    ) -> Inspection:
        frame, inferred = placed.frame, self._clock.monotonic()
        height, width, _ = _queued(frame.image, frame).shape
        station = _station(frame)
        judge = station.judge
        judgement = station.view.judge(judge, detection, height, width, frame.reports)
        start = max(opened, frame.captured)
        return Inspection(
            frame,
            judgement.verdict,
            judgement.reason,
            score=None if judgement.score is None else judge.told(judgement.score),
            threshold=judge.told(judge.threshold),
            regions=judgement.regions,
            mask=judgement.mask,
            model=engine.tag,
            receipt=Receipt(
                queue=start - frame.captured,
                batch=max(closed - start, 0.0),
                infer=inferred - max(closed, start),
                judge=self._clock.monotonic() - inferred,
            ),
            position=placed.position,
            batch=batch,
        )

    def _repair(
        self,
        inspection: Inspection,
        placed: Placed,
        detection: Detection,
        engine: Engine,
        between: Callable[[], None],
    ) -> Inspection:
        """Repair, and look at the result with the detector again.

        A repair that fails, or that `between` ends by _OutOfTime before one of its steps, leaves the verdict as it is.
        """
        if engine.repairer is None or inspection.mask is None:
            return inspection
        frame = inspection.frame
        image = _queued(frame.image, frame)
        try:
            boxes = [region.box for region in inspection.regions]
            repaired, patches = engine.repairer.repair(image, inspection.mask, boxes, placed.reference, between)
            residual = self._residual(repaired, placed, detection, [patch.box for patch in patches], engine, between)
        except ModelError as error:
            self._unrepaired.add(1, f"{engine.tag.name}, camera {frame.camera}: {error}")
            return inspection
        except _OutOfTime:
            return self._cut_short(inspection)
        before = inspection.receipt.total
        receipt = replace(inspection.receipt, repair=self._clock.monotonic() - frame.captured - before)
        return replace(inspection, patches=patches, residual=residual, receipt=receipt)

    def _cut_short(self, inspection: Inspection) -> Inspection:
        """An inspection that there is no time to repair, or to repair all of; it is counted for the log."""
        self._unfinished.add(1, f"camera {inspection.frame.camera}, frame {inspection.frame.number}")
        return inspection

    def _residual(
        self,
        repaired: Image,
        placed: Placed,
        detection: Detection,
        boxes: Sequence[Box],
        engine: Engine,
        between: Callable[[], None],
    ) -> float | None:
        """The score of a repaired frame, whose changes lie in `boxes`; None where the model gives no number."""
        station = _station(placed.frame)
        view = station.view
        look = self._look(placed, view.fit(repaired))
        if view.overlap is None:
            between()
            ((_, again),) = engine.detector.look([look], lambda _: True)
        else:
            again = engine.detector.again(look, view.inside(boxes), detection, between)
        score = view.score(again, *repaired.shape[:2])
        return station.judge.told(score) if math.isfinite(score) else None


def _station(frame: Frame) -> Station:
    """What a frame that was queued is judged with."""
    if not isinstance(frame.standard, Station):
        raise ValueError(f"frame {frame.number} of {frame.camera} is to be judged by nothing and was queued")
    return frame.standard


def _is_repaired(frame: Frame) -> bool:
    return _station(frame).repair and not isinstance(frame, Challenge)  # whose picture nobody gets


def _queued(image: Image | None, frame: Frame) -> Image:
    """A picture of a frame that was queued: it has all of them."""
    if image is None:
        raise ValueError(f"frame {frame.number} of {frame.camera} has no picture and should not have been queued")
    return image
