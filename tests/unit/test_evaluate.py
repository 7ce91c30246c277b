"""What `evaluate` says of the tiny bundle on pictures whose right figures are counted by hand."""

from __future__ import annotations

import json
import math
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console

from inspector.cli import main
from inspector.errors import BundleError, DataError
from inspector.training import sheet
from inspector.training.data import Sample
from inspector.training.evaluate import evaluate, regions_touched
from inspector.training.outcome import Result
from inspector.types import Verdict
from tests.bundles import FILL, make_bundle, picture
from tests.pictures import write

DARK, BRIGHT, DIM = 60, 250, 150


def marked(x: int, y: int, w: int, h: int) -> np.ndarray:
    mask = np.zeros((48, 64, 1), np.uint8)
    mask[y : y + h, x : x + w] = 255
    return mask


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Five good pictures, of which one is rejected; four defective ones with masks, of which one escapes.

    Of the good ones another has a bright speck that is too small; of `half` only the left half is bright.
    """
    root = tmp_path / "set"
    for name in "abc":
        write(root / f"test/good/{name}.png", picture())
    write(root / "test/good/rejected.png", picture(square=(30, 30, 2, 2)))
    write(root / "test/good/speck.png", picture(square=(30, 30, 3, 1)))
    for name in "ab":
        image, mask = picture(square=(10, 10, 10, 10)), marked(10, 10, 10, 10)
        write(root / f"test/spot/{name}.png", image)
        write(root / f"ground_truth/spot/{name}_mask.png", mask)
        write(root / f"reference/spot/{name}.png", np.where(mask > 0, np.uint8(FILL - 10), image))
    dim = picture()
    dim[10:20, 10:20] = DIM
    write(root / "test/spot/dim.png", dim)
    write(root / "ground_truth/spot/dim_mask.png", marked(10, 10, 10, 10))
    write(root / "test/half/a.png", picture(square=(10, 10, 10, 10)))
    write(root / "ground_truth/half/a_mask.png", marked(10, 10, 20, 10))
    return root


def measured(bundle: Path, root: Path, out: Path) -> tuple[dict[str, float], dict[str, Any], str]:
    """Figures, report and what was printed."""
    console = Console(file=StringIO(), width=200)
    figures = evaluate(bundle, root, out, "cpu", False, console)
    return figures, json.loads((out / "evaluation.json").read_text()), console.file.getvalue()  # type: ignore[attr-defined]


def test_the_figures_are_right(bright: Path, pictures: Path, tmp_path: Path) -> None:
    figures, report, printed = measured(bright, pictures, tmp_path / "out")
    pixels = 9 * 48 * 64
    defective, found, false = 300 + 200, 300, 4  # the dim spot is not found, nor is half's right half
    assert figures["false_rejects_per_1000_good"] == pytest.approx(200)
    assert figures["escapes_per_1000_defective"] == pytest.approx(250)
    assert figures["false_regions_per_good"] == pytest.approx(0.2)
    assert figures["regions_found"] == pytest.approx(3 / 4)
    # Pairs of a good and a bad score: 3 bad are above 3 and level with 2 of 5; the dim one is above 3.
    assert figures["image_auroc"] == pytest.approx((3 * (3 + 2 / 2) + 3) / 20)
    assert figures["pixel_precision"] == pytest.approx(found / (found + false))
    assert figures["pixel_recall"] == pytest.approx(found / defective)
    assert figures["pixel_f1"] == pytest.approx(2 * found / (2 * found + false + defective - found))
    assert figures["pixel_iou"] == pytest.approx(found / (defective + false))
    assert figures["pixel_accuracy"] == pytest.approx((pixels - false - (defective - found)) / pixels)
    # 300 bright and 100 dim defective pixels are above the dark ones, 100 dark ones level with them; 7 normal
    # pixels are bright.
    normal = pixels - defective
    above = 300 * (normal - 7 + 7 / 2) + 100 * (normal - 7) + 100 * (normal - 7) / 2
    assert figures["pixel_auroc"] == pytest.approx(above / (normal * defective))
    entropies = [
        -math.log(1 - DARK / 255) * (normal - 7), -math.log(1 - BRIGHT / 255) * 7,
        -math.log(BRIGHT / 255) * 300, -math.log(DIM / 255) * 100, -math.log(DARK / 255) * 100,
    ]  # fmt: skip
    assert figures["loss"] == pytest.approx(sum(entropies) / pixels)
    for way in "repair", "repair_as_run":
        assert figures[f"{way}_psnr"] == pytest.approx(20 * math.log10(255 / 10))
    assert report["figures"] == figures
    assert "false_rejects_per_1000_good" in printed


def test_the_report_names_the_bundle_the_data_and_the_kinds(bright: Path, pictures: Path, tmp_path: Path) -> None:
    _, report, printed = measured(bright, pictures, tmp_path / "out")
    assert report["bundle"]["name"] == "bright"
    assert report["bundle"]["provider"] == "CPUExecutionProvider"
    assert report["data"]["name"] == "set"
    assert report["data"]["pictures"] == {"good": 5, "spot": 3, "half": 1}
    assert report["kinds"] == {
        "good": {"pictures": 5, "ng": pytest.approx(0.2), "median_pixel_f1": None},
        "half": {"pictures": 1, "ng": 1.0, "median_pixel_f1": pytest.approx(2 / 3)},
        "spot": {"pictures": 3, "ng": pytest.approx(2 / 3), "median_pixel_f1": 1.0},
    }
    assert "left out" not in printed
    before = report["data"]["sha256"]
    write(pictures / "test/good/a.png", picture() + 1)
    assert measured(bright, pictures, tmp_path / "out")[1]["data"]["sha256"] != before


def test_frames_of_another_size_are_measured_at_their_own(bright: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    image = picture(96, 128, 3, square=(20, 20, 20, 20))
    write(root / "test/good/a.png", picture(96, 128, 3))
    write(root / "test/spot/a.png", image)
    write(root / "ground_truth/spot/a_mask.png", np.where(image[:, :, 0] == BRIGHT, 255, 0).astype(np.uint8))
    figures, _, _ = measured(bright, root, tmp_path / "out")
    assert figures["pixel_recall"] == pytest.approx(1.0, abs=0.1)
    assert figures["pixel_precision"] == pytest.approx(1.0, abs=0.1)
    assert figures["pixel_auroc"] > 0.999


def test_a_sheet_shows_every_picture_once(bright: Path, pictures: Path, tmp_path: Path) -> None:
    measured(bright, pictures, tmp_path / "out")
    drawn = cv2.imread(str(tmp_path / "out" / "sheet.png"))
    assert drawn.shape[0] == 9 * (sheet.HEADER + sheet.CELL + 2)
    assert drawn.any()


def test_damaged_pictures_are_left_out_and_named(bright: Path, pictures: Path, tmp_path: Path) -> None:
    (pictures / "test/good/damaged.png").write_bytes(b"no picture")
    figures, report, printed = measured(bright, pictures, tmp_path / "out")
    assert "left out: " in printed
    assert "damaged.png is not a picture" in printed
    assert report["data"]["pictures"]["good"] == 5
    assert figures["false_rejects_per_1000_good"] == pytest.approx(200)


def test_pictures_without_masks_have_verdicts_and_no_pixel_figures(bright: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name in "abc":
        write(root / f"normal/{name}.png", picture())
        write(root / f"defective/{name}.png", picture(square=(10, 10, 5, 5)))
    write(root / "defective/d.png", picture())
    figures, report, printed = measured(bright, root, tmp_path / "out")
    assert figures["escapes_per_1000_defective"] == pytest.approx(250)
    assert figures["image_auroc"] == pytest.approx((3 + 0.5) / 4)
    assert report["figures"]["pixel_auroc"] is None
    assert report["figures"]["regions_found"] is None
    assert "repair_psnr" not in report["figures"]
    assert report["kinds"]["defect"] == {"pictures": 4, "ng": 0.75, "median_pixel_f1": None}
    assert "-" in printed


def test_a_bundle_without_a_repairer_is_measured_all_the_same(pictures: Path, tmp_path: Path) -> None:
    figures, _, _ = measured(make_bundle(tmp_path / "plain", repairs=False), pictures, tmp_path / "out")
    assert figures["pixel_recall"] == pytest.approx(0.6)
    assert "repair_psnr" not in figures


def test_nothing_to_measure_is_said(bright: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pictures to evaluate"):
        measured(bright, tmp_path, tmp_path / "out")
    (tmp_path / "normal").mkdir()
    (tmp_path / "normal/a.png").touch()
    with pytest.raises(DataError, match="has no readable picture"):
        measured(bright, tmp_path, tmp_path / "out")
    with pytest.raises(BundleError, match="is not a folder"):
        measured(tmp_path / "nowhere", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_mask_of_another_size_is_named(bright: Path, pictures: Path, tmp_path: Path) -> None:
    write(pictures / "ground_truth/half/a_mask.png", np.zeros((64, 48, 1), np.uint8))
    with pytest.raises(DataError, match=r"a_mask.png is 48x64, its picture 64x48"):
        measured(bright, pictures, tmp_path / "out")


def test_the_verb_writes_beside_the_bundle_and_leaves_it_alone(
    bright: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = Path(shutil.copytree(bright, tmp_path / "mine"))
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    assert main(["evaluate", str(bundle), str(pictures)]) == 0
    assert (tmp_path / "mine.evaluation" / "evaluation.json").is_file()
    assert (tmp_path / "mine.evaluation" / "sheet.png").is_file()
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before
    assert main(["evaluate", str(bundle), str(pictures), "--out", str(tmp_path / "there")]) == 0
    assert (tmp_path / "there" / "sheet.png").is_file()
    capsys.readouterr()
    assert main(["evaluate", str(bundle), str(tmp_path / "nothing")]) == 65
    assert "no pictures to evaluate" in capsys.readouterr().err


@pytest.mark.parametrize(("by", "count"), [((10, 10, 5, 5), 1), ((0, 0, 64, 48), 2), ((0, 40, 5, 5), 0)])
def test_regions_that_share_a_pixel(by: tuple[int, int, int, int], count: int) -> None:
    mask = (marked(8, 8, 4, 4) | marked(30, 30, 4, 4))[:, :, 0]
    assert regions_touched(mask, marked(*by)[:, :, 0]) == count


def test_the_sheet_chooses_the_best_the_worst_and_the_borderline() -> None:
    def results(kind: str, outcomes: list[tuple[float, float]]) -> list[Result]:
        return [Result(Sample(Path(f"{s}"), kind), s, Verdict.NG, f1, 0) for s, f1 in outcomes]

    good = results("good", [(0.01 * i, math.nan) for i in range(10)])
    judged = results("dent", [(0.9 + 0.01 * i, 0.1 * i) for i in range(10)])
    unmasked = results("dent", [(0.3 + 0.05 * i, math.nan) for i in range(8)])
    chosen = sheet.choose(good + judged + unmasked)
    sorts: dict[str, list[Result]] = {}
    for name, result in chosen:
        sorts.setdefault(name, []).append(result)
    assert sorts["best mask"] == judged[:-4:-1]
    assert sorts["worst mask"] == judged[:3]
    assert {round(result.score, 2) for result in sorts["borderline"]} == {0.45, 0.5, 0.55}
    assert sorts["worst good"] == good[:-4:-1]
    assert sorts["lowest defective"] == unmasked[:3]
    assert len({id(result) for _, result in chosen}) == len(chosen) == 15
