from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import inspector
from inspector import codecs, wire
from inspector.codecs import Formats
from inspector.errors import DataError, WireError
from inspector.messages import (
    BeatMessage,
    EventMessage,
    Latency,
    PartMessage,
    PreviewMessage,
    ResultMessage,
    VerdictMessage,
)
from inspector.types import Event, Inspection, Patch, Reason, Region, Verdict
from inspector.wire import Encoder, UnknownMessageError, decode
from tests.inspections import (
    CALIBRATION,
    events,
    few,
    frame,
    inspections,
    many,
    name,
    ng,
    ok,
    part,
    part_verdicts,
    seconds,
    text,
    whole,
)

PACKAGE = Path(inspector.__file__).parent
SCHEMA = json.loads((PACKAGE / "message.schema.json").read_text())
MANUAL = (PACKAGE.parent / "docs" / "wire.md").read_text()
ENCODER = Encoder("line1", 17, "c0" * 32)

formats = st.builds(
    Formats,
    st.sampled_from(["png", "rle", "raw"]),
    st.sampled_from(["patch", "png", "raw", "none"]),
    st.sampled_from(["none", "png", "raw"]),
)


DEFAULT = Formats()


def result(inspection: Inspection, how: Formats = DEFAULT) -> list[bytes]:
    return ENCODER.result(inspection, 1, codecs.encode(inspection, how), 0.001, 0.002)


# ---- there and back


def same(message: VerdictMessage | ResultMessage, inspection: Inspection) -> None:
    frame = inspection.frame
    assert (message.line, message.session, message.config) == ("line1", 17, "c0" * 32)
    assert (message.camera, message.frame, message.captured_ns) == (frame.camera, frame.number, frame.captured_ns)
    assert message.part == frame.part
    assert message.size == (None if frame.image is None else frame.image.shape)
    assert message.verdict is inspection.verdict
    assert message.reason is inspection.reason
    assert (message.score, message.threshold) == (inspection.score, inspection.threshold)
    assert message.defects == inspection.regions
    assert (message.residual, message.model) == (inspection.residual, inspection.model)
    assert message.calibration == (None if frame.standard is None else frame.standard.calibration)
    assert message.position == inspection.position
    assert message.cause == inspection.cause


@few
@given(inspections(), whole, seconds)
def test_a_verdict_comes_back_as_it_was(inspection, sequence, publish):
    message = decode(ENCODER.verdict(inspection, sequence, publish))
    assert isinstance(message, VerdictMessage)
    assert message.sequence == sequence
    assert message.payloads == ()
    same(message, inspection)
    assert message.latency.encode == 0
    assert message.latency.publish == pytest.approx(publish, abs=1e-6)
    assert message.latency.total == pytest.approx(inspection.receipt.total + publish, abs=1e-5)


@few
@given(part_verdicts, whole, seconds)
def test_a_part_comes_back_as_it_was(verdict, sequence, waited):
    message = decode(ENCODER.part(verdict, sequence, waited))
    assert isinstance(message, PartMessage)
    assert (message.line, message.session, message.config) == ("line1", 17, "c0" * 32)
    assert (message.sequence, message.seconds) == (sequence, pytest.approx(waited, abs=1e-6))
    assert (message.station, message.part, message.cameras) == (verdict.station, verdict.part, verdict.words)
    assert (message.verdict, message.reason) == (verdict.verdict, verdict.reason)
    assert message.captured_ns == verdict.captured_ns


@few
@given(inspections(), formats)
def test_a_result_comes_back_with_its_pictures(inspection, how):
    message = decode(result(inspection, how))
    assert isinstance(message, ResultMessage)
    same(message, inspection)
    image = inspection.frame.image
    assert message.latency == Latency(
        *(round(getattr(inspection.receipt, stage), 6) for stage in ("queue", "batch", "infer", "judge", "repair")),
        0.001,
        0.002,
    )
    if image is None:
        assert message.payloads == ()
        return
    assert np.array_equal(message.mask(), inspection.mask)
    assert (message.source() is None) == (how.source == "none")
    if how.source != "none":
        assert np.array_equal(message.source(), image)
    if how.repaired == "none" or not inspection.patches:
        assert message.repaired(image) is None
    else:
        assert np.array_equal(message.repaired(image), codecs.overlay(image, inspection.patches))
    assert len(message.patches()) == (len(inspection.patches) if how.repaired == "patch" else 0)


@few
@given(events, whole)
def test_an_event_comes_back_as_it_was(event, sequence):
    message = decode(ENCODER.event(event, sequence))
    assert isinstance(message, EventMessage)
    assert (message.event, message.sequence) == (event, sequence)


@few
@given(st.dictionaries(name.map("verdict/line1/{}/".format), whole), whole, st.booleans(), st.none() | text)
def test_a_beat_comes_back_as_it_was(sequences, at_ns, final, catchup):
    message = decode(Encoder("line1", 17, "c0" * 32, catchup=catchup).beat(sequences, at_ns, final))
    assert isinstance(message, BeatMessage)
    assert (message.sequences, message.at_ns, message.final) == (sequences, at_ns, final)
    assert message.catchup == catchup


@pytest.mark.parametrize(
    ("frame_size", "shown"),
    [
        ((48, 64, 3), (48, 64, 3)),
        ((480, 640, 1), (480, 640, 1)),
        ((960, 1280, 3), (480, 640, 3)),
        ((3000, 4096, 1), (469, 640, 1)),
        ((1, 5000, 1), (1, 640, 1)),
        ((60, 80, 2), (60, 80, 1)),
        ((60, 80, 4), (60, 80, 3)),
    ],
)
def test_a_preview_is_the_frame_made_small(frame_size, shown):
    rows = np.linspace(0, 255, frame_size[0]).astype(np.uint8)[:, None, None]
    inspection = replace(ok(), frame=replace(frame(), image=np.ascontiguousarray(np.broadcast_to(rows, frame_size))))
    parts = ENCODER.preview(inspection, codecs.preview(inspection.frame.image))
    VALIDATOR.validate(json.loads(parts[1]))
    message = decode(parts)
    assert isinstance(message, PreviewMessage)
    seen = inspection.frame
    assert (message.camera, message.frame, message.captured_ns) == (seen.camera, seen.number, seen.captured_ns)
    assert (message.verdict, message.size) == (Verdict.OK, frame_size)
    assert message.payloads[0].shape == shown
    small = cv2.imdecode(np.frombuffer(message.jpeg, np.uint8), cv2.IMREAD_UNCHANGED).reshape(shown)
    expected = np.broadcast_to(np.linspace(0, 255, shown[0])[:, None, None], shown)
    assert np.abs(small.astype(float) - expected).max() <= (4 if shown[0] > 1 else 255)


def test_a_preview_larger_than_its_frame_is_refused():
    with pytest.raises(WireError, match="preview"):
        decode(tampered("preview", "payloads.0.shape", [49, 64, 3]))


def test_patches_without_the_frame_say_what_is_needed():
    message = decode(result(ng()))
    assert message.source() is None
    with pytest.raises(DataError, match="give the frame"):
        message.repaired()
    with pytest.raises(DataError, match="does not fit"):
        message.repaired(np.zeros((10, 10, 3), np.uint8))


def test_the_frame_in_the_message_is_repaired_without_asking():
    inspection = ng()
    message = decode(result(inspection, Formats(source="png")))
    assert np.array_equal(message.repaired(), codecs.overlay(inspection.frame.image, inspection.patches))


def test_a_calibrated_cameras_messages_carry_it_whatever_the_verdict():
    unjudged = Inspection(frame(), Verdict.UNKNOWN, Reason.DEADLINE)
    for parts in (ENCODER.verdict(ok(), 1, 0.0), ENCODER.verdict(unjudged, 1, 0.0), result(ng())):
        assert decode(parts).calibration == CALIBRATION
    assert decode(ENCODER.verdict(ok("cam2"), 1, 0.0)).calibration is None


def test_a_message_of_the_first_minor_version_has_no_calibration():
    topic, header = ENCODER.verdict(ok(), 1, 0.0)
    fields = json.loads(header) | {"version": "1.0"}
    del fields["calibration"]
    VALIDATOR.validate(fields)
    assert decode([topic, json.dumps(fields).encode()]).calibration is None


# ---- what leaves is sound


@pytest.mark.parametrize("kind", ["verdict", "result", "part", "event"])
def test_topics_end_in_the_separator(kind):
    assert wire.topic(kind, "line1", "cam1") == f"{kind}/line1/cam1/"
    assert not wire.topic(kind, "line1", "cam10").startswith(wire.topic(kind, "line1", "cam1"))
    assert wire.topic(kind, "line1") == f"{kind}/line1/"


@pytest.mark.parametrize("wrong", ["", "a/b", "-a", "kamera ä", "a" * 65, "a\n"])
def test_a_name_that_would_break_a_topic_is_refused(wrong):
    with pytest.raises(DataError, match="cannot be in a topic"):
        wire.topic("verdict", "line1", wrong)
    with pytest.raises(DataError, match="cannot be in a topic"):
        ENCODER.verdict(ok(camera=wrong), 1, 0.0)


def test_numbers_that_json_lacks_become_null_and_numpys_become_numbers():
    inspection = replace(ok(), score=math.nan, threshold=np.float32(0.5), residual=-math.inf)
    header = json.loads(ENCODER.verdict(inspection, 1, 0.0)[1])
    assert (header["score"], header["threshold"], header["residual"]) == (None, 0.5, None)


def test_a_file_name_that_is_no_unicode_does_not_break_the_header():
    inspection = ok()
    inspection = replace(inspection, frame=replace(inspection.frame, part='a\udcff"b\n'))
    parts = ENCODER.verdict(inspection, 1, 0.0)
    assert parts[1].isascii()
    assert decode(parts).part == 'a?"b\n'


def test_a_frame_of_noise_does_not_outgrow_the_header():
    region = Region((4000, 4000, 1000, 1000), 10**6, (1 / 3, 2 / 3), 1 / 7)
    message = decode(ENCODER.verdict(replace(ok(), regions=(region,) * 50_000), 1, 0.0))
    assert message.defects == (region,) * wire.MAX_DEFECTS


# ---- what comes in is not trusted

VALID = {
    "verdict": ENCODER.verdict(replace(ng(), regions=ng().regions * 2), 3, 0.0),
    "result": result(ng(), Formats(mask="rle", source="png")),
    "part": ENCODER.part(part(verdict=Verdict.UNKNOWN, reason=Reason.CAMERA), 4, 0.25),
    "event": ENCODER.event(Event("cam1", "down", "unplugged", 5), 2),
    "beat": ENCODER.beat({"verdict/line1/cam1/": 3}, 5, final=False),
    "preview": ENCODER.preview(ng(), codecs.preview(ng().frame.image)),
}


def tampered(kind: str, field: str, value: object) -> list[bytes]:
    """A valid message with one field replaced; `a.b.0` names what is inside."""
    topic, header, *payloads = VALID[kind]
    whole = at = json.loads(header)
    *path, last = [int(step) if step.isdigit() else step for step in field.split(".")]
    for step in path:
        at = at[step]
    at[last] = value
    return [topic, json.dumps(whole).encode(), *payloads]


def complaint_of(parts: list[bytes]) -> str:
    """Do whatever a reader may do with a message; nothing but WireError may come of it."""
    try:
        message = decode(parts)
        if isinstance(message, ResultMessage):
            message.mask()
            message.patches()
            if message.source() is not None:
                message.repaired()
    except WireError as error:
        return str(error)
    return ""


@few
@given(st.lists(st.binary(max_size=40), max_size=5))
def test_random_parts_are_refused(parts):
    with pytest.raises(WireError):
        decode(parts)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(["\ud800"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def paths(value: object, at: str = "") -> list[str]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, inner in items for path in (f"{at}{key}", *paths(inner, f"{at}{key}."))]


@many
@given(st.data())
def test_a_tampered_header_is_read_or_refused(data):
    kind = data.draw(st.sampled_from(sorted(VALID)))
    header = json.loads(VALID[kind][1])
    header.pop("sequences", None)  # its keys hold dots and slashes
    parts = tampered(kind, data.draw(st.sampled_from(paths(header))), data.draw(json_values))
    assert complaint_of(parts).isprintable()


@many
@given(st.data())
def test_flipped_bytes_are_read_or_refused(data):
    parts = [bytearray(part) for part in VALID[data.draw(st.sampled_from(sorted(VALID)))]]
    for _ in range(data.draw(st.integers(1, 4))):
        part = data.draw(st.sampled_from(parts))
        part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
    assert complaint_of([bytes(part) for part in parts]).isprintable()


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([], "2 parts or more"),
        (VALID["verdict"][:1], "2 parts or more"),
        ([*VALID["verdict"], b"more"], "lists 0 payloads, the message has 1"),
        (VALID["result"][:-1], "lists 3 payloads, the message has 2"),
        ([*VALID["result"][:-1], b"short"], "has 5 bytes"),
        ([b"verdict/line1/cam2/", VALID["verdict"][1]], "the topic is"),
        ([b"t", b"\xff\xfe"], "no JSON"),
        ([b"t", b"{"], "no JSON"),
        ([b"t", b"[" * 200_000], "no JSON"),
        ([b"t", b'{"a":NaN}'], "NaN is no JSON"),
        ([b"t", b"9" * 5000], "no JSON"),
        ([b"t", b"[]"], "should be an object"),
        ([b"t", b" " * (wire.MAX_HEADER_BYTES + 1)], "bytes, more than"),
        (tampered("verdict", "schema", "frigate"), "not 'inspector'"),
        (tampered("verdict", "version", "one"), "not MAJOR.MINOR"),
        (tampered("verdict", "session", -1), "session is -1"),
        (tampered("verdict", "sequence", 2**63), "sequence is 9223372036854775808"),
        (tampered("verdict", "sequence", True), "sequence is True"),
        (tampered("verdict", "sequence", 1.0), "sequence is 1.0"),
        (tampered("verdict", "frame", None), "frame is None"),
        (tampered("verdict", "score", "high"), "score is 'high'"),
        (tampered("verdict", "score", 10**400), "score is 1000"),
        (tampered("verdict", "verdict", "good"), "verdict is 'good'; it should be one of ok, ng, unknown"),
        (tampered("verdict", "verdict", []), r"verdict is \[\]"),
        (tampered("verdict", "reason", "mood"), "reason is 'mood'"),
        (tampered("verdict", "part", "\ud800"), "part is"),
        (tampered("verdict", "camera", "cam/1"), "the topic is"),
        (tampered("verdict", "size", [1, 2]), "size is"),
        (tampered("verdict", "latency.infer", None), "infer is None"),
        (tampered("verdict", "model", []), r"model is \[\]"),
        (tampered("verdict", "model.provider", None), "provider is None"),
        (tampered("verdict", "calibration", []), r"calibration is \[\]"),
        (tampered("verdict", "calibration.date", None), "date is None"),
        (tampered("verdict", "calibration.parts", 0.5), "parts is 0.5"),
        (tampered("verdict", "defects", {}), r"defects is \{\}"),
        (tampered("verdict", "defects.0", 1), "an item of defects is 1"),
        (tampered("verdict", "defects.1.box", [1, 2, 3]), "box is"),
        (tampered("verdict", "defects.1.centroid", [1, None]), "centroid is"),
        (tampered("result", "payloads.0.bytes", 1), "the header says 1"),
        (tampered("result", "payloads.1.box", [60, 0, 32, 32]), "not inside the frame"),
        (tampered("result", "size", None), "needs a frame"),
        (tampered("part", "station", "cam/1"), "the topic is"),
        (tampered("part", "part", None), "part is None"),
        (tampered("part", "cameras", {}), r"cameras is \{\}"),
        (tampered("part", "cameras.0.verdict", "good"), "verdict is 'good'"),
        (tampered("part", "cameras.0.frame", -1), "frame is -1"),
        (tampered("part", "seconds", "soon"), "seconds is 'soon'"),
        (tampered("event", "state", None), "state is None"),
        (tampered("beat", "final", 0), "final is 0"),
        (tampered("beat", "sequences", {"a": -1}), "a is -1"),
    ],
)
def test_a_malformed_message_gets_one_clear_sentence(parts, complaint):
    with pytest.raises(WireError, match=complaint) as caught:
        decode(parts)
    assert not isinstance(caught.value, UnknownMessageError)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_a_number_that_overflows_is_refused():
    topic, header = VALID["verdict"]
    with pytest.raises(WireError, match="score is inf"):
        decode([topic, header.replace(b'"score":0.875,"thr', b'"score":1e999,"thr')])


# ---- versions


@pytest.mark.parametrize(("field", "value"), [("version", "2.0"), ("version", "999999999.1"), ("kind", "heatmap")])
def test_a_message_from_the_future_is_told_apart(field, value):
    with pytest.raises(UnknownMessageError):
        decode(tampered("verdict", field, value))


@pytest.mark.parametrize("kind", sorted(VALID))
def test_a_later_minor_version_is_read_and_its_additions_are_skipped(kind):
    topic, header, *payloads = VALID[kind]
    fields = json.loads(header)
    fields |= {"version": "1.7", "mood": {"deep": [1]}}
    fields["payloads"] += [
        {"name": "heat", "codec": "png", "dtype": "float16", "shape": [1], "bytes": 2},
        {"name": "mask", "codec": "avif", "dtype": "uint8", "shape": [], "bytes": 0, "extra": None},
    ]
    message = decode([topic, json.dumps(fields).encode(), *payloads, b"..", b""])
    assert message.kind == kind
    if kind == "result":
        assert np.array_equal(message.mask(), ng().mask)


def test_a_message_of_1_0_was_judged_in_fp32():
    fields = json.loads(VALID["verdict"][1])
    del fields["model"]["precision"]
    assert decode([VALID["verdict"][0], json.dumps(fields | {"version": "1.0"}).encode()]).model.precision == "fp32"


def test_a_beat_of_1_1_tells_of_no_catch_up():
    fields = json.loads(VALID["beat"][1])
    del fields["catchup"]
    assert decode([VALID["beat"][0], json.dumps(fields | {"version": "1.1"}).encode()]).catchup is None


def test_a_codec_from_the_future_is_no_picture():
    topic, header, *payloads = VALID["result"]
    for codec in (b"rle", b"patch"):
        header = header.replace(b'"codec":"%s"' % codec, b'"codec":"avif"')
    message = decode([topic, header.replace(b'"source"', b'"thermal"'), *payloads])
    assert (message.mask(), message.source(), message.repaired(), message.patches()) == (None, None, None, ())


# ---- schema, manual and code say the same

VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@few
@given(inspections(), formats)
def test_what_leaves_fits_the_schema(inspection, how):
    for parts in (ENCODER.verdict(inspection, 1, 0.5), result(inspection, how)):
        VALIDATOR.validate(json.loads(parts[1]))


@few
@given(part_verdicts)
def test_parts_fit_the_schema(verdict):
    VALIDATOR.validate(json.loads(ENCODER.part(verdict, 1, 0.5)[1]))


@few
@given(events, st.dictionaries(name, whole))
def test_events_and_beats_fit_the_schema(event, sequences):
    VALIDATOR.validate(json.loads(ENCODER.event(event, 1)[1]))
    VALIDATOR.validate(json.loads(ENCODER.beat(sequences, event.at_ns, final=True)[1]))


@pytest.mark.parametrize(("field", "value"), [("version", "2.0"), ("sequence", 0), ("verdict", "good"), ("size", [1])])
def test_the_schema_refuses_what_is_wrong(field, value):
    assert VALIDATOR.is_valid(json.loads(VALID["verdict"][1]))
    assert not VALIDATOR.is_valid(json.loads(tampered("verdict", field, value)[1]))


@cache
def manual() -> dict[str, set[str]]:
    """The fields that docs/wire.md tells of, by the heading that they stand under."""
    sections = re.split(r"^### (\w+)$", MANUAL, flags=re.MULTILINE)[1:]
    return {
        heading: set(re.findall(r"^\| `(\w+)` \|", body.split("\n## ")[0], re.MULTILINE))
        for heading, body in zip(sections[::2], sections[1::2], strict=True)
    }


def test_the_manual_and_the_schema_tell_of_the_same_fields():
    schema = {
        part: set(definition["properties"])
        for part, definition in SCHEMA["$defs"].items()
        if part not in wire.KINDS and "properties" in definition
    }
    assert manual() == schema


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("verdict", "judged"),
        ("result", "judged"),
        ("part", "gathered"),
        ("event", "change"),
        ("beat", "pulse"),
        ("preview", "shown"),
    ],
)
def test_the_manual_and_the_messages_tell_of_the_same_fields(kind, parts):
    header = json.loads(VALID[kind][1])
    assert set(header) == manual()["every"] | manual()[parts]
    if parts == "judged":
        assert set(header["defects"][0]) == manual()["defect"]
        assert set(header["model"]) == manual()["model"]
        assert set(header["calibration"]) == manual()["calibration"]
        assert set(header["latency"]) == manual()["latency"]
    if kind == "part":
        assert set(header["cameras"][0]) == manual()["word"]
    if kind == "result":
        assert set().union(*header["payloads"]) == manual()["payload"]


def test_the_manual_tells_of_every_codec():
    told: dict[str, set[str]] = {}
    for payload, codec in re.findall(r"^\| `(mask|repaired|source|preview)` \| ([^|]+) \|", MANUAL, re.MULTILINE):
        told.setdefault(payload, set()).update(re.findall(r"`(\w+)`", codec))
    assert told == codecs.CODECS


def test_the_examples_in_the_manual_are_messages():
    examples = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", MANUAL, re.DOTALL)]
    assert [example["kind"] for example in examples] == ["verdict", "result", "part", "beat"]
    verdict, changes, of_part, beat = examples
    for header in (verdict, verdict | changes, of_part, beat):
        VALIDATOR.validate(header)
    assert decode([b"verdict/line1/cam1/", json.dumps(verdict).encode()]).verdict is Verdict.NG
    assert decode([b"part/line1/gate/", json.dumps(of_part).encode()]).reason is Reason.CAMERA


def test_every_payload_of_a_result_is_checked_against_the_frame():
    inspection = ng()
    small = Patch((0, 0, 2, 2), frame(size=(2, 2, 3)).image)
    message = decode(result(replace(inspection, patches=(*inspection.patches, small))))
    assert [patch.box for patch in message.patches()] == [(8, 8, 32, 32), (0, 0, 2, 2)]
