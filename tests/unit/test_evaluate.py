"""What `evaluate` says of the tiny bundle on pictures whose right figures are counted by hand."""

from __future__ import annotations

import json
import math
import re
import shutil
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from inspector.cli import main
from inspector.errors import BundleError, DataError
from inspector.inference.bundle import load
from inspector.training import data, learnt, sheet
from inspector.training.data import Sample
from inspector.training.evaluate import evaluate
from inspector.training.metrics import PixelCounts, frame_score
from inspector.training.outcome import Result, regions_touched, without
from inspector.types import Verdict
from tests.boards import PLACES, moved, piece
from tests.bundles import FILL, make_bundle, picture
from tests.disks import no_room
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


def test_defects_that_resizing_loses_are_measured_in_tiles(bright: Path, tmp_path: Path) -> None:
    root = tmp_path / "large"
    square = (200, 150, 3, 3)
    write(root / "test/good/a.png", picture(480, 640))
    write(root / "test/spot/a.png", picture(480, 640, square=square))
    mask = np.zeros((480, 640, 1), np.uint8)
    mask[150:153, 200:203] = 255
    write(root / "ground_truth/spot/a_mask.png", mask)
    found = {
        fit: evaluate(bright, root, tmp_path / fit, "cpu", False, Console(file=StringIO()), None, fit)
        for fit in ("resize", "tile")
    }
    assert found["resize"]["regions_found"] == 0
    assert found["tile"]["regions_found"] == 1
    assert found["tile"]["pixel_f1"] == pytest.approx(1)
    assert json.loads((tmp_path / "tile/evaluation.json").read_text())["overlap"] == 6
    pages = {fit: Page((tmp_path / fit / "report.html").read_text()).text for fit in found}
    assert "resized to the detector's input" in pages["resize"]
    assert "cut into tiles of the size of the detector's input, which overlap by 6 pixels" in pages["tile"]


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
    names = ("pictures", "ng", "median_pixel_f1")
    assert {kind: tuple(row[name] for name in names) for kind, row in report["kinds"].items()} == {
        "good": (5, pytest.approx(0.2), None),
        "half": (1, 1.0, pytest.approx(2 / 3)),
        "spot": (3, pytest.approx(2 / 3), 1.0),
    }
    assert "left out" not in printed
    before = report["data"]["sha256"]
    write(pictures / "test/good/a.png", picture() + 1)
    assert measured(bright, pictures, tmp_path / "out")[1]["data"]["sha256"] != before


@pytest.fixture(scope="module")
def comparing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("models") / "comparing", 192, 192, reference=True)


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    """Three places good, without a reference; the same broken, shifted against theirs; and one that shows another."""
    root = tmp_path / "boards"
    for number, place in enumerate(list(PLACES)[:3]):
        image = piece(place)
        mask = np.zeros_like(image)
        mask[60:74, 100:112] = 255
        write(root / f"test/good/{place}.png", image)
        write(root / f"test/blot/{place}.png", np.where(mask > 0, 255 - image, image))
        write(root / f"ground_truth/blot/{place}_mask.png", mask)
        write(root / f"reference/blot/{place}.png", moved(image, 3, -number, 0.2))
    write(root / "test/blot/strange.png", piece("bus"))
    write(root / "reference/blot/strange.png", piece("vias"))
    write(root / "test/blot/alone.png", piece("vias"))
    return root


def test_each_picture_is_compared_with_its_own_reference(comparing: Path, boards: Path, tmp_path: Path) -> None:
    figures, report, printed = measured(comparing, boards, tmp_path / "out")
    assert figures["regions_found"] == 1.0
    assert "regions_found" not in report["intervals"]
    assert "There is none where the resamples agree" in (tmp_path / "out" / "report.html").read_text()
    assert figures["pixel_recall"] > 0.95
    assert figures["false_regions_per_defective"] == 0.0
    assert report["references"] == {"own": 3, "given": 3, "none": 2}
    assert report["kinds"]["blot"]["pictures"] == 3
    assert report["data"]["pictures"] == {"good": 3, "blot": 3}
    assert ": 6 pictures, " in printed
    assert "The 6 pictures show 3 groups" in (tmp_path / "out" / "report.html").read_text()
    assert "6 pictures look nearly like others, and count as of the same part" in printed
    assert "strange.png lies on no reference, the daemon would call it unknown" in printed
    assert "alone.png has no reference to be compared with" in printed
    own = "3 good pictures have no reference: each was compared with itself"
    assert own in printed
    assert own in Page((tmp_path / "out" / "report.html").read_text()).text
    assert "was shown the very twin that it is measured against" in (tmp_path / "out" / "report.html").read_text()
    assert figures == pytest.approx(measured(comparing, boards, tmp_path / "again")[0], nan_ok=True)


def test_references_by_position_serve_all_pictures(comparing: Path, boards: Path, tmp_path: Path) -> None:
    for place in list(PLACES)[1:3]:
        write(tmp_path / "positions" / f"{place}.png", piece(place))
    console = Console(file=StringIO(), width=200)
    figures = evaluate(comparing, boards, tmp_path / "out", "cpu", False, console, tmp_path / "positions")
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert report["references"] == {"position": 4, "none": 4}
    assert report["repaired"] == {"pictures": 2, "twins": True}
    assert "was shown the very twin" not in (tmp_path / "out" / "report.html").read_text()
    assert figures["false_regions_per_good"] == 0.0
    assert figures["regions_found"] == 1.0


def test_references_for_a_bundle_that_does_not_compare_are_a_mistake(
    bright: Path, boards: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="bundle 'bright' does not compare; leave the option out"):
        evaluate(bright, boards, tmp_path / "out", "cpu", False, Console(file=StringIO()), boards / "reference/blot")


def test_good_pictures_alone_tell_nothing_of_repairs_beside_a_reference(comparing: Path, tmp_path: Path) -> None:
    write(tmp_path / "set/test/good/a.png", piece("bus"))
    _, report, _ = measured(comparing, tmp_path / "set", tmp_path / "out")
    assert report["repaired"] == {"pictures": 0, "twins": False}
    page = Page((tmp_path / "out" / "report.html").read_text())
    assert "nothing to measure repairs on: no defective one with a mask and a defect-free twin" in page.text


def test_nothing_that_lies_on_its_reference_is_said(comparing: Path, tmp_path: Path) -> None:
    write(tmp_path / "set/test/blot/a.png", piece("bus"))
    with pytest.raises(DataError, match="no picture that lies on its reference"):
        measured(comparing, tmp_path / "set", tmp_path / "out")


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


class Page(HTMLParser):
    """Collects a page's elements, and fails where they are not closed in order."""

    VOID = frozenset({"meta", "img", "br", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def having(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_the_page_stands_alone(bright: Path, pictures: Path, tmp_path: Path) -> None:
    measured(bright, pictures, tmp_path / "out")
    page = Page((tmp_path / "out" / "report.html").read_text())
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.elements}
    fetched = [value for _, attributes in page.elements for key, value in attributes.items() if key in {"src", "href"}]
    assert all(value is not None and value.startswith(("data:image/", "#")) for value in fetched)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    linked = {value[1:] for value in fetched if value is not None and value.startswith("#")}
    assert {"figures", "curves", "kinds", "pictures", "repair", "speed", "training"} <= linked <= set(ids)
    assert all(image["alt"] for image in page.having("img"))
    assert [svg["aria-label"] for svg in page.having("svg")] == ["ROC", "precision and recall", "PRO", "scores"]


def test_the_page_shows_every_picture_once_and_says_what_was_seen(bright: Path, pictures: Path, tmp_path: Path) -> None:
    measured(bright, pictures, tmp_path / "out")
    page = Page((tmp_path / "out" / "report.html").read_text())
    shown = [image["alt"] for image in page.having("img") if (image["alt"] or "").startswith("input of ")]
    assert len(shown) == 9
    assert "Of 1,000 good parts about 200 would be rejected wrongly: 1 of the 5 here did" in page.text
    assert "Of 1,000 defective parts about 250 would pass as good: 1 of the 4 here did" in page.text
    assert "carries no history" in page.text


def test_the_page_draws_the_history_that_a_bundle_carries(pictures: Path, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    (bundle / "history").mkdir()
    rows = [{"epoch": n, "loss": 1 / n, "psnr": 20.0 + n} for n in (1, 2, 3)]
    (bundle / "history" / "repairer.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    measured(bundle, pictures, tmp_path / "out")
    page = Page((tmp_path / "out" / "report.html").read_text())
    assert [svg["aria-label"] for svg in page.having("svg")][-2:] == ["repairer loss", "repairer dB"]
    assert "carries no history" not in page.text


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[1]\n", b'{"epoch": 1, "loss": 1}\n{"epoch": 2}\n', b'{"epoch": 1, "loss": 0.4}\n{"ep']
)
def test_a_damaged_history_is_left_out_and_named(pictures: Path, tmp_path: Path, content: bytes) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    (bundle / "history").mkdir()
    (bundle / "history" / "detector.jsonl").write_bytes(content)
    (bundle / "history" / "repairer.jsonl").write_text('{"epoch": 1, "loss": 0.5}\n')
    measured(bundle, pictures, tmp_path / "out")
    page = Page((tmp_path / "out" / "report.html").read_text())
    assert "history/detector.jsonl is empty or damaged, and was left out" in page.text
    assert [svg["aria-label"] for svg in page.having("svg")][-1] == "repairer loss"


def test_names_of_files_cannot_break_the_page(bright: Path, pictures: Path, tmp_path: Path) -> None:
    (pictures / "test/good/a.png").rename(pictures / "test/good/<b>&'.png")
    measured(bright, pictures, tmp_path / "out")
    page = Page((tmp_path / "out" / "report.html").read_text())
    assert "good/<b>&'.png" in page.text
    assert page.having("b") == []


def test_names_of_folders_are_printed_as_they_are(bright: Path, pictures: Path, tmp_path: Path) -> None:
    (pictures / "test/half").rename(pictures / "test/half [new]")
    root = pictures.rename(pictures.with_name("set [red]"))
    _, _, printed = measured(bright, root, tmp_path / "out")
    assert "half [new]" in printed
    assert "set [red]" in printed


def test_names_that_are_not_utf8_do_not_break_it(bright: Path, pictures: Path, tmp_path: Path) -> None:
    (pictures / "test/good/a.png").rename(pictures / "test/good/caf\udce9.png")
    _, record, _ = measured(bright, pictures, tmp_path / "out")
    assert "test/good/caf\udce9.png" in [row["picture"] for row in record["results"]]
    assert "good/caf\\udce9.png" in Page((tmp_path / "out" / "report.html").read_text()).text


def test_each_picture_has_its_row(bright: Path, pictures: Path, tmp_path: Path) -> None:
    (pictures / "MANIFEST.tsv").write_text("path\tgroup\ntest/half/a.png\tplate 7\n")
    _, report, _ = measured(bright, pictures, tmp_path / "out")
    rows = {row["picture"]: row for row in report["results"]}
    assert len(rows) == 9
    half = rows["test/half/a.png"]
    assert (half["group"], half["verdict"], half["tp"], half["fn"], half["fp"]) == ("plate 7", "ng", 100, 100, 0)
    assert (half["regions"], half["regions_found"]) == (1, 1)
    assert half["score"] == pytest.approx(BRIGHT / 255, abs=1e-6)
    assert [row["group"] for row in report["groups"]] == ["plate 7"]


def test_pictures_of_one_group_give_no_intervals(bright: Path, pictures: Path, tmp_path: Path) -> None:
    paths = sorted(path.relative_to(pictures).as_posix() for path in (pictures / "test").rglob("*.png"))
    (pictures / "MANIFEST.tsv").write_text("path\tgroup\n" + "".join(f"{path}\tone\n" for path in paths))
    _, report, _ = measured(bright, pictures, tmp_path / "out")
    assert report["groups_drawn"] == 1
    assert report["intervals"] == {}
    assert report["kinds"]["spot"]["image_auroc_interval"] is None
    assert "All pictures are of one group" in (tmp_path / "out" / "report.html").read_text()


def test_near_copies_count_as_one_part(bright: Path, tmp_path: Path) -> None:
    """Three parts three times each, of which one is told, and one that looks like no other."""
    root = tmp_path / "set"
    for n in range(9):
        write(root / f"normal/{n}.png", picture(square=(10 + 15 * (n % 3), 10, 4, 4)))
    write(root / "normal/flat.png", picture())
    (root / "MANIFEST.tsv").write_text("path\tgroup\nnormal/4.png\tplate 7\n")
    _, report, printed = measured(bright, root, tmp_path / "out")
    assert report["groups_drawn"] == 4
    assert [(row["group"], row["good"]) for row in report["groups"]] == [
        ("near copies of 0.png (0)", 3), ("near copies of 2.png (2)", 3), ("plate 7", 3),
    ]  # fmt: skip
    note = "8 pictures look nearly like others, and count as of the same part. If they show different parts, say so"
    assert note in printed
    assert note in Page((tmp_path / "out" / "report.html").read_text()).text
    rows = "".join(f"normal/{path.name}\t{path.stem}\n" for path in (root / "normal").iterdir())
    (root / "MANIFEST.tsv").write_text(f"path\tgroup\n{rows}")
    _, report, printed = measured(bright, root, tmp_path / "out")
    assert report["groups_drawn"] == 10
    assert report["notes"] == []


def test_pictures_that_look_all_alike_stand_alone_and_that_is_said(bright: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    for n in range(5):
        write(root / f"normal/{n}.png", picture(square=(10, 10, 4, 4)))
    _, report, printed = measured(bright, root, tmp_path / "out")
    assert (report["groups_drawn"], report["groups"]) == (5, [])
    assert "Most pictures look nearly the same, so that nothing tells which show the same part" in printed


def test_pictures_of_few_groups_show_little_also_where_no_mistake_is_seen(bright: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    for n in range(12):
        write(root / f"normal/{n}.png", picture())
    rows = "".join(f"normal/{n}.png\tpart {n % 3}\n" for n in range(12))
    (root / "MANIFEST.tsv").write_text(f"path\tgroup\n{rows}")
    measured(bright, root, tmp_path / "out")
    page = Page((tmp_path / "out" / "report.html").read_text())
    assert "0 of the 12 here did; with 95 % confidence between 0 and 708." in page.text
    assert "12 good pictures of 3 groups cannot show that" in page.text
    assert "that takes 368 of separate parts, without a mistake" in page.text


def test_the_control_takes_the_defect_out(bright: Path, pictures: Path, tmp_path: Path) -> None:
    """Without the defects all defective pictures are dark, as two of the five good ones with bright specks are not."""
    figures, report, _ = measured(bright, pictures, tmp_path / "out")
    rows = {row["picture"]: row for row in report["results"]}
    assert rows["test/spot/a.png"]["control"] == pytest.approx(DARK / 255, abs=1e-5)
    assert rows["test/good/a.png"]["control"] is None
    assert figures["image_auroc_control"] == pytest.approx((3 / 2) / 5)
    assert figures["image_auroc_map"] > 0.8


def test_a_defect_goes_with_its_surroundings() -> None:
    probability = np.full((50, 100), 0.2, np.float32)
    probability[19:31, 39:61] = 0.9  # glows by a pixel beyond its mask
    truth = np.zeros((100, 200), np.uint8)
    truth[40:60, 80:120] = 255
    rest = without(probability, truth)
    assert frame_score(probability) == pytest.approx(0.9)
    assert frame_score(rest) == pytest.approx(0.2)
    assert np.count_nonzero(rest == 0) < 2 * 14 * 24


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
    write(root / "normal/rejected.png", picture(square=(30, 30, 2, 2)))
    write(root / "defective/d.png", picture())
    figures, report, printed = measured(bright, root, tmp_path / "out")
    assert figures["escapes_per_1000_defective"] == pytest.approx(250)
    assert figures["image_auroc"] == pytest.approx((3 * (3 + 1 / 2) + 3 / 2) / 16)
    pixel = ("auroc", "f1", "f1_max", "iou", "precision", "recall")
    unknown = {*(f"pixel_{name}" for name in pixel), "regions_found", "false_regions_per_defective"}
    assert {name for name in unknown if report["figures"][name] is not None} == set()
    assert unknown & report["intervals"].keys() == set()
    assert {row["kind"]: row["false_regions"] for row in report["results"]} == {"good": 1, "defect": None}
    assert report["figures"]["repair_psnr"] == pytest.approx(20 * math.log10(255 / (FILL - DARK)), abs=0.1)
    assert report["repaired"] == {"pictures": 4, "twins": False}
    kind = report["kinds"]["defect"]
    assert (kind["pictures"], kind["ng"], kind["pixel_f1"]) == (4, 0.75, None)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "4 defective pictures have no mask" in page
    assert "no mask is known" in page
    assert "Pixel IoU" not in page
    assert re.search(r"pixel_f1 +. - ", printed)


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


def test_a_picture_whose_mask_is_of_another_size_is_left_out_and_named(
    bright: Path, pictures: Path, tmp_path: Path
) -> None:
    write(pictures / "ground_truth/half/a_mask.png", np.zeros((64, 48, 1), np.uint8))
    _, report, printed = measured(bright, pictures, tmp_path / "out")
    assert "a_mask.png is 48x64, its picture 64x48" in printed
    assert "half" not in report["data"]["pictures"]
    assert (
        "1 pictures were left out: the picture, its mask or its reference" in (tmp_path / "out/report.html").read_text()
    )


def test_a_reference_of_another_size_is_no_twin(bright: Path, pictures: Path, tmp_path: Path) -> None:
    write(pictures / "reference/spot/a.png", np.zeros((64, 48, 1), np.uint8))
    _, report, _ = measured(bright, pictures, tmp_path / "out")
    assert report["repaired"] == {"pictures": 1, "twins": True}


@pytest.fixture
def plain(pictures: Path, tmp_path: Path) -> Path:
    """Five good pictures and three defective ones, in folders to train from."""
    root = tmp_path / "plain"
    shutil.copytree(pictures / "test/good", root / "normal")
    shutil.copytree(pictures / "test/spot", root / "defective")
    return root


@pytest.fixture
def trained(bright: Path, plain: Path, tmp_path: Path) -> Path:
    """A bundle that was trained with those."""
    bundle = Path(shutil.copytree(bright, tmp_path / "mine"))
    (bundle / "history").mkdir()
    learnt.write(bundle / "history", data.training_samples(plain))
    return bundle


def test_pictures_that_it_was_trained_with_prove_nothing(trained: Path, plain: Path, tmp_path: Path) -> None:
    write(plain / "normal/new.png", picture(square=(1, 1, 3, 3)))
    _, report, printed = measured(trained, plain, tmp_path / "out")
    assert "the bundle was trained with 8 of these 9 pictures: figures on them prove nothing" in printed
    assert "trained with 8 of these 9 pictures" in (tmp_path / "out/report.html").read_text()
    assert set(report["data"]["seen"]) == {row["picture"] for row in report["results"]} - {"normal/new.png"}


def test_one_that_it_was_trained_with_keeps_the_figures_out_of_the_card(
    trained: Path, plain: Path, tmp_path: Path
) -> None:
    root = tmp_path / "others"
    write(root / "test/good/new.png", picture(square=(1, 1, 3, 3)))
    shutil.copy(plain / "defective/dim.png", root / "test/good/old.png")
    for_card = (trained, root, tmp_path / "out", "cpu", True, Console(file=StringIO()))
    with pytest.raises(DataError, match=r"with 1 of the 2 pictures in .*, such as .*/old.png; a card has the"):
        evaluate(*for_card)
    (root / "test/good/old.png").unlink()
    evaluate(*for_card)
    assert load(trained).card.scores


@pytest.mark.parametrize(("mode", "count"), [("masks", 8), ("normal", 5)])
def test_a_bundle_that_does_not_tell_its_pictures_knows_them_all_together(
    bright: Path, plain: Path, tmp_path: Path, mode: str, count: int
) -> None:
    bundle = Path(shutil.copytree(bright, tmp_path / "mine"))
    trained = [sample for sample in data.training_samples(plain) if sample.good or mode == "masks"]
    card = bundle / "bundle.toml"
    card.write_text(card.read_text() + f'[training]\nmode = "{mode}"\ndata_sha256 = "{data.data_hash(trained)}"\n')
    assert len(measured(bundle, plain, tmp_path / "out")[1]["data"]["seen"]) == count
    with pytest.raises(DataError, match="a card has the scores on others"):
        evaluate(bundle, plain, tmp_path / "out", "cpu", True, Console(file=StringIO()))


def test_the_verb_writes_beside_the_bundle_and_leaves_it_alone(
    bright: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = Path(shutil.copytree(bright, tmp_path / "mine"))
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    assert main(["evaluate", str(bundle), str(pictures)]) == 0
    assert (tmp_path / "mine.evaluation" / "evaluation.json").is_file()
    assert (tmp_path / "mine.evaluation" / "report.html").is_file()
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before
    assert main(["evaluate", str(bundle), str(pictures), "--out", str(tmp_path / "there")]) == 0
    assert (tmp_path / "there" / "report.html").is_file()
    capsys.readouterr()
    assert main(["evaluate", str(bundle), str(tmp_path / "nothing")]) == 65
    assert "no pictures to evaluate" in capsys.readouterr().err


def test_a_full_disk_leaves_the_card_as_it_was(
    bright: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = Path(shutil.copytree(bright, tmp_path / "mine"))
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    with no_room(100):
        code = main(["evaluate", str(bundle), str(pictures), "--card", "--out", str(tmp_path / "out")])
    assert code == 74
    assert f"{bundle} cannot be read or written: File too large; " in capsys.readouterr().err
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("by", "count"), [((10, 10, 5, 5), 1), ((0, 0, 64, 48), 2), ((0, 40, 5, 5), 0)])
def test_regions_that_share_a_pixel(by: tuple[int, int, int, int], count: int) -> None:
    mask = (marked(8, 8, 4, 4) | marked(30, 30, 4, 4))[:, :, 0]
    assert regions_touched(mask, marked(*by)[:, :, 0]) == count


def test_the_sheet_chooses_the_best_the_worst_and_the_borderline() -> None:
    def result(kind: str, score: float, hits: int | None) -> Result:
        """Of a defect of 10 pixels, of which `hits` were found."""
        counts = None if hits is None else PixelCounts(hits, 0, 10 - hits, 90)
        if kind == "good":
            counts = PixelCounts(true_negative=100)
        return Result(Sample(Path(f"{score}"), kind), score, Verdict.NG, counts)

    good = [result("good", 0.01 * i, None) for i in range(10)]
    judged = [result("dent", 0.9 + 0.01 * i, i) for i in range(10)]
    unmasked = [result("dent", 0.3 + 0.05 * i, None) for i in range(8)]
    chosen = sheet.choose(good + judged + unmasked, 0.5)
    sorts: dict[str, list[Result]] = {}
    for name, picked in chosen:
        sorts.setdefault(name, []).append(picked)
    assert list(sorts) == list(sheet.SORTS)
    assert sorts["best mask"] == judged[:-4:-1]
    assert sorts["worst mask"] == judged[:3]
    assert {round(picked.score, 2) for picked in sorts["borderline"]} == {0.45, 0.5, 0.55}
    assert sorts["worst good"] == good[:-4:-1]
    assert sorts["lowest defective"] == unmasked[:3]
    assert len({id(picked) for _, picked in chosen}) == len(chosen) == 15
