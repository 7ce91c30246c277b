"""The simulated line: what it shows follows from its seed, and what it says of a defect is true."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.errors import ConfigError, DataError
from inspector.simulation import HIDDEN, KINDS, MIN_SIDE, Line, Tray, make_line, write_dataset
from inspector.simulation.line import SMALLEST
from inspector.simulation.scene import CHANGE

DRAWN = (
    ("crack", 35, 96.0),
    ("chip", 34, 93.09),
    ("crack", 58, 92.62),
    ("chip", 20, 92.89),
    ("chip", 68, 92.12),
    ("scuff", 25, 91.58),
)
"""Kind, pixels of the mask and mean of the first parts of a seed."""


@pytest.fixture(scope="module")
def line() -> Line:
    return Line(7, defect_share=1.0)


def test_a_part_follows_from_seed_and_number(line: Line) -> None:
    again = Line(7, defect_share=1.0)
    for number in (5, 3, 5):  # in whatever order they are asked for
        one, other = line.part(number), again.part(number)
        assert (one.number, one.kind) == (number, other.kind)
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.mask, other.mask)
    assert not np.array_equal(line.part(5).reference, line.part(6).reference)
    assert not np.array_equal(line.part(5).reference, Line(8).part(5).reference)


def test_the_share_decides_only_which_parts_are_defective(line: Line) -> None:
    good = Line(7, defect_share=0.0)
    for number in range(3):
        part = good.part(number)
        assert part.kind is None
        assert not part.mask.any()
        np.testing.assert_array_equal(part.image, part.reference)
        np.testing.assert_array_equal(part.image, line.part(number).reference)
        np.testing.assert_array_equal(part.image, line.part(number, defective=False).image)
        np.testing.assert_array_equal(good.part(number, defective=True).image, line.part(number).image)


@pytest.mark.parametrize("number", range(12))
def test_the_mask_is_what_the_defect_changed(line: Line, number: int) -> None:
    part = line.part(number)
    assert part.image.shape == part.reference.shape == (480, 640, 3)
    assert part.mask.shape == (480, 640)
    assert part.image.dtype == part.mask.dtype == np.uint8
    assert set(np.unique(part.mask)) == {0, 255}
    defective = part.mask > 0
    np.testing.assert_array_equal(part.image[~defective], part.reference[~defective])
    change = cv2.absdiff(part.image, part.reference).max(axis=2)
    assert np.count_nonzero(defective) >= SMALLEST
    assert np.median(change[defective]) >= CHANGE


def test_every_kind_comes_and_none_hides(line: Line) -> None:
    small = Line(3, MIN_SIDE, MIN_SIDE, defect_share=1.0)
    kinds = Counter(small.part(number).kind for number in range(150))
    assert set(kinds) == set(KINDS)
    assert min(kinds.values()) >= 10


def test_the_share_is_kept() -> None:
    line = Line(3, MIN_SIDE, MIN_SIDE, defect_share=0.25)
    defective = sum(line.part(number).kind is not None for number in range(400))
    assert 70 <= defective <= 130  # 100 and 3.5 standard deviations


def test_parts_lie_differently_and_inside_the_picture() -> None:
    line = Line(3, defect_share=0.0)
    centres, angles = [], []
    for number in range(20):
        picture = line.part(number).image
        metal = (cv2.GaussianBlur(picture, (0, 0), 2).min(axis=2) > 100).astype(np.uint8)
        metal = cv2.morphologyEx(metal, cv2.MORPH_CLOSE, np.ones((61, 61), np.uint8))
        x, y, width, height = cv2.boundingRect(metal)
        assert min(x, y, 640 - x - width, 480 - y - height) > 0
        centre, _, angle = cv2.minAreaRect(cv2.findNonZero(metal))
        centres.append(centre)
        angles.append((angle + 45) % 90 - 45)
    assert np.std(centres, axis=0).min() > 3
    assert 0.5 < np.std(angles) < 4


@pytest.mark.parametrize(("width", "height"), [(320, 240), (1280, 720), (200, 800)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_grey_or_colour(width: int, height: int, channels: int) -> None:
    part = Line(2, width, height, 1.0, channels).part(1)
    assert part.image.shape == part.reference.shape == (height, width, channels)
    assert part.mask.shape == (height, width)
    assert part.mask.any()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"seed": -1}, "seed = -1"),
        ({"seed": 1, "width": 95}, "width = 95"),
        ({"seed": 1, "height": 8193}, "height = 8193"),
        ({"seed": 1, "defect_share": float("nan")}, "defect share = nan"),
        ({"seed": 1, "channels": 4}, "channels = 4"),
        ({"seed": 1, "modality": "x-ray"}, "modality = 'x-ray'"),
        ({"seed": 1, "defect_size": 4.0}, "a defect of 4 pixels .* give 22 to 75"),
        ({"seed": 1, "width": 1280, "height": 960, "defect_size": 151.0}, "a defect of 151 pixels .* give 44 to 150"),
        ({"seed": 1, "width": 128, "height": 96, "defect_size": 4.75}, "a defect of 4.75 pixels .* give 7 to 15"),
    ],
)
def test_what_a_line_cannot_be(given: dict[str, int], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Line(**given)


def test_a_dataset_has_its_folders_truth_and_manifest(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    folder = tmp_path / "set"
    write_dataset(
        folder, 40, good=30, defective=12, test_good=5, test_defective=8, width=160, height=120,
        progress=lambda done, total: heard.append((done, total)),
    )  # fmt: skip
    assert heard == [(done, 55) for done in range(1, 56)]
    assert len(list((folder / "train/good").iterdir())) == 30
    assert len(list((folder / "test/good").iterdir())) == 5
    for images, masks, references, count in (
        ("train_defective", "train_ground_truth", "train_reference", 12),
        ("test", "ground_truth", "reference", 8),
    ):
        pictures = [path for path in (folder / images).glob("*/*.png") if path.parent.name != "good"]
        assert len(pictures) == count
        for path in pictures:
            assert path.parent.name in KINDS
            image = cv2.imread(str(path))
            reference = cv2.imread(str(folder / references / path.parent.name / path.name))
            mask_path = folder / masks / path.parent.name / f"{path.stem}_mask.png"
            mask = cv2.imread(str(mask_path), cv2.IMREAD_UNCHANGED)
            assert mask.shape == image.shape[:2] == (120, 160)
            assert mask.any()
            np.testing.assert_array_equal(image[mask == 0], reference[mask == 0])


def test_a_datasets_manifest_is_true_and_no_line_is_in_train_and_test(tmp_path: Path) -> None:
    write_dataset(tmp_path, 40, good=40, defective=20, width=96, height=96, channels=1)
    header, *lines = (tmp_path / "MANIFEST.tsv").read_text().splitlines()
    assert header == "path\tsha256\tupstream_path\tgroup"
    rows = [line.split("\t") for line in lines]
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png")}
    assert {path for path, *_ in rows} == files
    groups: dict[bool, set[str]] = {True: set(), False: set()}
    for path, sha256, _, group in rows:
        assert hashlib.sha256((tmp_path / path).read_bytes()).hexdigest() == sha256
        groups[path.startswith("train")].add(group)
    assert groups[True] == {"40", "41"}
    assert groups[False] == {"42"}


def test_a_dataset_is_not_mixed_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "mine.png").touch()
    with pytest.raises(DataError, match="is not an empty folder"):
        write_dataset(tmp_path, 1, good=1, defective=0)


def lines(*modalities: tuple[str, int]) -> list[Line]:
    return [Line(5, 160, 120, 1.0, channels, modality=modality) for modality, channels in modalities]


def test_cameras_of_a_line_see_the_same_parts_and_what_each_can() -> None:
    colour, grey, heat = lines(("visible", 3), ("visible", 1), ("infrared", 1))
    kinds = set()
    for number in range(60):
        part, plain, warm = colour.part(number), grey.part(number), heat.part(number)
        assert part.kind == plain.kind == warm.kind
        kinds.add(part.kind)
        np.testing.assert_array_equal(part.mask, warm.mask)
        np.testing.assert_array_equal(part.mask, plain.mask)
        assert part.mask.any()
        telling, silent = ([warm], [part, plain]) if part.kind in HIDDEN else ([part, plain], [warm])
        for view in silent:
            np.testing.assert_array_equal(view.image, view.reference)
        for view in telling:
            np.testing.assert_array_equal(view.image[part.mask == 0], view.reference[part.mask == 0])
            assert (view.image != view.reference).any()
    assert kinds == {*KINDS, *HIDDEN}


@pytest.mark.parametrize("light", [0.1, 4.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_part_has_its_defect_in_its_place_whatever_the_light(light: float, channels: int) -> None:
    """Or a part would be drawn again and again until a defect is seen by a lamp that shows next to none."""
    day, night = (Line(5, 160, 120, 1.0, channels, one, defect_size=8.0) for one in (1.0, light))
    for number in range(12):
        part, dim = day.part(number), night.part(number)
        assert dim.kind == part.kind
        np.testing.assert_array_equal(dim.mask, part.mask)
        np.testing.assert_array_equal(dim.image[dim.mask == 0], dim.reference[dim.mask == 0])
        assert (dim.image != part.image).any()


def test_a_good_part_looks_the_same_whether_or_not_a_second_camera_sees_it() -> None:
    alone, visible = Line(5, 160, 120, 0.0), Line(5, 160, 120, 0.0, modality="visible")
    for number in range(5):
        np.testing.assert_array_equal(alone.part(number).image, visible.part(number).image)


def test_the_pictures_of_a_seed_stay_what_they_were() -> None:
    """Bundles, benchmarks and calibrations rest on them; OpenCV's drawing may round otherwise on other processors."""
    for number, (kind, area, mean) in enumerate(DRAWN):
        part = Line(3, 160, 120, 1.0, 1 if number % 2 else 3).part(number)
        assert part.kind == kind
        assert np.count_nonzero(part.mask) == pytest.approx(area, rel=0.05)
        assert part.image.mean() == pytest.approx(mean, abs=0.05)


def test_a_dataset_of_two_cameras_has_a_folder_for_each_and_one_mask(tmp_path: Path) -> None:
    write_dataset(tmp_path, 40, good=4, defective=6, width=96, height=96, modalities=("visible", "infrared"))
    names = {
        modality: {path.relative_to(tmp_path).as_posix().replace(f"/{modality}/", "/") for path in pictures}
        for modality in ("visible", "infrared")
        if (pictures := list(tmp_path.glob(f"*/*/{modality}/*.png")))
    }
    assert names["visible"] == names["infrared"]
    assert len([name for name in names["visible"] if name.startswith("train_reference/")]) == 6
    assert len(list(tmp_path.glob("train_ground_truth/*/*_mask.png"))) == 6
    assert len(list(tmp_path.glob("*/*/*.png"))) == 6 + 3, "masks alone lie flat"
    assert {cv2.imread(str(p), cv2.IMREAD_UNCHANGED).ndim for p in tmp_path.glob("*/*/infrared/*.png")} == {2}


def test_a_tray_shows_many_plates_with_one_defect_at_the_most_of_the_size_that_was_asked_for() -> None:
    tray = make_line(7, 650, 500, columns=3, rows=2, defect_size=12)
    assert isinstance(tray, Tray)
    for number in range(4):
        part = tray.part(number, defective=True)
        assert part.image.shape == part.reference.shape == (500, 650, 3)
        assert part.kind in KINDS
        *_, width, height = cv2.boundingRect(part.mask)
        assert 8 <= max(width, height) <= 16
        assert np.array_equal(part.image, tray.part(number, defective=True).image)
    good = tray.part(3, defective=False)
    assert good.kind is None
    assert not good.mask.any()
    assert np.array_equal(good.image, good.reference)


def test_a_tray_of_plates_that_cannot_be_drawn_is_refused_by_what_was_given() -> None:
    with pytest.raises(ConfigError) as caught:
        make_line(7, columns=40, rows=11)
    assert caught.value.problems == (
        "columns = 40 leaves a plate of the simulated line 16 of 640 pixels, and it has 48 to 4096; "
        "give fewer columns or a larger width",
        "rows = 11 leaves a plate of the simulated line 44 of 480 pixels, and it has 48 to 4096; "
        "give fewer rows or a larger height",
    )
    make_line(7, columns=13, rows=10)


def test_a_dataset_of_trays_is_what_the_trays_are(tmp_path: Path) -> None:
    write_dataset(
        tmp_path, 7, good=1, defective=2, test_good=0, test_defective=1, width=325, height=250, columns=3, rows=2,
        defect_size=12,
    )  # fmt: skip
    pictures = sorted([*tmp_path.glob("train/good/*.png"), *tmp_path.glob("train_defective/*/*.png")])
    assert len(pictures) == 3
    for path in pictures:
        seed, number = map(int, path.stem.split("_"))
        tray = make_line(seed, 325, 250, columns=3, rows=2, defect_size=12)
        part = tray.part(number, defective="good" not in path.parts)
        assert (part.kind or "good") == path.parent.name
        np.testing.assert_array_equal(cv2.imread(str(path)), part.image)


def test_plates_on_a_tray_have_no_seam_between_them() -> None:
    image = make_line(7, 960, 480, columns=3, rows=2).part(1, defective=False).image.astype(int)
    steps = np.abs(np.diff(image, axis=1)).mean(axis=(0, 2))
    assert steps[[319, 639]].max() < 2 * np.median(steps)


def test_one_plate_is_a_line_as_ever() -> None:
    assert isinstance(make_line(7), Line)
    assert np.array_equal(make_line(7).part(1).image, Line(7).part(1).image)
