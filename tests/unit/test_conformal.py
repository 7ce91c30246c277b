"""The promise of a calibration, held against simulated sessions: no test here looks at a formula alone."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs scipy, which `make test-all` installs")

from scipy import stats

from inspector.calibrate import conformal
from inspector.calibrate.choose import AREAS, LOWEST, Wish, candidates, choose
from inspector.errors import DataError

pytestmark = pytest.mark.full

REPEATS = 2000
NONE = np.empty((0, 1), np.float32)


def bounds(probability: float) -> tuple[int, int]:
    """How often of REPEATS something of that probability happens, but for one time in 100,000."""
    low, high = stats.binom.ppf([5e-6, 1 - 5e-6], REPEATS, probability)
    return int(low), int(high)


@pytest.mark.parametrize(("parts", "rate", "confidence"), [(60, 0.05, 0.95), (200, 0.05, 0.9), (149, 0.02, 0.95)])
def test_the_rate_is_exceeded_as_often_as_the_doubt_allows_and_not_more(parts, rate, confidence):
    rng = np.random.default_rng(parts)
    rates, covered = [], 0
    for _ in range(REPEATS):
        scores = rng.random((parts, 1), np.float32)  # the share of parts to come above t is then 1 - t
        choice = choose(scores, NONE, (3,), Wish(rate, confidence))
        rates.append(1 - choice.threshold)
        covered += choice.false_rejects.low <= rates[-1] <= choice.false_rejects.high
    exceeded = np.sum(np.array(rates) > rate)
    assert exceeded <= bounds(1 - confidence)[1]
    low, high = bounds(stats.beta.sf(rate, choice.above + 1, parts - choice.above))
    assert low <= exceeded <= high  # and it is no more careful than it must be
    assert bounds(confidence)[0] <= covered <= bounds(confidence)[1]
    assert np.mean(rates) == pytest.approx(choice.false_rejects.share, rel=0.1)


def test_equal_scores_only_make_it_safer():
    rng = np.random.default_rng(1)
    exceeded = 0
    for _ in range(REPEATS):
        scores = np.floor(10 * rng.random((150, 1))).astype(np.float32) / 10
        choice = choose(scores, NONE, (3,), Wish(0.05, 0.9))
        exceeded += round(9 - 10 * choice.threshold) / 10 > 0.05
    assert exceeded <= bounds(0.1)[1]


def test_choosing_the_best_of_several_areas_keeps_the_promise():
    """Defects that escape least at the lowest threshold make the choice as unlucky for good parts as it can be."""
    rng = np.random.default_rng(2)
    areas = candidates(1, defective=True)
    wish, exceeded = Wish(0.05, 0.9), 0
    for _ in range(REPEATS):
        good = rng.random((120, len(areas)), np.float32)  # by every area as good as by another, and independent
        bad = np.repeat(np.linspace(0.8, 1, 400, dtype=np.float32)[:, None], len(areas), axis=1)
        exceeded += 1 - choose(good, bad, areas, wish).threshold > wish.rate
    assert exceeded <= bounds(1 - wish.confidence)[1]


@pytest.mark.parametrize(("escaped", "parts"), [(0, 20), (3, 40), (20, 20)])
def test_escapes_are_inside_their_interval_as_often_as_it_says(escaped, parts):
    found = conformal.escapes(escaped, parts, 0.95)
    assert found.low <= escaped / parts <= found.high
    if escaped < parts:
        assert stats.binom.cdf(escaped, parts, found.high) == pytest.approx(0.025)
    if escaped > 0:
        assert stats.binom.sf(escaped - 1, parts, found.low) == pytest.approx(0.025)


@pytest.mark.parametrize("rate", [0.001, 0.02, 0.3])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_what_is_needed_suffices_and_one_less_does_not(rate, confidence):
    needed = conformal.parts_needed(rate, confidence)
    assert conformal.allowed_above(needed, rate, confidence) == 0
    if needed > 1:
        assert conformal.allowed_above(needed - 1, rate, confidence) is None
        assert conformal.lowest_rate(needed - 1, confidence) > rate >= conformal.lowest_rate(needed, confidence)


def test_too_few_parts_are_told_what_they_allow_and_what_the_wish_needs():
    with pytest.raises(DataError) as caught:
        choose(np.zeros((100, 1), np.float32), NONE, (1,), Wish(0.02, 0.95))
    assert "100 good parts are too few" in str(caught.value)
    assert "needs 149" in str(caught.value)
    assert "--false-rejects 0.0296" in str(caught.value)
    choose(np.zeros((100, 1), np.float32), NONE, (1,), Wish(0.0296, 0.95))  # what it says works


def test_min_area_is_the_one_that_loses_least():
    areas = candidates(4, defective=True)
    assert areas == (4, 1, 16, 64)
    rng = np.random.default_rng(5)
    good = rng.random((400, 4)).astype(np.float32) * np.array([0.9, 0.9, 0.5, 0.5], np.float32)
    bad = np.full((50, 4), 0.7, np.float32)
    bad[:, 3] = 0.1  # of the largest area there is no defect
    choice = choose(good, bad, areas, Wish(0.02, 0.95))
    assert choice.min_area == 16
    assert choice.escaped == 0
    assert choice.threshold == pytest.approx(np.sort(good[:, 2])[-1 - choice.above])
    assert choice.escapes is not None
    assert choice.escapes.low == 0


def test_where_choosing_needs_more_parts_the_bundles_own_area_is_kept():
    good = np.zeros((149, 4), np.float32)
    choice = choose(good, np.zeros((5, 4), np.float32), candidates(4, defective=True), Wish(0.02, 0.95))
    assert choice.min_area == 4
    assert "choosing among 4 needs 217 good parts" in choice.why
    assert (choice.threshold, choice.escaped) == (LOWEST, 5)


def test_good_parts_that_look_as_defective_as_can_be_are_refused():
    with pytest.raises(DataError, match="probability 1"):
        choose(np.ones((200, 1), np.float32), NONE, (1,), Wish(0.02, 0.95))


def test_without_defective_parts_the_bundles_own_area_is_kept():
    assert candidates(12, defective=False) == (12,)
    assert candidates(12, defective=True) == (12, *AREAS)
