"""What the networks are shown: views of pictures, drawn defects, and batches of both."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.training import (
    holes,
    synthetic,
)
from inspector.training.augment import Augmentation, random_view
from inspector.training.batches import DetectorBatches, transplanted
from inspector.training.data import Sample
from inspector.training.pictures import Pictures
from inspector.training.repair_batches import RepairBatches
from inspector.training.synthetic import VISIBLE, blob, hole, is_two_toned, paste_defect, paste_defects, scratch
from tests.pictures import noise, write

STILL = Augmentation(rotation=0, shift=0, shear=0, flips="none", brightness=0)
MIRRORED = {
    "none": {(0, False)},
    "horizontal": {(0, False), (0, True)},
    "vertical": {(0, False), (2, True)},
    "both": {(0, False), (0, True), (2, True), (2, False)},
    "all": {(turns, flipped) for turns in range(4) for flipped in (False, True)},
}

seeds = st.integers(0, 2**32 - 1)
flips = st.sampled_from(sorted(MIRRORED))


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


# Views


@settings(max_examples=80)
@given(
    seeds,
    st.builds(Augmentation, st.floats(0, 45), st.floats(0, 0.3), st.floats(0, 0.3), flips, st.floats(0, 0.5)),
    st.sampled_from([(32, 48), (80, 16), (96, 96)]),
    st.sampled_from([1, 3]),
)
def test_a_view_is_of_the_size_that_is_asked_for(
    seed: int, augmentation: Augmentation, size: tuple[int, int], channels: int
) -> None:
    image = noise(1, 40, 64, channels)
    mask = np.zeros((40, 64), np.uint8)
    mask[10:20, 30:50] = 255
    (view, twin), (warped,) = random_view([image, image], [mask], size, augmentation, rng_of(seed))
    assert (view.shape, view.dtype) == ((*size, channels), np.uint8)
    assert (warped.shape, warped.dtype) == (size, np.uint8)
    assert set(np.unique(warped)) <= {0, 255}
    np.testing.assert_array_equal(view, twin)


@settings(max_examples=80)
@given(seeds, flips, st.booleans())
def test_mask_and_picture_move_together(seed: int, mirrored: str, aimed: bool) -> None:
    mask = np.zeros((120, 160), np.uint8)
    cv2.ellipse(mask, (60, 40), (30, 12), 20, 0, 360, 255, -1)
    cv2.rectangle(mask, (100, 70), (140, 100), 255, -1)
    augmentation = Augmentation(rotation=40, shift=0.2, shear=0.2, flips=mirrored, brightness=0)  # type: ignore[arg-type]
    around = (60.0, 40.0) if aimed else None
    (view,), (warped,) = random_view([mask[:, :, None]], [mask], (64, 64), augmentation, rng_of(seed), around)
    window, inner = np.ones((5, 5), np.uint8), np.s_[2:-2, 2:-2]
    surely, perhaps = cv2.erode(warped, window)[inner] > 0, cv2.dilate(warped, window)[inner] > 0
    assert (view[inner][surely] == 255).all()
    assert (view[inner][~perhaps] == 0).all()


@pytest.mark.parametrize("mirrored", sorted(MIRRORED))
def test_flips_mirror_as_they_say_and_no_other_way(mirrored: str) -> None:
    image = noise(3, 32, 32, 3)
    versions = {
        np.rot90(image[:, ::-1] if flipped else image, turns).tobytes(): (turns, flipped)
        for turns, flipped in MIRRORED["all"]
    }
    augmentation = Augmentation(rotation=0, shift=0, shear=0, flips=mirrored, brightness=0)  # type: ignore[arg-type]
    rng = rng_of(5)
    seen = set()
    for _ in range(100):
        (view,), _ = random_view([image], [], (32, 32), augmentation, rng)
        seen.add(versions[view.tobytes()])
    assert seen == MIRRORED[mirrored]


@pytest.mark.parametrize(("mirrored", "expected"), [("none", {1.0}), ("both", {1.0, -1.0})])
def test_a_turned_and_sheared_view_is_mirrored_only_where_that_is_allowed(mirrored: str, expected: set[float]) -> None:
    dots = [np.zeros((64, 64), np.uint8) for _ in range(3)]
    for dot, at in zip(dots, ((24, 24), (40, 26), (30, 42)), strict=True):
        cv2.circle(dot, at, 4, 255, -1)
    augmentation = Augmentation(rotation=20, shift=0.05, shear=0.2, flips=mirrored)  # type: ignore[arg-type]
    rng = rng_of(5)
    seen = set()
    for _ in range(60):
        _, masks = random_view([noise(1, 64, 64)], dots, (64, 64), augmentation, rng)
        a, b, c = (np.argwhere(mask).mean(axis=0) for mask in masks)
        seen.add(float(np.sign((c - a)[0] * (b - a)[1] - (c - a)[1] * (b - a)[0])))
    assert seen == expected


@settings(max_examples=80)
@given(seeds, flips, st.sampled_from([(32, 48), (64, 16), (80, 96)]), st.floats(0, 0.5), st.booleans())
def test_edges_stay_hard_where_nothing_is_turned_or_sheared(
    seed: int, mirrored: str, size: tuple[int, int], shift: float, aimed: bool
) -> None:
    image = noise(2, 70, 91) // 100 * 80
    augmentation = Augmentation(rotation=0, shift=shift, shear=0, flips=mirrored, brightness=0)  # type: ignore[arg-type]
    around = (11.3, 20.8) if aimed else None
    (view,), _ = random_view([image], [], size, augmentation, rng_of(seed), around)
    assert set(np.unique(view)) == {0, 80, 160}


@settings(max_examples=80)
@given(seeds, flips, st.integers(0, 159), st.integers(0, 119))
def test_a_view_holds_what_it_is_aimed_at(seed: int, mirrored: str, x: int, y: int) -> None:
    mask = np.zeros((120, 160), np.uint8)
    mask[y, x] = 255
    augmentation = Augmentation(rotation=0, shear=0, flips=mirrored)  # type: ignore[arg-type]
    _, (warped,) = random_view([mask[:, :, None]], [mask], (48, 48), augmentation, rng_of(seed), (float(x), float(y)))
    assert warped.any()


def test_views_lie_everywhere_in_a_larger_picture() -> None:
    columns = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (64, 200, 1)).copy()
    rng = rng_of(1)
    lefts = [int(random_view([columns], [], (32, 32), STILL, rng)[0][0][0, 0, 0]) for _ in range(100)]
    assert min(lefts) < 20
    assert max(lefts) > 148
    assert max(lefts) <= 168


def test_light_changes_pictures_alike_and_keeps_the_order_of_greys() -> None:
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (16, 256, 1)).copy()
    mask = np.full((16, 256), 255, np.uint8)
    lit = Augmentation(rotation=0, shift=0, shear=0, flips="none", brightness=0.3)
    rng = rng_of(1)
    rows = []
    for _ in range(20):
        views, (warped,) = random_view([ramp, ramp], [mask], (16, 256), lit, rng)
        np.testing.assert_array_equal(views[0], views[1])
        assert (warped == 255).all()
        rows.append(views[0][0, :, 0].astype(int))
        assert (np.diff(rows[-1]) >= 0).all()
        assert abs(rows[-1][128] - 128) <= 0.3 * 128 + 1
    assert len({tuple(row) for row in rows}) == 20


# Drawn defects


@pytest.mark.parametrize("shape", [(200, 300), (64, 64), (400, 48)])
def test_scratches_are_thin_blobs_are_round_and_holes_are_never_empty(shape: tuple[int, int]) -> None:
    rng = rng_of(2)
    side = min(shape)
    for _ in range(100):
        thin, round_, opening = scratch(shape, rng), blob(shape, rng, largest=0.3), hole(shape, rng)
        for mask in thin, round_, opening:
            assert (mask.shape, mask.dtype) == (shape, np.uint8)
            assert set(np.unique(mask)) <= {0, 255}
        assert cv2.distanceTransform(thin, cv2.DIST_L2, 5).max() <= max(2, side // 50) / 2 + 2
        assert max(cv2.boundingRect(thin)[2:]) <= 0.6 * side + 6
        assert max(cv2.boundingRect(round_)[2:]) <= 0.6 * side
        assert opening.any()


@pytest.mark.parametrize("shape", [(200, 300), (64, 64)])
def test_a_shape_is_drawn_in_one_piece_where_it_is_wanted(shape: tuple[int, int]) -> None:
    rng = rng_of(3)
    x, y = shape[1] / 2, shape[0] / 2
    for _ in range(50):
        thin, round_ = scratch(shape, rng, (x, y)), blob(shape, rng, middle=(x, y))
        assert thin[int(y), int(x)] == 255
        assert round_[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].any()
        for mask in thin, round_:
            assert cv2.connectedComponents(mask)[0] == 2


def shaded(height: int = 96, width: int = 128, channels: int = 3) -> np.ndarray:
    """A smooth picture without hard edges, mid grey throughout."""
    rows, columns = np.mgrid[:height, :width]
    grey = 120 + 40 * np.sin(rows / 17) + 20 * np.cos(columns / 23)
    return np.repeat(np.rint(grey)[:, :, None], channels, axis=2).astype(np.uint8)


@given(seeds, st.sampled_from([1, 3]))
def test_the_mask_of_a_pasted_defect_is_what_can_be_seen_of_it(seed: int, channels: int) -> None:
    image = shaded(channels=channels)
    donor = noise(4, 60, 200, channels)
    before = image.copy()
    mixed, mask = paste_defect(image, donor, rng_of(seed))
    np.testing.assert_array_equal(image, before)
    assert (mixed.shape, mixed.dtype) == (image.shape, np.uint8)
    assert (mask.shape, mask.dtype) == (image.shape[:2], np.uint8)
    assert set(np.unique(mask)) <= {0, 255}
    change = np.abs(mixed.astype(float) - image).mean(axis=2)
    assert (change[mask > 0] > VISIBLE).all()
    far = cv2.dilate(mask, np.ones((9, 9), np.uint8)) == 0
    assert (change[far] <= 0.2 * 255).all()
    assert np.count_nonzero(change[mask == 0] > VISIBLE) <= 0.02 * mask.size


@pytest.mark.parametrize(("view", "clouds"), [((96, 128), True), ((64, 64), False)])
def test_clouds_are_drawn_on_whole_pictures_alone(
    view: tuple[int, int], clouds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[object] = []

    def watched(draw):
        return lambda shape, rng: drawn.append(draw) or draw(shape, rng)

    for name in ("_PASTES", "_PASTES_ON_VIEWS"):
        table = [(watched(draw), paint, share) for draw, paint, share in getattr(synthetic, name)]
        monkeypatch.setattr(synthetic, name, table)
    rng = rng_of(7)
    for _ in range(60):
        paste_defect(shaded()[: view[0], : view[1]], noise(4, 96, 128, 3), rng)
    assert (synthetic.cloud in drawn) == clouds
    assert synthetic.blob in drawn


@given(seeds)
def test_what_one_paste_undoes_of_another_is_no_defect(seed: int) -> None:
    image = binarised()
    mixed, mask = paste_defects(image, image, 3, rng_of(seed))
    np.testing.assert_array_equal((mixed != image).any(axis=2), mask > 0)


def test_most_pastes_can_be_seen_and_are_defects_in_size() -> None:
    rng = rng_of(6)
    shares = [(paste_defect(shaded(), noise(4, 96, 128, 3), rng)[1] > 0).mean() for _ in range(60)]
    assert sum(share > 0 for share in shares) >= 57
    assert np.median(shares) < 0.05
    assert max(shares) < 0.5


def binarised(channels: int = 1) -> np.ndarray:
    """Bright tracks on a dark ground."""
    image = np.zeros((96, 128, channels), np.uint8)
    image[20:32], image[60:70], image[:, 40:48] = 255, 255, 255
    return image


@given(seeds, st.sampled_from([1, 3]), st.booleans())
def test_a_two_toned_picture_stays_two_toned(seed: int, channels: int, soft_tones: bool) -> None:
    image = binarised(channels)
    if soft_tones:
        image = np.where(image > 0, 230, 20).astype(np.uint8)
    mixed, mask = paste_defect(image, image, rng_of(seed))
    assert set(np.unique(mixed)) <= {0, 255, *np.unique(image).tolist()}
    assert is_two_toned(mixed)
    hard = np.where(image > 127, 255, 0)  # edges alone give a paste away, no grey rim does
    np.testing.assert_array_equal(mixed[mask == 0], hard[mask == 0] if mask.any() else image[mask == 0])
    assert len(np.unique(mixed[mask > 0])) <= 1
    if mask.any():
        np.testing.assert_array_equal((mixed != hard).any(axis=2), mask > 0)


@pytest.mark.parametrize("colour", [(30, 110, 40), (20, 120, 230), (25, 25, 25), (230, 230, 230)])
def test_a_photo_of_one_colour_is_not_binarised(colour: tuple[int, int, int]) -> None:
    photo = np.clip(np.array(colour) + noise(3, 96, 128, 3) / 8 - 16, 0, 255).astype(np.uint8)
    assert not is_two_toned(photo)
    assert is_two_toned(binarised(3))


def test_a_dark_view_of_a_picture_with_shades_keeps_its_texture() -> None:
    dark = (noise(7, 96, 128, 3) // 8).astype(np.uint8)  # below 32: by itself it might be binarised
    mixed, mask = paste_defect(dark, noise(4, 96, 128, 3), rng_of(1))
    untouched = cv2.dilate(mask, np.ones((9, 9), np.uint8)) == 0
    assert mask.any()
    assert np.abs(mixed[untouched].astype(int) - dark[untouched]).mean() < 1


def test_a_binarised_picture_is_told_from_a_shaded_one() -> None:
    assert is_two_toned(binarised())
    assert is_two_toned(cv2.GaussianBlur(binarised(), (3, 3), 0.4)[:, :, None])
    assert not is_two_toned(shaded())
    assert not is_two_toned(noise(1))


# Pictures in memory


def test_pictures_come_at_both_sizes_with_mask_and_twin(tmp_path: Path) -> None:
    image = noise(1, 64, 96)
    mask = np.zeros((64, 96, 1), np.uint8)
    mask[8:16, 20:40] = 255
    mask[0, 0] = 255  # gone at half the size
    sample = Sample(
        write(tmp_path / "a.png", image), "dent", write(tmp_path / "m.png", mask), write(tmp_path / "r.png", image // 2)
    )
    pictures = Pictures([sample, Sample(sample.picture, "good")], (32, 48), 1)
    assert len(pictures) == 2
    for _ in range(2):  # from the disk, then from memory
        native, own, twin = pictures.native(0)
        np.testing.assert_array_equal(native, image)
        np.testing.assert_array_equal(own, mask[:, :, 0])
        np.testing.assert_array_equal(twin, image // 2)
        fitted, small, half = pictures.fitted(0)
        np.testing.assert_array_equal(fitted[:, :, 0], cv2.resize(image, (48, 32), interpolation=cv2.INTER_AREA))
        expected = np.zeros((32, 48), np.uint8)
        expected[4:8, 10:20] = 255
        np.testing.assert_array_equal(small, expected)
        assert half is not None
        assert half.shape == (32, 48, 1)
    _, empty, none = pictures.native(1)
    assert not empty.any()
    assert none is None


def test_a_twin_of_another_size_is_no_twin(tmp_path: Path) -> None:
    picture, twin = write(tmp_path / "a.png", noise(1, 64, 96)), write(tmp_path / "r.png", noise(1, 32, 48))
    assert Pictures([Sample(picture, "dent", None, twin)], (32, 48), 1).native(0)[2] is None


# Batches: normal pictures are 60, defective ones 100 with a defect of 250


def parts(folder: Path, masks: bool = True, twins: bool = True) -> Pictures:
    samples = [Sample(write(folder / f"{i}.png", np.full((96, 96, 1), 60, np.uint8)), "good") for i in range(2)]
    for i in range(2):
        image = np.full((96, 96, 1), 100, np.uint8)
        twin = write(folder / f"twin{i}.png", image)
        image[20:30, 40 + 10 * i : 60] = 250
        mask = write(folder / f"mask{i}.png", np.where(image == 250, 255, 0).astype(np.uint8))
        picture = write(folder / f"dent{i}.png", image)
        samples.append(Sample(picture, "dent", mask if masks else None, twin if twins else None))
    return Pictures(samples, (96, 96), 1)


def test_a_detector_is_shown_thirds(tmp_path: Path) -> None:
    images, masks, known = DetectorBatches(parts(tmp_path), (48, 48), 90, STILL).draw(rng_of(1))
    assert known.all()
    assert (images.shape, images.dtype) == ((90, 48, 48, 1), np.uint8)
    assert (masks.shape, masks.dtype) == ((90, 48, 48), np.uint8)
    pasted, clean, real = ((images[i::3, :, :, 0], masks[i::3]) for i in range(3))
    assert (clean[0] == 60).all()
    assert not clean[1].any()
    assert (pasted[0][pasted[1] == 0] < 100).all()
    assert sum(mask.any() for mask in pasted[1]) >= 27
    assert set(np.unique(real[0])) == {100, 250}
    np.testing.assert_array_equal(real[0] == 250, real[1] == 255)
    healed = sum(not mask.any() for mask in real[1])
    assert 2 <= healed <= 15  # 7.5 of 30 on average


def test_whole_normal_pictures_may_get_a_real_defect(tmp_path: Path) -> None:
    images, masks, known = DetectorBatches(parts(tmp_path), (96, 96), 90, STILL).draw(rng_of(1))
    assert known.all()
    clean, areas = images[1::3, :, :, 0], masks[1::3]
    assert 7 <= sum(area.any() for area in areas) <= 23  # 15 of 30 on average
    for image, area in zip(clean, areas, strict=True):
        far = cv2.dilate(area, np.ones((31, 31), np.uint8)) == 0
        assert (image[far] == 60).all()
        assert (image[cv2.erode(area, np.ones((9, 9), np.uint8)) > 0] > 200).all()


def test_a_transplanted_defect_is_as_much_brighter_than_its_ground_as_it_was() -> None:
    image, donor = np.full((64, 64, 1), 60, np.uint8), np.full((64, 64, 1), 100, np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = 255
    donor[mask > 0] = 180
    mixed = transplanted(image, donor, mask)
    assert mixed[30, 30, 0] == 140
    assert (mixed[:8] == 60).all()


def test_without_twins_every_real_view_keeps_its_defect(tmp_path: Path) -> None:
    _, masks, _ = DetectorBatches(parts(tmp_path, twins=False), (48, 48), 90, STILL).draw(rng_of(1))
    assert all(mask.any() for mask in masks[2::3])


def test_where_nobody_tells_a_defects_place_whole_pictures_are_shown_with_their_label(tmp_path: Path) -> None:
    images, masks, known = DetectorBatches(parts(tmp_path, masks=False), (96, 96), 30, STILL).draw(rng_of(1))
    assert set(np.unique(images[2::3])) == {100, 250}
    assert (masks[2::3] == 255).all()
    assert known.tolist() == [True, True, False] * 10


def test_a_small_view_without_a_mask_says_nothing_and_is_not_shown(tmp_path: Path) -> None:
    images, masks, known = DetectorBatches(parts(tmp_path, masks=False), (48, 48), 40, STILL).draw(rng_of(1))
    assert known.all()
    assert (images[1::2] == 60).all()
    assert not masks[1::2].any()
    assert sum(mask.any() for mask in masks[0::2]) >= 18


@pytest.mark.parametrize("batches", [
    lambda pictures: DetectorBatches(pictures, (48, 48), 12, Augmentation()),
    lambda pictures: RepairBatches(pictures, (16, 32, 64), 12, Augmentation()),
])  # fmt: skip
def test_a_batch_follows_from_its_generator_alone(tmp_path: Path, batches: object) -> None:
    one, other = (batches(parts(tmp_path / name)) for name in "ab")  # type: ignore[operator]
    other.draw(rng_of(3))  # what was drawn before does not count
    first, again, later = one.draw(rng_of(7)), other.draw(rng_of(7)), one.draw(rng_of(8))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not (first[0].shape == later[0].shape and np.array_equal(first[0], later[0]))


def test_a_repairer_is_shown_normal_pictures_and_healed_ones(tmp_path: Path) -> None:
    batches = RepairBatches(parts(tmp_path), (64,), 32, STILL)
    seen, wanted, masks = batches.draw(rng_of(1))
    assert (seen.shape, wanted.shape, masks.shape) == ((32, 64, 64, 1), (32, 64, 64, 1), (32, 64, 64))
    shades = [set(np.unique(picture)) for picture in wanted]
    assert shades.count({60}) > 8  # normal pictures
    assert shades.count({100}) > 8  # twins
    assert len(shades) == shades.count({60}) + shades.count({100})
    assert all((mask == 255).any() for mask in masks)
    assert set(np.unique(masks)) == {0, holes.OUTSIDE, 255}


def test_without_twins_a_repairer_is_shown_normal_pictures_alone(tmp_path: Path) -> None:
    _, wanted, _ = RepairBatches(parts(tmp_path, twins=False), (48,), 32, STILL).draw(rng_of(1))
    assert (wanted == 60).all()


def test_the_rim_of_a_defect_shows_beside_some_holes_and_is_never_wanted(tmp_path: Path) -> None:
    batches = RepairBatches(parts(tmp_path, twins=False), (64,), 32, STILL)
    seen, wanted, masks = batches.draw(rng_of(1))
    marked = [bool((picture[mask == 0] != 60).any()) for picture, mask in zip(seen, masks, strict=True)]
    assert 0 < sum(marked) < 16
    for picture, mask in zip(seen, masks, strict=True):
        near = cv2.dilate(np.where(mask == 255, 255, 0).astype(np.uint8), np.ones((13, 13), np.uint8))
        assert (picture[(near == 0) & (mask != holes.OUTSIDE)] == 60).all()
    assert (wanted == 60).all()


def test_windows_lie_where_there_is_something_to_see(tmp_path: Path) -> None:
    image = np.full((400, 400, 1), 60, np.uint8)
    image[300:340, 40:80:2] = 200
    write(tmp_path / "a.png", image)
    batches = RepairBatches(Pictures([Sample(tmp_path / "a.png", "good")], (16, 16), 1), (64,), 64, STILL)
    _, wanted, _ = batches.draw(rng_of(1))
    assert sum(picture.max() == 200 for picture in wanted) > 32


@pytest.mark.parametrize(("side", "count"), [(64, 32), (128, 8), (256, 2), (1024, 2)])
def test_larger_windows_come_in_smaller_batches(tmp_path: Path, side: int, count: int) -> None:
    _, wanted, _ = RepairBatches(parts(tmp_path), (side,), 32, STILL).draw(rng_of(1))
    assert wanted.shape == (count, side, side, 1)


@given(seeds, st.sampled_from([48, 64, 128, 256]), st.booleans())
def test_a_hole_is_never_empty_and_mostly_leaves_its_windows_rim(seed: int, side: int, real: bool) -> None:
    shapes = [np.full((5, 90), 255, np.uint8), np.full((3, 4), 255, np.uint8)] if real else []
    mask = holes.cut(side, shapes, rng_of(seed))
    assert (mask.shape, mask.dtype) == ((side, side), np.uint8)
    assert set(np.unique(mask)) == {0, 255}


@given(seeds)
def test_a_window_past_the_frame_knows_nothing_of_what_is_there(seed: int) -> None:
    mask = np.full((64, 64), 255, np.uint8)
    holes.cross_the_border(mask, rng_of(seed))
    outside = mask == holes.OUTSIDE
    assert 0 < outside.sum() <= 64 * 64 // 3
    x, y, w, h = cv2.boundingRect(outside.astype(np.uint8))
    assert outside[y : y + h, x : x + w].all()
    assert 64 in (w, h)
