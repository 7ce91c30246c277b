"""Two evaluations of the tiny bundle side by side: with another smallest area, and with others' pictures."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from inspector.cli import main
from inspector.training import compare
from inspector.training.evaluate import evaluate
from inspector.training.figures import table
from tests.bundles import make_bundle, picture
from tests.pictures import write


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of a bundle that finds every spot, of one that wants large ones, and of the first on other pictures."""
    root = tmp_path_factory.mktemp("compare")
    for data, shift in (("set", 0), ("other", 1)):
        for n in range(12):
            write(root / data / f"test/good/{n}.png", picture() + np.uint8(shift))
            side = 3 if n % 2 else 8
            square = (5 * n, 3 * n, side, side)  # no two pictures look like one part
            image = picture(square=square)
            write(root / data / f"test/spot/{n}.png", image)
            write(root / data / f"ground_truth/spot/{n}_mask.png", np.where(image == 250, np.uint8(255), np.uint8(0)))
    bundles = {"fine": make_bundle(root / "fine"), "coarse": make_bundle(root / "coarse")}
    card = bundles["coarse"] / "bundle.toml"
    card.write_text(card.read_text().replace("min_area = 4", "min_area = 20"))
    jobs = {"fine": ("fine", "set"), "coarse": ("coarse", "set"), "elsewhere": ("fine", "other")}
    for name, (bundle, data) in jobs.items():
        evaluate(bundles[bundle], root / data, root / "out" / name, "cpu", False, Console(file=StringIO()))
    return {name: root / "out" / name / "evaluation.json" for name in jobs}


def test_a_difference_is_told_with_its_interval(evaluations: dict[str, Path]) -> None:
    records = [compare.read(evaluations[name]) for name in ("fine", "coarse")]
    a, b = (table(record["results"]) for record in records)
    rows = {row["name"]: row for row in compare.differences(records, a, b)}
    f1 = rows["pixel_f1"]
    assert f1["first"] == pytest.approx(1.0)
    assert f1["difference"] == pytest.approx(f1["second"] - 1.0)
    low, high = f1["interval"]
    assert low < f1["difference"] < high < 0
    assert f1["sure"]
    assert rows["image_auroc"]["interval"] == (0.0, 0.0)
    assert not rows["image_auroc"]["sure"]
    assert rows["escapes_per_1000_defective"]["difference"] == pytest.approx(500)
    assert rows["aupro_30"]["interval"] is None


def test_pictures_with_another_verdict_are_named(evaluations: dict[str, Path]) -> None:
    a, b = (table(compare.read(evaluations[name])["results"]) for name in ("fine", "coarse"))
    changes = compare.changed(a, b)
    assert [change["picture"] for change in changes] == sorted(f"test/spot/{n}.png" for n in range(1, 12, 2))
    assert {(change["first"], change["second"], change["right"]) for change in changes} == {("ng", "ok", "first")}
    assert compare.changed(a, a) == []


def test_the_verb_writes_a_page_and_says_what_matters(
    evaluations: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pages" / "compare.html"
    assert main(["compare", str(evaluations["fine"]), str(evaluations["coarse"]), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "Pixel F1: 1.000 and " in said
    assert "The first is better." in said
    assert "6 pictures get another verdict: on 6 the first is right, on 0 the second." in said
    page = out.read_text()
    assert "<strong>" in page
    assert "<strong>0</strong>" not in page
    assert "test/spot/11.png" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_the_page_says_how_each_was_measured(evaluations: dict[str, Path], tmp_path: Path) -> None:
    records = [json.loads(evaluations[name].read_text()) for name in ("fine", "coarse")]
    records[1]["overlap"] = 6
    for record, notes in zip(records, (["Rough."], ["Rough.", "Own copies."]), strict=True):
        record["notes"] = notes
    files = [tmp_path / name for name in ("a.json", "b.json")]
    for file, record in zip(files, records, strict=True):
        file.write_text(json.dumps(record))
    assert main(["compare", *map(str, files), "--out", str(tmp_path / "c.html")]) == 0
    page = (tmp_path / "c.html").read_text()
    assert page.count("Frames: resized") == page.count("which overlap by 6 pixels") == 1
    assert page.count("<li>Both: Rough.</li>") == page.count("<li>The second: Own copies.</li>") == 1
    assert page.count("<li>") == 2


def test_the_same_twice_differs_in_nothing(
    evaluations: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fine = str(evaluations["fine"])
    assert main(["compare", fine, fine, "--out", str(tmp_path / "c.html")]) == 0
    said = capsys.readouterr().out
    assert "Both give every picture the same verdict." in said
    assert "Pixel F1: 1.000 for both." in said
    assert "Image AUROC: 1.000 for both." in said


def test_other_pictures_are_refused(
    evaluations: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "c.html"
    assert main(["compare", str(evaluations["fine"]), str(evaluations["elsewhere"]), "--out", str(out)]) == 65
    assert "evaluate both bundles on the same pictures" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no json", "is not JSON"),
        ("[1]", "is no evaluation.json of format 1"),
        ('{"format": 0}', "is no evaluation"),
        ('{"format": 1, "data": {}}', "bad.json lacks bundle, figures, groups, "),
    ],
)
def test_what_is_no_evaluation_is_refused(
    content: str, said: str, evaluations: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(content)
    assert main(["compare", str(evaluations["fine"]), str(bad), "--out", str(tmp_path / "c.html")]) == 65
    assert said in capsys.readouterr().err
