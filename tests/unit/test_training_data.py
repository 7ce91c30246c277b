"""What training finds in a folder, and how it divides that into two sides."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from inspector.errors import DataError
from inspector.training import data
from inspector.training.data import Sample, data_hash, is_grey, read_mask, read_picture, readable, training_samples
from inspector.training.pictures import shrunk
from inspector.training.split import group_names, near_copies, split
from tests.pictures import noise, write


def named(root: Path, samples: list[Sample]) -> list[tuple[str, str, str | None, str | None]]:
    """Of each sample: picture, kind, mask, reference; relative to `root`."""
    return [
        (
            str(s.picture.relative_to(root)),
            s.kind,
            None if s.mask is None else str(s.mask.relative_to(root)),
            None if s.reference is None else str(s.reference.relative_to(root)),
        )
        for s in samples
    ]


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def test_the_divided_layout_to_train_with(tmp_path: Path) -> None:
    touch(
        tmp_path, "train/good/b.png", "train/good/a.JPG", "train/good/notes.txt", "train/good/deeper/c.png",
        "train_defective/scratch/1.bmp", "train_defective/scratch/2.bmp", "train_defective/dent/1.png",
        "train_ground_truth/scratch/1_mask.png", "train_ground_truth/dent/2_mask.png",
        "train_reference/scratch/2.jpg", "test/good/z.png", "normal/z.png",
    )  # fmt: skip
    assert named(tmp_path, training_samples(tmp_path)) == [
        ("train/good/a.JPG", "good", None, None),
        ("train/good/b.png", "good", None, None),
        ("train_defective/dent/1.png", "dent", None, None),
        ("train_defective/scratch/1.bmp", "scratch", "train_ground_truth/scratch/1_mask.png", None),
        ("train_defective/scratch/2.bmp", "scratch", None, "train_reference/scratch/2.jpg"),
    ]


def test_the_divided_layout_to_evaluate_with(tmp_path: Path) -> None:
    touch(
        tmp_path, "test/good/a.png", "test/dent/a.png", "test/dent/b.png", "ground_truth/dent/a_mask.png",
        "reference/dent/a.webp", "train_ground_truth/dent/b_mask.png", "train/good/z.png",
    )  # fmt: skip
    assert named(tmp_path, data.test_samples(tmp_path)) == [
        ("test/good/a.png", "good", None, None),
        ("test/dent/a.png", "dent", "ground_truth/dent/a_mask.png", "reference/dent/a.webp"),
        ("test/dent/b.png", "dent", None, None),
    ]


@pytest.mark.parametrize("find", [training_samples, data.test_samples])
def test_the_plain_layout(tmp_path: Path, find: object) -> None:
    touch(tmp_path, "normal/a.png", "normal/b.tiff", "defective/a.png")
    samples = find(tmp_path)  # type: ignore[operator]
    assert named(tmp_path, samples) == [
        ("normal/a.png", "good", None, None),
        ("normal/b.tiff", "good", None, None),
        ("defective/a.png", "defect", None, None),
    ]
    assert [sample.good for sample in samples] == [True, True, False]


def test_nothing_to_learn_from_or_to_evaluate_is_said(tmp_path: Path) -> None:
    touch(tmp_path, "train/good/notes.txt", "train_defective/dent/1.png", "pictures/a.png")
    with pytest.raises(DataError, match=r"no normal pictures: put them into .*train/good or .*normal"):
        training_samples(tmp_path)
    with pytest.raises(DataError, match="no pictures to evaluate"):
        data.test_samples(tmp_path)


def test_groups_come_from_the_manifest(tmp_path: Path) -> None:
    touch(tmp_path, "train/good/a.png", "train/good/b.png", "train/good/c.png", "train_defective/dent/a.png")
    (tmp_path / "MANIFEST.tsv").write_text(
        "sha256\tpath\tgroup\n0\ttrain/good/a.png\tseven\n0\ttrain/good/c.png\n0\ttrain_defective/dent/a.png\t8\n"
    )
    assert [sample.group for sample in training_samples(tmp_path)] == ["seven", "", "", "8"]


def test_a_manifest_without_its_columns_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "normal/a.png")
    (tmp_path / "MANIFEST.tsv").write_text("path,group\nnormal/a.png,1\n")
    with pytest.raises(DataError, match=r"MANIFEST.tsv lacks the columns `path` and `group`"):
        training_samples(tmp_path)


def test_a_manifest_may_begin_with_a_mark(tmp_path: Path) -> None:
    touch(tmp_path, "normal/a.png")
    (tmp_path / "MANIFEST.tsv").write_text("path\tgroup\nnormal/a.png\tT\u00fcr 7\n", encoding="utf-8-sig")
    assert [sample.group for sample in training_samples(tmp_path)] == ["T\u00fcr 7"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("path\tgroup\nnormal/a.png\tT\u00fcr 7\n".encode("latin-1"), "MANIFEST.tsv is not UTF-8; save it as UTF-8"),
        ("path\tgroup\nnormal/a.png\tT\u00fcr 7\n".encode("utf-16"), "MANIFEST.tsv is not UTF-8; save it as UTF-8"),
        (b"path\tgroup\nnormal/a.png\t" + 140_000 * b"x", "MANIFEST.tsv is no table divided by tabs"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    touch(tmp_path, "normal/a.png")
    (tmp_path / "MANIFEST.tsv").write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        training_samples(tmp_path)


def test_unreadable_pictures_are_named_and_left_out(tmp_path: Path) -> None:
    write(tmp_path / "normal/a.png", noise(1))
    (tmp_path / "normal/empty.png").touch()
    (tmp_path / "normal/text.png").write_text("no picture")
    kept, problems = readable(training_samples(tmp_path), 1)
    assert [sample.picture.name for sample in kept] == ["a.png"]
    assert len(problems) == 2
    assert "empty.png is not a picture" in problems[0]
    assert "text.png is not a picture" in problems[1]


def test_what_has_no_mask_that_fits_is_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    picture, mask = write(tmp_path / "a.png", noise(1)), write(tmp_path / "mask.png", noise(2, 40, 64))
    samples = [Sample(picture, "dent", mask), Sample(picture, "dent"), Sample(picture, "dent", None, mask)]
    assert readable(samples, 1) == (samples, [])
    kept, problems = readable(samples, 1, whole=True)
    assert kept == samples[1:]
    assert "mask.png is 64x40, its picture 64x48" in problems[0]
    mask.write_text("no picture")
    assert readable(samples, 1, whole=True)[0] == samples[1:2]


@pytest.mark.parametrize(("stored", "asked"), [(1, 1), (1, 3), (3, 1), (3, 3)])
def test_a_picture_comes_with_the_channels_that_are_asked_for(tmp_path: Path, stored: int, asked: int) -> None:
    image = read_picture(write(tmp_path / "a.png", np.full((4, 6, stored), 77, np.uint8)), asked)
    assert (image.shape, image.dtype) == ((4, 6, asked), np.uint8)
    assert (image == 77).all()


def test_a_mask_is_black_and_white_and_of_its_pictures_size(tmp_path: Path) -> None:
    path = write(tmp_path / "mask.png", np.array([[0, 127, 128], [255, 1, 254]], np.uint8))
    assert read_mask(path, (2, 3)).tolist() == [[0, 0, 255], [255, 0, 255]]
    with pytest.raises(DataError, match=r"mask.png is 3x2, its picture 2x3; make them equal"):
        read_mask(path, (3, 2))


def test_grey_is_what_has_no_colour_anywhere() -> None:
    assert is_grey(noise(1))
    faint = np.repeat(noise(4), 3, axis=2) // 2
    faint[:, :, 0] += 2
    assert is_grey(faint)
    coloured = np.repeat(noise(5), 3, axis=2) // 2
    coloured[:, :, 2] += 60
    assert not is_grey(coloured)
    assert not is_grey(noise(6, channels=5))


def test_the_hash_is_over_every_byte_and_role(tmp_path: Path) -> None:
    a, b, c = (write(tmp_path / f"{name}.png", noise(seed)) for seed, name in enumerate("abc"))
    whole = data_hash([Sample(a, "dent", b, c)])
    assert whole == data_hash([Sample(a, "scratch", b, c, "group")])
    others = [
        data_hash([Sample(a, "dent", c, b)]),
        data_hash([Sample(a, "dent", b)]),
        data_hash([Sample(a, "dent", None, b)]),
        data_hash([Sample(a, "dent"), Sample(b, "dent")]),
        data_hash([Sample(b, "dent"), Sample(a, "dent")]),
    ]
    for path in a, b, c:
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        others.append(data_hash([Sample(a, "dent", b, c)]))
        path.write_bytes(content)
    assert len({whole, *others}) == 1 + len(others)
    assert whole == data_hash([Sample(a, "dent", b, c)])


def samples_of(groups: list[tuple[int, bool]]) -> list[Sample]:
    """A sample for each (group, good), without a picture."""
    return [
        Sample(Path(f"{index}.png"), "good" if good else "dent", group=f"part {group}")
        for index, (group, good) in enumerate(groups)
    ]


mixed_groups = st.lists(st.tuples(st.integers(0, 7), st.sampled_from([True, True, False])), min_size=8, max_size=60)


@settings(max_examples=150)
@given(mixed_groups, st.floats(0.05, 0.4), st.integers(0, 9))
def test_no_part_is_on_both_sides_and_nothing_is_lost(groups: list[tuple[int, bool]], share: float, seed: int) -> None:
    samples = samples_of(groups)
    try:
        training, validation = split(samples, share, seed)
    except DataError:
        reject()
    assert not {sample.group for sample in training} & {sample.group for sample in validation}
    assert sorted(training + validation, key=samples.index) == samples
    assert any(sample.good for sample in training)
    assert any(sample.good for sample in validation)


@pytest.mark.parametrize("seed", range(5))
def test_validation_gets_its_share_of_the_good_and_of_the_bad(seed: int) -> None:
    samples = samples_of([(group, group % 3 != 0) for group in range(60)])
    training, validation = split(samples, 0.15, seed)
    assert sum(sample.good for sample in validation) == 6
    assert sum(not sample.good for sample in validation) == 3
    assert len(training) == 51


def test_the_seed_decides_who_is_held_back() -> None:
    samples = samples_of([(group, True) for group in range(20)])
    sides = [tuple(map(samples.index, split(samples, 0.2, seed)[1])) for seed in (0, 0, 1, 2, 3)]
    assert sides[0] == sides[1]
    assert len(set(sides)) == 4


def test_near_copies_stay_together(tmp_path: Path) -> None:
    samples = []
    for part in range(4):
        for copy in range(3):
            image = noise(part, 96, 128).astype(np.float32) * (0.6 + 0.1 * copy) + noise(100 + copy, 96, 128) * 0.05
            path = write(tmp_path / f"{copy}{part}.png", image.astype(np.uint8))
            samples.append(Sample(path, "good", group="known" if part == 3 else ""))
    names = group_names(samples)
    assert len(set(names)) == 4
    for part in range(4):
        assert len(set(names[3 * part : 3 * part + 3])) == 1
    assert names[9] == "known"
    training, validation = split(samples, 0.2, 0)
    assert (len(training), len(validation)) == (9, 3)


def test_a_near_copy_of_a_picture_that_the_manifest_names_is_of_its_part(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.png", noise(n % 2)) for n in range(4)]
    samples = [Sample(path, "good", group="known" if n == 0 else "") for n, path in enumerate(paths)]
    names = group_names(samples)
    assert names[0] == names[2] == "known"
    assert names[1] == names[3] != "known"


def test_near_copies_of_near_copies_are_of_one_part() -> None:
    angles = np.deg2rad([0, 170, 20, 90, 40, 160])
    thumbnails = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert near_copies(thumbnails, float(np.cos(np.deg2rad(25)))) == [0, 1, 0, 3, 0, 1]


def test_one_part_alone_cannot_be_validated_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all 4 pictures show the same part"):
        split(samples_of([(1, True)] * 3 + [(1, False)]), 0.2, 0)
    copies = [Sample(write(tmp_path / f"{i}.png", noise(1)), "good") for i in range(3)]
    with pytest.raises(DataError, match="all 3 pictures show the same part"):
        split(copies, 0.2, 0)


def test_normal_pictures_of_one_part_alone_cannot_be_divided() -> None:
    with pytest.raises(DataError, match="3 normal pictures of 2 different parts cannot be divided"):
        split(samples_of([(1, True)] * 3 + [(2, False)] * 3), 0.2, 0)


@pytest.mark.parametrize("seed", range(8))
def test_a_group_of_nearly_all_pictures_is_trained_on(seed: int) -> None:
    few = [(group, True) for group in range(2, 6)] + [(6, False)]
    training, validation = split(samples_of([(1, True)] * 40 + [(1, False)] * 40 + few), 0.15, seed)
    assert (len(training), len(validation)) == (80, 5)


@pytest.mark.parametrize("seed", range(8))
def test_the_only_defective_part_is_trained_on(seed: int) -> None:
    training, _ = split(samples_of([(group, True) for group in range(9)] + [(9, False)] * 3), 0.15, seed)
    assert sum(not sample.good for sample in training) == 3


@pytest.mark.parametrize(("side", "thickness"), [(1024, 1), (1600, 2)])
def test_a_hairline_leaves_a_mask_where_it_is_shrunk(side: int, thickness: int) -> None:
    mask = np.zeros((side, side), np.uint8)
    cv2.line(mask, (side // 10, side // 5), (side * 8 // 10, side // 3), 255, thickness)
    cv2.rectangle(mask, (side // 2, side // 2), (side * 3 // 4, side * 3 // 4), 255, -1)
    small = shrunk(mask, (256, 256))
    assert set(np.unique(small)) == {0, 255}
    columns = np.flatnonzero(small[:100].any(axis=0))
    assert len(columns) > 60, "most of the line is left"
    assert 0.9 < np.count_nonzero(small[128:]) / 64**2 < 1.1, "what is large keeps its outline"
    assert not shrunk(np.zeros((side, side), np.uint8), (256, 256)).any()


@pytest.mark.parametrize("seed", range(8))
def test_what_can_be_divided_is_divided_by_any_seed(seed: int) -> None:
    samples = samples_of([(1, True)] + [(2, True)] * 9 + [(3, False)])
    training, validation = split(samples, 0.15, seed)
    assert any(sample.good for sample in training)
    assert any(sample.good for sample in validation)
