"""Pictures whose modalities lie in folders of their own: found, stacked, hashed, checked, and told apart."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.calibrate.session import _defective
from inspector.errors import DataError
from inspector.inference import channels
from inspector.training import data
from inspector.training.check.run import check
from inspector.training.modalities import divisions, files_of, pictures_in
from inspector.types import Image


def noise(seed: int, count: int, size: tuple[int, int] = (48, 64)) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (*size, count), np.uint8)


def put(path: Path, image: Image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Parts in colour and in heat, good ones and dented ones with masks and references."""
    for index in range(6):
        for folder in ("train/good", "test/good", "train_defective/dent", "train_reference/dent"):
            seed = 100 * index + len(folder)
            put(tmp_path / folder / "visible" / f"{index}.png", noise(seed, 3))
            put(tmp_path / folder / "infrared" / f"{index}.png", noise(seed + 1, 1))
        put(tmp_path / "train_ground_truth" / "dent" / f"{index}_mask.png", np.eye(48, 64, dtype=np.uint8) * 255)
    return tmp_path


def test_a_part_is_one_picture_with_the_channels_of_all_in_the_order_of_their_names(root: Path) -> None:
    samples = data.training_samples(root)
    assert len(samples) == 12
    good, dent = samples[0], samples[6]
    assert good.picture == root / "train/good/0.png"
    assert [file.parent.name for file in files_of(good.picture)] == ["infrared", "visible"]
    image = data.read_picture(good.picture, 4)
    heat = cv2.imread(str(root / "train/good/infrared/0.png"), cv2.IMREAD_UNCHANGED)
    colour = cv2.imread(str(root / "train/good/visible/0.png"))
    np.testing.assert_array_equal(image, np.dstack([heat, colour]))
    assert data.read_grey(good.picture).shape == (48, 64, 1)
    assert dent.mask == root / "train_ground_truth/dent/0_mask.png"
    assert dent.reference == root / "train_reference/dent/0.png"
    assert data.read_picture(dent.reference, 4).shape == (48, 64, 4)
    assert data.modalities(samples) == {"infrared": 1, "visible": 3}
    assert data.count_channels(samples) == 4
    assert data.readable(samples, 4, whole=True) == (samples, [])


def test_the_plain_folders_and_a_loose_one_may_be_divided_too(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "train/good", tmp_path / "plain" / "normal")
    assert [s.picture.name for s in data.find_training(tmp_path / "plain")] == [f"{i}.png" for i in range(6)]
    assert len(data.loose_samples(root / "train/good", data.GOOD)) == 6
    assert data.loose_samples(root / "train/good", data.GOOD, divided=False) == []


def test_what_ends_differently_but_has_one_stem_is_one_part(tmp_path: Path) -> None:
    put(tmp_path / "visible" / "a.jpg", noise(1, 3))
    put(tmp_path / "depth" / "a.png", noise(2, 1).astype(np.uint16) << 8)
    (picture,) = pictures_in(tmp_path)
    assert [file.name for file in files_of(picture)] == ["a.png", "a.jpg"]
    assert data.read_picture(picture, 4).dtype == np.uint8


def test_a_folder_with_pictures_of_its_own_is_not_divided(root: Path) -> None:
    own = put(root / "train/good/mine.png", noise(1, 3))
    assert divisions(root / "train/good") == []
    assert pictures_in(root / "train/good") == [own]


def test_the_hash_covers_every_file_and_stays_what_it_was_for_single_ones(root: Path, tmp_path: Path) -> None:
    samples = data.training_samples(root)
    before = data.data_hash(samples)
    put(root / "train/good/infrared/3.png", noise(7, 1))
    assert data.data_hash(samples) != before


def test_groups_are_those_of_a_pictures_files(root: Path) -> None:
    (root / data.MANIFEST).write_text("path\tgroup\ntrain/good/visible/0.png\tleft\n")
    assert [sample.group for sample in data.training_samples(root)][:2] == ["left", ""]


def test_a_missing_partner_and_another_size_are_left_out_and_found(root: Path) -> None:
    (root / "train/good/infrared/0.png").unlink()
    (root / "train/good/visible/1.png").unlink()
    put(root / "train/good/infrared/2.png", noise(1, 1, (24, 32)))
    kept, problems = data.readable(data.training_samples(root), 4)
    assert len(kept) == 9
    assert problems == [
        f"{root}/train/good/infrared/0.png is not there; add it",
        f"{root}/train/good/visible/1.png is not there; add it",
        f"{root}/train/good/2.png has modalities of different sizes (infrared 32x24, visible 64x48); make them equal, "
        "of the same view",
    ]
    found = {(finding.rule, finding.files): finding for finding in check(root).findings}
    first, second = found["modality-missing", ("train/good/0.png",)], found["modality-missing", ("train/good/1.png",)]
    assert "infrared has none of that name" in first.text
    assert "visible has none of that name" in second.text
    assert first.remedy == "add the pictures of that modality, or remove those of the others"
    assert "infrared 32x24, visible 64x48" in found["modality-size", ("train/good/2.png",)].text


def test_the_check_takes_every_file_and_tells_of_folders_that_differ(root: Path) -> None:
    rules = {finding.rule for finding in check(root).findings}
    assert not rules & {"place", "unreadable", "modalities", "channels", "ignored"}
    (root / "test/good/infrared").rename(root / "test/good/heat")
    (finding,) = [finding for finding in check(root).findings if finding.rule == "modalities"]
    assert "not divided into infrared, visible" in finding.text
    assert finding.files == ("test/good",)


def test_deep_pictures_are_seen_in_whichever_modality(tmp_path: Path) -> None:
    for index in range(3):
        put(tmp_path / "normal/visible" / f"{index}.png", noise(index, 1))
        put(tmp_path / "normal/depth" / f"{index}.png", noise(index, 1).astype(np.uint16))
    (finding,) = [finding for finding in check(tmp_path).findings if finding.rule == "depth"]
    assert "use only the lower 12" in finding.text


def test_too_many_channels_and_a_wrong_number_are_said_of_the_part(root: Path) -> None:
    with pytest.raises(DataError, match=r"train/good/0.png is a picture of 4 channel\(s\) where 5 are wanted"):
        data.read_picture(root / "train/good/0.png", 5)
    (root / "train/good/infrared/0.png").unlink()
    channels.write(root / "train/good/infrared/0.tiff", noise(1, 14))
    with pytest.raises(DataError, match="has 17 channels in all; a picture has at most 16"):
        data.read_as_stored(root / "train/good/0.png")


def test_a_bundle_and_pictures_of_other_modalities_do_not_go_together(root: Path) -> None:
    samples = data.training_samples(root)
    data.check_modalities(samples, {"infrared": 1, "visible": 3})
    data.check_modalities(samples, {})
    with pytest.raises(DataError, match="has the modalities infrared, visible, and the bundle takes visible, x-ray"):
        data.check_modalities(samples, {"visible": 3, "x-ray": 1})


def test_a_folder_whose_name_no_modality_can_have_is_refused(tmp_path: Path) -> None:
    for name in ("visible", "near infrared"):
        put(tmp_path / "normal" / name / "0.png", noise(1, 1))
    with pytest.raises(DataError, match="near infrared names a modality: use 1 to 64 letters"):
        data.modalities(data.training_samples(tmp_path))


@pytest.mark.parametrize("find", [data.training_samples, data.test_samples])
def test_kinds_of_defects_in_the_plain_layout_are_refused(find: Callable[[Path], object], tmp_path: Path) -> None:
    put(tmp_path / "normal/0.png", noise(1, 3))
    for kind in ("dent", "scratch"):
        put(tmp_path / "defective" / kind / "0.png", noise(1, 3))
    said = r"normal is divided into nothing, \S+/defective into dent, scratch; give .* kinds of defects are no modal"
    with pytest.raises(DataError, match=said):
        find(tmp_path)
    put(tmp_path / "defective/0.png", noise(1, 3))
    assert find(tmp_path)
    (finding,) = [finding for finding in check(tmp_path).findings if finding.rule == "place"]
    assert finding.files == ("defective/dent/0.png", "defective/scratch/0.png")


def test_kinds_of_defects_to_calibrate_with_are_no_modalities(root: Path, tmp_path: Path) -> None:
    takes = {"infrared": 1, "visible": 3}
    assert {sample.kind for sample in _defective(root / "train_defective", takes)} == {"dent"}
    assert {sample.kind for sample in _defective(root / "train_defective/dent", takes)} == {data.PLAIN_DEFECT}
    put(tmp_path / "bad/dent/0.png", noise(1, 3))
    put(tmp_path / "bad/scratch/0.png", noise(1, 3))
    assert {sample.kind for sample in _defective(tmp_path / "bad", {})} == {"dent", "scratch"}
