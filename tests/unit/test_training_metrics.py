"""The figures of training and evaluation beside their plain definitions, and the choice of a threshold."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inspector.inference.bundle import load
from inspector.inference.engine import Engine, start
from inspector.judge import Judge, Judgement
from inspector.training.metrics import PixelCounts, PixelScores, area_under_roc, cross_entropy, ssim
from inspector.training.repair_metrics import RepairScores
from inspector.training.threshold import Choice, choose, lowered, raised
from inspector.types import Verdict
from tests.bundles import FILL, picture
from tests.pictures import noise

SHAPE = (3, 6, 8)  # pictures, height, width

levels = hnp.arrays(np.int64, SHAPE, elements=st.integers(1, 9))
truths = hnp.arrays(np.bool_, SHAPE)
scores = st.lists(st.integers(0, 5), max_size=12)


def seen(levels: np.ndarray, truths: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], PixelScores]:
    """Maps of tenths, masks, and both collected."""
    maps, masks = (levels / 10).astype(np.float32), [np.where(truth, 255, 0).astype(np.uint8) for truth in truths]
    collected = PixelScores()
    for probability, mask in zip(maps, masks, strict=True):
        collected.add(probability, mask)
    return maps, masks, collected


def pairwise(good: np.ndarray, bad: np.ndarray) -> float:
    above, ties = bad[:, None] > good[None, :], bad[:, None] == good[None, :]
    return float((above + 0.5 * ties).mean())


@given(scores, scores)
def test_area_under_roc_is_the_share_of_pairs_in_the_right_order(good: list[int], bad: list[int]) -> None:
    found = area_under_roc(np.array(good, float), np.array(bad, float))
    if good and bad:
        assert found == pytest.approx(pairwise(np.array(good), np.array(bad)))
    else:
        assert np.isnan(found)


@given(levels, truths)
def test_pixel_auroc_by_pairs(levels: np.ndarray, truths: np.ndarray) -> None:
    assume(truths.any() and not truths.all())
    _, _, collected = seen(levels, truths)
    assert collected.auroc() == pytest.approx(pairwise(levels[~truths], levels[truths]), abs=1e-9)


def overlap_curve(levels: np.ndarray, truths: np.ndarray) -> list[tuple[float, float]]:
    """(false positive rate, mean share of each region that is found), at every threshold."""
    regions = []
    for level, truth in zip(levels, truths, strict=True):
        count, labels = cv2.connectedComponents(truth.astype(np.uint8), connectivity=8)
        regions += [level[labels == label] for label in range(1, count)]
    points = [(0.0, 0.0)]
    for least in range(10, 0, -1):
        rate = float((levels[~truths] >= least).mean())
        points.append((rate, float(np.mean([(region >= least).mean() for region in regions]))))
    return points


@given(levels, truths, st.sampled_from([0.05, 0.3, 1.0]))
def test_aupro_by_regions(levels: np.ndarray, truths: np.ndarray, limit: float) -> None:
    assume(truths.any() and not truths.all())
    _, _, collected = seen(levels, truths)
    area = 0.0
    curve = overlap_curve(levels, truths)
    for (x0, y0), (x1, y1) in itertools.pairwise(curve):
        if x0 < x1 and x0 < limit:
            end = min(x1, limit)
            height = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
            area += (end - x0) * (y0 + height) / 2
    assert collected.aupro(limit) == pytest.approx(area / limit, abs=1e-9)


def test_a_small_region_counts_as_much_as_a_large_one() -> None:
    truth = np.zeros((1, 20, 20), bool)
    truth[0, 2:10, 2:10] = True
    truth[0, 15:17, 15:17] = True
    levels = np.ones((1, 20, 20), int)
    levels[0, 2:10, 2:10] = 9
    _, _, collected = seen(levels, truth)
    assert collected.region_count == 2
    # Half of the regions at once; the other only with everything else, along a straight line.
    assert collected.aupro(0.3) == pytest.approx(0.5 + 0.5 * 0.15)


def f1_at(maps: np.ndarray, truths: np.ndarray, threshold: float) -> float:
    found = maps > threshold
    return float(2 * (found & truths).sum() / max(found.sum() + truths.sum(), 1))


@given(levels, truths)
def test_best_f1_is_the_best_and_its_threshold_reaches_it(levels: np.ndarray, truths: np.ndarray) -> None:
    maps, _, collected = seen(levels, truths)
    best, threshold = collected.best_f1()
    assert best == pytest.approx(max(f1_at(maps, truths, tenths / 10 - 0.05) for tenths in range(1, 11)))
    assert f1_at(maps, truths, threshold) == pytest.approx(best)


def test_there_are_no_curves_without_both_sorts_of_pixels() -> None:
    ones = np.ones(SHAPE, int)
    for truths in np.zeros(SHAPE, bool), np.ones(SHAPE, bool):
        _, _, collected = seen(ones, truths)
        assert np.isnan(collected.auroc())
        assert np.isnan(collected.aupro())
    assert np.isnan(PixelScores().auroc())


def test_certain_maps_are_measured_too() -> None:
    collected = PixelScores()
    probability = np.array([[0.0, 0.0, 1.0, 1.0]], np.float32)
    collected.add(probability, np.array([[0, 0, 255, 255]], np.uint8))
    assert collected.auroc() == 1.0
    assert collected.best_f1()[0] == 1.0


@given(truths, truths)
def test_pixel_counts_by_definition(found: np.ndarray, truth: np.ndarray) -> None:
    counts = PixelCounts()
    for one, other in zip(found, truth, strict=True):
        counts.add(np.where(one, 255, 0).astype(np.uint8), np.where(other, 255, 0).astype(np.uint8))
    figures = counts.figures()
    expected = {
        "pixel_accuracy": ((found == truth).sum(), truth.size),
        "pixel_precision": ((found & truth).sum(), found.sum()),
        "pixel_recall": ((found & truth).sum(), truth.sum()),
        "pixel_f1": (2 * (found & truth).sum(), found.sum() + truth.sum()),
        "pixel_iou": ((found & truth).sum(), (found | truth).sum()),
    }
    assert figures == {
        key: pytest.approx(part / whole if whole else float("nan"), nan_ok=True)
        for key, (part, whole) in expected.items()
    }


def test_cross_entropy_of_a_map() -> None:
    probability = np.array([[0.9, 0.2], [0.5, 1.0]], np.float32)
    mask = np.array([[255, 0], [255, 0]], np.uint8)
    expected = -(np.log(0.9) + np.log(0.8) + np.log(0.5) + np.log(1e-6)) / 4
    assert cross_entropy(probability, mask) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_of_equal_pictures_is_one_and_of_flat_ones_follows_from_their_greys(channels: int) -> None:
    image = noise(1, 32, 32, channels)
    mask = np.zeros((32, 32), np.uint8)
    mask[10:20, 12:18] = 255
    assert ssim(image, image, mask) == pytest.approx(1.0)
    other = image.copy()
    other[:4] = 0  # beyond the window of 11 around the mask
    assert ssim(image, other, mask) == pytest.approx(1.0)
    assert ssim(image, 255 - image, mask) < 0
    a, b, c1 = 80, 160, (0.01 * 255) ** 2
    flat = [np.full((32, 32, channels), value, np.uint8) for value in (a, b)]
    assert ssim(*flat, mask) == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1), rel=1e-3)


# The threshold


def spotted(*sizes: int, level: float = 0.9, truth: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A map with square spots of these sides on 0.1, and its mask, which holds them if they are true."""
    probability, mask = np.full((32, 96), 0.1, np.float32), np.zeros((32, 96), np.uint8)
    left = 2
    for size in sizes:
        probability[4 : 4 + size, left : left + size] = level
        mask[4 : 4 + size, left : left + size] = 255 * truth
        left += size + 3
    return probability, mask


def test_min_area_removes_false_regions_and_keeps_true_ones() -> None:
    pairs = [spotted(5, 8, truth=True), spotted(6, truth=True), spotted(2, 3), spotted(1), spotted()]
    choice = choose([pair[0] for pair in pairs], [pair[1] for pair in pairs], real=True)
    assert choice.min_area == 10
    assert 0.1 < choice.threshold < 0.9
    assert "2 validation pictures with real defects and 3 normal ones" in choice.why
    assert "(0 of 3 false regions are left on 3 normal pictures)" in choice.why


@pytest.mark.parametrize("sizes", [(4, 20), (20, 4)])
def test_true_regions_count_more_than_false_ones(sizes: tuple[int, int]) -> None:
    pairs = [spotted(*sizes, truth=True), spotted(9), spotted(2)]
    choice = choose([pair[0] for pair in pairs], [pair[1] for pair in pairs], real=False)
    assert choice.min_area == 16  # that of the smallest of two defects: none may be given up
    assert "synthetic defects" in choice.why
    assert "min_area: the largest that gives up at most 2% of the found defects (1 of 2 false" in choice.why


def test_a_few_false_regions_are_allowed_on_many_pictures() -> None:
    pairs = [spotted(6, truth=True), *(spotted() for _ in range(97)), spotted(3), spotted(2), spotted(4)]
    choice = choose([pair[0] for pair in pairs], [pair[1] for pair in pairs], real=True)
    assert choice.min_area == 5  # only that of 4 pixels has to go: 2 of 100 may stay
    assert "(2 of 3 false regions are left on 100 normal pictures)" in choice.why


def test_without_false_regions_every_pixel_counts() -> None:
    pairs = [spotted(6, truth=True), spotted(4, 5, level=0.4)]
    choice = choose([pair[0] for pair in pairs], [pair[1] for pair in pairs], real=True)
    assert choice.min_area == 1
    assert 0.4 < choice.threshold < 0.9


def test_where_defects_are_synthetic_most_normal_pictures_must_be_ok() -> None:
    pairs = [spotted(10, truth=True, level=0.7), *(spotted(16, level=0.8) for _ in range(10)), spotted()]
    maps, masks = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found, raised = choose(maps, masks, real=True), choose(maps, masks, real=False)
    assert found.threshold < 0.8
    assert raised.threshold >= 0.8
    assert "raised until 95% of the normal ones are ok" in raised.why


def test_of_few_normal_pictures_none_may_be_ng() -> None:
    pairs = [spotted(10, truth=True, level=0.7), spotted(16, level=0.8), spotted(), spotted()]
    raised = choose([pair[0] for pair in pairs], [pair[1] for pair in pairs], real=False)
    assert raised.threshold >= 0.8


@pytest.mark.parametrize(("normals", "share"), [(10, 0.25), (90, 0.75)])
def test_the_more_normal_pictures_the_nearer_to_them_is_the_threshold(normals: int, share: float) -> None:
    chosen = Choice(0.9, 1, "synthetic")
    choice = lowered(chosen, [spotted(16, level=0.2)[0]] * normals)
    best, found, lowest = (math.log(p / (1 - p)) for p in (0.9, choice.threshold, 0.2))
    assert (best - found) / (best - lowest) == pytest.approx(share, abs=0.001)
    assert choice.why.startswith(f"synthetic; then lowered to {choice.threshold:.5g}, {share:.0%} of the way")


def test_normal_pictures_that_need_more_lower_nothing() -> None:
    chosen = Choice(0.9, 20, "synthetic")
    assert lowered(chosen, [spotted(16, level=0.95)[0]]) == chosen
    assert lowered(chosen, [spotted(4, level=0.95)[0]]).threshold < 0.9, "spots that are too small do not count"


def test_a_detector_that_has_gone_on_rejects_no_more_normal_pictures_than_before() -> None:
    chosen = Choice(0.5, 20, "real")
    quiet, loud = spotted(16, level=0.2)[0], spotted(16, level=0.8)[0]
    assert raised(chosen, [quiet, quiet, loud, loud], [loud, quiet, loud, quiet]) == chosen
    choice = raised(chosen, [quiet, quiet, quiet, loud], [loud, quiet, spotted(16, level=0.7)[0], quiet])
    assert choice.threshold == pytest.approx(0.7, abs=0.01), "one of them may be ng, as before"
    assert choice.why.startswith(f"real; then raised to {choice.threshold:.5g}")
    assert raised(chosen, [quiet, quiet], [spotted(4, level=0.95)[0], quiet]) == chosen, "too small to count"
    assert raised(chosen, [], []) == chosen


# Repairs


@pytest.fixture(scope="module")
def engine(bright: Path) -> Engine:
    return start(load(bright), "cpu", max_batch=1)


def defect(value: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture with a defect, its mask, and the twin that is `value` where the defect was."""
    image = picture(square=(20, 16, 10, 8))
    mask = np.where(image[:, :, 0] == 250, 255, 0).astype(np.uint8)
    return image, mask, np.where(image == 250, value, image).astype(np.uint8)


def test_a_perfect_repair_has_perfect_figures(engine: Engine) -> None:
    image, mask, twin = defect(FILL)
    (detection,) = engine.detector.detect([image])
    collected = RepairScores()
    assert collected.figures() == {}
    assert engine.repairer is not None
    collected.add(engine.repairer, image, mask, Judge(0.7, 4)(detection, 48, 64), twin)
    figures = collected.figures()
    for way in "repair", "repair_as_run":
        assert figures[f"{way}_psnr"] == float("inf")
        assert figures[f"{way}_ssim"] == pytest.approx(1.0)
    for way in "telea", "ns":  # they spread the ground's 60 into the hole
        assert figures[f"{way}_psnr"] == pytest.approx(20 * np.log10(255 / (FILL - 60)), abs=0.1)


def test_an_overlooked_defect_counts_as_run(engine: Engine) -> None:
    image, mask, twin = defect(FILL - 10)
    collected = RepairScores()
    assert engine.repairer is not None
    collected.add(engine.repairer, image, mask, Judgement(Verdict.OK), twin)
    figures = collected.figures()
    assert figures["repair_psnr"] == pytest.approx(20 * np.log10(255 / 10))
    assert figures["repair_as_run_psnr"] == pytest.approx(20 * np.log10(255 / (250 - FILL + 10)))


def test_repairing_what_was_no_defect_counts_as_run(engine: Engine) -> None:
    image, mask, twin = defect(FILL)
    image[2:6, 40:50] = 250
    twin[2:6, 40:50] = 250
    (detection,) = engine.detector.detect([image])
    collected = RepairScores()
    assert engine.repairer is not None
    collected.add(engine.repairer, image, mask, Judge(0.7, 4)(detection, 48, 64), twin)
    squares = 40 * (250 - FILL) ** 2 / (80 + 40)
    figures = collected.figures()
    assert figures["repair_psnr"] == float("inf")
    assert figures["repair_as_run_psnr"] == pytest.approx(10 * np.log10(255**2 / squares))


def test_psnr_is_over_the_pooled_pixels(engine: Engine) -> None:
    collected = RepairScores()
    assert engine.repairer is not None
    for off in 10, 30:
        image, mask, twin = defect(FILL - off)
        collected.add(engine.repairer, image, mask, Judgement(Verdict.OK), twin)
    assert collected.figures()["repair_psnr"] == pytest.approx(10 * np.log10(255**2 / 500))
    assert collected.figures()["repair_l1"] == pytest.approx(20)
    assert "repair_binary_accuracy" not in collected.figures()


def test_two_toned_pictures_have_a_binary_accuracy(engine: Engine) -> None:
    """Everything is filled with FILL, the brighter half: right where the twin is white."""
    twin = np.zeros((48, 64, 1), np.uint8)
    twin[:, 40:] = 255
    mask = np.zeros((48, 64), np.uint8)
    mask[10:20, 34:42] = 255
    collected = RepairScores()
    assert engine.repairer is not None
    collected.add(engine.repairer, 255 - twin, mask, None, twin)
    assert collected.figures()["repair_binary_accuracy"] == pytest.approx(2 / 8)
    assert not any(name.startswith("repair_as_run") for name in collected.figures())
