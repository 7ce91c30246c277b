"""A calibration: a threshold with a guarantee, for one bundle and the camera that it was made with.

It may also hold what that camera's pictures are like while it is well (inspector/condition).

A TOML file beside the bundle, not inside it: a bundle is what was trained, and its checksum covers it; a calibration
belongs to a line and is made anew whenever lamp, lens or product change. `inspector calibrate` writes it, the daemon
reads it. docs/calibration.md says what it promises.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from inspector import files
from inspector.condition.checks import CHECKS
from inspector.condition.limits import Limits, Range
from inspector.condition.view import decoded, encoded
from inspector.errors import ConfigError, DataError
from inspector.mistakes import sentence
from inspector.types import MAX_AREA, CalibrationTag, Precision
from inspector.values import CameraName

MAX_BYTES = 1 << 16
DATE = "%Y-%m-%dT%H:%M:%SZ"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _date(value: str) -> str:
    try:
        if datetime.strptime(value, DATE).strftime(DATE) == value:
            return value
    except ValueError:
        pass  # not a date: refused as one of another form is
    raise ValueError("give UTC, like 2026-01-31T12:00:00Z")


def _sha256(value: str) -> str:
    if not _SHA256.fullmatch(value):
        raise ValueError("give 64 digits from 0 to f")
    return value


def _view(value: str) -> str:
    decoded(value)
    return value


Date: TypeAlias = Annotated[str, AfterValidator(_date)]
Sha256: TypeAlias = Annotated[str, AfterValidator(_sha256)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=2**53)]
Share: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
PerThousand: TypeAlias = Annotated[float, Field(ge=0, le=1000)]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class For(_Part):
    """The bundle whose probabilities were looked at."""

    name: str
    """The name on its card."""
    sha256: Sha256
    """Its checksum: no other bundle may be judged by this."""
    provider: str
    """What it ran on, in ONNX Runtime's words."""
    precision: str = Precision.FP32.value
    """What its detector computed with."""


class Seen(_Part):
    """What of the frames was looked at, and how."""

    fit: Literal["resize", "tile"] = "resize"
    """Whether they were resized, or cut into tiles."""
    overlap: Annotated[int, Field(ge=0)] = 0
    """Pixels by which tiles overlapped."""
    region: Annotated[list[int], Field(max_length=4)] = []
    """What alone was looked at: x, y, width, height; empty: all."""
    ignored: str = ""
    """What was ignored: a checksum over mask and polygons; empty: nothing."""

    @classmethod
    def of(cls, overlap: int | None, region: Sequence[int] | None, ignored: str) -> Seen:
        """overlap: None where frames are resized;  ignored: a checksum, empty for nothing."""
        fit: Literal["resize", "tile"] = "resize" if overlap is None else "tile"
        return cls(fit=fit, overlap=overlap or 0, region=list(region or ()), ignored=ignored)

    def __str__(self) -> str:
        how = f"in tiles that overlap by {self.overlap}" if self.fit == "tile" else "resized"
        where = f", region {self.region}" if self.region else ""
        return f"{how}{where}{f', ignoring {self.ignored[:12]}' if self.ignored else ''}"


class Decision(_Part):
    """When a frame is `ng`."""

    threshold: Share
    """The model's own probability above which a pixel is defective; told as 0.5."""
    min_area: Annotated[int, Field(ge=1, le=MAX_AREA)]
    """Smallest defect, in pixels of the model's input."""
    chosen: str
    """How both were chosen, in a sentence."""


class Promise(_Part):
    """What is guaranteed of parts like those that it was made from."""

    false_reject_rate: Share
    """At most this share of good parts is judged `ng`."""
    confidence: Share
    """How sure that is."""


class Side(_Part):
    """How long one side of the pictures is."""

    least: Count
    """Pixels of the shortest."""
    most: Count
    """Pixels of the longest."""

    def __str__(self) -> str:
        return f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"


class Data(_Part):
    """The pictures that it was made from."""

    sha256: Sha256
    """Over the pixels of all pictures, in order."""
    pictures: Count
    """Good pictures."""
    parts: Count
    """Good parts that they show."""
    width: Side | None = None
    """How wide they are; missing in older files."""
    height: Side | None = None
    """How high they are; missing in older files."""


class Estimate(_Part):
    """Parts in a thousand, with the interval that holds with the promise's confidence."""

    per_1000: PerThousand
    """The most likely or mean value."""
    low: PerThousand
    """Lower end of the interval."""
    high: PerThousand
    """Upper end of the interval."""


class Escapes(Estimate):
    """Defective parts in a thousand that are judged `ok`."""

    parts: Count
    """Defective parts that were looked at."""


class HealthRange(_Part):
    """Healthy values of a check, in its unit."""

    low: float | None = None
    """The lowest; without it, there is none."""
    high: float | None = None
    """The highest; without it, there is none."""


class HealthRanges(_Part):
    """By check; one that could not be learnt is missing, and `frozen` is empty where good frames repeat for long."""

    black: HealthRange | None = None
    """Share of the picture that is dark, %."""
    saturated: HealthRange | None = None
    """Share of the picture that is as bright as can be, %."""
    frozen: HealthRange | None = None
    """Frames in a row that repeat the one before."""
    drifted: HealthRange | None = None
    """Median brightness of the last frames, grey levels."""
    shifted: HealthRange | None = None
    """Pixels by which the scene lies off its place."""
    defocused: HealthRange | None = None
    """Contrast over 2 pixels in % of that over 8."""


class Health(_Part):
    """What the camera's pictures are like while it is well. Since format 2."""

    pictures: Count
    """Good pictures that it was learnt from."""
    noise: Annotated[float, Field(ge=0, le=255)] = 0.0
    """Grey levels up to which a frame repeats the one before."""
    reference: Annotated[str, AfterValidator(_view)] | None = None
    """The small grey picture of the scene in its place that `shifted` compares with: a PNG in base64."""
    contrast: Annotated[float, Field(ge=0)] = 0.0
    """By what % of the brightness pixels 8 apart differ at the least; below it `defocused` is 0. Since format 3."""
    ranges: HealthRanges

    @property
    def limits(self) -> Limits:
        """As the daemon takes them."""
        given = {cause: getattr(self.ranges, cause) for cause in CHECKS}
        ranges = {
            cause: Range(-math.inf if one.low is None else one.low, math.inf if one.high is None else one.high)
            for cause, one in given.items()
            if one is not None
        }
        reference = None if self.reference is None else decoded(self.reference)
        return Limits(ranges, self.noise, reference, self.contrast)

    @classmethod
    def of(cls, limits: Limits, pictures: int) -> Health:
        """The table of such limits, learnt from so many pictures."""
        ranges = {
            cause.value: HealthRange(
                low=None if math.isinf(one.low) else one.low, high=None if math.isinf(one.high) else one.high
            )
            for cause, one in limits.ranges.items()
        }
        reference = None if limits.reference is None else encoded(limits.reference)
        return cls(
            pictures=pictures,
            noise=limits.noise,
            reference=reference,
            contrast=limits.contrast,
            ranges=HealthRanges(**ranges),
        )


class Calibration(_Part):
    """The whole file."""

    format: Literal[1, 2, 3]
    """Version of this format; 2 added `health`, 3 its `contrast`."""
    date: Date
    """When it was made, UTC."""
    camera: CameraName | None = None
    """The camera that it was made with; no other may use it then."""
    bundle: For
    frames: Seen = Seen()
    decision: Decision
    promise: Promise
    data: Data
    false_rejects: Estimate
    escapes: Escapes | None = None
    health: Health | None = None

    @property
    def seconds(self) -> float:
        """`date` in seconds since 1970 UTC."""
        return datetime.strptime(self.date, DATE).replace(tzinfo=UTC).timestamp()

    @property
    def tag(self) -> CalibrationTag:
        """What every message of the camera carries."""
        return CalibrationTag(
            self.date,
            self.data.sha256,
            self.promise.false_reject_rate,
            self.promise.confidence,
            self.data.parts,
            self.decision.threshold,
            self.decision.min_area,
        )

    @property
    def is_blind_to_blurs(self) -> bool:
        """Whether it learnt the pictures' sharpness, but not their contrast: strong blurs look sharp to it."""
        return self.format == 2 and self.health is not None and self.health.ranges.defocused is not None

    def __str__(self) -> str:
        rate, confidence = _percent(self.promise.false_reject_rate), _percent(self.promise.confidence)
        return (
            f"calibrated {self.date} on {self.data.parts} good parts: at most {rate} false rejects with {confidence} "
            f"confidence; threshold {self.decision.threshold:.4g} (told as 0.5), min_area {self.decision.min_area}"
        )


def _percent(share: float) -> str:
    """With all of its digits: rounded, a share near 0 or 1 would promise what nobody can keep."""
    return f"{100 * share:.10g} %"


def load(path: Path) -> Calibration:
    """Read and check a calibration; raises ConfigError with a sentence for each mistake."""
    try:
        content = files.read(path, MAX_BYTES)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); make it with inspector calibrate") from error
    except DataError as error:
        raise ConfigError(f"{path}: is {error}; it is no calibration") from error
    try:
        given = tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not TOML ({error}); make it anew with inspector calibrate") from error
    try:
        return Calibration.model_validate(given)
    except ValidationError as error:
        raise ConfigError(
            *(f"{path}: {sentence(Calibration, given, mistake, {})}" for mistake in error.errors())
        ) from error


def objection(
    calibration: Calibration,
    camera: str,
    bundle_sha256: str,
    frames: Seen,
    size: tuple[int | None, int | None] = (None, None),
) -> str | None:
    """Why `camera`, judged by the bundle of that checksum, may not use `calibration`; None if it may.

    frames: what of its frames is looked at, and how;  size: their width and height, as far as it is known
    """
    made_for, data = calibration.bundle, calibration.data
    if made_for.sha256 != bundle_sha256:
        return (
            f"it was made for bundle {made_for.name!r} {made_for.sha256[:12]}, and the camera's bundle is "
            f"{bundle_sha256[:12]}; calibrate anew, for a threshold of one model says nothing of another"
        )
    if calibration.camera not in (None, camera):
        return f"it was made with camera {calibration.camera!r}; calibrate with pictures of this camera"
    if calibration.frames != frames:
        return (
            f"it was made of frames {calibration.frames}, and the camera's are {frames}; calibrate anew with the "
            "camera's fit, overlap, region and ignore"
        )
    for how, pixels, side in zip(("wide", "high"), size, (data.width, data.height), strict=True):
        if pixels is not None and side is not None and not side.least <= pixels <= side.most:
            return (
                f"it was made of pictures that are {side} pixels {how}, and the camera's frames are {pixels}; "
                "calibrate anew with frames of the camera's size, and with --scan-rows where its source gives strips"
            )
    return None
