"""What crosses the walls of the house: plain frozen values, no behaviour beyond what they derive from themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""A picture, uint8, [height, width, channels]: one channel is grey, three are blue, green, red (OpenCV's order).

Another number, up to MAX_CHANNELS, is a stack of modalities: visible and infrared, several lights, depth."""

MAX_CHANNELS = 16

MAX_INPUT = 8192
"""Pixels of a detector's input, up and across."""
MAX_AREA = MAX_INPUT**2
"""Pixels of a detector's input that the smallest defect may have."""

Mask: TypeAlias = NDArray[np.uint8]
"""A defect mask, uint8, [height, width]: 255 where a pixel is defective, else 0."""

Map: TypeAlias = NDArray[np.float32]
"""Defect probability per pixel, float32 in [0, 1], [height, width] at the detector's resolution."""

Box: TypeAlias = tuple[int, int, int, int]
"""x, y, width, height in pixels of the frame."""

Span: TypeAlias = tuple[float, float]
"""Rows of a frame, from the first on and up to before the second; infinite where there is no end."""

Say: TypeAlias = Callable[[str], None]
"""Takes a line of text for whoever waits: what is being done, and why."""


class Verdict(StrEnum):
    """What the reject gate gets; silence never means good."""

    OK = "ok"
    NG = "ng"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why a verdict is `unknown`."""

    DEADLINE = "deadline"
    """No result inside the camera's deadline."""
    OVERLOAD = "overload"
    """It found the queue of its live camera full, or a newer frame pushed it out, or it came beyond `max_rate`."""
    CAMERA = "camera"
    """The camera delivered no picture that can be judged: none at all, or one that lies on no reference picture."""
    MODEL = "model"
    """The model failed, or answered with something that is not a number, or missed a challenge."""
    SHUTDOWN = "shutdown"
    """The daemon stopped before the frame could be judged."""


class Cause(StrEnum):
    """What is wrong with a camera's picture, where the reason is `camera`."""

    UNREADABLE = "unreadable"
    """The picture could not be read, or is none that can be judged."""
    INCOMPLETE = "incomplete"
    """Parts of the picture are missing; of a stack, the picture of a camera."""
    MISSING = "missing"
    """None came: for a trigger, or for a number that the camera counted."""
    UNMATCHED = "unmatched"
    """It lies on none of the reference pictures."""
    BLACK = "black"
    """It is dark: a covered lens, a lamp that is off."""
    SATURATED = "saturated"
    """It is as bright as the sensor can tell: over-exposed."""
    FROZEN = "frozen"
    """It is the one before once more, down to the sensor's noise."""
    DRIFTED = "drifted"
    """The light is not what it was."""
    SHIFTED = "shifted"
    """The scene lies elsewhere: somebody moved the camera."""
    DEFOCUSED = "defocused"
    """Fine detail is gone: the focus moved, or the lens is dirty."""


class Standard(Protocol):
    """What a frame is judged by: model, threshold and all, in one piece (worker.Station).

    It is fixed when the frame is captured. Where another model takes over, frames before that keep theirs, and none is
    fitted for one model and judged by the other.
    """

    @property
    def tag(self) -> ModelTag:
        """The model; frames of one model share batches."""
        ...

    @property
    def pace(self) -> str:
        """Names the frames that take the same time."""
        ...

    @property
    def calibration(self) -> CalibrationTag | None:
        """What it was calibrated by, if it was."""
        ...

    def fit(self, image: Image) -> Image:
        """What the detector is shown of a picture [H,W,C]. Raises ModelError where it takes no such picture."""
        ...

    def rows(self, shown: Image) -> int:
        """How many rows of a batch it takes to look at what `fit` gave."""
        ...


@dataclass(frozen=True, slots=True)
class Shot:
    """What a source yields: a picture, or the word that there should have been one.

    image: the picture, or None if it could not be read; the frame then ends as `unknown: camera`
    part: what the source knows of the part's identity (a file's name, a trigger's id)
    fault: why there is no picture, in one sentence;  cause: the same in a word
    captured_ns: wall clock at capture, nanoseconds since 1970 UTC, where the source knows better than "just now"; of a
        frame that was lost, that of the next one
    reports: of a frame that repeats rows of its neighbours (sources/scan.py): where the middle row of a defect must lie
        for this frame to report it; None: it reports all
    """

    image: Image | None
    part: str | None = None
    fault: str | None = None
    captured_ns: int | None = None
    cause: Cause = Cause.UNREADABLE
    reports: Span | None = None

    @property
    def is_lost(self) -> bool:
        """Whether it is a frame that the camera counted, and that never came."""
        return self.image is None and self.cause is Cause.MISSING


@dataclass(frozen=True, slots=True)
class Frame:
    """One captured frame, as the reader stamps it.

    number: counts the camera's frames from 1, without gaps, in one session of the daemon
    captured_ns: wall clock at capture, nanoseconds since 1970 UTC
    captured, deadline: monotonic seconds; `deadline` is when its verdict is due
    fitted: what the detector is shown of the picture: at its size and with its channels, or to be cut into tiles
    reports: as in `Shot`
    standard: what it is judged by
    excess: its camera sent more than its `max_rate` a moment ago
    """

    camera: str
    number: int
    captured_ns: int
    captured: float
    deadline: float
    image: Image | None
    part: str | None = None
    fitted: Image | None = None
    reports: Span | None = None
    standard: Standard | None = None
    excess: bool = False


@dataclass(frozen=True, slots=True)
class Challenge(Frame):
    """A known picture that goes the way of a frame and is none: it is in no account, its number is 0.

    deadline: when nobody waits for it any more
    """


@dataclass(frozen=True, slots=True)
class Detection:
    """What the detector says of a frame: `score` ranks frames, `map` places the defects.

    Of a frame that was cut into tiles the map has every pixel, and the score is the highest of the tiles', but no
    higher than the map's peak: what a tile says at its border, where its neighbour sees more, does not count.
    """

    score: float
    map: Map


@dataclass(frozen=True, slots=True)
class Region:
    """One connected defect, in pixels of the frame; `score` is the highest probability in it."""

    box: Box
    area: int
    centroid: tuple[float, float]
    score: float


@dataclass(frozen=True, slots=True)
class Patch:
    """A repaired piece of a frame: `image` belongs at the top left corner of `box` and has its size."""

    box: Box
    image: Image


class Precision(StrEnum):
    """The numbers that a detector computes with, where it matters; the score and the map are float32 in all."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"


@dataclass(frozen=True, slots=True)
class ModelTag:
    """Which model judged: the bundle's name, the sha256 over its files, and the provider that it really ran on.

    precision: a `Precision`'s value, as far as this version knows them
    """

    name: str
    sha256: str
    provider: str
    precision: str = Precision.FP32.value


@dataclass(frozen=True, slots=True)
class CalibrationTag:
    """Which calibration a camera's frames are judged by (docs/calibration.md).

    date: UTC, like 2026-01-31T12:00:00Z;  data_sha256: over the pictures that it was made from
    false_reject_rate: of good parts at most this share is judged `ng`, with `confidence`;  parts: how many it saw
    threshold: the model's own probability that is told as 0.5;  min_area: pixels of the detector's input
    """

    date: str
    data_sha256: str
    false_reject_rate: float
    confidence: float
    parts: int
    threshold: float
    min_area: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where a frame's time went, in seconds; the stages follow each other, so they add up.

    queue: from capture until a worker took it;  batch: waiting for the batch to fill;
    infer: finding its reference picture, and the detector;  judge: mask and regions
    repair: repair and second detection
    """

    queue: float = 0.0
    batch: float = 0.0
    infer: float = 0.0
    judge: float = 0.0
    repair: float = 0.0

    @property
    def total(self) -> float:
        """Seconds from capture until the inspection was complete."""
        return self.queue + self.batch + self.infer + self.judge + self.repair


@dataclass(frozen=True, slots=True)
class Inspection:
    """All that is known of a frame once it has its verdict; exactly one a frame leaves the pipeline.

    score, threshold: None where no model judged the frame
    mask: only for `ng`;  patches: only where it was repaired;  residual: the second detection's score
    position: the reference picture that it was compared with, where there is one
    cause: what is wrong with the picture, where the reason is `camera`
    batch: how many frames the model looked at together
    """

    frame: Frame
    verdict: Verdict
    reason: Reason | None = None
    score: float | None = None
    threshold: float | None = None
    regions: tuple[Region, ...] = ()
    mask: Mask | None = None
    patches: tuple[Patch, ...] = ()
    residual: float | None = None
    model: ModelTag | None = None
    receipt: Receipt = Receipt()
    position: str | None = None
    cause: Cause | None = None
    batch: int = 1


@dataclass(frozen=True, slots=True)
class Late:
    """A result that came when the frame's verdict was settled, or past its deadline: evidence, and never a verdict."""

    inspection: Inspection


@dataclass(frozen=True, slots=True)
class CameraWord:
    """What one camera of a station says of a part. frame: the number of its frame, None where none came in time"""

    camera: str
    frame: int | None
    verdict: Verdict
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class PartVerdict:
    """The verdict of a part that a station's cameras have seen; exactly one a part.

    reason: that of the first of `words` that is `unknown`;  words: one for each camera, in the station's order
    captured_ns, captured: wall clock (nanoseconds since 1970 UTC) and monotonic seconds of the first capture
    """

    station: str
    part: str
    verdict: Verdict
    reason: Reason | None
    words: tuple[CameraWord, ...]
    captured_ns: int
    captured: float


@dataclass(frozen=True, slots=True)
class Event:
    """A change that people and subscribers should hear of.

    subject: a camera's name, or "daemon";  state: one word;  detail: one sentence
    at_ns: wall clock, nanoseconds since 1970 UTC
    """

    subject: str
    state: str
    detail: str
    at_ns: int
