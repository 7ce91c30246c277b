from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.errors import ConfigError, ModelError
from inspector.inference.bundle import load
from inspector.inference.detector import Look
from inspector.inference.engine import Engine, start
from inspector.inference.view import Ignored, View, ignore_mask, view_of
from inspector.judge import Judge, Judgement
from inspector.types import Box, Image, Verdict
from tests.bundles import make_bundle, picture

SHAPE = (48, 64, 1)
JUDGE = Judge(0.7, 4)
HEIGHT, WIDTH = 150, 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("models") / "bright")


@pytest.fixture(scope="module", params=[1, 4, 16], ids=lambda most: f"batches of {most}")
def engine(folder: Path, request: pytest.FixtureRequest) -> Engine:
    return start(load(folder), "cpu", request.param)


def judged(engine: Engine, view: View, image: Image) -> Judgement:
    """What the daemon makes of a frame."""
    ((_, detection),) = engine.detector.look([Look(view.fit(image), None, view.overlap)], lambda _: True)
    return view.judge(JUDGE, detection, *image.shape[:2])


def test_a_small_defect_across_tile_borders_is_one_region_where_it_is(engine: Engine) -> None:
    square = (58, 40, 12, 10)
    view = View(SHAPE, overlap=8)
    judgement = judged(engine, view, picture(HEIGHT, WIDTH, square=square))
    assert [region.box for region in judgement.regions] == [square]
    assert judgement.score == pytest.approx(250 / 255)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[40:50, 58:70] = 255
    assert np.array_equal(judgement.mask, mask)


def test_min_area_is_in_pixels_of_the_model_s_input_which_are_the_frame_s(engine: Engine) -> None:
    view = View(SHAPE, overlap=8)
    assert judged(engine, view, picture(HEIGHT, WIDTH, square=(100, 70, 3, 1))).verdict is Verdict.OK
    assert judged(engine, view, picture(HEIGHT, WIDTH, square=(100, 70, 2, 2))).verdict is Verdict.NG


@pytest.mark.parametrize("size", [(30, 200), (150, 40), (10, 10), (48, 64)])
def test_a_frame_smaller_than_a_tile_keeps_its_scale(engine: Engine, size: tuple[int, int]) -> None:
    square = (4, 3, 5, 4)
    judgement = judged(engine, View(SHAPE, overlap=8), picture(*size, square=square))
    assert [region.box for region in judgement.regions] == [square]
    assert judgement.mask is not None
    assert judgement.mask.shape == size


def test_tiles_of_several_frames_share_batches_and_each_is_told_as_soon_as_it_is_complete(folder: Path) -> None:
    engine = start(load(folder), "cpu", 4)
    runs = []
    run = engine.detector._model.run
    engine.detector._model.run = lambda **given: (runs.append(len(given["image"])), run(**given))[1]  # type: ignore[method-assign]
    large, small = picture(48, 160), picture(square=(9, 9, 9, 9))  # 3 tiles, and 1
    looks = [Look(small), Look(large, overlap=16), Look(small), Look(large, overlap=16)]
    found = list(engine.detector.look(looks, lambda _: True))
    assert runs == [4, 4]
    assert [index for index, _ in found] == [0, 1, 2, 3]
    assert [round(255 * detection.score) for _, detection in found] == [250, 60, 250, 60]


def test_what_is_not_wanted_any_more_is_given_up_between_two_runs(folder: Path) -> None:
    engine = start(load(folder), "cpu", 1)
    asked = []

    def goes_on(index: int) -> bool:
        asked.append(index)
        return len(asked) < 2 or index > 0

    looks = [Look(picture(48, 160), overlap=16), Look(picture(square=(9, 9, 9, 9)))]
    ((index, detection),) = engine.detector.look(looks, goes_on)
    assert index == 1
    assert round(255 * detection.score) == 250
    assert asked == [0, 0, 1]


def test_a_region_is_looked_at_alone_and_told_in_the_frame_s_coordinates(engine: Engine) -> None:
    image = picture(HEIGHT, WIDTH, square=(10, 10, 20, 20))
    image[80:90, 120:130] = 250
    for overlap in (None, 8):
        judgement = judged(engine, View(SHAPE, overlap, region=(64, 48, 128, 96)), image)
        ((x, y, width, height),) = [region.box for region in judgement.regions]
        assert abs(x - 120) <= 2
        assert abs(y - 80) <= 2
        assert abs(x + width - 130) <= 2
        assert abs(y + height - 90) <= 2
        (region,) = judgement.regions
        assert region.centroid == pytest.approx((124.5, 84.5), abs=1)
        assert judgement.mask is not None
        assert judgement.mask.shape == (HEIGHT, WIDTH)
        assert not judgement.mask[:48].any()
        assert not judgement.mask[:, :64].any()


def test_nothing_is_a_defect_where_it_is_ignored(engine: Engine) -> None:
    image = picture(HEIGHT, WIDTH, square=(100, 70, 8, 8))
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[60:90, 90:120] = 255
    polygon = ((90, 60), (120, 60), (120, 90), (90, 90))
    for ignored in (Ignored(mask), Ignored(None, [polygon])):
        for view in (View(SHAPE, 8, ignored=ignored), View(SHAPE, 8, (50, 50, 100, 90), ignored)):
            judgement = judged(engine, view, image)
            assert judgement.verdict is Verdict.OK
            assert judgement.score == pytest.approx(60 / 255)  # what is ignored makes no score
            shown = image.copy()
            shown[100:104, 60:70] = 250
            assert [region.box for region in judged(engine, view, shown).regions] == [(60, 100, 10, 4)]


def test_a_repaired_frame_is_looked_at_again_where_it_was_changed(engine: Engine) -> None:
    view = View(SHAPE, 8)
    image = picture(HEIGHT, WIDTH, square=(58, 40, 12, 10))
    ((_, before),) = engine.detector.look([Look(image, None, 8)], lambda _: True)
    again = engine.detector.again(Look(picture(HEIGHT, WIDTH), None, 8), [(50, 30, 30, 30)], before)
    assert again.score == pytest.approx(60 / 255)
    assert again.map == pytest.approx(60 / 255, abs=1e-6)
    image[120:130, 150:160] = 240  # and what was not repaired still counts
    ((_, before),) = engine.detector.look([Look(image, None, 8)], lambda _: True)
    image[40:50, 58:70] = 60
    again = engine.detector.again(Look(image, None, 8), [(50, 30, 30, 30)], before)
    assert again.score == pytest.approx(240 / 255)
    assert view.score(again, HEIGHT, WIDTH) == again.score


def test_references_are_cut_like_the_frame(tmp_path: Path) -> None:
    comparing = start(load(make_bundle(tmp_path / "comparing", reference=True)), "cpu", 2)
    reference = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 1), np.uint8)
    frame = reference.copy()
    frame[70:80, 100:110] ^= 255  # apart by an odd number
    ((_, detection),) = comparing.detector.look([Look(frame, reference, 8)], lambda _: True)
    apart = np.abs(frame.astype(int) - reference)[:, :, 0] / 255
    assert detection.map == pytest.approx(apart, abs=1e-5)
    (alike,) = comparing.beside(reference, 8).detector.detect([frame])
    assert np.array_equal(alike.map, detection.map)


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (View(SHAPE, size=(64, 48)), r"200x150 pixels where size = \[64, 48\]"),
        (View(SHAPE, region=(100, 0, 101, 50)), r"does not hold region = \[100, 0, 101, 50\]"),
        (View(SHAPE, ignored=Ignored(np.zeros((48, 64), np.uint8))), "the ignore mask has 64x48"),
        (View(SHAPE, ignored=Ignored(None, [((0, 0), (201, 0), (5, 5))])), "an ignored polygon lies outside"),
    ],
)
def test_frames_of_another_size_are_refused(view: View, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        view.fit(picture(HEIGHT, WIDTH))


def test_frames_of_other_channels_are_refused_before_they_are_queued() -> None:
    with pytest.raises(ModelError, match="2 channel"):
        View(SHAPE, 8).fit(np.zeros((HEIGHT, WIDTH, 2), np.uint8))
    assert View(SHAPE, 8).fit(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).shape == (HEIGHT, WIDTH, 3)


def test_what_does_not_go_together_is_a_mistake_of_the_configuration(folder: Path) -> None:
    card = load(folder).card
    assert view_of(card, "tile").overlap == 6
    assert view_of(card, "resize").overlap is None
    assert view_of(card, "tile", 0).overlap == 0
    with pytest.raises(ConfigError, match="use 0 to 24"):
        view_of(card, "tile", 25)
    with pytest.raises(ConfigError, match="only tiles overlap"):
        view_of(card, "resize", 8)
    box: Box = (0, 0, 65, 48)
    with pytest.raises(ConfigError, match="does not hold region"):
        view_of(card, "resize", region=box, size=(64, 48))


def test_an_ignore_mask_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), np.array([[0, 127, 128, 255]], np.uint8))
    assert ignore_mask(path).tolist() == [[0, 0, 255, 255]]
    with pytest.raises(ConfigError, match="cannot be read"):
        ignore_mask(tmp_path / "none.png")
    path.write_bytes(b"no picture")
    with pytest.raises(ConfigError, match="is no picture"):
        ignore_mask(path)
