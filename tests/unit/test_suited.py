"""What a training run chooses from the pictures: how views stray, the detector, the size of its input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch, which `make test-all` installs")

from inspector.training.augment import Augmentation
from inspector.training.data import Sample
from inspector.training.explain import counts
from inspector.training.networks import COMPARERS, DETECTORS
from inspector.training.settings import Mode
from inspector.training.suited import BINARISED, choose_augmentation, choose_detector, choose_size, usual_side
from tests.pictures import noise, write

WHOLE = DETECTORS["segmenter"].pixels


def marked(folder: Path, shape: tuple[int, int], *sides: int) -> Sample:
    """A picture whose mask has squares of these sides."""
    mask, left = np.zeros(shape, np.uint8), 4
    for side in sides:
        mask[4 : 4 + side, left : left + side] = 255
        left += side + 4
    name = f"{len(list(folder.glob('*')))}"
    picture, path = folder / f"{name}.png", folder / f"{name}_mask.png"
    write(picture, noise(0, *shape))
    write(path, mask)
    return Sample(picture, "dent", path, None, "")


def good(folder: Path, image: np.ndarray) -> Sample:
    path = folder / f"{len(list(folder.glob('*')))}.png"
    write(path, image)
    return Sample(path, "good", None, None, "")


def board() -> np.ndarray:
    """Bright lines on a dark ground."""
    image = np.zeros((64, 64), np.uint8)
    image[::8] = image[1::8] = 255
    return image


def test_a_defect_is_as_large_as_it_is_in_the_picture_that_is_seen(tmp_path: Path) -> None:
    samples = [marked(tmp_path, (512, 512), 8, 12, 40, 2)]  # of which one is a speck
    assert usual_side(samples, 256 * 256) == pytest.approx(6)
    large = marked(tmp_path, (512, 512), 8, 12, 200)
    assert usual_side([large], 256 * 256) == pytest.approx(6), "the largest is none of them, and a number all the same"
    assert usual_side(samples, 512 * 512) == np.inf, "nothing is lost where nothing is made smaller"
    assert usual_side([good(tmp_path, noise(1, 512, 512))], WHOLE) == np.inf


@pytest.mark.parametrize(
    ("mode", "sides", "name"),
    [("masks", [9, 10, 11], "closeup"), ("masks", [9, 30, 31], "segmenter"), ("normal", [9], "discover"),
     ("reference", [9], "paired")],
)  # fmt: skip
def test_small_defects_have_the_detector_that_sees_them(
    tmp_path: Path, mode: Mode, sides: list[int], name: str
) -> None:
    chosen, why = choose_detector([good(tmp_path, noise(1, 512, 512)), marked(tmp_path, (512, 512), *sides)], mode)
    assert chosen == name
    assert f"detector {name}" in why


def test_defects_whose_place_nobody_tells_need_whole_pictures(tmp_path: Path) -> None:
    samples = [
        marked(tmp_path, (512, 512), 9),
        Sample(good(tmp_path, noise(1, 512, 512)).picture, "dent", None, None, ""),
    ]
    assert choose_detector(samples, "masks")[0] == "segmenter"


def test_the_input_is_as_large_as_its_detector_wants_and_no_larger_than_the_pictures(tmp_path: Path) -> None:
    large, small = [good(tmp_path, noise(1, 480, 640))], [good(tmp_path, noise(1, 96, 128))]
    assert choose_size(large, WHOLE) == (224, 288)
    assert choose_size(large, DETECTORS["closeup"].pixels) == (480, 640)
    assert choose_size(small, COMPARERS["paired"].pixels) == (96, 128)


def test_the_input_of_a_strip_is_no_longer_than_a_bundle_may_have_it(tmp_path: Path) -> None:
    assert choose_size([good(tmp_path, noise(1, 16, 9000))], WHOLE * 4) == (16, 8192)
    assert choose_size([good(tmp_path, noise(1, 9000, 16))], WHOLE * 4) == (8192, 16)


def test_binarised_pictures_stay_binarised(tmp_path: Path) -> None:
    boards = [good(tmp_path, board()) for _ in range(3)]
    views, why = choose_augmentation(boards, {})
    assert views == BINARISED
    assert "binarised" in why
    views, _ = choose_augmentation(boards, {"rotation": 3.0})
    assert (views.rotation, views.brightness) == (3.0, 0.0)


def test_other_pictures_stray_as_usual_but_for_what_is_told(tmp_path: Path) -> None:
    pictures = [good(tmp_path, noise(64, 64)) for _ in range(3)] + [good(tmp_path, board())]
    views, why = choose_augmentation(pictures, {"flips": "none"})
    assert views == Augmentation(flips="none")
    assert "turned by up to 15 degrees" in why
    assert "binarised" not in why


def test_defective_pictures_count_with_and_without_masks(tmp_path: Path) -> None:
    masked, unmasked = marked(tmp_path, (32, 32), 8), Sample(tmp_path / "a.png", "dent", None, None, "")
    normal = Sample(tmp_path / "b.png", "good", None, None, "")
    assert counts([normal, masked, unmasked], [normal, unmasked]) == {
        "training_normal": 1, "training_defective": 2, "validation_normal": 1, "validation_defective": 1,
    }  # fmt: skip
