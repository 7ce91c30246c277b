"""What repairs are measured on: pictures with holes of which it is known what belongs into them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.training.data import Sample
from inspector.training.pictures import Pictures
from inspector.training.trials import punched, trials
from tests.pictures import noise, write

SIZE = (48, 64)


@pytest.fixture
def good(tmp_path: Path) -> list[Sample]:
    return [Sample(write(tmp_path / f"{n}.png", noise(n)), "good") for n in range(2)]


@pytest.fixture
def masks(tmp_path: Path) -> list[Path]:
    """Of three defects, each at a place of its own."""
    paths = []
    for n in range(3):
        mask = np.zeros((*SIZE, 1), np.uint8)
        mask[5 + 10 * n : 9 + 10 * n, 6:12] = 255
        paths.append(write(tmp_path / f"mask{n}.png", mask))
    return paths


def test_good_pictures_get_holes_in_the_shape_of_the_sets_defects(good: list[Sample], masks: list[Path]) -> None:
    found = list(punched([*good, Sample(good[0].picture, "dent", mask=masks[0])], 1))
    assert len(found) == 2
    for number, (image, hole) in enumerate(found):
        assert np.array_equal(image, noise(number))
        assert np.array_equal(hole, cv2.imread(str(masks[0]), cv2.IMREAD_GRAYSCALE))


def test_without_masks_holes_are_drawn(good: list[Sample]) -> None:
    drawn = [hole for _, hole in punched(good, 1)]
    assert len(drawn) == 2
    assert all(hole.any() for hole in drawn)


def test_good_pictures_are_punched_again_with_other_holes_until_there_are_enough(
    good: list[Sample], masks: list[Path]
) -> None:
    samples = [*good, *(Sample(good[0].picture, "dent", mask=mask) for mask in masks)]
    found = list(trials(Pictures(samples, SIZE, 1), 5))
    assert [int(np.argmax(hole.any(axis=1))) for _, _, hole in found] == [5, 15, 15, 25, 25]
    for number, (seen, wanted, _) in enumerate(found):
        assert np.array_equal(seen, noise(number % 2))
        assert np.array_equal(wanted, seen)


def test_no_picture_gets_the_same_hole_twice(good: list[Sample], masks: list[Path]) -> None:
    samples = [*good, *(Sample(good[0].picture, "dent", mask=mask) for mask in masks[:2])]
    found = {(seen.tobytes(), hole.tobytes()) for seen, _, hole in trials(Pictures(samples, SIZE, 1), 99)}
    assert len(found) == len(list(trials(Pictures(samples, SIZE, 1), 99))) == 4


def test_where_defective_pictures_have_twins_those_are_tried(
    good: list[Sample], masks: list[Path], tmp_path: Path
) -> None:
    twin = write(tmp_path / "twin.png", noise(7))
    samples = [*good, Sample(good[0].picture, "dent", mask=masks[0], reference=twin)]
    ((seen, wanted, hole),) = trials(Pictures(samples, SIZE, 1), 5)
    assert np.array_equal(seen, noise(0))
    assert np.array_equal(wanted, noise(7))
    assert np.array_equal(hole, cv2.imread(str(masks[0]), cv2.IMREAD_GRAYSCALE))


def test_without_a_good_picture_there_is_nothing_to_try(good: list[Sample], masks: list[Path]) -> None:
    assert not list(trials(Pictures([Sample(good[0].picture, "dent", mask=masks[0])], SIZE, 1), 5))
