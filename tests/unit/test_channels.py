"""Pictures of any number of channels: as files, in bundles, through the detector and the repairer."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import BundleError, DataError, ModelError
from inspector.inference import channels
from inspector.inference.bundle import load
from inspector.inference.engine import Engine, start
from inspector.inference.fit import fit, fitted, with_channels
from inspector.inference.repairer import inpaint
from inspector.sources.folder import read_picture as as_source
from inspector.training.augment import Augmentation, random_view
from inspector.training.data import Sample, count_channels, read_grey, read_picture, readable
from inspector.training.synthetic import paste_defect
from inspector.types import MAX_CHANNELS
from tests.bundles import FILL, make_bundle, picture
from tests.pictures import noise
from tests.pictures import write as write_png

EVERY = range(1, MAX_CHANNELS + 1)


def stack(path: Path, count: int, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    channels.write(path, noise(seed, channels=count))
    return path


@pytest.mark.parametrize("count", EVERY)
def test_what_is_written_is_read_again(tmp_path: Path, count: int) -> None:
    image = noise(1, channels=count)
    path = tmp_path / f"a{channels.suffix(count)}"
    channels.write(path, image)
    assert np.array_equal(read_picture(path, count), image)
    found = channels.stored(path.read_bytes())
    assert found is not None
    assert np.array_equal(found, image)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_folder_whose_name_is_not_utf8_can_be_written_into(tmp_path: Path, count: int) -> None:
    image = noise(1, channels=count)
    path = tmp_path / os.fsdecode(b"line\xe9") / f"a{channels.suffix(count)}"
    path.parent.mkdir()
    channels.write(path, image)
    assert np.array_equal(read_picture(path, count), image)
    with pytest.raises(FileNotFoundError):
        channels.write(tmp_path / "nowhere" / path.name, image)


def test_a_stack_of_16_bits_keeps_the_upper_8(tmp_path: Path) -> None:
    pages = [noise(i)[:, :, 0].astype(np.uint16) * 256 + 17 for i in range(5)]
    assert cv2.imwritemulti(str(tmp_path / "a.tiff"), pages)
    assert np.array_equal(read_picture(tmp_path / "a.tiff", 5), np.dstack(pages) >> 8)


def test_a_fourth_channel_counts_unless_it_is_an_opaque_alpha(tmp_path: Path) -> None:
    four = noise(1, channels=4)
    path = write_png(tmp_path / "four.png", four)
    assert np.array_equal(read_picture(path, 4), four)
    assert np.array_equal(read_picture(path, 3), four[:, :, :3])
    assert count_channels([Sample(path, "good")]) == 4
    four[:, :, 3] = 255
    assert count_channels([Sample(write_png(tmp_path / "opaque.png", four), "good")]) == 3


@pytest.mark.parametrize("name", ["colour.png", "colour.jpg", "grey.png", "grey.jpg", "alpha.png", "deep.png"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_picture_can_be_left_as_a_camera_takes_it(tmp_path: Path, name: str, count: int) -> None:
    have = {"colour": 3, "grey": 1, "alpha": 4, "deep": 3}[name.partition(".")[0]]
    image = noise(1, channels=have)
    path = write_png(tmp_path / name, image.astype(np.uint16) * 256 + 17 if name == "deep.png" else image)
    taken, fault = as_source(path)
    assert (taken is not None, fault) == (True, None)
    left = read_picture(path, count, convert=False)
    assert left.shape[2] == min(have, 3)
    assert np.array_equal(left, taken)


def test_another_number_of_channels_is_said(tmp_path: Path) -> None:
    path = stack(tmp_path / "a.tiff", 5)
    with pytest.raises(DataError, match=r"a.tiff is a picture of 5 channel\(s\) where 3 are wanted"):
        read_picture(path, 3)
    with pytest.raises(DataError, match=r"5 channel.* where 1 are wanted"):
        read_picture(path, 1)
    with pytest.raises(DataError, match=r"3 channel.* where 5 are wanted"):
        read_picture(write_png(tmp_path / "b.png", noise(1, channels=3)), 5)


def test_stacks_that_do_not_fit_together_are_said(tmp_path: Path) -> None:
    for name, pages, sentence in (
        ("size", [noise(1)[:, :, 0], noise(1, 24, 32)[:, :, 0]], "pages are uint8"),
        ("colour", [noise(1, channels=3), noise(2, channels=3)], "pages are uint8"),
        ("many", [noise(i, 8, 8)[:, :, 0] for i in range(17)], "more than 16 pages"),
    ):
        path = tmp_path / f"{name}.tiff"
        assert cv2.imwritemulti(str(path), pages)
        with pytest.raises(DataError, match=rf"{name}.tiff is a stack .*{sentence}"):
            read_picture(path, 2)


def test_the_channels_to_train_with_come_from_the_pictures(tmp_path: Path) -> None:
    grey = [Sample(write_png(tmp_path / f"{i}.png", noise(i)), "good") for i in range(3)]
    stacks = [Sample(stack(tmp_path / f"{i}.tiff", 5, i), "good") for i in range(3)]
    colour = Sample(write_png(tmp_path / "colour.png", noise(9, channels=3)), "good")
    assert count_channels(grey) == 1
    assert count_channels([*grey, colour]) == 3
    assert count_channels(stacks) == 5
    with pytest.raises(DataError, match="the pictures have 1 and 5 channels"):
        count_channels([*grey, *stacks])


def test_what_has_other_channels_is_left_out(tmp_path: Path) -> None:
    samples = [Sample(stack(tmp_path / f"{i}.tiff", count, i), "good") for i, count in enumerate((5, 5, 4))]
    kept, problems = readable(samples, 5)
    assert kept == samples[:2]
    assert len(problems) == 1
    assert "2.tiff is a picture of 4 channel(s) where 5 are wanted" in problems[0]


def test_a_stack_as_grey_is_the_mean_of_its_channels(tmp_path: Path) -> None:
    image = noise(1, channels=5)
    channels.write(tmp_path / "a.tiff", image)
    assert np.array_equal(read_grey(tmp_path / "a.tiff"), image.mean(axis=2, keepdims=True).round())


@pytest.mark.parametrize(("count", "shown"), [(1, [0, 0, 0]), (2, [0, 0, 0]), (3, [0, 1, 2]), (7, [0, 1, 2])])
def test_what_people_see_of_a_stack(count: int, shown: list[int]) -> None:
    image = noise(1, channels=count)
    assert np.array_equal(channels.viewable(image), image[:, :, shown])


@settings(max_examples=60)
@given(st.sampled_from(EVERY), st.integers(8, 90), st.integers(8, 90))
def test_every_channel_is_fitted_alike(count: int, height: int, width: int) -> None:
    image = noise(3, 48, 64, count)
    into = np.zeros((2, height, width, count), np.uint8)
    fit(image, into[1])
    assert not into[0].any()
    for channel in range(count):
        alone = fitted(np.ascontiguousarray(image[:, :, channel : channel + 1]), (height, width, 1))
        assert np.abs(into[1, :, :, channel].astype(int) - alone[:, :, 0]).max() <= 1


def test_a_frame_with_channels_that_cannot_be_converted_is_a_models_failure() -> None:
    for have, wanted in ((3, 5), (1, 2), (5, 3), (4, 1)):
        with pytest.raises(ModelError, match=rf"{have} channel\(s\) where {wanted} are wanted"):
            with_channels(picture(channels=have), wanted)


@pytest.mark.parametrize("count", [2, 4, 5, 16])
def test_views_turn_every_channel_alike(count: int) -> None:
    one = noise(1)
    image = np.repeat(one, count, axis=2)
    views, masks = random_view([image, image], [one[:, :, 0]], (32, 40), Augmentation(), np.random.default_rng(3))
    for view in views:
        assert view.shape == (32, 40, count)
        assert (view == view[:, :, :1]).all()
    assert masks[0].shape == (32, 40)


@pytest.mark.parametrize("count", [2, 5, 16])
def test_defects_are_pasted_on_stacks(count: int) -> None:
    image, donor = noise(1, 64, 64, count), noise(2, 48, 48, count)
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(60):  # every way to paint comes by
        mixed, mask = paste_defect(image, donor, rng)
        assert (mixed.shape, mixed.dtype) == (image.shape, np.uint8)
        changed = (mixed != image).any(axis=2)
        assert changed[mask > 0].all()
        seen += bool(mask.any())
    assert seen > 30


def test_opencvs_inpainters_take_stacks_by_the_channel() -> None:
    image = np.dstack([np.full((20, 20), 10 * channel, np.uint8) for channel in range(5)])
    damaged, hole = image.copy(), np.zeros((20, 20), np.uint8)
    hole[8:12, 8:12] = 255
    damaged[hole > 0] = 255
    assert np.array_equal(inpaint(damaged, hole, "ns"), image)


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("five") / "five", channels=5)


@pytest.fixture(scope="module")
def engine(five: Path) -> Engine:
    return start(load(five), "cpu", max_batch=2)


@pytest.mark.parametrize("count", [2, 4, 5, 16])
def test_a_bundle_of_stacks_proves_itself(tmp_path: Path, count: int) -> None:
    bundle = load(make_bundle(tmp_path / "bundle", channels=count))
    assert start(bundle, "cpu", max_batch=1).tag.name == "bright"


@pytest.mark.parametrize("count", [0, 17])
def test_channels_beyond_1_to_16_are_refused(tmp_path: Path, count: int) -> None:
    folder = make_bundle(tmp_path / "bundle", channels=5)
    card = folder / "bundle.toml"
    card.write_text(card.read_text().replace("channels = 5", f"channels = {count}"))
    with pytest.raises(BundleError, match=rf"input.channels = {count}"):
        load(folder)


def test_a_golden_picture_of_other_channels_is_said(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "bundle", channels=5)
    channels.write(folder / "golden" / "good.tiff", picture(channels=4))
    with pytest.raises(BundleError, match=r"good.tiff is a picture of 4 channel\(s\) where 5 are wanted"):
        start(load(folder), "cpu", max_batch=1)


@pytest.mark.parametrize("size", [(48, 64), (100, 130), (30, 40)])
def test_stacks_are_detected_and_repaired(engine: Engine, size: tuple[int, int]) -> None:
    image = picture(*size, 5, square=(10, 6, 90, 20))
    mask = np.where(image[:, :, 0] > 100, 255, 0).astype(np.uint8)
    (detection,) = engine.detector.detect([image])
    assert detection.score == pytest.approx(250 / 255)
    assert engine.repairer is not None
    repaired, _ = engine.repairer.repair(image, mask, [(10, 6, min(90, size[1] - 10), 20)])
    assert (repaired[mask > 0] == FILL).all()
    assert np.array_equal(repaired[mask == 0], image[mask == 0])


def test_a_colour_frame_is_no_stack(engine: Engine) -> None:
    with pytest.raises(ModelError, match=r"3 channel\(s\) where 5 are wanted"):
        engine.detector.detect([picture(channels=3)])
