from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inspector.judge import Judge
from inspector.types import Detection, Reason, Verdict


def detection(map_: np.ndarray) -> Detection:
    return Detection(float(map_.max()), map_.astype(np.float32))


def blank(height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width), 0.1, np.float32)


def test_ok_below_the_threshold() -> None:
    judgement = Judge(0.5, 1)(detection(blank()), 40, 60)
    assert (judgement.verdict, judgement.regions, judgement.mask) == (Verdict.OK, (), None)


def test_regions_name_box_area_centroid_and_score() -> None:
    map_ = blank()
    map_[10:14, 20:30] = 0.8
    map_[12, 25] = 0.9
    judgement = Judge(0.5, 5)(detection(map_), 40, 60)
    assert judgement.verdict is Verdict.NG
    (region,) = judgement.regions
    assert region.box == (20, 10, 10, 4)
    assert region.area == 40
    assert region.centroid == (24.5, 11.5)
    assert region.score == pytest.approx(0.9)
    assert judgement.mask is not None
    assert np.array_equal(judgement.mask != 0, map_ > 0.5)


def test_small_regions_are_taken_out_of_the_mask() -> None:
    map_ = blank()
    map_[0, 0] = 0.9
    map_[20:25, 20:25] = 0.9
    judgement = Judge(0.5, 10)(detection(map_), 40, 60)
    assert [region.box for region in judgement.regions] == [(20, 20, 5, 5)]
    assert judgement.mask is not None
    assert judgement.mask[0, 0] == 0
    assert Judge(0.5, 26)(detection(map_), 40, 60).verdict is Verdict.OK


def test_the_minimum_area_is_in_pixels_of_the_map() -> None:
    map_ = blank()
    map_[10:14, 10:14] = 0.9  # 16 pixels of the map, 4 times as many of the frame
    assert Judge(0.5, 12)(detection(map_), 80, 120).verdict is Verdict.NG
    assert Judge(0.5, 30)(detection(map_), 80, 120).verdict is Verdict.OK


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 1.5, -float("inf")])
def test_what_is_no_probability_is_unknown(poison: float) -> None:
    map_ = np.full((4, 4), poison, np.float32)
    judgement = Judge(0.5, 1)(Detection(0.3, map_), 4, 4)
    assert (judgement.verdict, judgement.reason) == (Verdict.UNKNOWN, Reason.MODEL)
    judgement = Judge(0.5, 1)(Detection(float("nan"), blank()), 40, 60)
    assert (judgement.verdict, judgement.reason) == (Verdict.UNKNOWN, Reason.MODEL)


def test_one_nan_among_good_pixels_is_unknown() -> None:
    map_ = blank()
    map_[3, 3] = np.nan
    assert Judge(0.5, 1)(Detection(0.1, map_), 40, 60).verdict is Verdict.UNKNOWN


def test_more_regions_than_16_bits_can_count() -> None:
    map_ = blank(600, 600)
    map_[::2, ::2] = 0.9  # 90,000 single pixels
    judgement = Judge(0.5, 1)(detection(map_), 600, 600)
    assert len(judgement.regions) == 90_000


@given(st.floats(2**-20, 1 - 2**-20, width=32), st.lists(st.floats(0, 1, width=32), min_size=2, max_size=5).map(sorted))
def test_folded_half_is_the_threshold_and_the_order_stays(threshold: float, probabilities: list[float]) -> None:
    judge = Judge(threshold, 1, folded=True)
    assert judge.told(threshold) == 0.5
    assert (judge.told(0.0), judge.told(1.0)) == (0.0, 1.0)
    told = [judge.told(probability) for probability in probabilities]
    assert told == sorted(told)
    for probability, said in zip(probabilities, told, strict=True):
        assert (said > 0.5) == (probability > threshold)
        if 0 < probability < 1:  # a shift of the logit
            shift = np.log(probability / (1 - probability)) - np.log(threshold / (1 - threshold))
            assert said == pytest.approx(1 / (1 + np.exp(-shift)), rel=1e-6)


@pytest.mark.parametrize(("peak", "verdict"), [(0.8, Verdict.NG), (0.6, Verdict.OK)])
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (4, 1)])
def test_the_smallest_frames_are_judged_too(size: tuple[int, int], peak: float, verdict: Verdict) -> None:
    for map_ in (np.full((1, 1), peak, np.float32), np.full((4, 4), peak, np.float32)):
        # Where something is ignored the mask is made at any rate.
        judgement = Judge(0.7, 1)(detection(map_), *size, ignored=np.zeros(size, np.bool_))
        assert judgement.verdict is verdict
        if verdict is Verdict.NG:
            assert judgement.mask is not None
            assert np.array_equal(judgement.mask, np.full(size, 255, np.uint8))
            assert [region.box for region in judgement.regions] == [(0, 0, size[1], size[0])]


def test_folding_changes_what_is_told_and_nothing_else() -> None:
    map_ = blank()
    map_[10:14, 20:30] = 0.8
    plain, folded = Judge(0.7, 5)(detection(map_), 80, 120), Judge(0.7, 5, folded=True)(detection(map_), 80, 120)
    assert folded.mask is not None
    assert plain.mask is not None
    assert np.array_equal(folded.mask, plain.mask)
    assert [replace(region, score=0) for region in folded.regions] == [replace(r, score=0) for r in plain.regions]
    assert folded.regions[0].score == pytest.approx(0.8 * 0.3 / (0.8 * 0.3 + 0.7 * 0.2))
    assert Judge(0.7, 5).told(0.3) == 0.3


@given(hnp.arrays(np.float32, (12, 17), elements=st.floats(0, 1, width=32)), st.integers(1, 6))
def test_agrees_with_labelling_the_whole_map(map_: np.ndarray, min_area: int) -> None:
    judgement = Judge(0.5, min_area)(detection(map_), 12, 17)
    _, labels, stats, _ = cv2.connectedComponentsWithStats((map_ > 0.5).astype(np.uint8), connectivity=8)
    large = [label for label in range(1, len(stats)) if stats[label, cv2.CC_STAT_AREA] >= min_area]
    assert (judgement.verdict is Verdict.NG) == bool(large)
    if large:
        assert judgement.mask is not None
        assert np.array_equal(judgement.mask != 0, np.isin(labels, large))
        assert sum(region.area for region in judgement.regions) == int((judgement.mask != 0).sum())
