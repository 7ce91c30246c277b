"""Inspections to message parts and back (pure); docs/wire.md tells the format, message.schema.json checks it.

A message is multipart: topic, header (UTF-8 JSON), then the payloads in the order that the header lists them. numpy
stops here: what leaves is bytes.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any, Literal, TypeVar, cast

from inspector import codecs
from inspector.codecs import Payload
from inspector.errors import DataError, WireError
from inspector.fields import Fields
from inspector.messages import (
    KINDS,
    BeatMessage,
    EventMessage,
    Kind,
    Latency,
    Message,
    PartMessage,
    PreviewMessage,
    ResultMessage,
    VerdictMessage,
)
from inspector.types import (
    Box,
    CalibrationTag,
    CameraWord,
    Event,
    Inspection,
    ModelTag,
    PartVerdict,
    Precision,
    Reason,
    Region,
    Verdict,
)

T = TypeVar("T")

SCHEMA = "inspector"
MAJOR, MINOR = 1, 4
VERSION = f"{MAJOR}.{MINOR}"
MAX_HEADER_BYTES = 1 << 20
MAX_DEFECTS = 1000
"""A header lists the first so many regions; the mask shows them all."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_TOPIC = re.compile(rf"[a-z]+(?:/{_NAME.pattern}){{1,2}}/")
_VERSION = re.compile(r"([0-9]{1,9})\.[0-9]{1,9}")
_VERDICTS = {verdict.value: verdict for verdict in Verdict}
_REASONS = {reason.value: reason for reason in Reason}
_STAGES = [field.name for field in dataclasses.fields(Latency)]
_LATENCY = "{" + ",".join(f'"{stage}":%.6f' for stage in _STAGES) + "}"
_SIZE = "[%d,%d,%d]"


class UnknownMessageError(WireError):
    """A message of ours from the future: of another major version, or of a kind that this one does not know."""


@lru_cache(maxsize=4096)
def topic(kind: Kind | Literal["late"], line: str, subject: str | None = None) -> str:
    """`kind/line/subject/`, or `kind/line/`; ends in the separator, so that cam1 never matches cam10.

    Raises DataError for a name that cannot be in a topic.
    """
    for name in (line, subject):
        if name is not None and not _NAME.fullmatch(name):
            raise DataError(f"{name!r:.80} cannot be in a topic; use 1 to 64 letters, digits, - and _")
    return f"{kind}/{line}/" if subject is None else f"{kind}/{line}/{subject}/"


class Encoder:
    """Makes the messages of one session of a line.

    config_sha256: the configuration's checksum, hex
    catchup: the endpoint that answers for what was missed, as bound; None where there is none

    The JSON is put together by hand, its constant parts once: a verdict is due on the line, and json.dumps alone
    would cost it more than all of this.
    """

    def __init__(
        self,
        line: str,
        session: int,
        config_sha256: str,
        catchup: str | None = None,
    ) -> None:
        self.line = line
        self.configured(config_sha256)
        self._catchup = _quoted(catchup)
        origin = f'"session":{session},"line":"{line}"'
        self._heads = {
            kind: f'{{"schema":"{SCHEMA}","version":"{VERSION}","kind":"{kind}",{origin}' for kind in (*KINDS, "late")
        }

    def configured(self, config_sha256: str) -> None:
        """Name another configuration from now on."""
        self._config = _quoted(config_sha256)

    def verdict(self, inspection: Inspection, sequence: int, publish_seconds: float) -> list[bytes]:
        """The message of every frame; publish_seconds: from the inspection's completion until now."""
        return self._message("verdict", inspection, sequence, (), 0.0, publish_seconds)

    def late(self, inspection: Inspection, sequence: int) -> list[bytes]:
        """What a journal keeps of a result that came too late: a verdict's message by another name, never published."""
        return self._message("late", inspection, sequence, (), 0.0, 0.0)

    def result(
        self,
        inspection: Inspection,
        sequence: int,
        payloads: Sequence[Payload],
        encode_seconds: float,
        publish_seconds: float,
    ) -> list[bytes]:
        """The message of a defective frame; encode_seconds: what making `payloads` (codecs.encode) took."""
        return self._message("result", inspection, sequence, payloads, encode_seconds, publish_seconds)

    def part(self, verdict: PartVerdict, sequence: int, seconds: float) -> list[bytes]:
        """The message of every part; seconds: from its first capture until now."""
        header = (
            f'{self._heads["part"]},"sequence":{sequence},"station":"{verdict.station}","part":{_quoted(verdict.part)}'
            f',"verdict":"{verdict.verdict}","reason":{_quoted(verdict.reason)},"captured_ns":{verdict.captured_ns}'
            f',"cameras":{_list(_word, verdict.words)},"config":{self._config},"seconds":{seconds:.6f},"payloads":[]}}'
        )
        return [topic("part", self.line, verdict.station).encode(), header.encode()]

    def event(self, event: Event, sequence: int) -> list[bytes]:
        """The message of an event."""
        header = (
            f'{self._heads["event"]},"sequence":{sequence},"subject":"{event.subject}","state":{_quoted(event.state)}'
            f',"detail":{_quoted(event.detail)},"at_ns":{event.at_ns},"payloads":[]}}'
        )
        return [topic("event", self.line, event.subject).encode(), header.encode()]

    def beat(self, sequences: Mapping[str, int], at_ns: int, final: bool) -> list[bytes]:
        """The message that says how far each topic is."""
        header = (
            f'{self._heads["beat"]},"at_ns":{at_ns},"final":{"true" if final else "false"}'
            f',"sequences":{json.dumps(dict(sequences))},"catchup":{self._catchup},"payloads":[]}}'
        )
        return [topic("beat", self.line).encode(), header.encode()]

    def preview(self, inspection: Inspection, picture: Payload) -> list[bytes]:
        """The message of a small picture (codecs.preview) of an inspection's frame, which has one."""
        frame = inspection.frame
        assert frame.image is not None  # noqa: S101 - there is its picture
        header = (
            f'{self._heads["preview"]},"camera":"{frame.camera}","frame":{frame.number}'
            f',"captured_ns":{frame.captured_ns},"verdict":"{inspection.verdict}"'
            f',"size":{_SIZE % frame.image.shape},"payloads":[{_payload(picture)}]}}'
        )
        return [topic("preview", self.line, frame.camera).encode(), header.encode(), picture.data]

    def _message(
        self,
        kind: Kind | Literal["late"],
        inspection: Inspection,
        sequence: int,
        payloads: Sequence[Payload],
        encode_seconds: float,
        publish_seconds: float,
    ) -> list[bytes]:
        frame, receipt = inspection.frame, inspection.receipt
        stages = (receipt.queue, receipt.batch, receipt.infer, receipt.judge, receipt.repair)
        header = (
            f'{self._heads[kind]},"sequence":{sequence},"camera":"{frame.camera}","frame":{frame.number}'
            f',"captured_ns":{frame.captured_ns},"part":{_quoted(frame.part)}'
            f',"verdict":"{inspection.verdict}","reason":{_quoted(inspection.reason)}'
            f',"score":{_number(inspection.score)},"threshold":{_number(inspection.threshold)}'
            f',"defects":{_list(_region, inspection.regions[:MAX_DEFECTS])},"residual":{_number(inspection.residual)}'
            f',"size":{"null" if frame.image is None else _SIZE % frame.image.shape}'
            f',"model":{_model(inspection.model)},"config":{self._config}'
            f',"latency":{_LATENCY % (*stages, encode_seconds, publish_seconds)}'
            f',"calibration":{_calibrated(None if frame.standard is None else frame.standard.calibration)}'
            f',"position":{_quoted(inspection.position)},"cause":{_quoted(inspection.cause)}'
            f',"payloads":{_list(_payload, payloads)}}}'
        )
        parts = [topic(kind, self.line, frame.camera).encode(), header.encode()]
        parts += [payload.data for payload in payloads]
        return parts


def _list(form: Callable[[T], str], items: Sequence[T]) -> str:
    return f"[{','.join(map(form, items))}]" if items else "[]"


def _number(value: float | None) -> str:
    # JSON has no NaN and no infinity; and the repr of numpy's scalars is no JSON, hence float().
    return "null" if value is None or not math.isfinite(value) else repr(float(value))


def _quoted(text: str | None) -> str:
    if text is None:
        return "null"
    if not text.isascii():  # a file's name may hold bytes that are no UTF-8, which other languages' JSON refuses
        text = text.encode("utf-8", "replace").decode()
    return encode_basestring_ascii(text)


def _region(region: Region) -> str:
    cx, cy = region.centroid
    return (
        f'{{"box":{list(region.box)},"area":{region.area},"centroid":[{_number(cx)},{_number(cy)}]'
        f',"score":{_number(region.score)}}}'
    )


def _word(word: CameraWord) -> str:
    frame = "null" if word.frame is None else word.frame
    return f'{{"camera":"{word.camera}","frame":{frame},"verdict":"{word.verdict}","reason":{_quoted(word.reason)}}}'


@lru_cache(maxsize=64)
def _model(model: ModelTag | None) -> str:
    if model is None:
        return "null"
    return (
        f'{{"name":{_quoted(model.name)},"sha256":{_quoted(model.sha256)},"provider":{_quoted(model.provider)}'
        f',"precision":{_quoted(model.precision)}}}'
    )


@lru_cache(maxsize=64)
def _calibrated(tag: CalibrationTag | None) -> str:
    return "null" if tag is None else json.dumps(dataclasses.asdict(tag), separators=(",", ":"))


def _payload(payload: Payload) -> str:
    box = "" if payload.box is None else f',"box":{list(payload.box)}'
    return (
        f'{{"name":"{payload.name}","codec":"{payload.codec}","dtype":"{payload.dtype}"'
        f',"shape":{list(payload.shape)},"bytes":{len(payload.data)}{box}}}'
    )


def one_line(header: bytes) -> str:
    """A header as a line of JSON; a line break in JSON is never inside a text, so that a space means the same."""
    return header.decode().replace("\n", " ").replace("\r", " ")


def decode(parts: Sequence[bytes]) -> Message:
    """A message from the parts that came out of a socket; they may be hostile.

    Fields, payload names and codecs that this version does not know are skipped. Raises UnknownMessageError for a
    message from the future, which a reader counts and skips, and WireError for all else that is no message of ours.
    """
    if len(parts) < 2:
        raise WireError(f"a message has 2 parts or more, topic and header first; this has {len(parts)}")
    fields = header(parts[1], KINDS)
    kind, line = fields.text("kind"), fields.text("line")
    head = (line, fields.whole("session"), parts[1], _payloads(fields, parts[2:]))
    message: Message
    if kind == "beat":
        expected = f"{kind}/{line}/"
        table = fields.table("sequences")
        sequences = {name: table.whole(name) for name in table}
        told = (fields.whole("at_ns"), fields.flag("final"), sequences, fields.maybe_text("catchup"))
        message = BeatMessage(*head, *told)
    elif kind == "event":
        event = Event(fields.text("subject"), fields.text("state"), fields.text("detail"), fields.whole("at_ns"))
        expected = f"{kind}/{line}/{event.subject}/"
        message = EventMessage(*head, fields.whole("sequence"), event)
    elif kind == "part":
        message = PartMessage(*head, *_of_part(fields))
        expected = f"{kind}/{line}/{message.station}/"
    elif kind == "preview":
        message = PreviewMessage(*head, *_shown(fields))
        expected = f"{kind}/{line}/{message.camera}/"
        for payload in message.payloads:
            codecs.check(payload, message.size)
    else:
        message = (VerdictMessage if kind == "verdict" else ResultMessage)(*head, *_judged(fields))
        expected = f"{kind}/{line}/{message.camera}/"
        for payload in message.payloads:
            codecs.check(payload, message.size)
    if parts[0] != expected.encode() or not is_topic(expected):
        raise WireError(f"the topic is {reprlib.repr(parts[0])}, its header makes it {reprlib.repr(expected)}")
    return message


def is_topic(text: str) -> bool:
    """Whether `text` has the form of a topic."""
    return _TOPIC.fullmatch(text) is not None


def header(data: bytes, kinds: Sequence[str]) -> Fields:
    """The fields of a header of ours that is one of `kinds`.

    Raises UnknownMessageError for another kind or major version, and WireError for what is no header of ours.
    """
    if len(data) > MAX_HEADER_BYTES:
        raise WireError(f"the header has {len(data)} bytes, more than the {MAX_HEADER_BYTES} that are allowed")
    fields = Fields.parse(data)
    if fields.text("schema") != SCHEMA:
        raise WireError(f"the schema is {reprlib.repr(fields.text('schema'))}, not {SCHEMA!r}")
    version = fields.text("version")
    if version != VERSION:
        _check_version(version)
    if fields.text("kind") not in kinds:
        raise UnknownMessageError(f"the message's kind is {reprlib.repr(fields.text('kind'))}, not one of {kinds}")
    return fields


def _check_version(version: str) -> None:
    numbers = _VERSION.fullmatch(version)
    if numbers is None:
        raise WireError(f"the version is {reprlib.repr(version)}, not MAJOR.MINOR")
    if int(numbers[1]) != MAJOR:
        raise UnknownMessageError(f"the message is of version {version}, this reader knows {MAJOR}")


def _judged(fields: Fields) -> tuple[Any, ...]:
    """The fields that messages.Judged adds, in its order."""
    return (
        fields.whole("sequence"),
        fields.text("camera"),
        fields.whole("frame"),
        fields.whole("captured_ns"),
        fields.maybe_text("part"),
        fields.choice("verdict", _VERDICTS),
        _reason(fields),
        fields.maybe_number("score"),
        fields.maybe_number("threshold"),
        tuple([_defect(defect) for defect in fields.tables("defects")]),
        fields.maybe_number("residual"),
        fields.wholes("size", 3) if fields.has("size") else None,
        _tag(fields.table("model")) if fields.has("model") else None,
        fields.text("config"),
        Latency(*map(fields.table("latency").number, _STAGES)),
        _calibration(fields.table("calibration")) if fields.has("calibration") else None,
        fields.maybe_text("position"),
        fields.maybe_text("cause"),
    )


def _of_part(fields: Fields) -> tuple[Any, ...]:
    """The fields that messages.PartMessage adds, in its order."""
    return (
        fields.whole("sequence"),
        fields.text("station"),
        fields.text("part"),
        fields.choice("verdict", _VERDICTS),
        _reason(fields),
        fields.whole("captured_ns"),
        tuple([_said(word) for word in fields.tables("cameras")]),
        fields.text("config"),
        fields.number("seconds"),
    )


def _shown(fields: Fields) -> tuple[Any, ...]:
    """The fields that messages.PreviewMessage adds, in its order."""
    return (
        fields.text("camera"),
        fields.whole("frame"),
        fields.whole("captured_ns"),
        fields.choice("verdict", _VERDICTS),
        fields.wholes("size", 3),
    )


def _said(fields: Fields) -> CameraWord:
    frame = fields.whole("frame") if fields.has("frame") else None
    return CameraWord(fields.text("camera"), frame, fields.choice("verdict", _VERDICTS), _reason(fields))


def _reason(fields: Fields) -> Reason | None:
    return fields.choice("reason", _REASONS) if fields.has("reason") else None


def _calibration(fields: Fields) -> CalibrationTag:
    return CalibrationTag(
        fields.text("date"),
        fields.text("data_sha256"),
        fields.number("false_reject_rate"),
        fields.number("confidence"),
        fields.whole("parts"),
        fields.number("threshold"),
        fields.whole("min_area"),
    )


def _tag(fields: Fields) -> ModelTag:
    # Daemons of version 1.0 computed in fp32 alone, and did not say so.
    precision = fields.text("precision") if fields.has("precision") else Precision.FP32.value
    return ModelTag(fields.text("name"), fields.text("sha256"), fields.text("provider"), precision)


def _defect(fields: Fields) -> Region:
    x, y = fields.numbers("centroid", 2)
    return Region(cast(Box, fields.wholes("box", 4)), fields.whole("area"), (x, y), fields.number("score"))


def _payloads(fields: Fields, parts: Sequence[bytes]) -> tuple[Payload, ...]:
    listed = fields.tables("payloads")
    if len(listed) != len(parts):
        raise WireError(f"the header lists {len(listed)} payloads, the message has {len(parts)}")
    return tuple([_read(*pair) for pair in zip(listed, parts, strict=True)])


def _read(fields: Fields, data: bytes) -> Payload:
    if fields.whole("bytes") != len(data):
        raise WireError(f"a payload has {len(data)} bytes, the header says {fields.whole('bytes')}")
    box = cast(Box, fields.wholes("box", 4)) if fields.has("box") else None
    return Payload(fields.text("name"), fields.text("codec"), fields.text("dtype"), fields.wholes("shape"), data, box)
