"""Inspections by hand and by hypothesis, for the tests of the wire and of all that stands on it."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from inspector.types import (
    CalibrationTag,
    CameraWord,
    Cause,
    Event,
    Frame,
    Inspection,
    ModelTag,
    PartVerdict,
    Patch,
    Reason,
    Receipt,
    Region,
    Verdict,
)
from tests.standards import Plain

few = settings(max_examples=25)
many = settings(max_examples=150)
"""How often hypothesis tries."""

CALIBRATION = CalibrationTag("2026-01-31T12:00:00Z", "d5" * 32, 0.02, 0.95, 300, 0.3125, 4)
MODEL = ModelTag("bright", "ab" * 32, "CPUExecutionProvider")

whole = st.integers(0, 2**63 - 1)
number = st.floats(allow_nan=False, allow_infinity=False)
seconds = st.floats(0, 1e6)
text = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
name = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)


@st.composite
def masks(draw: st.DrawFn, height: int, width: int) -> np.ndarray:
    bits = draw(st.binary(min_size=height * width, max_size=height * width))
    return (np.frombuffer(bits, np.uint8) & 1).reshape(height, width) * np.uint8(255)


@st.composite
def images(draw: st.DrawFn, height: int, width: int, channels: int) -> np.ndarray:
    size = height * width * channels
    data = draw(st.binary(min_size=size, max_size=size))
    return np.frombuffer(data, np.uint8).reshape(height, width, channels)


@st.composite
def patches(draw: st.DrawFn, height: int, width: int, channels: int) -> Patch:
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    w, h = draw(st.integers(1, width - x)), draw(st.integers(1, height - y))
    return Patch((x, y, w, h), draw(images(h, w, channels)))


regions = st.builds(Region, st.tuples(whole, whole, whole, whole), whole, st.tuples(number, number), number)


@st.composite
def inspections(draw: st.DrawFn) -> Inspection:
    """Anything that the type allows, on a small frame."""
    height, width, channels = draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.sampled_from([1, 3, 4]))
    image = draw(st.none() | images(height, width, channels))
    standard = draw(st.none() | st.sampled_from([Plain(), Plain(calibration=CALIBRATION)]))
    times = draw(whole), draw(seconds), draw(seconds)
    frame = Frame(draw(name), draw(whole), *times, image, draw(st.none() | text), standard=standard)
    pictures = image is not None
    return Inspection(
        frame,
        draw(st.sampled_from(Verdict)),
        draw(st.none() | st.sampled_from(Reason)),
        draw(st.none() | number),
        draw(st.none() | number),
        tuple(draw(st.lists(regions, max_size=3))),
        draw(masks(height, width)) if pictures else None,
        tuple(draw(st.lists(patches(height, width, channels), max_size=2))) if pictures else (),
        draw(st.none() | number),
        draw(st.none() | st.builds(ModelTag, text, text, text)),
        draw(st.builds(Receipt, seconds, seconds, seconds, seconds, seconds)),
        draw(st.none() | text),
        draw(st.none() | st.sampled_from(Cause)),
    )


words = st.builds(CameraWord, name, st.none() | whole, st.sampled_from(Verdict), st.none() | st.sampled_from(Reason))
part_verdicts = st.builds(
    PartVerdict,
    name,
    text,
    st.sampled_from(Verdict),
    st.none() | st.sampled_from(Reason),
    st.lists(words, min_size=1, max_size=4).map(tuple),
    whole,
    seconds,
)

events = st.builds(Event, name, text, text, whole)


def frame(camera: str = "cam1", number: int = 1, size: tuple[int, int, int] = (48, 64, 3)) -> Frame:
    """A frame of noise, captured just now; cam1 is calibrated."""
    image = np.random.default_rng(number).integers(0, 256, size, dtype=np.uint8)
    now = time.monotonic()
    standard = Plain(calibration=CALIBRATION if camera == "cam1" else None)
    return Frame(camera, number, time.time_ns(), now, now + 1.0, image, f"part-{number}", standard=standard)


def ok(camera: str = "cam1", number: int = 1) -> Inspection:
    return Inspection(frame(camera, number), Verdict.OK, None, 0.125, 0.5, model=MODEL)


def part(
    station: str = "gate",
    number: int = 1,
    verdict: Verdict = Verdict.OK,
    reason: Reason | None = None,
    captured_ns: int = 5,
    captured: float = 0.0,
) -> PartVerdict:
    """A part of which cam1 says so, and cam2 that it is ok."""
    said = CameraWord("cam1", number, verdict, reason), CameraWord("cam2", number, Verdict.OK, None)
    return PartVerdict(station, f"part-{number}", verdict, reason, said, captured_ns, captured)


def ng(camera: str = "cam1", number: int = 1, size: tuple[int, int, int] = (48, 64, 3)) -> Inspection:
    """A frame with one defect of 10 x 6 pixels at (20, 12), repaired in a window of 32 x 32 at (8, 8)."""
    judged = frame(camera, number, size)
    mask = np.zeros(size[:2], np.uint8)
    mask[12:18, 20:30] = 255
    assert judged.image is not None
    window = judged.image[8:40, 8:40].copy()
    window[mask[8:40, 8:40] > 0] = 99
    region = Region((20, 12, 10, 6), 60, (24.5, 14.5), 0.875)
    repaired = (Patch((8, 8, 32, 32), window),)
    return Inspection(judged, Verdict.NG, None, 0.875, 0.5, (region,), mask, repaired, 0.0625, MODEL)
