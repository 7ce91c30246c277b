"""F1 averaged over pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.training.macro_f1 import MacroF1
from inspector.types import Map, Mask

TENTHS = st.lists(st.integers(1, 9), min_size=12, max_size=12)
TRUTHS = st.lists(st.booleans(), min_size=12, max_size=12)


def square(side: int, level: float, size: int = 40) -> tuple[Map, Mask]:
    """A defect of that side which is given `level`, on a ground of 0.01."""
    probability, mask = np.full((size, size), 0.01, np.float32), np.zeros((size, size), np.uint8)
    probability[:side, :side] = level
    mask[:side, :side] = 255
    return probability, mask


def alarm(side: int, level: float) -> tuple[Map, Mask]:
    """The same on a normal picture."""
    probability, mask = square(side, level)
    return probability, np.zeros_like(mask)


def collect(*pairs: tuple[Map, Mask]) -> MacroF1:
    collected = MacroF1()
    for probability, mask in pairs:
        collected.add(probability, mask)
    return collected


@given(st.lists(st.tuples(TENTHS, TRUTHS), min_size=1, max_size=4))
def test_no_threshold_is_better_than_the_best(drawn: list[tuple[list[int], list[bool]]]) -> None:
    pairs = [(np.array([p], np.float32) / 10, np.array([t], np.uint8) * np.uint8(255)) for p, t in drawn]
    best, threshold = collect(*pairs).best()
    values = [value_at(pairs, tenths / 10 - 0.05) for tenths in range(1, 11)]
    assert best == pytest.approx(max(values))
    assert value_at(pairs, threshold) == pytest.approx(best)


def value_at(pairs: list[tuple[Map, Mask]], threshold: float) -> float:
    area = np.median([np.count_nonzero(mask) for _, mask in pairs if mask.any()] or [1])
    f1, quiet = [], []
    for probability, mask in pairs:
        found = probability > threshold
        if mask.any():
            f1.append(2 * np.count_nonzero(found & (mask > 0)) / (np.count_nonzero(found) + np.count_nonzero(mask)))
        else:
            quiet.append(area / (area + np.count_nonzero(found)))
    return float(np.mean([np.mean(kind) for kind in (f1, quiet) if kind]))


def test_small_defects_count_as_much_as_a_large_one() -> None:
    """The stain wants a low threshold, which marks much beside the pits; pooled, it would have its way."""
    stain = square(30, 0.2)
    pits = []
    for _ in range(3):
        probability, mask = square(4, 0.9)
        probability[20:30, 20:30] = 0.3
        pits.append((probability, mask))
    best, threshold = collect(stain, *pits).best()
    assert 0.3 < threshold < 0.9
    assert best == pytest.approx(3 / 4)


def test_a_normal_picture_counts_half_with_as_much_marked_as_a_defect_has() -> None:
    best, threshold = collect(square(6, 0.5), alarm(6, 0.9)).best()
    assert best == pytest.approx((1 + 0.5) / 2)
    assert 0.01 < threshold < 0.5
    best, threshold = collect(square(6, 0.9), alarm(6, 0.5)).best()
    assert best == pytest.approx(1.0)
    assert 0.5 < threshold < 0.9


def test_where_few_pictures_tell_little_the_threshold_is_near_a_half() -> None:
    overlooked = square(6, 0.001)
    pairs = [square(6, 0.95), square(6, 0.95), overlooked, *(alarm(3, level) for level in (0.02, 0.02, 0.8))]
    collected = collect(*pairs)
    best, threshold = collected.best()
    near, nearer = collected.nearest_to_half()
    assert threshold > 0.75
    assert abs(nearer - 0.5) < 0.01
    assert value_at(pairs, nearer) == pytest.approx(near)
    assert near < best


def test_where_all_pictures_agree_the_best_threshold_stays() -> None:
    collected = MacroF1()
    for _ in range(10):
        collected.add(*square(6, 0.9))
        collected.add(*alarm(6, 0.8))
    assert collected.nearest_to_half() == pytest.approx(collected.best(), abs=1e-9)
