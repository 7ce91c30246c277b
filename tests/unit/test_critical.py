from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inspector.critical import critical_thresholds
from inspector.errors import ModelError
from inspector.judge import Judge
from inspector.types import Detection, Verdict
from tests.inspections import many

unit = st.floats(0, 1, width=32)
smooth = st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75, 1.0])
"""Equal values, so that regions are wide and levels shared."""
shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9)
maps = hnp.arrays(np.float32, shapes, elements=unit) | hnp.arrays(np.float32, shapes, elements=smooth)


def is_ng(detection: Detection, height: int, width: int, threshold: np.float32, area: int) -> bool:
    return Judge(float(threshold), area)(detection, height, width).verdict is Verdict.NG


@many
@given(maps, st.integers(1, 20), st.integers(1, 20), st.lists(st.integers(1, 12), min_size=1, max_size=3), unit)
def test_it_is_where_the_judge_turns(map_, height, width, areas, elsewhere):
    detection = Detection(float(map_.max()), map_)
    for area, found in zip(areas, critical_thresholds(detection, height, width, areas), strict=True):
        assert not is_ng(detection, height, width, found, area)
        if found > 0:
            assert is_ng(detection, height, width, np.nextafter(found, np.float32(-1)), area)
        threshold = np.float32(elsewhere)
        assert is_ng(detection, height, width, threshold, area) == (threshold < found)


def test_a_larger_area_never_raises_it():
    rng = np.random.default_rng(3)
    map_ = rng.random((48, 64)).astype(np.float32)
    areas = [1, 2, 4, 16, 64, 4000]
    assert np.all(np.diff(critical_thresholds(Detection(1.0, map_), 96, 128, areas)) <= 0)
    found = critical_thresholds(Detection(1.0, map_), 48, 64, areas)
    assert np.all(np.diff(found) <= 0)
    assert found[0] == map_.max()
    assert found[-1] == 0  # no frame has a region larger than itself


def test_by_hand():
    map_ = np.zeros((20, 20), np.float32)
    map_[2:6, 2:6] = 0.5  # 16 pixels
    map_[3, 3] = 0.75
    map_[10:13, 10:13] = 0.25  # 9 pixels
    found = critical_thresholds(Detection(0.75, map_), 20, 20, [1, 2, 16, 17])
    assert found.tolist() == [0.75, 0.5, 0.5, 0.0]


@pytest.mark.parametrize("poison", [float("nan"), 1.5, -0.5])
def test_what_is_no_probability_is_refused(poison):
    with pytest.raises(ModelError, match="no probability"):
        critical_thresholds(Detection(0.5, np.full((4, 4), poison, np.float32)), 4, 4, [1])
