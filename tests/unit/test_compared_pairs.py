"""What networks that compare are shown: exemplars of good pictures, pairs, and guided holes."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch, which `make test-all` installs")

from inspector.errors import DataError
from inspector.training.augment import Augmentation
from inspector.training.compared_pairs import PairBatches, registered_pairs
from inspector.training.data import Sample, training_samples
from inspector.training.exemplars import Disturbance, exemplar, misregistered, relit
from inspector.training.guides import GuidedBatches
from inspector.training.holes import OUTSIDE
from inspector.training.mode import choose
from inspector.training.networks import COMPARERS
from inspector.training.pictures import Pictures
from inspector.training.settings import Settings
from inspector.training.suited import choose_size
from inspector.training.train import train
from tests.boards import PLACES, piece
from tests.pictures import noise, write

pytestmark = pytest.mark.full

STILL = Augmentation(rotation=0, shift=0, shear=0, flips="none", brightness=0)
SIDE = 192


def edges(image: np.ndarray) -> np.ndarray:
    """Where a two-toned picture [H,W,...] changes, three pixels to either side; bool [H,W]."""
    seven = np.ones((7, 7), np.uint8)
    return cv2.dilate(image, seven) != cv2.erode(image, seven)


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each place good and defective, the latter with a mask and a reference that is another scan."""
    root = tmp_path_factory.mktemp("data") / "boards"
    for place in PLACES:
        broken, whole = piece(place, scan=9, defective=True), piece(place, scan=9)
        write(root / f"train/good/{place}.png", piece(place))
        write(root / f"train_defective/broken/{place}.png", broken)
        write(root / f"train_ground_truth/broken/{place}_mask.png", np.where(broken != whole, 255, 0).astype(np.uint8))
        write(root / f"train_reference/broken/{place}.png", piece(place, scan=11))
    return root


@pytest.fixture(scope="module")
def pictures(boards: Path) -> Pictures:
    return Pictures(training_samples(boards), (SIDE, SIDE), 1)


# ---- exemplars


@pytest.mark.parametrize("seed", range(6))
def test_another_exemplar_differs_at_edges_alone(seed: int) -> None:
    image = piece("pads")
    other = exemplar(image, True, Disturbance(), np.random.default_rng(seed))
    assert set(np.unique(other)) <= {0, 255}
    assert (other != image)[:, :, 0][~edges(image)].sum() == 0
    assert not np.array_equal(other, image)


def test_an_exemplar_of_a_soft_picture_moves_a_little() -> None:
    image = cv2.GaussianBlur(piece("pads"), (0, 0), 3)[:, :, None]
    other = exemplar(image, False, Disturbance(edges=0.7), np.random.default_rng(1))
    apart = np.abs(other.astype(int) - image)
    assert other.shape == image.shape
    assert 0 < apart.mean() < 8
    assert np.array_equal(exemplar(image, False, Disturbance(edges=0.0), np.random.default_rng(1)), image)


def test_misregistration_is_sometimes_none_and_never_far() -> None:
    image = piece("bus")
    frame = np.full_like(image, 99)
    exact = 0
    for seed in range(40):
        shifted = misregistered(image, frame, Disturbance(near=0.3, far=2.0), np.random.default_rng(seed))
        exact += np.array_equal(shifted, image)
        apart = np.abs(shifted.astype(int) - image)[:, :, 0] > 8
        assert (apart & ~edges(image))[8:-8, 8:-8].sum() == 0
    assert 3 <= exact <= 20


def test_where_the_reference_does_not_reach_the_frame_shows() -> None:
    image, frame = piece("bus"), np.full((SIDE, SIDE, 1), 99, np.uint8)
    rims = [misregistered(image, frame, Disturbance(), np.random.default_rng(seed)) == 99 for seed in range(20)]
    assert any(rim[0].any() or rim[:, 0].any() or rim[-1].any() or rim[:, -1].any() for rim in rims)
    assert all(rim[8:-8, 8:-8].mean() < 0.02 for rim in rims)  # a soft edge may have any level


def test_light_and_noise_change_within_bounds() -> None:
    image = np.full((32, 32, 3), 128, np.uint8)
    lit = relit(image, Disturbance(light=0.1, noise=0.0), np.random.default_rng(2))
    assert 0 < abs(int(lit[0, 0, 0]) - 128) <= 13
    assert np.ptp(lit) == 0


# ---- pairs


def test_pairs_have_their_reference_behind_and_defects_where_they_differ(pictures: Pictures) -> None:
    still = Disturbance(near=0.0, far=0.0, rotation=0.0, edges=0.0, light=0.0, noise=0.0)
    batches = PairBatches(pictures, (64, 64), 12, STILL, disturbance=still)
    real = synthetic = 0
    for seed in range(6):
        pairs, masks, known = batches.draw(np.random.default_rng(seed))
        assert known.all()
        assert (pairs.shape, masks.shape) == ((12, 64, 64, 2), (12, 64, 64))
        for number, (pair, mask) in enumerate(zip(pairs, masks, strict=True)):
            apart = np.abs(pair[:, :, 0].astype(int) - pair[:, :, 1]) > 127
            near = edges(pair[:, :, 0].copy()) | edges(pair[:, :, 1].copy())
            if number % 3 == 2:  # real: exemplars differ at edges too, yet most of the mask is a difference
                real += bool(mask.any())
                assert not mask.any() or apart[mask > 0].mean() > 0.5
            elif number % 3 == 0:  # synthetic, on pictures that are alike but for that
                synthetic += bool(mask.any())
                assert not mask.any() or apart[mask > 0].mean() > 0.8
                assert not (apart & (mask == 0) & ~near)[1:-1, 1:-1].any()
            else:
                assert not mask.any()
                assert not (apart & ~near)[1:-1, 1:-1].any()
    assert real >= 6
    assert synthetic >= 18


def test_defects_stand_on_either_side_and_some_things_on_both(pictures: Pictures) -> None:
    still = Disturbance(near=0.0, far=0.0, rotation=0.0, edges=0.0, light=0.0, noise=0.0)
    batches = PairBatches(pictures, (64, 64), 12, STILL, disturbance=still)
    batches._real = []
    goods = {place: piece(place)[:, :, 0] for place in PLACES}

    def known(view: np.ndarray) -> bool:
        """Whether it is a piece of a good picture, but for corners that an exemplar has rounder."""
        return any(cv2.matchTemplate(good, view, cv2.TM_SQDIFF).min() < 8 * 255**2 for good in goods.values())

    sides, both = set(), 0
    for seed in range(5):
        pairs, masks, _ = batches.draw(np.random.default_rng(seed))
        for pair, mask in zip(pairs, masks, strict=True):
            frame, reference = known(pair[:, :, 0].copy()), known(pair[:, :, 1].copy())
            if mask.any():
                sides.add((frame, reference))
            both += not (frame or reference or mask.any())
    assert {(False, True), (True, False)} <= sides
    assert both > 0


def test_hard_places_are_shown_and_whole_pictures_are_pairs(pictures: Pictures) -> None:
    batches = PairBatches(pictures, (64, 64), 12, STILL)
    (index,) = batches.normal(1, np.random.default_rng(0))
    pair = batches.whole(index)
    assert pair.shape == (SIDE, SIDE, 2)
    assert np.array_equal(pair, batches.whole(index))
    assert np.array_equal(pair[:, :, :1], pictures.fitted(index)[0])
    batches.hard = [(index, 96.0, 96.0)]
    assert batches.draw(np.random.default_rng(1)).images.shape == (12, 64, 64, 2)


def test_a_reference_of_another_size_is_not_compared_with(tmp_path: Path, boards: Path) -> None:
    small = write(tmp_path / "small.png", noise(1))
    sample = next(s for s in training_samples(boards) if s.mask is not None)
    good = next(s for s in training_samples(boards) if s.good)
    odd = Pictures([good, Sample(sample.picture, sample.kind, sample.mask, small)], (SIDE, SIDE), 1)
    pairs, _, _ = PairBatches(odd, (64, 64), 6, STILL).draw(np.random.default_rng(0))
    assert pairs.shape == (6, 64, 64, 2)
    _, real = registered_pairs(odd, 0)
    assert not real


def test_validation_has_real_defects_or_else_pasted_ones(pictures: Pictures) -> None:
    pairs, real = registered_pairs(pictures, 1)
    assert real
    assert len(pairs) == 2 * len(PLACES)
    assert sum(mask.any() for _, mask in pairs) == len(PLACES)
    again, _ = registered_pairs(pictures, 1)
    assert all(np.array_equal(one[0], other[0]) for one, other in zip(pairs, again, strict=True))
    normal = Pictures([s for s in pictures.samples if s.good], (SIDE, SIDE), 1)
    pasted, real = registered_pairs(normal, 1)
    assert not real
    assert sum(mask.any() for _, mask in pasted) == len(PLACES)


# ---- guided holes


def test_guided_holes_have_a_reference_that_shows_what_is_wanted(pictures: Pictures) -> None:
    still = Disturbance(near=0.0, far=0.0, rotation=0.0)
    batches = GuidedBatches(pictures, (64,), 8, STILL, disturbance=still)
    for seed in range(3):
        seen, wanted, masks = batches.draw(np.random.default_rng(seed))
        assert (seen.shape, wanted.shape, masks.shape) == ((8, 64, 64, 2), (8, 64, 64, 1), (8, 64, 64))
        inside = masks > OUTSIDE
        assert inside.any(axis=(1, 2)).all()
        apart = np.abs(seen[..., 1].astype(int) - wanted[..., 0]) > 127
        assert apart[inside].mean() < 0.1


# ---- the mode


def test_the_mode_follows_from_the_pictures(boards: Path, tmp_path: Path) -> None:
    samples = training_samples(boards)
    mode, why = choose(samples, None)
    assert mode == "reference"
    assert "references are there (4)" in why
    assert choose([s for s in samples if s.good], None)[0] == "normal"
    assert choose([Sample(s.picture, s.kind, s.mask) for s in samples], None)[0] == "masks"
    assert choose(samples, "masks") == ("masks", "mode masks: it was asked for")
    with pytest.raises(DataError, match="there is no defective picture"):
        choose([s for s in samples if s.good], "masks")


def test_without_a_reference_that_fits_there_is_nothing_to_compare_with(boards: Path, tmp_path: Path) -> None:
    small = write(tmp_path / "small.png", noise(1))
    bare = [Sample(s.picture, s.kind, s.mask) for s in training_samples(boards)]
    unmasked = [Sample(s.picture, s.kind, None, None if s.good else s.picture) for s in bare]
    for samples in bare, [Sample(s.picture, s.kind, s.mask, small) for s in bare], unmasked:
        with pytest.raises(DataError, match="no good picture, and no defective one with a mask, has a reference"):
            choose(samples, "reference")
    good = next(s for s in bare if s.good)
    assert choose([*bare, Sample(good.picture, good.kind, None, good.picture)], "reference")[0] == "reference"


class Stopped(Exception):  # noqa: N818 - before the networks, which take long
    pass


@pytest.mark.parametrize(
    ("lacking", "sentences"),
    [
        (0, ["pairs are shown: it trains on real defects beside their references (4), synthetic defects and normal"]),
        (
            2,
            [
                "pairs are shown: it trains on real defects beside their references (2), synthetic defects and normal",
                "the 2 defective pictures without a mask, or without a reference of their size, are not trained on",
            ],
        ),
        (
            4,
            [
                "pairs are shown: it trains on synthetic defects and normal pictures, half each",
                "the 4 defective pictures without a mask, or without a reference of their size, are not trained on",
                "no validation picture has a mask and a reference of its size: the threshold will be chosen on synth",
            ],
        ),
    ],
)
def test_what_is_not_compared_is_said_not_to_be_trained_on(
    boards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: int, sentences: list[str]
) -> None:
    """Of the defective pictures some have no reference, or one of another size."""

    def stop(*_: object) -> None:
        raise Stopped

    root = Path(shutil.copytree(boards, tmp_path / "boards"))
    references = sorted((root / "train_reference/broken").iterdir())
    for number, reference in enumerate(references[:lacking]):
        reference.unlink() if number % 2 else write(reference, noise(1))
    shutil.copytree(root / "train/good", root / "train_reference/good")
    monkeypatch.setattr("inspector.training.train.train_detector", stop)
    said: list[str] = []
    with pytest.raises(Stopped):
        train(Settings(root, tmp_path / "model", "board", mode="reference"), said.append)
    told = said[[line.startswith("8 pictures of ") for line in said].index(True) + 1 :]
    assert len(told) == len(sentences)
    assert all(line.startswith(sentence) for line, sentence in zip(told, sentences, strict=True))


def test_twins_that_differ_by_the_defect_alone_are_no_references(boards: Path, tmp_path: Path) -> None:
    samples = [s for s in training_samples(boards) if s.good]
    for place in PLACES:
        sample = next(s for s in training_samples(boards) if s.mask is not None and s.picture.stem == place)
        twin = write(tmp_path / f"{place}.png", piece(place, scan=9))
        samples.append(Sample(sample.picture, sample.kind, sample.mask, twin))
    mode, why = choose(samples, None)
    assert mode == "masks"
    assert "--mode reference compares with them" in why


def test_a_detector_that_does_not_compare_is_refused_with_references(boards: Path, tmp_path: Path) -> None:
    wish = Settings(boards, tmp_path / "model", "board", mode="reference", detector="unet")
    with pytest.raises(
        DataError, match="--detector unet does not learn in mode reference; use paired, or leave it out"
    ):
        train(wish, lambda _: None)
    assert choose_size(training_samples(boards), COMPARERS["paired"].pixels) == (SIDE, SIDE)
