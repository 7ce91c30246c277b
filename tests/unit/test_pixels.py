"""Each pixel format of a camera's buffer against an independent reading of the standard, sample by sample."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from unittest.mock import patch

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.sources import pixels
from inspector.sources.pixels import FORMATS, Format, picture

CODES = {form.name: code for code, form in FORMATS.items()}


def packed(form: Format, samples: np.ndarray) -> np.ndarray:
    """The samples as a camera would send them, bit by bit as the standard draws it."""
    if form.packing == "" and form.bits > 8:
        return samples.astype("<u2").view(np.uint8)
    if form.packing == "":
        return samples.astype(np.uint8)
    if form.packing == "p":
        bits = "".join(f"{sample:0{form.bits}b}"[::-1] for sample in samples)
        bits += "0" * (-len(bits) % 8)
        return np.array([int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8)], np.uint8)
    low = form.bits - 8
    out: list[int] = []
    for first, second in zip(samples[::2], [*samples[1::2], 0][: len(samples[::2])], strict=True):
        out += [first >> low, (first & ((1 << low) - 1)) | (second & ((1 << low) - 1)) << 4, second >> low]
    return np.array(out[: form.size(len(samples))], np.uint8)


GREY = [form for form in FORMATS.values() if form.colour is None and form.channels == 1]


@pytest.mark.parametrize("form", GREY, ids=lambda form: form.name)
@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_of_grey_formats_the_upper_8_bits_are_kept(form: Format, width: int, height: int, seed: int) -> None:
    samples = np.random.default_rng(seed).integers(0, 2**form.bits, width * height)
    data = packed(form, samples)
    assert data.size == form.size(width * height)
    image, fault = picture(CODES[form.name], data, width, height)
    assert fault is None
    assert image is not None
    np.testing.assert_array_equal(image.reshape(-1), samples >> (form.bits - 8))
    assert image.shape == (height, width, 1)
    assert not np.shares_memory(image, data)


SCENE = np.zeros((16, 16, 3), np.uint8)
SCENE[..., 0], SCENE[..., 1], SCENE[..., 2] = 40, 100, 200  # blue, green, red
LETTERS = {"B": 0, "G": 1, "R": 2}


def mosaic(pattern: str) -> np.ndarray:
    """What a sensor sees of the scene; the rows below begin with the colour that is missing, or green."""
    first, second = pattern
    below = {"GR": "BG", "RG": "GB", "GB": "RG", "BG": "GR"}[first + second]
    seen = np.empty(SCENE.shape[:2], np.uint8)
    for row, letters in enumerate((pattern, below)):
        for column, letter in enumerate(letters):
            seen[row::2, column::2] = SCENE[row::2, column::2, LETTERS[letter]]
    return seen


BAYER = [form for form in FORMATS.values() if form.name.startswith("Bayer")]


@pytest.mark.parametrize("form", BAYER, ids=lambda form: form.name)
def test_bayer_patterns_become_the_colours_that_the_sensor_saw(form: Format) -> None:
    samples = mosaic(form.name[5:7]).reshape(-1).astype(int) << (form.bits - 8)
    image, fault = picture(CODES[form.name], packed(form, samples), 16, 16)
    assert fault is None
    np.testing.assert_array_equal(image, SCENE)


@pytest.mark.parametrize(
    ("name", "order"), [("RGB8", [2, 1, 0]), ("BGR8", [0, 1, 2]), ("RGBa8", [2, 1, 0, 3]), ("BGRa8", [0, 1, 2, 3])]
)
def test_colours_come_as_blue_green_red(name: str, order: list[int]) -> None:
    sent = np.dstack([SCENE, np.full((16, 16), 7, np.uint8)])[..., order]
    image, fault = picture(CODES[name], sent.reshape(-1), 16, 16)
    assert fault is None
    np.testing.assert_array_equal(image, SCENE)
    assert not np.shares_memory(image, sent)


@pytest.mark.parametrize("name", ["Mono8", "Mono12", "Mono12p", "RGB8"])
def test_what_pads_a_row_is_left_out(name: str) -> None:
    form, rng = FORMATS[CODES[name]], np.random.default_rng(5)
    rows = rng.integers(0, 256, (5, form.size(8) + 3), dtype=np.uint8)
    plain, _ = picture(CODES[name], rows[:, :-3].reshape(-1), 8, 5)
    image, fault = picture(CODES[name], rows.reshape(-1)[:-3], 8, 5, padding=3)  # the last may do without
    assert fault is None
    np.testing.assert_array_equal(image, plain)


@pytest.mark.parametrize("name", ["Mono10p", "Mono12p", "Mono12Packed", "BayerRG12p"])
@pytest.mark.parametrize("width", [6, 7])
def test_padded_rows_begin_at_a_byte_of_their_own(name: str, width: int) -> None:
    form, rng = FORMATS[CODES[name]], np.random.default_rng(6)
    rows = rng.integers(0, 256, (4, form.size(width)), dtype=np.uint8)
    grey = replace(form, colour=None)  # no neighbour's colour is mixed in
    padded = np.pad(rows, ((0, 0), (0, 3)))
    with patch.dict(FORMATS, {CODES[name]: grey}):
        image, fault = picture(CODES[name], padded.reshape(-1), width, 4, padding=3)
        alone = [picture(CODES[name], row, width, 1)[0] for row in rows]
    assert fault is None
    np.testing.assert_array_equal(image, np.concatenate(alone))


@pytest.mark.full
def test_codes_are_the_standards() -> None:
    """Against the table of another library, where it is installed."""
    pfnc = pytest.importorskip("harvesters.util.pfnc", reason="needs harvesters: `make test-all` installs it")
    assert {code: pfnc.dict_by_ints[code] for code in FORMATS} == {code: form.name for code, form in FORMATS.items()}


def test_what_cannot_be_read_is_said_in_a_sentence() -> None:
    data = np.zeros(63, np.uint8)
    assert picture(0x0210001F, data, 8, 4) == (
        None,
        "pixel format 0x0210001F of the standard (PFNC) is none that can be read",
    )
    assert picture(CODES["Mono8"], data, 8, 8)[1] == "a buffer of 63 bytes is too small for 8 x 8 pixels of Mono8"
    assert picture(CODES["Mono8"], data, 8, 8, padding=1)[1] is not None
    assert picture(CODES["Mono8"], data, 0, 8)[1] == "a picture of 0 x 8 has no pixels"


@pytest.mark.parametrize("name", ["Mono8", "BGR8", "RGB8", "BayerRG8"])
def test_a_picture_is_copied_once(name: str) -> None:
    cv2.setNumThreads(1)
    form = FORMATS[CODES[name]]
    data = np.zeros(form.size(1000 * 1000), np.uint8)
    tracemalloc.start()
    image, _ = picture(CODES[name], data, 1000, 1000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert image is not None
    assert image.nbytes <= most < 1.1 * image.nbytes


def test_the_older_names_of_formats_are_known() -> None:
    assert {"Mono8", "RGB8Packed", "BayerRG12p"} <= pixels.NAMES
