"""What fills holes of which depth, chosen on holes whose right filling is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tomli_w", reason="training needs it")

from inspector.inference.bundle import Bundle, load
from inspector.training.repair_choice import explained, with_methods
from inspector.training.trials import Trial
from tests.bundles import FILL


@pytest.fixture(scope="module")
def draft(bright: Path) -> Bundle:
    return load(bright)


def windows(wanted: int, thickness: int, count: int) -> Iterator[Trial]:
    """Windows of which `wanted` is what belongs into the hole, in a ground of 60; the network always gives FILL."""
    for number in range(count):
        mask = np.zeros((64, 64), np.uint8)
        mask[16 : 16 + thickness, 4 + number : 40 + number] = 255
        seen = np.full((64, 64, 1), 60, np.uint8)
        seen[mask > 0] = 250
        yield seen, np.where(mask[:, :, None] > 0, np.uint8(wanted), seen), mask


def test_each_depth_is_left_to_what_does_best_there(draft: Bundle) -> None:
    repair = with_methods(draft, [*windows(60, 2, 6), *windows(FILL, 30, 6)], least=5)
    shallow, deep = repair.methods
    assert (shallow.method in {"telea", "ns"}, shallow.max_depth, shallow.holes) == (True, 2.0, 6)
    assert (deep.method, deep.max_depth, deep.holes) == ("network", None, 6)
    assert shallow.psnr["network"] == pytest.approx(20 * np.log10(255 / (FILL - 60)), abs=0.01)
    assert shallow.psnr[shallow.method] > 40
    assert deep.psnr["network"] == 99.0 > deep.psnr["ns"]
    assert repair.windows == (32, 48)
    sentence = explained(repair)
    assert f"holes up to 2 pixels deep by {shallow.method} " in sentence
    assert "deeper holes by network (dB on 6 validation holes: network 99.0" in sentence


def test_the_choice_is_never_worse_than_either_inpainter_on_what_it_was_made_on(draft: Bundle) -> None:
    shown = [*windows(90, 2, 5), *windows(100, 7, 5), *windows(110, 14, 5), *windows(70, 30, 5)]
    for row in with_methods(draft, shown, least=5).methods:
        assert row.psnr[row.method] == max(row.psnr.values())


def test_a_depth_with_few_holes_is_decided_with_its_neighbour(draft: Bundle) -> None:
    (one,) = with_methods(draft, [*windows(60, 2, 2), *windows(FILL, 30, 6)], least=5).methods
    assert (one.method, one.max_depth, one.holes) == ("network", None, 8)
    (other,) = with_methods(draft, [*windows(60, 2, 6), *windows(FILL, 30, 1)], least=7).methods
    assert (other.max_depth, other.holes) == (None, 7)


def test_few_holes_in_all_are_decided_together(draft: Bundle) -> None:
    (one,) = with_methods(draft, [*windows(60, 2, 2), *windows(60, 7, 1)], least=20).methods
    assert (one.method in {"telea", "ns"}, one.max_depth, one.holes) == (True, None, 3)


def test_without_holes_all_is_left_to_the_network(draft: Bundle) -> None:
    (only,) = with_methods(draft, []).methods
    assert (only.method, only.max_depth, only.holes, only.psnr) == ("network", None, 0, {})
