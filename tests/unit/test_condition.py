"""Checks of a camera's pictures: what each finds, what none may find, and how limits are learnt.

The long form is `python -m benchmarks.condition`: 10,000 healthy frames, and every strength of every fault.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import islice

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.condition import alarms, found_after, learnt, limits_of, parts
from benchmarks.spoiled import Fixture, blurred, dimmed, exposed, noisy
from inspector import settings as configuration
from inspector.calibration import Calibration, Health
from inspector.cameras import monitor_of
from inspector.condition import view
from inspector.condition.checks import CHECKS
from inspector.condition.learn import ENOUGH, Learner
from inspector.condition.limits import ANY, Limits, Range, fixed
from inspector.condition.measure import LAMP, Gauge
from inspector.condition.monitor import CALM, Monitor
from inspector.simulation import Line
from inspector.sources.stacked import stack
from inspector.types import Cause, Image

SIZE = {"width": 320, "height": 240}
CAMERA = configuration.Camera(name="cam", source="sim://line", bundle="bundle")


@cache
def healthy(kind: type[Line], first: int, number: int) -> tuple[Image, ...]:
    return tuple(islice(parts(kind(1, **SIZE), first), number))


@cache
def learnt_of(kind: type[Line]) -> Limits:
    return limits_of(learnt([healthy(kind, 0, 300)]))


@pytest.mark.parametrize("kind", [Line, Fixture])
def test_healthy_frames_raise_no_alarm(kind: type[Line]) -> None:
    assert alarms(learnt_of(kind), healthy(kind, 300, 200)) == {}
    assert alarms(fixed(live=True), healthy(kind, 300, 200)) == {}


def test_lines_that_limits_were_not_learnt_on_raise_none_either() -> None:
    limits = limits_of(learnt(islice(parts(Line(seed, **SIZE)), 40) for seed in range(2, 8)))
    for seed in (11, 12, 13):
        assert alarms(limits, islice(parts(Line(seed, **SIZE)), 60)) == {}


@pytest.mark.parametrize(
    ("spoil", "strength", "cause", "within"),
    [
        (blurred, 1.0, Cause.DEFOCUSED, 1),
        (dimmed, 100, Cause.BLACK, 1),
        (dimmed, 15, Cause.DRIFTED, LAMP),
        (exposed, 3, Cause.SATURATED, 1),
        (exposed, 1.15, Cause.DRIFTED, LAMP),
    ],
)
def test_what_is_wrong_is_found(spoil, strength: float, cause: Cause, within: int) -> None:
    rng = np.random.default_rng(0)
    sick = [spoil(image, strength, rng) for image in healthy(Line, 700, 30)]
    first, share, found = found_after(learnt_of(Line), healthy(Line, 600, 30), sick)
    assert first is not None
    assert (first <= within, share, found) == (True, 1.0, cause)


@pytest.mark.parametrize("sigma", [1, 2, 4, 8, 16, 24, 32, 48, 64])
def test_a_blur_is_found_however_strong(sigma: float) -> None:
    """The strongest ones leave noise alone, whose ratio of contrasts is that of a sharp scene, or above it."""
    rng = np.random.default_rng(0)
    sick = [blurred(image, sigma, rng) for image in healthy(Line, 700, 10)]
    assert found_after(learnt_of(Line), healthy(Line, 600, 30), sick) == (1, 1.0, Cause.DEFOCUSED)


@pytest.mark.parametrize(("spoil", "strength"), [(dimmed, 20), (dimmed, 50), (dimmed, 80), (exposed, 1.5)])
def test_another_light_is_no_blur(spoil, strength: float) -> None:
    rng = np.random.default_rng(0)
    monitor = Monitor(learnt_of(Line), [Cause.DEFOCUSED])
    sick = [spoil(image, strength, rng) for image in healthy(Line, 700, 10)]
    assert {monitor.look(image, at).cause for at, image in enumerate(sick)} == {None}


def test_a_scene_without_any_contrast_is_blurred_away() -> None:
    grey = np.full((240, 320, 3), 90, np.uint8)
    assert Gauge(contrast=learnt_of(Line).contrast).measure(grey, 0)[Cause.DEFOCUSED] == 0
    assert math.isnan(Gauge().measure(grey, 0)[Cause.DEFOCUSED])


def test_a_camera_that_was_moved_is_found() -> None:
    line = Fixture(1, **SIZE)
    line.moved = 12
    limits = learnt_of(Fixture)
    assert limits.ranges[Cause.SHIFTED].high < 12
    assert found_after(limits, healthy(Fixture, 600, 30), islice(parts(line, 700), 10)) == (1, 1.0, Cause.SHIFTED)


@pytest.mark.parametrize(("limits", "within"), [(learnt_of, 1), (lambda _: fixed(live=True), 5)])
def test_a_frozen_camera_is_found_within_ten_frames(limits, within: int) -> None:
    frames = healthy(Line, 600, 30)
    assert found_after(limits(Line), frames, 20 * [frames[-1]]) == (within, 1.0, Cause.FROZEN)


def test_a_frozen_picture_through_a_lossy_codec_is_frozen() -> None:
    frames = healthy(Line, 600, 30)
    sick = []
    for number in range(20):
        sick.append(frames[-1].copy())
        sick[-1][number * 7, number] += 3  # a few pixels differ
    assert found_after(learnt_of(Line), frames, sick) == (1, 1.0, Cause.FROZEN)
    assert found_after(fixed(live=True), frames, sick)[0] is None


def test_a_dark_picture_is_black_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    monitor = Monitor(learnt_of(Fixture))
    causes = {monitor.look(noisy(np.full((240, 320, 3), 8.0), rng), at).cause for at in range(40)}
    assert causes == {Cause.BLACK}


def lively(seed: int, channels: int) -> Image:
    return np.random.default_rng(seed).integers(60, 200, (48, 64, channels), np.uint8)


@pytest.mark.parametrize("clipped", [[0], [2], [1, 2]])
@pytest.mark.parametrize("width", [3, 64, 200])
def test_a_channel_that_is_over_exposed_under_coloured_light_is_found(clipped: list[int], width: int) -> None:
    image = np.random.default_rng(0).integers(20, 200, (48, width, 3), np.uint8)
    assert Monitor(fixed(live=True)).look(image, 0).cause is None
    image[:, :, clipped] = 255
    monitor = Monitor(fixed(live=True))
    found = monitor.look(image, 0)
    assert (found.cause, monitor.values[Cause.SATURATED]) == (Cause.SATURATED, 100)
    assert "100 % of the picture, or of one of its colours, is as bright as can be" in found.detail


def test_a_learnt_limit_is_for_all_channels_together() -> None:
    """Else calibrations that were made so would fail good pictures with much red in them."""
    limits = learnt_of(Line)
    image = lively(0, 3)
    image[:, :, 2] = 255
    monitor = Monitor(limits)
    monitor.look(image, 0)
    assert monitor.values[Cause.SATURATED] == pytest.approx(33, abs=1)


STACK = {"visible": 3, "infrared": 1}


@pytest.mark.parametrize("modality", STACK)
@pytest.mark.parametrize(
    ("sick", "cause", "first"),
    [
        (lambda _, channels: lively(0, channels), Cause.FROZEN, 5),
        (lambda _, channels: np.full((48, 64, channels), 9, np.uint8), Cause.BLACK, 0),
        (lambda at, channels: lively(at, channels) + np.uint8(56), None, 0),
        (lambda _, channels: np.full((48, 64, channels), 255, np.uint8), Cause.SATURATED, 0),
    ],
)
def test_each_modality_of_a_stack_is_looked_at(modality: str, sick, cause: Cause | None, first: int) -> None:
    monitor = Monitor(fixed(live=True), modalities=STACK, beside=fixed(live=True))
    shown = [
        {name: (sick if name == modality else lively)(at, channels) for name, channels in STACK.items()}
        for at in range(12)
    ]
    found = [monitor.look(stack(pictures, STACK), at) for at, pictures in enumerate(shown)]
    assert [one.cause for one in found] == [None] * first + [cause] * (12 - first)
    assert all(one.detail.startswith(f"{modality}: ") for one in found if one.cause is not None)
    if cause is not None:
        limit = fixed(live=True).ranges[cause]
        assert not limit.holds(monitor.values[cause]), "what the metrics show is the sick one's"


def test_three_grey_modalities_are_no_colour() -> None:
    """Of which two are dark: a mean, or channels that take turns, would still have light."""
    monitor = Monitor(fixed(live=True), modalities={"a": 1, "b": 1, "c": 1}, beside=fixed(live=True))
    image = np.concatenate([lively(1, 1), np.zeros((48, 64, 1), np.uint8), lively(2, 1)], axis=2)
    finding = monitor.look(image, 0)
    assert (finding.cause, finding.detail) == (
        Cause.BLACK,
        "b: 100 % of the picture is dark; healthy is at most 98",
    )


def test_what_is_learnt_of_a_stack_is_its_first_modality() -> None:
    stacks = [np.concatenate([image, np.zeros_like(image[:, :, :1])], axis=2) for image in healthy(Line, 0, 110)]
    learner, alone = Learner([3, 1]), Learner()
    for image in stacks:
        learner.add(image, None)
        alone.add(np.ascontiguousarray(image[:, :, :3]), None)
    assert limits_of(learner).ranges == limits_of(alone).ranges
    monitor = Monitor(limits_of(learner), modalities=STACK)
    assert {monitor.look(image, at).cause for at, image in enumerate(stacks)} == {None}


@pytest.mark.parametrize(
    ("sources", "found"), [({"visible": "sim://a", "infrared": "sim://b"}, Cause.BLACK), (None, None)]
)
def test_a_camera_of_several_sources_is_a_stack(sources: dict[str, str] | None, found: Cause | None) -> None:
    given = {"source": "sim://a"} if sources is None else {"sources": sources}
    camera = configuration.Camera(name="cam", bundle="bundle", **given)
    image = np.concatenate([lively(0, 3), np.zeros((48, 64, 1), np.uint8)], axis=2)
    assert monitor_of(camera, True, None, STACK).look(image, 0).cause is found


def test_checks_that_are_not_asked_only_measure() -> None:
    monitor = Monitor(fixed(live=True), asked=[Cause.FROZEN])
    assert monitor.look(np.zeros((48, 64, 3), np.uint8), 0).cause is None
    assert monitor.values[Cause.BLACK] == 100
    assert monitor.failing == frozenset()


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 2000), (60, 80), (97, 131), (2000, 9)])
def test_pictures_of_any_size_can_be_measured(height: int, width: int, channels: int) -> None:
    rng = np.random.default_rng(0)
    gauge = Gauge(reference=np.zeros((view.VIEW_HEIGHT, view.VIEW_WIDTH), np.uint8))
    values = gauge.measure(rng.integers(0, 256, (height, width, channels), np.uint8), 0)
    assert values.keys() == CHECKS.keys()


@pytest.mark.parametrize("height", [1, 59, 119, 120, 121, 239, 240, 359, 512, 1024, 1080, 2048, 3648])
@pytest.mark.parametrize("channels", [1, 2])
def test_rows_are_evenly_spread_over_any_height(height: int, channels: int) -> None:
    numbers = np.arange(height)
    image = np.repeat(np.stack([numbers >> 8, numbers & 255], axis=1).astype(np.uint8)[:, :, None], channels, axis=2)
    found = view.rows(image)
    taken = 256 * found[:, 0].astype(int) + found[:, 1]
    assert len(taken) == min(view.ROWS, height)
    assert np.ptp(np.diff([*taken, height])) <= 1
    if height % view.ROWS == 0:  # of which calibrations hold references
        assert np.array_equal(taken, numbers[:: height // view.ROWS])


@pytest.mark.parametrize("height", [120, 200, 239, 359, 480])
@pytest.mark.parametrize("channels", [1, 3])
def test_how_far_down_a_scene_lies_whatever_the_height(height: int, channels: int) -> None:
    down = height // 12
    blobs = np.random.default_rng(1).integers(0, 256, (14, 40, 1), np.uint8)
    tall = np.repeat(np.kron(blobs, np.ones((down, 8, 1), np.uint8)), channels, axis=2)
    reference, seen = (view.view(view.rows(tall[first : first + height])) for first in (down, 0))
    found = view.offset(reference, seen, height, 320)
    assert found.likeness > 0.95
    assert found.pixels == pytest.approx(down, abs=height / view.VIEW_HEIGHT / 2)


def test_a_picture_of_another_size_repeats_nothing() -> None:
    gauge = Gauge()
    images = [np.full((height, 64, 1), 99, np.uint8) for height in (48, 48, 40, 40)]
    assert [gauge.measure(image, 0)[Cause.FROZEN] for image in images] == [0, 1, 0, 1]


@given(st.integers(-9, 9), st.integers(-6, 6))
@settings(max_examples=40)
def test_where_a_scene_lies(right: int, down: int) -> None:
    wide = np.random.default_rng(1).integers(0, 256, (30, 40), np.uint8)
    wide = np.asarray(np.kron(wide, np.ones((4, 4), np.uint8)), np.uint8)  # blobs, as scenes have them
    reference = wide[30:90, 40:120].copy()
    seen = wide[30 - down : 90 - down, 40 - right : 120 - right].copy()
    found = view.offset(reference, seen, 480, 640)
    assert found.likeness > 0.99
    assert found.pixels == pytest.approx(8 * math.hypot(right, down), abs=1)


def test_a_scene_that_is_gone_is_shifted_as_far_as_can_be() -> None:
    limits = learnt_of(Fixture)
    rng = np.random.default_rng(0)
    gauge = Gauge(limits.noise, limits.reference)
    elsewhere = rng.integers(0, 256, (240, 320, 3), np.uint8)
    assert gauge.measure(elsewhere, 0)[Cause.SHIFTED] == view.farthest(240, 320) > limits.ranges[Cause.SHIFTED].high


def test_a_check_that_fails_is_told_once_and_is_well_after_a_while() -> None:
    monitor = Monitor(Limits({Cause.BLACK: Range(high=50)}))
    dark, light = np.zeros((48, 64, 1), np.uint8), np.full((48, 64, 1), 99, np.uint8)
    found = [monitor.look(image, 0) for image in (light, dark, dark, *CALM * [light], light)]
    assert [one.cause for one in found] == [None, Cause.BLACK, Cause.BLACK, *CALM * [None], None]
    assert [one.began for one in found] == [None, Cause.BLACK, None, *CALM * [None], None]
    assert [one.over for one in found] == [(), (), (), *(CALM - 1) * [()], (Cause.BLACK,), ()]
    assert monitor.failing == frozenset()


def test_a_check_that_goes_on_failing_behind_another_is_not_well() -> None:
    monitor = Monitor(Limits({Cause.BLACK: Range(high=40), Cause.SATURATED: Range(high=40)}))
    bright, light = np.full((48, 64, 1), 255, np.uint8), np.full((48, 64, 1), 99, np.uint8)
    both = bright.copy()
    both[:24] = 0
    found = [monitor.look(image, 0) for image in (bright, *2 * CALM * [both])]
    assert [one.cause for one in found] == [Cause.SATURATED, *2 * CALM * [Cause.BLACK]]
    assert not any(one.over for one in found)
    assert monitor.failing == {Cause.BLACK, Cause.SATURATED}
    found = [monitor.look(light, 0) for _ in range(CALM)]
    assert [set(one.over) for one in found] == [*(CALM - 1) * [set()], {Cause.BLACK, Cause.SATURATED}]


def test_a_check_at_its_limit_does_not_flap() -> None:
    monitor = Monitor(Limits({Cause.BLACK: Range(high=50)}))
    dark, light = np.zeros((48, 64, 1), np.uint8), np.full((48, 64, 1), 99, np.uint8)
    found = [monitor.look(image, 0) for image in 20 * [dark, light]]
    assert [one.began for one in found] == [Cause.BLACK, *39 * [None]]
    assert not any(one.over for one in found)


@pytest.mark.parametrize(
    ("one", "text"),
    [(Range(high=4), "at most 4"), (Range(low=26.125), "26.12 or more"), (Range(80, 95.5), "80 to 95.5")],
)
def test_a_range_says_what_it_holds(one: Range, text: str) -> None:
    assert str(one) == text


def test_too_few_frames_teach_nothing() -> None:
    learner = learnt([healthy(Line, 0, ENOUGH - 1)])
    assert learner.limits() is None
    assert learner.notes == ["the camera's health is not learnt: 99 good pictures are fewer than 100"]


@cache
def learnt_of_a_folder() -> tuple[Limits, list[str]]:
    learner = Learner()
    for image in healthy(Line, 0, ENOUGH):
        learner.add(image, None)
    return limits_of(learner), learner.notes


def calibrated_by(limits: Limits) -> Calibration:
    """A calibration that holds such limits, and says nothing else that a monitor would ask."""
    return Calibration.model_construct(health=Health.of(limits, ENOUGH))


def test_pictures_that_follow_on_no_other_teach_no_stillness() -> None:
    limits, notes = learnt_of_a_folder()
    assert Cause.FROZEN not in limits.ranges
    assert notes == [
        "health check frozen is not learnt: that takes 100 frames in a row, of a source; a live camera keeps the limit "
        "that it has without learning"
    ]


@pytest.mark.parametrize("live", [True, False])
def test_a_camera_that_was_calibrated_from_a_folder_may_freeze_no_more_than_before(live: bool) -> None:
    limits, _ = learnt_of_a_folder()
    monitor, image = monitor_of(CAMERA, live, calibrated_by(limits), {}), healthy(Line, 600, 1)[0]
    causes = [monitor.look(image, at).cause for at in range(10)]
    assert causes == (5 * [None] + 5 * [Cause.FROZEN] if live else 10 * [None])


def test_what_healthy_frames_do_is_no_alarm() -> None:
    """A dark scene that is quiet for three frames at a time, as a codec makes it."""
    rng = np.random.default_rng(0)
    images = [image for _ in range(60) for image in 3 * [rng.integers(0, 12, (48, 64, 1), np.uint8)]]
    learner = learnt([images])
    limits = limits_of(learner)
    assert Cause.BLACK not in limits.ranges
    assert limits.ranges[Cause.FROZEN] == Range(high=4)
    assert alarms(limits, images) == {}
    assert learner.notes == [
        "health check black is left out: good pictures are so for almost all of it",
        "health check shifted is left out: the scene has no fixed place",
    ]


def test_a_camera_that_repeats_for_long_cannot_be_told_from_a_frozen_one() -> None:
    image = healthy(Line, 0, 1)[0]
    learner = learnt([ENOUGH * 2 * [image]])
    limits = limits_of(learner)
    assert "health check frozen is left out: 199 good frames in a row are the same" in learner.notes
    monitor = monitor_of(CAMERA, True, calibrated_by(limits), {})
    assert [monitor.look(image, at).cause for at in range(20)] == 20 * [None]
    assert limits.ranges[Cause.FROZEN] == ANY


def structured(seed: int, sigma: float, level: float = 120) -> Image:
    """Grey blobs, the softer the larger `sigma`, of the same contrast."""
    blobs = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((120, 160)), (0, 0), sigma)
    return np.clip(level + 20 * blobs / blobs.std(), 0, 255).astype(np.uint8)[:, :, None]


def learnt_of_any_sharpness(*others: Image) -> tuple[Limits, list[str]]:
    learner = Learner()
    for image in [*(structured(seed, 0.5 if seed % 20 else 9) for seed in range(ENOUGH)), *others]:
        learner.add(image, None)
    return limits_of(learner), learner.notes


def test_good_pictures_of_any_sharpness_have_their_contrast_all_the_same() -> None:
    """No limit below zero, which nothing would fail."""
    limits, notes = learnt_of_any_sharpness()
    assert "health check defocused finds strong blurs at the most: good pictures are of any sharpness" in notes
    assert alarms(limits, (structured(seed, sigma) for seed in range(1000, 1020) for sigma in (0.5, 9))) == {}
    faint = (105 + structured(seed, 0.5) // 8 for seed in range(1000, 1020))
    assert alarms(limits, faint) == {Cause.DEFOCUSED: 20}


def test_nothing_is_defocused_beside_good_pictures_of_any_sharpness_and_of_no_contrast() -> None:
    limits, notes = learnt_of_any_sharpness(np.full((120, 160, 1), 120, np.uint8))
    assert Cause.DEFOCUSED not in limits.ranges
    assert "health check defocused is left out: good pictures are of any sharpness" in notes


def test_nothing_has_drifted_beside_good_pictures_of_any_brightness() -> None:
    learner = learnt([[structured(at, 2, level) for level in (5, 120, 250) for at in range(2 * LAMP)]])
    assert Cause.DRIFTED not in limits_of(learner).ranges
    assert "health check drifted is left out: good pictures are of any brightness" in learner.notes


def test_a_view_survives_as_text() -> None:
    reference = learnt_of(Fixture).reference
    assert reference is not None
    assert np.array_equal(view.decoded(view.encoded(reference)), reference)


@pytest.mark.parametrize("text", ["", "no base64!", "YWJj", view.encoded(np.zeros((9, 9), np.uint8))])
def test_what_is_no_view_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="give a grey PNG of 80 x 60 pixels in base64"):
        view.decoded(text)
