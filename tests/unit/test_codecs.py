from __future__ import annotations

import json
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector import codecs
from inspector.codecs import Formats, Payload
from inspector.errors import DataError, WireError
from inspector.types import Inspection, Patch, Verdict
from tests.inspections import few, frame, images, masks, ng, patches

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def payload_of(inspection: Inspection, name: str, **formats: str) -> Payload:
    (payload,) = [p for p in codecs.encode(inspection, Formats(**formats)) if p.name == name]
    codecs.check(payload, inspection.frame.image.shape)
    return payload


@pytest.mark.parametrize("codec", sorted(codecs.CODECS["mask"]))
@few
@given(st.data())
def test_a_mask_comes_back_as_it_was(codec, data):
    height, width = data.draw(SIZES)
    mask = data.draw(masks(height, width))
    payload = Payload("mask", codec, "uint8", mask.shape, codecs._encode_mask(mask, codec))
    codecs.check(payload, (height, width, 3))
    decoded = codecs.decode_mask(payload)
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, mask)


def test_the_masks_png_has_one_bit_a_pixel():
    data = payload_of(ng(), "mask").data
    assert data[24] == 1  # bit depth
    assert data[25] == 0  # grey


def test_run_lengths_are_cocos():
    # Down the columns, the left one first, beginning with the good pixels: COCO's own example of its order.
    mask = np.array([[0, 255, 0], [0, 255, 255]], np.uint8)
    assert json.loads(codecs._encode_mask(mask, "rle")) == {"size": [2, 3], "counts": [2, 2, 1, 1]}
    assert json.loads(codecs._encode_mask(255 - mask, "rle")) == {"size": [2, 3], "counts": [0, 2, 2, 1, 1]}


@pytest.mark.parametrize("codec", ["png", "raw"])
@few
@given(st.data())
def test_a_lossless_picture_comes_back_bit_for_bit(codec, data):
    height, width = data.draw(SIZES)
    image = data.draw(images(height, width, data.draw(st.sampled_from([1, 2, 3, 4, 16]))))
    payload = Payload("source", codec, "uint8", image.shape, codecs.encode_picture(image, codec))
    codecs.check(payload, image.shape)
    assert np.array_equal(codecs.decode_picture(payload), image)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_comes_back_nearly(channels):
    image = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (64, 80, channels), np.uint8), (0, 0), 9)
    image = image.reshape(64, 80, channels)
    payload = Payload("source", "jpeg", "uint8", image.shape, codecs.encode_picture(image, "jpeg", 95))
    codecs.check(payload, image.shape)
    difference = np.abs(codecs.decode_picture(payload).astype(int) - image)
    assert 0 < difference.max() < 16


@pytest.mark.parametrize("channels", [2, 4, 7])
def test_a_stack_is_one_grey_picture_with_its_channels_one_below_the_other(channels):
    image = np.random.default_rng(1).integers(0, 256, (5, 8, channels), np.uint8)
    grey = cv2.imdecode(np.frombuffer(codecs.encode_picture(image, "png"), np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(grey, np.vstack([image[:, :, i] for i in range(channels)]))
    payload = Payload("source", "jpeg", "uint8", image.shape, codecs.encode_picture(image // 8, "jpeg", 100))
    codecs.check(payload, image.shape)
    assert np.abs(codecs.decode_picture(payload).astype(int) - image // 8).max() < 8


def test_a_stack_of_too_many_values_is_refused_on_either_side(monkeypatch):
    monkeypatch.setattr(codecs, "MAX_PIXELS", 99)
    image = np.zeros((5, 5, 4), np.uint8)
    with pytest.raises(DataError, match="more than 99 values; send it raw"):
        codecs.encode_picture(image, "png")
    with pytest.raises(WireError, match="more than 99 values"):
        codecs.check(Payload("source", "png", "uint8", image.shape, b""), image.shape)
    codecs.check(Payload("source", "raw", "uint8", image.shape, codecs.encode_picture(image, "raw")), image.shape)


def test_quality_makes_the_jpeg_larger():
    image = frame().image
    assert len(codecs.encode_picture(image, "jpeg", 95)) > len(codecs.encode_picture(image, "jpeg", 20))


@few
@given(st.data())
def test_overlay_changes_the_patch_and_nothing_else(data):
    height, width = data.draw(SIZES)
    source = data.draw(images(height, width, 3))
    patch = data.draw(patches(height, width, 3))
    before, result = source.copy(), codecs.overlay(source, [patch])
    x, y, w, h = patch.box
    outside = np.ones((height, width), bool)
    outside[y : y + h, x : x + w] = False
    assert np.array_equal(result[outside], source[outside])
    assert np.array_equal(result[y : y + h, x : x + w], patch.image)
    assert np.array_equal(source, before)


@pytest.mark.parametrize("box", [(-1, 0, 4, 4), (0, 7, 4, 4), (6, 0, 4, 4), (0, 0, 3, 4)])
def test_a_patch_that_does_not_fit_is_refused(box):
    with pytest.raises(DataError, match="does not fit"):
        codecs.overlay(np.zeros((8, 8, 3), np.uint8), [Patch(box, np.zeros((4, 4, 3), np.uint8))])


def test_payloads_come_in_the_documented_order_and_without_what_is_not_there():
    inspection = ng()
    formats = Formats(source="png")
    assert [p.name for p in codecs.encode(inspection, formats)] == ["mask", "repaired", "source"]
    bare = Inspection(inspection.frame, Verdict.NG, mask=inspection.mask)
    for repaired in ("patch", "jpeg", "none"):
        assert [p.name for p in codecs.encode(bare, Formats(repaired=repaired))] == ["mask"]
    assert [p.name for p in codecs.encode(inspection, Formats(repaired="none"))] == ["mask"]


@pytest.mark.parametrize("codec", ["png", "raw"])
def test_a_whole_repaired_frame_is_the_frame_with_its_patches(codec):
    inspection = ng()
    repaired = codecs.decode_picture(payload_of(inspection, "repaired", repaired=codec))
    assert np.array_equal(repaired, codecs.overlay(inspection.frame.image, inspection.patches))
    assert not np.array_equal(repaired, inspection.frame.image)


def test_a_picture_that_a_codec_cannot_hold_is_a_clear_error():
    with pytest.raises(DataError, match=r"\(1, 70000, 1\).*jpg"):
        codecs.encode_picture(np.zeros((1, 70_000, 1), np.uint8), "jpeg")


def bomb(height: int, width: int) -> bytes:
    """A small PNG whose own header promises a huge picture."""
    good = bytearray(codecs.encode_picture(np.zeros((4, 4, 3), np.uint8), "png"))
    good[16:24] = width.to_bytes(4) + height.to_bytes(4)
    good[29:33] = zlib.crc32(good[12:29]).to_bytes(4)
    return bytes(good)


PICTURE = codecs.encode_picture(np.zeros((4, 4, 3), np.uint8), "png")
JPEG = codecs.encode_picture(np.zeros((4, 4, 3), np.uint8), "jpeg")
GREY = codecs.encode_picture(np.full((4, 4, 1), 7, np.uint8), "png")


@pytest.mark.parametrize(
    ("codec", "data", "complaint"),
    [
        ("png", bomb(30_000, 30_000), r"\(30000, 30000\)"),
        ("png", JPEG, "size None"),
        ("png", b"", "size None"),
        ("png", PICTURE[:40], "cannot be decoded"),
        ("jpeg", PICTURE, "size None"),
        ("jpeg", JPEG[:20], "size None"),
        ("jpeg", b"\xff\xd8" + b"\xff" * 9, "size None"),
        ("jpeg", b"\xff\xd8\xff\xc0\x00\x11\x08\x75\x30\x75\x30\x03" + bytes(9), r"\(30000, 30000\)"),
        ("jpeg", b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x04\x00\x04\x03" + bytes(9), "cannot be decoded"),
    ],
)
def test_a_hostile_picture_is_refused_before_it_costs_anything(codec, data, complaint):
    payload = Payload("source", codec, "uint8", (4, 4, 3), data)
    codecs.check(payload, (4, 4, 3))
    with pytest.raises(WireError, match=complaint):
        codecs.decode_picture(payload)


def test_a_jpegs_orientation_does_not_turn_it():
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, :4] = 255
    data = codecs.encode_picture(image, "jpeg", 95)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0"  # orientation 3: upside down
    turned = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif + data[2:]
    decoded = codecs.decode_picture(Payload("source", "jpeg", "uint8", image.shape, turned))
    assert decoded[0, 0, 0] > 200 > 50 > decoded[0, 7, 0]


@pytest.mark.parametrize(
    ("codec", "data"),
    [
        ("raw", bytes([0] * 15 + [1])),
        ("png", GREY),
        ("rle", b""),
        ("rle", b"[]"),
        ("rle", b"\xff"),
        ("rle", b'{"size":[4,4]}'),
        ("rle", b'{"size":[4,5],"counts":[20]}'),
        ("rle", b'{"size":[4,4],"counts":[15]}'),
        ("rle", b'{"size":[4,4],"counts":[-1,17]}'),
        ("rle", b'{"size":[4,4],"counts":[16.0]}'),
        ("rle", b'{"size":[4,4],"counts":[true]}'),
        ("rle", b'{"size":[4,4],"counts":[[16]]}'),
        ("rle", b'{"size":[4,4],"counts":[]}'),
        ("rle", b'{"size":[4,4],"counts":16}'),
        ("rle", b'{"size":[4,4],"counts":[16,[]]}'),
        ("rle", b'{"size":[4,4],"counts":[9223372036854775807,9223372036854775807,18]}'),
        ("rle", b'{"size":[4,4],"counts":[1e99]}'),
        ("rle", b'{"size":[4,4],"counts":' + b"[" * 100_000),
    ],
)
def test_a_hostile_mask_is_refused(codec, data):
    payload = Payload("mask", codec, "uint8", (4, 4), data)
    codecs.check(payload, (4, 4, 3))
    with pytest.raises(WireError):
        codecs.decode_mask(payload)


@pytest.mark.parametrize(
    ("payload", "size"),
    [
        (Payload("mask", "png", "uint8", (4, 4), b""), None),
        (Payload("mask", "png", "uint8", (4, 4), b""), (4, 4, 17)),
        (Payload("mask", "png", "uint8", (20_000, 20_000), b""), (20_000, 20_000, 3)),
        (Payload("mask", "png", "uint8", (0, 4), b""), (0, 4, 3)),
        (Payload("mask", "png", "uint8", (4, 5), b""), (4, 4, 3)),
        (Payload("mask", "png", "bool", (4, 4), b""), (4, 4, 3)),
        (Payload("mask", "raw", "uint8", (4, 4), bytes(15)), (4, 4, 3)),
        (Payload("source", "raw", "uint8", (4, 4), bytes(16)), (4, 4, 1)),
        (Payload("repaired", "patch", "uint8", (2, 2, 3), b""), (4, 4, 3)),
        (Payload("repaired", "patch", "uint8", (2, 2, 3), b"", (3, 0, 2, 2)), (4, 4, 3)),
        (Payload("repaired", "patch", "uint8", (0, 2, 3), b"", (0, 0, 2, 0)), (4, 4, 3)),
        (Payload("repaired", "patch", "uint8", (2, 3, 3), b"", (0, 0, 2, 3)), (4, 4, 3)),
    ],
)
def test_a_payload_that_does_not_fit_its_header_is_refused(payload, size):
    with pytest.raises(WireError, match=f"payload '{payload.name}'"):
        codecs.check(payload, size)


@pytest.mark.parametrize("payload", [Payload("mask", "avif", "x", (), b""), Payload("depth", "png", "f4", (1,), b"")])
def test_payloads_from_the_future_pass(payload):
    codecs.check(payload, None)
