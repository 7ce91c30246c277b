"""A worker: a batch of frames in, an inspection for each out."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from inspector.clock import Clock
from inspector.errors import ModelError
from inspector.inference.engine import Engine
from inspector.inference.references import Match, References
from inspector.judge import Judge
from inspector.logs import Tally
from inspector.types import Cause, Detection, Frame, Image, Inspection, Reason, Receipt, Verdict

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Station:
    """What a camera's frames are judged with: the name of its model's group, its judge, and whether to repair.

    references: its reference pictures, where the model compares
    """

    model: str
    judge: Judge
    repair: bool
    references: References | None = None


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
    """Inspects batches with engines of its own, one a model; owned by one thread."""

    def __init__(self, engines: Mapping[str, Engine], stations: Mapping[str, Station], clock: Clock) -> None:
        self._engines = engines
        self._stations = stations
        self._clock = clock
        self._failures = Tally(log, logging.ERROR, "the model failed on {count} frame(s), last {detail}", clock)
        self._misplaced = Tally(
            log, logging.WARNING, "{count} frame(s) lie on no reference picture, last {detail}", clock
        )
        self._unrepaired = Tally(log, logging.ERROR, "repair failed on {count} frame(s), last {detail}", clock)

    def inspect(
        self, frames: Sequence[Frame], opened: float, closed: float, settle: Callable[[Inspection], None]
    ) -> None:
        """Inspect frames of one model, handing each inspection to `settle` as soon as it is complete.

        opened, closed: monotonic seconds between which the batch was collected; a model that fails makes its
        frames `unknown: model`, it never ends the worker; one that lies on no reference picture is `unknown: camera`
        """
        engine = self._engines[self._stations[frames[0].camera].model]
        self._failures.tick()
        self._misplaced.tick()
        self._unrepaired.tick()
        placed = self._place(frames, engine, settle)
        if not placed:
            return
        images = [_queued(one.frame.fitted, one.frame) for one in placed]
        try:
            detections = engine.detector.detect(images, _references(placed))
        except ModelError as error:
            self._failures.add(len(placed), f"{engine.tag.name}: {error}")
            for one in placed:
                settle(Inspection(one.frame, Verdict.UNKNOWN, Reason.MODEL, model=engine.tag, position=one.position))
            return
        inferred = self._clock.monotonic()
        judged = [self._judge(one, detection, engine) for one, detection in zip(placed, detections, strict=True)]
        done = self._clock.monotonic()
        # Whoever needs no repair does not wait for those that do.
        to_repair = []
        for inspection, one in zip(judged, placed, strict=True):
            start = max(opened, inspection.frame.captured)
            receipt = Receipt(
                queue=start - inspection.frame.captured,
                batch=max(closed - start, 0.0),
                infer=inferred - max(closed, start),
                judge=done - inferred,
            )
            inspection = replace(inspection, receipt=receipt)
            if inspection.mask is not None and self._stations[inspection.frame.camera].repair:
                to_repair.append((inspection, one))
            else:
                settle(inspection)
        for inspection, one in to_repair:
            settle(self._repair(inspection, one, engine, done))

    def _place(self, frames: Sequence[Frame], engine: Engine, settle: Callable[[Inspection], None]) -> list[Placed]:
        """The frames with their references; one that lies on none is settled here, for nothing proves it good."""
        placed = []
        for frame in frames:
            references = self._stations[frame.camera].references
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

    def _judge(self, placed: Placed, detection: Detection, engine: Engine) -> Inspection:
        frame = placed.frame
        height, width, _ = _queued(frame.image, frame).shape
        judge = self._stations[frame.camera].judge
        judgement = judge(detection, height, width)
        return Inspection(
            frame,
            judgement.verdict,
            judgement.reason,
            score=None if judgement.verdict is Verdict.UNKNOWN else judge.told(detection.score),
            threshold=judge.told(judge.threshold),
            regions=judgement.regions,
            mask=judgement.mask,
            model=engine.tag,
            position=placed.position,
        )

    def _repair(self, inspection: Inspection, placed: Placed, engine: Engine, since: float) -> Inspection:
        """Repair, and look at the result with the detector again; a repair that fails leaves the verdict as it is."""
        if engine.repairer is None or inspection.mask is None:
            return inspection
        image = _queued(inspection.frame.image, inspection.frame)
        try:
            boxes = [region.box for region in inspection.regions]
            repaired, patches = engine.repairer.repair(image, inspection.mask, boxes, placed.reference)
            (again,) = engine.detector.detect([repaired], _references([placed]))
        except ModelError as error:
            self._unrepaired.add(1, f"{engine.tag.name}, camera {inspection.frame.camera}: {error}")
            return inspection
        receipt = replace(inspection.receipt, repair=self._clock.monotonic() - since)
        judge = self._stations[inspection.frame.camera].judge
        residual = judge.told(again.score) if math.isfinite(again.score) else None
        return replace(inspection, patches=patches, residual=residual, receipt=receipt)


def _references(placed: Sequence[Placed]) -> list[Image] | None:
    """What the detector compares with; frames of one model all have reference pictures, or none has."""
    images = [one.reference for one in placed if one.reference is not None]
    return images or None


def _queued(image: Image | None, frame: Frame) -> Image:
    """A picture of a frame that was queued: it has all of them."""
    if image is None:
        raise ValueError(f"frame {frame.number} of {frame.camera} has no picture and should not have been queued")
    return image
