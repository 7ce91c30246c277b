"""The data check: silent on sound data, and each fault found, with its severity and the files that it is about."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.errors import DataError
from inspector.training.check import facts
from inspector.training.check.findings import Finding, Report, Severity
from inspector.training.check.pictures import outlying
from inspector.training.check.run import check
from tests.daemon import run
from tests.pictures import noise, write

MASK = np.zeros((48, 64), np.uint8)
MASK[10:20, 10:20] = 255


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set that nothing can be said against."""
    root = tmp_path_factory.mktemp("sound") / "data"
    for i in range(60):
        write(root / "train" / "good" / f"{i:02}.png", noise(i))
    for i in range(20):
        write(root / "test" / "good" / f"{i:02}.png", noise(100 + i))
        write(root / "test" / "dent" / f"{i:02}.png", noise(200 + i))
        write(root / "ground_truth" / "dent" / f"{i:02}_mask.png", MASK)
    for i in range(12):
        write(root / "train_defective" / "dent" / f"{i:02}.png", noise(300 + i))
        write(root / "train_ground_truth" / "dent" / f"{i:02}_mask.png", MASK)
        write(root / "train_reference" / "dent" / f"{i:02}.png", noise(400 + i))
    return root


@pytest.fixture
def data(sound: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(sound, tmp_path / "data"))


def found(report: Report) -> dict[str, Finding]:
    """The findings by their rule; every one says what to do."""
    assert all(finding.text and finding.remedy for finding in report.findings)
    return {finding.rule: finding for finding in report.findings}


def test_nothing_is_said_of_sound_data(sound: Path) -> None:
    report = check(sound)
    assert report.findings == ()
    assert report.pictures == {"training": {"good": 60, "dent": 12}, "test": {"good": 20, "dent": 20}}
    assert report.sizes == {"64x48": 112}
    assert report.summary == "0 errors, 0 warnings, 0 notes"
    assert list(report.briefly("data")) == []


def spoil(path: str, content: bytes = b"no picture") -> Callable[[Path], object]:
    return lambda root: put(root / path, content)


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def draw(path: str, image: np.ndarray) -> Callable[[Path], object]:
    return lambda root: write(root / path, image)


def move(path: str, to: str) -> Callable[[Path], object]:
    def work(root: Path) -> None:
        (root / to).parent.mkdir(parents=True, exist_ok=True)
        (root / path).rename(root / to)

    return work


def copy(path: str, to: str) -> Callable[[Path], object]:
    return lambda root: put(root / to, (root / path).read_bytes())


def dangle(path: str) -> Callable[[Path], object]:
    """Put a link to nothing there, in the place of what is."""

    def work(root: Path) -> None:
        if (root / path).is_dir():
            shutil.rmtree(root / path)
        (root / path).unlink(missing_ok=True)
        (root / path).symlink_to(root / "moved away")

    return work


def deep(highest: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, highest, (48, 64), np.uint16)


TRAIN, DENT, TRUTH = "train/good/00.png", "train_defective/dent/00.png", "train_ground_truth/dent/00_mask.png"
SOFT = cv2.GaussianBlur(MASK, (0, 0), 2)
MOST = np.where(np.arange(64) < 50, 255, 0).astype(np.uint8)[None].repeat(48, axis=0)

FAULTS = [
    ("error", "unreadable", TRAIN, spoil(TRAIN)),
    ("error", "unreadable", "test/dent/03.png", spoil("test/dent/03.png", b"")),
    ("error", "dangling", TRAIN, dangle(TRAIN)),
    ("error", "dangling", TRUTH, dangle(TRUTH)),
    ("error", "dangling", "test/good/05.png", dangle("test/good/05.png")),
    ("error", "dangling", "test/dent", dangle("test/dent")),
    ("error", "dangling", "train_ground_truth", dangle("train_ground_truth")),
    ("warning", "extension", "train/good/a.gif", spoil("train/good/a.gif")),
    ("warning", "place", "train/good/more/a.png", draw("train/good/more/a.png", noise(1))),
    ("warning", "place", "train/bad/a.png", draw("train/bad/a.png", noise(1))),
    ("warning", "two-layouts", "normal/a.png", draw("normal/a.png", noise(1))),
    ("note", "ignored", "", draw("elsewhere/a.png", noise(1))),
    ("warning", "orphan-mask", "ground_truth/dent/77_mask.png", draw("ground_truth/dent/77_mask.png", MASK)),
    ("warning", "mask-name", "train_ground_truth/dent/00.png", move(TRUTH, "train_ground_truth/dent/00.png")),
    ("warning", "mask-missing", DENT, move(TRUTH, "train_ground_truth/dent/00.png")),
    ("warning", "good-mask", "ground_truth/good/00_mask.png", draw("ground_truth/good/00_mask.png", MASK)),
    ("warning", "orphan-reference", "train_reference/dent/77.png", draw("train_reference/dent/77.png", noise(1))),
    ("warning", "stem", DENT, draw("train_defective/dent/00.bmp", noise(1))),
    ("error", "mask-unreadable", DENT, spoil(TRUTH)),
    ("error", "mask-size", DENT, draw(TRUTH, MASK[:40])),
    ("error", "mask-values", DENT, draw(TRUTH, MASK // 255)),
    ("warning", "mask-empty", DENT, draw(TRUTH, 0 * MASK)),
    ("warning", "mask-full", DENT, draw(TRUTH, 0 * MASK + 255)),
    ("warning", "mask-large", DENT, draw(TRUTH, MOST)),
    ("warning", "mask-soft", DENT, draw(TRUTH, SOFT)),
    ("note", "no-masks", "", lambda root: [shutil.rmtree(path) for path in root.glob("*ground_truth")]),
    ("error", "reference-unreadable", DENT, spoil("train_reference/dent/00.png")),
    ("warning", "reference-size", DENT, draw("train_reference/dent/00.png", noise(400, 40))),
    ("warning", "reference-same", DENT, copy(DENT, "train_reference/dent/00.png")),
    ("note", "sizes", "", draw(TRAIN, noise(1, 52, 64))),
    ("warning", "sizes", "train/good/07.png", draw("train/good/07.png", noise(1, 80, 64))),
    ("warning", "colours", "train/good/07.png", draw("train/good/07.png", noise(1, channels=3))),
    ("error", "channels", "train/good/07.png", draw("train/good/07.png", noise(1, channels=4))),
    ("note", "depth", TRAIN, draw(TRAIN, deep(65536))),
    ("error", "depth", TRAIN, draw(TRAIN, deep(4096))),
    ("warning", "exposure", TRAIN, draw(TRAIN, noise(0) // 2 + 120)),
    ("warning", "clipping", TRAIN, draw(TRAIN, np.clip(noise(0).astype(int) * 2 - 128, 0, 255).astype(np.uint8))),
    ("warning", "sharpness", TRAIN, draw(TRAIN, cv2.GaussianBlur(noise(0), (0, 0), 1.0))),
    ("warning", "blank", TRAIN, draw(TRAIN, np.full((48, 64), 200, np.uint8))),
    ("error", "leak", "test/good/00.png", copy(TRAIN, "test/good/00.png")),
    ("error", "leak", "test/good/00.bmp", draw("test/good/00.bmp", noise(7))),
    ("error", "contradiction", DENT, copy(TRAIN, DENT)),
    ("note", "copies", "train/good/01.png", copy(TRAIN, "train/good/01.png")),
    ("warning", "near-copies", "test/good/00.png", draw("test/good/00.png", noise(0) // 16 * 16)),
    ("note", "alike", DENT, draw(DENT, noise(0) // 16 * 16)),
]  # fmt: skip


@pytest.mark.parametrize(("severity", "rule", "file", "damage"), FAULTS, ids=[f"{f[1]}-{f[0]}" for f in FAULTS])
def test_each_fault_is_found(data: Path, severity: str, rule: str, file: str, damage: Callable[[Path], object]) -> None:
    damage(data)
    finding = found(check(data))[rule]
    assert finding.severity == severity
    assert not file or file in finding.files
    assert len(finding.files) <= 2 or rule == "sizes"


def test_a_mask_that_may_not_be_read_is_a_finding_too(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> bytes:
        if path == data / TRUTH:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read(path)

    read = facts.files.read
    monkeypatch.setattr(facts.files, "read", refused)
    assert DENT in found(check(data))["mask-unreadable"].files


def test_what_a_daemon_cannot_run_is_told(data: Path) -> None:
    for path in data.rglob("*.png"):
        if "ground_truth" not in path.parts[-3]:
            write(path, noise(int.from_bytes(path.read_bytes()[-16:-12]) % 10**6, channels=4))
    assert "pictures of 4 channels" in found(check(data))["stacks"].text


def keep(root: Path, folder: str, count: int) -> None:
    for path in sorted((root / folder).iterdir())[count:]:
        path.unlink()


@pytest.mark.parametrize(("count", "severity"), [(59, "note"), (20, "note"), (19, "warning")])
def test_few_normals_are_said(data: Path, count: int, severity: str) -> None:
    keep(data, "train/good", count)
    finding = found(check(data))["few-normals"]
    assert finding.severity == severity
    assert f"{count} normal pictures" in finding.text


@pytest.mark.parametrize(
    ("share", "told"), [(0.15, "15% are held back, so the threshold rests on 6"), (0.025, "2.5% ")]
)
def test_the_share_that_is_held_back_is_the_one_asked_for(data: Path, share: float, told: str) -> None:
    keep(data, "train/good", 40)
    assert f"40 normal pictures: {told}" in found(check(data, validation=share))["few-normals"].text


def test_no_normals_are_an_error(data: Path) -> None:
    keep(data, "train/good", 0)
    assert found(check(data))["no-normals"].severity is Severity.ERROR


def test_few_test_pictures_are_said_with_what_they_can_prove(data: Path) -> None:
    keep(data, "test/dent", 10)
    text = found(check(data))["few-tested"].text
    assert "10 defective (after no mistake the true rate of escapes may be 31%)" in text
    assert "good" not in text


def test_the_plain_layout_has_nothing_to_evaluate_with(data: Path, tmp_path: Path) -> None:
    (data / "train" / "good").rename(tmp_path / "normal")
    shutil.rmtree(data)
    (data).mkdir()
    (tmp_path / "normal").rename(data / "normal")
    report = check(data)
    assert set(found(report)) == {"no-test"}
    assert report.pictures == {"training": {"good": 60}, "test": {}}


def test_pictures_of_one_part_cannot_be_divided(data: Path) -> None:
    for path in (data / "train").rglob("*.png"):
        write(path, np.clip(noise(0).astype(int) + int(path.stem) // 2, 0, 255).astype(np.uint8))
    shutil.rmtree(data / "train_defective")
    finding = found(check(data))["parts"]
    assert finding.severity is Severity.ERROR
    assert "all 60 pictures show the same part" in finding.text


def manifest(root: Path, group: Callable[[str], str] = lambda path: path, more: str = "") -> None:
    rows = [
        f"{path.relative_to(root).as_posix()}\t{hashlib.sha256(path.read_bytes()).hexdigest()}\t"
        f"{group(path.relative_to(root).as_posix())}\n"
        for path in sorted(root.rglob("*.png"))
    ]
    (root / "MANIFEST.tsv").write_text(f"path\tsha256\tgroup\n{''.join(rows)}{more}")


def test_a_sound_manifest_is_not_spoken_of(data: Path) -> None:
    manifest(data)
    assert check(data).findings == ()


def test_a_manifest_that_does_not_fit_the_files_is_said(data: Path) -> None:
    manifest(data, more=f"gone.png\t\t1\n{TRAIN}\t\t1\n")
    write(data / "train/good/new.png", noise(999))
    write(data / "test/good/00.png", noise(998))
    findings = found(check(data))
    assert findings["manifest-missing"].files == ("gone.png",)
    assert findings["manifest-unnamed"].files == ("train/good/new.png",)
    assert findings["manifest-twice"].files == (TRAIN,)
    assert findings["manifest-sha256"].files == ("test/good/00.png",)
    assert findings["manifest-sha256"].severity is Severity.ERROR


def test_a_manifest_without_its_columns_is_an_error_and_the_rest_goes_on(data: Path) -> None:
    (data / "MANIFEST.tsv").write_text("path,group\n")
    spoil(TRAIN)(data)
    assert {"manifest", "unreadable"} <= set(found(check(data)))


def test_a_part_on_both_sides_is_said(data: Path) -> None:
    manifest(data, lambda path: "seven" if path in (TRAIN, "test/dent/05.png") else path)
    finding = found(check(data))["shared-group"]
    assert finding.files == ("test/dent/05.png",)
    assert "seven" in finding.text


def test_few_parts_are_said(data: Path) -> None:
    manifest(data, lambda path: f"part {int(path.split('/')[2][:2]) % 3}" if path.startswith("train/") else path)
    assert "60 normal pictures show 3 parts" in found(check(data))["few-parts"].text


def relit(path: Path) -> None:
    write(path, noise(int(path.stem), channels=1) // 4 + 10)


def resized(path: Path) -> None:
    write(path, noise(int(path.stem) + 1000, 52, 64))


def reformatted(path: Path) -> None:
    image = cv2.imread(str(path))
    path.unlink()
    write(path.with_suffix(".bmp"), image)


@pytest.mark.parametrize(
    ("change", "name"), [(relit, "brightness"), (resized, "the size"), (reformatted, "the file format")]
)
def test_what_tells_good_from_defective_without_a_defect_is_said(
    data: Path, change: Callable[[Path], None], name: str
) -> None:
    for path in sorted((data / "test" / "dent").iterdir()):
        change(path)
    (finding,) = [f for f in check(data).findings if f.rule == "confound" and f.text.startswith(name)]
    assert finding.severity is Severity.WARNING
    assert "test: " in finding.text
    assert "training: " not in finding.text


def test_a_large_defect_is_no_confound_where_its_mask_says_so(data: Path) -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[:, :30] = 255
    for path in sorted((data / "test" / "dent").iterdir()):
        image = noise(int(path.stem) + 2000)
        image[:, :30] //= 8
        write(path, image)
        write(data / "ground_truth" / "dent" / f"{path.stem}_mask.png", mask)
    assert check(data).findings == ()


def test_one_pose_is_not_taken_for_copies(data: Path) -> None:
    pose = cv2.GaussianBlur(noise(1), (0, 0), 2)[:, :, np.newaxis] * 4
    for path in sorted((*(data / "train/good").iterdir(), *(data / "test/good").iterdir())):
        seed = int(path.stem) + 5000 * ("test" in path.parts)
        write(path, pose // 2 + noise(seed) // 32)
    manifest(data)
    assert "near-copies" not in found(check(data))


@given(st.lists(st.floats(-50, 50), min_size=8, max_size=40), st.floats(0.1, 20))
def test_at_most_half_are_outliers_and_moving_all_changes_nothing(values: list[float], least: float) -> None:
    some = np.round(np.array(values), 3)
    odd = outlying(some, least)
    assert odd.sum() <= len(some) / 2
    assert np.array_equal(outlying(some + 1024, least), odd) or np.isclose(np.ptp(some), least, rtol=1e-3)
    assert not outlying(some[:7], 0).any()


def test_what_is_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere is not a folder"):
        check(tmp_path / "nowhere")


def test_the_check_for_training_leaves_the_test_pictures_alone(data: Path) -> None:
    spoil("test/good/00.png")(data)
    assert check(data, test=False).findings == ()
    spoil(TRAIN)(data)
    draw(TRUTH, 0 * MASK)(data)
    first, last = check(data, test=False).briefly("my/data")
    assert first.startswith("data check: pictures that cannot be used, since OpenCV cannot read it: 1")
    assert last == "data check: 1 error, 1 warning, 1 note; see `inspector data check my/data`"


def test_links_to_nothing_are_said_before_training_too(data: Path) -> None:
    dangle("test/good/00.png")(data)
    dangle("train/good/.#00.png")(data)  # an editor's lock
    assert check(data, test=False).findings == ()
    dangle(TRAIN)(data)
    first, _ = check(data, test=False).briefly("my/data")
    assert first.startswith("data check: links to what is not there, so that nothing is read in their place: 1; ")


def test_the_verb_says_it_to_people_machines_and_scripts(data: Path, tmp_path: Path) -> None:
    assert run("data", "check", data).returncode == 0
    draw(TRUTH, 0 * MASK)(data)
    done = run("data", "check", data, COLUMNS="200")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "data: 0 errors, 1 warning, 0 notes"
    assert "empty masks of defective pictures" in done.stdout
    assert run("data", "check", data, "--strict").returncode == 65
    spoil(TRAIN)(data)
    done = run("data", "check", data, "--json", tmp_path / "report.json", COLUMNS="200")
    assert done.returncode == 65
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["counts"] == {"error": 1, "warning": 1, "note": 1}
    assert report["findings"][0]["rule"] == "unreadable"
    assert report["findings"][0]["files"] == [TRAIN]


def test_a_name_that_is_not_utf8_is_shown_as_well_as_can_be(data: Path) -> None:
    spoil(TRAIN)(data)
    (data / TRAIN).rename(data / TRAIN.replace(".png", "\udce9.png"))
    done = run("data", "check", data, COLUMNS="200", PYTHONIOENCODING="utf-8:strict")
    assert (done.returncode, done.stderr) == (65, "")
    assert TRAIN.replace(".png", "\\udce9.png") in done.stdout


def test_it_needs_no_torch(sound: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from inspector.training.check.run import check; "
        "check(Path(sys.argv[1])); print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(sound)], capture_output=True, text=True, check=True, timeout=60
    )
    assert set(done.stdout.split()) & {"torch", "onnx", "onnxruntime", "matplotlib", "tomli_w"} == set()
