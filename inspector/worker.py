"""A worker: a batch of frames in, an inspection for each out."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from inspector.clock import Clock
from inspector.errors import ModelError
from inspector.inference.engine import Engine
from inspector.judge import Judge
from inspector.logs import Tally
from inspector.types import Detection, Frame, Image, Inspection, Reason, Receipt, Verdict

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Station:
    """What a camera's frames are judged with: the name of its model's group, its judge, and whether to repair."""

    model: str
    judge: Judge
    repair: bool


class Worker:
    """Inspects batches with engines of its own, one a model; owned by one thread."""

    def __init__(self, engines: Mapping[str, Engine], stations: Mapping[str, Station], clock: Clock) -> None:
        self._engines = engines
        self._stations = stations
        self._clock = clock
        self._failures = Tally(log, logging.ERROR, "the model failed on {count} frame(s), last {detail}", clock)
        self._unrepaired = Tally(log, logging.ERROR, "repair failed on {count} frame(s), last {detail}", clock)

    def inspect(
        self, frames: Sequence[Frame], opened: float, closed: float, settle: Callable[[Inspection], None]
    ) -> None:
        """Inspect frames of one model, handing each inspection to `settle` as soon as it is complete.

        opened, closed: monotonic seconds between which the batch was collected; a model that fails makes its
        frames `unknown: model`, it never ends the worker
        """
        engine = self._engines[self._stations[frames[0].camera].model]
        self._failures.tick()
        self._unrepaired.tick()
        try:
            detections = engine.detector.detect([_queued(frame.fitted, frame) for frame in frames])
        except ModelError as error:
            self._failures.add(len(frames), f"{engine.tag.name}: {error}")
            for frame in frames:
                settle(Inspection(frame, Verdict.UNKNOWN, Reason.MODEL, model=engine.tag))
            return
        inferred = self._clock.monotonic()
        judged = [self._judge(frame, detection, engine) for frame, detection in zip(frames, detections, strict=True)]
        done = self._clock.monotonic()
        # Whoever needs no repair does not wait for those that do.
        to_repair = []
        for inspection in judged:
            start = max(opened, inspection.frame.captured)
            receipt = Receipt(
                queue=start - inspection.frame.captured,
                batch=max(closed - start, 0.0),
                infer=inferred - max(closed, start),
                judge=done - inferred,
            )
            inspection = replace(inspection, receipt=receipt)
            if inspection.mask is not None and self._stations[inspection.frame.camera].repair:
                to_repair.append(inspection)
            else:
                settle(inspection)
        for inspection in to_repair:
            settle(self._repair(inspection, engine, done))

    def _judge(self, frame: Frame, detection: Detection, engine: Engine) -> Inspection:
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
        )

    def _repair(self, inspection: Inspection, engine: Engine, since: float) -> Inspection:
        """Repair, and look at the result with the detector again; a repair that fails leaves the verdict as it is."""
        if engine.repairer is None or inspection.mask is None:
            return inspection
        image = _queued(inspection.frame.image, inspection.frame)
        try:
            repaired, patches = engine.repairer.repair(image, inspection.mask, [r.box for r in inspection.regions])
            (again,) = engine.detector.detect([repaired])
        except ModelError as error:
            self._unrepaired.add(1, f"{engine.tag.name}, camera {inspection.frame.camera}: {error}")
            return inspection
        receipt = replace(inspection.receipt, repair=self._clock.monotonic() - since)
        judge = self._stations[inspection.frame.camera].judge
        residual = judge.told(again.score) if math.isfinite(again.score) else None
        return replace(inspection, patches=patches, residual=residual, receipt=receipt)


def _queued(image: Image | None, frame: Frame) -> Image:
    """A picture of a frame that was queued: it has all of them."""
    if image is None:
        raise ValueError(f"frame {frame.number} of {frame.camera} has no picture and should not have been queued")
    return image
