"""What a subscriber gets: one frozen class a kind of message. `wire.decode` makes them, `client` hands them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from inspector import codecs
from inspector.codecs import Payload
from inspector.errors import DataError
from inspector.types import (
    CalibrationTag,
    CameraWord,
    Event,
    Image,
    Mask,
    ModelTag,
    Patch,
    Reason,
    Receipt,
    Region,
    Verdict,
)

Kind: TypeAlias = Literal["verdict", "result", "part", "event", "beat", "preview"]
KINDS: tuple[Kind, ...] = ("verdict", "result", "part", "event", "beat", "preview")
USUAL_KINDS: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind != "preview")
"""All but what costs the daemon work only because it is listened to."""


@dataclass(frozen=True, slots=True)
class Latency(Receipt):
    """The receipt of a message: all of a frame's seconds from capture until its header was encoded.

    encode: making the payloads;  publish: the rest, which is the wait for the publisher
    """

    encode: float = 0.0
    publish: float = 0.0

    @property
    def total(self) -> float:
        """Seconds from capture until the header was encoded."""
        return self.queue + self.batch + self.infer + self.judge + self.repair + self.encode + self.publish


@dataclass(frozen=True, slots=True)
class Header:
    """What every message carries.

    line: the production line's name;  session: one run of the daemon
    raw: the header as it came, JSON, with the fields that this version does not know
    """

    line: str
    session: int
    raw: bytes = field(repr=False, compare=False)
    payloads: tuple[Payload, ...]


@dataclass(frozen=True, slots=True)
class Judged(Header):
    """What a verdict and a result have in common.

    sequence: counts its topic's messages in its session, from 1 without gaps
    captured_ns: wall clock at capture, nanoseconds since 1970 UTC
    size: height, width and channels of the frame; None where there was no picture
    config: checksum (sha256, hex) of the configuration in force when the message was made
    calibration: what the camera was calibrated by, if it was; then 0.5 is its threshold, whatever the model's own
    position: the reference picture that the frame was compared with; None where there is none (and before version 1.1)
    cause: what is wrong with the picture, a `Cause`'s value as far as this version knows them, where the reason is
        `camera`; None otherwise (and before version 1.3)
    The other fields are those of `types.Frame` and `types.Inspection`.
    """

    sequence: int
    camera: str
    frame: int
    captured_ns: int
    part: str | None
    verdict: Verdict
    reason: Reason | None
    score: float | None
    threshold: float | None
    defects: tuple[Region, ...]
    residual: float | None
    size: tuple[int, int, int] | None
    model: ModelTag | None
    config: str
    latency: Latency
    calibration: CalibrationTag | None
    position: str | None
    cause: str | None


@dataclass(frozen=True, slots=True)
class VerdictMessage(Judged):
    """A frame's verdict; every frame has exactly one."""

    kind: ClassVar[Kind] = "verdict"


@dataclass(frozen=True, slots=True)
class ResultMessage(Judged):
    """A defective frame's verdict once more, with its pictures; they are decoded at each call, not before."""

    kind: ClassVar[Kind] = "result"

    def mask(self) -> Mask | None:
        """The defect mask, or None if there is none that this version can read; raises WireError."""
        payload = self._payload("mask")
        return None if payload is None else codecs.decode_mask(payload)

    def source(self) -> Image | None:
        """The frame as captured (JPEG loses a little), or None if it was not sent; raises WireError."""
        payload = self._payload("source")
        return None if payload is None else codecs.decode_picture(payload)

    def patches(self) -> tuple[Patch, ...]:
        """The repaired pieces, to be laid over the source frame; raises WireError."""
        return tuple(
            Patch(payload.box, codecs.decode_picture(payload))
            for payload in self.payloads
            if payload.name == "repaired" and payload.codec == "patch" and payload.box is not None
        )

    def repaired(self, source: Image | None = None) -> Image | None:
        """The whole repaired frame, or None if the message has no repair that this version can read.

        source: the captured frame [H,W,C], for where the message carries pieces only and not the frame itself
        Raises WireError for a damaged payload, and DataError where the frame is needed but absent or does not fit.
        """
        payload = self._payload("repaired")
        if payload is None:
            return None
        if payload.codec != "patch":
            return codecs.decode_picture(payload)
        base = self.source() if source is None else source
        if base is None:
            raise DataError(
                "the message carries repaired pieces but not the frame; "
                'give the frame as `source`, or have the daemon send it (publish.source = "png")'
            )
        return codecs.overlay(base, self.patches())

    def _payload(self, name: str) -> Payload | None:
        return next((p for p in self.payloads if p.name == name and p.codec in codecs.CODECS[name]), None)


@dataclass(frozen=True, slots=True)
class PartMessage(Header):
    """The verdict of a part that a station's cameras have seen; every part has exactly one. Since version 1.3.

    sequence: counts its topic's messages in its session, from 1 without gaps
    captured_ns: wall clock at the first capture, nanoseconds since 1970 UTC
    cameras: what each of the station's cameras said
    config: checksum (sha256, hex) of the configuration in force when the message was made
    seconds: from the first capture until the header was encoded
    """

    kind: ClassVar[Kind] = "part"
    sequence: int
    station: str
    part: str
    verdict: Verdict
    reason: Reason | None
    captured_ns: int
    cameras: tuple[CameraWord, ...]
    config: str
    seconds: float


@dataclass(frozen=True, slots=True)
class EventMessage(Header):
    """A change of state that people should hear of."""

    kind: ClassVar[Kind] = "event"
    sequence: int
    event: Event


@dataclass(frozen=True, slots=True)
class BeatMessage(Header):
    """Once a second: the last sequence of each topic so far; `final` says that the session ends with it.

    catchup: the endpoint that answers for what was missed, as the daemon bound it; None where there is none (and before
    version 1.2)
    """

    kind: ClassVar[Kind] = "beat"
    at_ns: int
    final: bool
    sequences: Mapping[str, int]
    catchup: str | None


@dataclass(frozen=True, slots=True)
class PreviewMessage(Header):
    """A small picture of a frame, to be looked at: some a second of each camera, none of them owed. Since version 1.4.

    size: height, width and channels of the frame;  verdict, captured_ns, frame: as in its verdict
    """

    kind: ClassVar[Kind] = "preview"
    camera: str
    frame: int
    captured_ns: int
    verdict: Verdict
    size: tuple[int, int, int]

    @property
    def jpeg(self) -> bytes | None:
        """The picture as a JPEG, or None if it came in a codec that this version does not know."""
        known = (one.data for one in self.payloads if one.name == "preview" and one.codec in codecs.CODECS["preview"])
        return next(known, None)


Message: TypeAlias = VerdictMessage | ResultMessage | PartMessage | EventMessage | BeatMessage | PreviewMessage


@dataclass(frozen=True, slots=True)
class Gone:
    """Messages of a topic that were published but do not come any more; stands in the stream in their place.

    line: the production line's name;  topic, session: where they were published
    first, last: their sequences, both ends included
    reason: a sentence, where the journal may have them, but catch-up does not answer; None where nobody has them
    """

    kind: ClassVar[Literal["gone"]] = "gone"
    line: str
    topic: str
    session: int
    first: int
    last: int
    reason: str | None = None

    @property
    def count(self) -> int:
        """How many messages they are."""
        return self.last - self.first + 1


Item: TypeAlias = Message | Gone
"""What a subscriber hands out."""
