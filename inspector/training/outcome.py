"""What a bundle makes of one picture with known truth, by the code that the daemon runs."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from inspector.inference.engine import Engine
from inspector.judge import Judge, Judgement
from inspector.training.data import Sample
from inspector.types import Detection, Image, Map, Verdict


@dataclass(frozen=True, slots=True)
class Result:
    """One picture's outcome; `f1` is nan where there is no mask or nothing in it.

    false_regions: regions found that touch no true one
    """

    sample: Sample
    score: float
    verdict: Verdict
    f1: float
    false_regions: int


def inspect(running: Engine, judge: Judge, image: Image) -> tuple[Detection, Judgement, Map]:
    """What the daemon would say of `image` [H,W,C], and the map at the image's resolution, float32 [H,W]."""
    (detection,) = running.detector.detect([image])
    height, width = image.shape[:2]
    enlarged = cv2.resize(detection.map, (width, height), interpolation=cv2.INTER_LINEAR)
    return detection, judge(detection, height, width), np.asarray(enlarged, np.float32)
