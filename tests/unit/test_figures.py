"""Figures of weighted pictures, and how far they move: beside plain definitions and known values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.training import bootstrap, breakdown
from inspector.training.figures import Table, auroc, average_precision, figures, image_curves, table
from inspector.training.metrics import PixelScores, area_under_roc


def row(picture: str, kind: str = "good", score: float = 0.1, **known: Any) -> dict[str, Any]:
    numbers = dict.fromkeys(("tp", "fp", "fn", "tn", "regions", "regions_found", "false_regions"), 0)
    return {
        "picture": picture, "kind": kind, "group": "", "score": score, "verdict": "ng" if score > 0.5 else "ok",
        "loss": 0.1, "map_score": score, "control": None if kind == "good" else 0.1, **numbers, **known,
    }  # fmt: skip


def some() -> Table:
    """Three good pictures of two parts, and two kinds of defects."""
    return table(
        [
            row("a", group="1", false_regions=2, score=0.6, fp=10, tn=90),
            row("b", group="1", tn=100),
            row("c", group="2", tn=100),
            row("d", "dent", 0.9, group="3", tp=40, fp=10, fn=10, tn=40, regions=2, regions_found=1),
            row("e", "dent", 0.8, group="3", tp=20, fn=20, tn=60, regions=1, regions_found=1),
            row("f", "soft", 0.2, group="4", fn=60, tn=40, regions=1),
        ]
    )


pictures = st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3)), min_size=1, max_size=15)


@given(pictures)
def test_a_weight_counts_a_picture_so_often(drawn: list[tuple[int, bool, int]]) -> None:
    score = np.array([level / 4 for level, _, _ in drawn])
    good = np.array([is_good for _, is_good, _ in drawn])
    weight = np.array([count for _, _, count in drawn])
    (found,) = auroc(score, good, weight[None].astype(float))
    repeated = np.repeat(score, weight), np.repeat(good, weight)
    wanted = area_under_roc(repeated[0][repeated[1]], repeated[0][~repeated[1]])
    assert found == pytest.approx(wanted, nan_ok=True)


@given(pictures)
def test_average_precision_by_its_definition(drawn: list[tuple[int, bool, int]]) -> None:
    score = np.array([level / 4 for level, _, _ in drawn])
    good = np.array([is_good for _, is_good, _ in drawn])
    (found,) = average_precision(score, good, np.ones((1, len(score))))
    if good.all():
        assert math.isnan(found)
        return
    wanted, recall = 0.0, 0.0
    for threshold in sorted(set(score), reverse=True):
        marked = score >= threshold
        now = np.count_nonzero(marked & ~good) / np.count_nonzero(~good)
        wanted += (now - recall) * np.count_nonzero(marked & ~good) / np.count_nonzero(marked)
        recall = now
    assert found == pytest.approx(wanted)


def test_the_figures_of_a_table() -> None:
    found = {name: float(values[0]) for name, values in figures(some(), some().ones).items()}
    assert found["image_auroc"] == pytest.approx((3 + 3 + 2) / 9)
    assert found["pixel_precision"] == pytest.approx(60 / 80)
    assert found["pixel_recall"] == pytest.approx(60 / 150)
    assert found["pixel_f1"] == pytest.approx(120 / 230)
    assert found["regions_found"] == pytest.approx(2 / 4)
    assert found["false_regions_per_good"] == pytest.approx(2 / 3)
    assert found["false_rejects_per_1000_good"] == pytest.approx(1000 / 3)
    assert found["escapes_per_1000_defective"] == pytest.approx(1000 / 3)
    assert found["image_auroc_control"] == pytest.approx((2 * 1 / 2) / 3)


def test_the_curves_have_the_areas_of_the_figures() -> None:
    found = {name: float(values[0]) for name, values in figures(some(), some().ones).items()}
    curves = image_curves(some())
    x, y = curves.roc
    assert float(np.trapezoid(y, x)) == pytest.approx(found["image_auroc"])
    recall, precision = curves.recall_precision
    assert float((precision * np.diff(recall, prepend=0)).sum()) == pytest.approx(found["image_ap"])


def test_kinds_alone_and_all_others() -> None:
    rows = breakdown.by_kind(some(), bootstrap.resamples(some().group, 200))
    assert rows["dent"]["pixel_f1"] == pytest.approx(120 / 160)
    assert rows["dent"]["pixel_f1_without"] == pytest.approx(0)
    assert rows["soft"]["pixel_f1"] == pytest.approx(0)
    assert rows["soft"]["pixel_f1_without"] == pytest.approx(120 / 170)
    assert rows["dent"]["image_auroc"] == pytest.approx(1)
    assert rows["good"]["ng_interval"] == pytest.approx((0.0016, 0.9601), abs=1e-4)
    assert "pixel_f1" not in rows["good"]


def test_one_kind_has_no_others() -> None:
    only = table([row("a", tn=100, fp=5), row("b", "dent", 0.9, tp=9, fn=1, tn=90)])
    rows = breakdown.by_kind(only, bootstrap.resamples(only.group, 100))
    assert rows["dent"]["pixel_f1_without"] is None


def test_groups_with_most_mistakes_come_first() -> None:
    rows = breakdown.by_group(some())
    assert [(r["group"], r["false_rejects"], r["escapes"]) for r in rows] == [
        ("1", 1, 0), ("4", 0, 1), ("2", 0, 0), ("3", 0, 0),
    ]  # fmt: skip
    assert rows[3]["regions_found"] == pytest.approx(2 / 3)
    assert rows[0]["pixel_f1"] is None  # there is nothing to find
    assert rows[3]["pixel_f1"] == pytest.approx(120 / 160)


def test_groups_are_drawn_whole() -> None:
    drawn = bootstrap.resamples(np.array([0, 0, 1, 2, 2, 2]), 500)
    assert drawn.shape == (500, 6)
    assert np.array_equal(drawn[:, 0], drawn[:, 1])
    assert np.array_equal(drawn[:, 3], drawn[:, 5])
    assert set((drawn[:, 0] + drawn[:, 2] + drawn[:, 3]).tolist()) == {3.0}
    assert drawn[:, 2].mean() == pytest.approx(1, abs=0.15)


def test_an_interval_is_as_wide_as_theory_says_and_wider_for_groups() -> None:
    """The mean of 100 pictures that are equal within ten groups varies as that of ten does."""
    rng = np.random.default_rng(1)
    values = np.repeat(rng.normal(0, 1, 10), 10)

    def width(group: np.ndarray) -> float:
        drawn = bootstrap.resamples(group, 2000)
        limits = bootstrap.interval(drawn @ values / drawn.sum(axis=1))
        assert limits is not None
        return limits[1] - limits[0]

    independent, grouped = width(np.arange(100)), width(np.repeat(np.arange(10), 10))
    assert independent == pytest.approx(2 * 1.96 * values.std() / 10, rel=0.1)
    assert grouped == pytest.approx(math.sqrt(10) * independent, rel=0.2)


def test_a_figure_that_is_mostly_undefined_has_no_interval() -> None:
    assert bootstrap.interval(np.array([0.5, np.nan, np.nan])) is None
    figures = {"a": np.array([0.5, 0.75]), "b": np.array([np.nan])}
    assert bootstrap.intervals(figures) == {"a": pytest.approx((0.50625, 0.74375))}


def test_resamples_that_agree_are_no_interval_but_of_a_difference() -> None:
    assert bootstrap.interval(np.zeros(9)) == (0, 0)
    assert bootstrap.intervals({"image_auroc": np.ones(9), "loss": np.array([0.1, 0.2 - 0.1])}) == {}
    told_apart = table([row(name, "good") for name in "abc"] + [row(name, "dent", 0.9, tp=9, tn=91) for name in "def"])
    dent = breakdown.by_kind(told_apart, bootstrap.resamples(told_apart.group, 200))["dent"]
    assert (dent["image_auroc"], dent["image_auroc_interval"]) == (1, None)
    assert (dent["pixel_f1"], dent["pixel_f1_interval"]) == (1, None)


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(0, 30, 0.0, 0.1157), (15, 45, 0.2000, 0.4895), (5, 5, 0.4782, 1.0)],
)
def test_exact_intervals_are_those_of_the_tables(count: int, of: int, low: float, high: float) -> None:
    assert bootstrap.share(count, of, of) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("ng", "groups", "low", "high"),
    [
        (0, 3, 0.0, 0.7076), (1, 3, 0.0, 0.7103), (15, 3, 0.0, 0.7466), (300, 3, 0.2924, 1.0), (15, 1, 0.0, 0.9804),
        (0, 300, 0.0, 0.0122), (15, 300, 0.0283, 0.0812),
    ],
)  # fmt: skip
def test_the_exact_interval_counts_groups_for_pictures(ng: int, groups: int, low: float, high: float) -> None:
    many = table([row(str(n), score=0.9 if n < ng else 0.1, group=f"part {n % groups}") for n in range(300)])
    found = breakdown.rates(many)["false_rejects"]
    assert (found["count"], found["of"], found["groups"]) == (ng, 300, groups)
    assert found["interval"] == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_no_mistake_makes_the_exact_interval_narrower_than_none(groups: int, each: int, data: st.DataObject) -> None:
    of = groups * each
    count = data.draw(st.integers(0, of))
    found = bootstrap.share(count, of, groups)
    assert found is not None
    assert found[0] <= count / of <= found[1]
    assert found[1] >= bootstrap.unseen(groups) - 1e-9
    assert found[0] <= 1 - bootstrap.unseen(groups) + 1e-9


def test_of_nothing_there_is_no_share() -> None:
    assert bootstrap.share(0, 0, 0) is None
    assert bootstrap.unseen(0) == 1.0


def test_maps_in_wider_bins_have_nearly_the_same_areas() -> None:
    rng = np.random.default_rng(2)
    whole, each = PixelScores(), []
    for _ in range(6):
        mask = np.zeros((32, 32), np.uint8)
        mask[8:16, 8:20] = 255
        own = PixelScores()
        own.add(np.clip(rng.normal(0.4, 0.15, mask.shape) + 0.2 * (mask > 0), 0, 1).astype(np.float32), mask)
        whole.merge(own)
        each.append(own.coarse())
    once = {name: float(values[0]) for name, values in bootstrap.map_figures(each, np.ones((1, 6))).items()}
    for name, value in bootstrap.of_maps(whole).items():
        assert once[name] == pytest.approx(value, abs=0.01), name
    doubled = bootstrap.map_figures(each, np.full((1, 6), 2.0))
    assert {name: values[0] for name, values in doubled.items()} == pytest.approx(once)
