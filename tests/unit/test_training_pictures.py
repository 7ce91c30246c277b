"""Pictures in memory, as training holds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inspector.training.data import Sample
from inspector.training.pictures import Pictures
from tests.pictures import noise, write

SIZE = (48, 64)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    return [Sample(write(tmp_path / f"{n}.png", noise(n)), "good") for n in range(3)]


def test_two_lists_are_joined_and_share_what_they_hold(samples: list[Sample]) -> None:
    first, second = Pictures(samples[:2], SIZE, 1), Pictures(samples[2:], SIZE, 1)
    held = [first.fitted(1)[0], second.fitted(0)[0]]
    samples[1].picture.unlink()  # what is held is not read again
    samples[2].picture.unlink()
    both = first.joined(second)
    assert both.samples == samples
    assert both.fitted(1)[0] is held[0]
    assert both.fitted(2)[0] is held[1]
    assert np.array_equal(both.native(0)[0], noise(0))
    assert len(first) == 2  # and these are as they were
