"""`inspector train` as a user runs it, on few and small pictures, with a tenth of the repairer's batches.

1. pictures with masks        -> a bundle that proves itself, judges a folder, and takes its scores into its card
2. normal pictures alone      -> trained on synthetic defects; the plain folders do
3. killed in the middle       -> --resume ends with the very bundle that an undisturbed run makes
3b. other pictures meanwhile  -> --resume refuses to go on with what was learned from the first ones
4. an out that is no bundle   -> refused before any training
5. stacks of five modalities  -> a bundle of five channels that proves itself and is evaluated
6. references of other parts  -> a bundle that compares, which a camera with references runs
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch, which `make test-all` installs")

from inspector.inference import channels, engine
from inspector.inference.bundle import load
from inspector.simulation import write_dataset
from inspector.training import data, learnt
from tests.boards import PLACES, piece
from tests.daemon import Process, configure, environment, run
from tests.pictures import write

pytestmark = pytest.mark.full

ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Networks as small as these gain nothing from more, and lose much where another process has a core busy."""

PROGRAM = """
import sys
from inspector import cli
from inspector.training import settings
settings.REPAIRER_EPOCH = 10
sys.exit(cli.main())
"""

SHORT = ("--size", "48x64", "--epochs", 1, "--repair-epochs", 1)
LONGER = ("--size", "48x64", "--epochs", 4, "--repair-epochs", 1)
"""Until what it says hangs on more than chance, so that int8 says the same."""


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "masked"
    write_dataset(folder, 500, 34, 34, test_good=6, test_defective=6, width=256, height=192)
    return folder


@pytest.fixture(scope="module")
def bundle(masked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "one"
    trained(masked, out, *LONGER)
    return out


def training(data: Path, out: Path, *more: object) -> subprocess.Popen[str]:
    """A run with its output in pipes."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, "train", data, "--out", out, *map(str, more)],
        env=environment(COLUMNS="400", **ONE_THREAD), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def trained(data: Path, out: Path, *more: object) -> str:
    """Train to the end; what it said."""
    with training(data, out, *more) as process:
        said, errors = process.communicate(timeout=1000)
    assert process.returncode == 0, said + errors
    return said


def files(folder: Path) -> Sequence[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_1_a_bundle_that_proves_itself(bundle: Path, masked: Path) -> None:
    card = load(bundle).card
    assert (card.input.height, card.input.width, card.input.channels) == (48, 64, 3)
    assert {"bundle.toml", "detector.onnx", "repairer.onnx"} < set(files(bundle))
    assert {"history/detector.jsonl", "history/repairer.jsonl"} < set(files(bundle))
    shown = data.training_samples(masked)
    assert learnt.seen(load(bundle), [*shown, *data.test_samples(masked)]) == shown
    assert card.training["pictures"]["training_defective"] > card.training["pictures"]["validation_defective"] > 0
    assert card.training["validation"] == 0.15
    finish = card.training["detector"]["finish"]  # it has gone on with what was held back
    assert finish["epochs"] == finish["figures"]["epoch"] > 0
    assert finish["learning_rate"] < card.training["detector"]["learning_rate"]
    assert card.training["int8"]["measured"].startswith("on ")
    assert "detector.int8.onnx" in files(bundle)
    work = bundle.with_name("one.work")
    for network in ("detector", "repairer"):
        assert {f"{network}.jsonl", f"{network}.png", f"{network}.checkpoint"} <= set(files(work))
    assert {"finish.jsonl", "finish.checkpoint"} <= set(files(work))


def test_1b_the_daemon_runs_it(bundle: Path, masked: Path, tmp_path: Path) -> None:
    with Process(configure(tmp_path / "c.toml", bundle, f"folder:{masked / 'test' / 'good'}")) as daemon:
        assert daemon.wait() == 0
    assert " 6 frames: " in daemon.log[-1]["message"]
    assert " 0 unknown" in daemon.log[-1]["message"]


def test_1c_its_scores_go_into_its_card(bundle: Path, masked: Path, tmp_path: Path) -> None:
    scored = shutil.copytree(bundle, tmp_path / "scored")
    done = run("evaluate", scored, masked, "--out", tmp_path / "out", "--card")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert report["data"]["pictures"]["good"] == 6
    scores = load(scored).card.scores
    assert scores["pixel_auroc"] == pytest.approx(report["figures"]["pixel_auroc"], abs=1e-4)
    assert {"repair_psnr", "telea_psnr", "ns_psnr"} <= scores.keys()
    assert report["bundle"]["sha256"] == load(scored).sha256
    assert "carries no history" not in (tmp_path / "out" / "report.html").read_text()


def test_2_normal_pictures_are_enough(masked: Path, tmp_path: Path) -> None:
    shutil.copytree(masked / "train" / "good", tmp_path / "data" / "normal")
    said = trained(tmp_path / "data", tmp_path / "model", *SHORT)
    assert "normal pictures alone" in said
    assert "synthetic defects" in load(tmp_path / "model").card.decision.chosen


def test_3_a_killed_run_resumes_to_the_same_bundle(bundle: Path, masked: Path, tmp_path: Path) -> None:
    out = tmp_path / "one"
    with training(masked, out, *LONGER) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("repairer: "):  # the detector is done, and its threshold chosen
                process.send_signal(signal.SIGKILL)
                break
        process.communicate()
    assert not out.exists()
    trained(masked, out, *LONGER, "--resume")
    assert (out / "detector.onnx").read_bytes() == (bundle / "detector.onnx").read_bytes()
    assert load(out).card.decision == load(bundle).card.decision


def test_3b_other_pictures_are_not_resumed(bundle: Path, masked: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(bundle, tmp_path / "one"))
    shutil.copytree(bundle.with_name("one.work"), tmp_path / "one.work")
    other = Path(shutil.copytree(masked, tmp_path / "other"))
    min((other / "train" / "good").iterdir()).unlink()
    before = files(tmp_path / "one.work"), (out / "bundle.toml").read_bytes()
    done = run("train", other, "--out", out, *LONGER, "--resume", **ONE_THREAD)
    assert done.returncode == 65, done.stderr
    assert "one.work holds a run with other pictures" in done.stderr
    assert (files(tmp_path / "one.work"), (out / "bundle.toml").read_bytes()) == before


def test_4_what_is_no_bundle_is_not_replaced(masked: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    done = run("train", masked, "--out", tmp_path / "mine", *SHORT)
    assert done.returncode == 65
    assert "exists and is no bundle" in done.stderr
    assert files(tmp_path) == ["mine/letter.txt"]


def five(seed: int, defective: bool) -> tuple[np.ndarray, np.ndarray]:
    """A part seen in five ways, [96,128,5], with a spot that only the last one shows if it is defective; its mask."""
    rng = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(rng.normal(110, 300, (96, 128)), (0, 0), 5)
    image = np.dstack([grain * gain + rng.normal(0, 4, grain.shape) for gain in (0.6, 0.8, 1.0, 1.1, 1.2)])
    mask = np.zeros(grain.shape, np.uint8)
    if defective:
        cv2.circle(mask, (int(rng.integers(20, 108)), int(rng.integers(20, 76))), 8, 255, -1)
        image[:, :, 4] += 100 * (mask > 0)
    return np.clip(image, 0, 255).astype(np.uint8), mask


def test_5_stacks_of_modalities_become_a_bundle(tmp_path: Path) -> None:
    data = tmp_path / "data"
    folders = ("train/good", "train_defective/spot", "test/good", "test/spot", "train_ground_truth/spot")
    for folder in (*folders, "ground_truth/spot"):
        (data / folder).mkdir(parents=True)
    for seed in range(48):
        side = ("train", "train_defective") if seed < 40 else ("test", "test")
        image, mask = five(seed, seed % 2 == 1)
        channels.write(data / (f"{side[1]}/spot" if seed % 2 else f"{side[0]}/good") / f"{seed}.tiff", image)
        if seed % 2:
            truth = "train_ground_truth" if seed < 40 else "ground_truth"
            channels.write(data / truth / "spot" / f"{seed}_mask.png", mask[:, :, np.newaxis])
    said = trained(data, tmp_path / "five", *SHORT)
    assert "input 64x48 5 channels" in said
    bundle = load(tmp_path / "five")
    assert bundle.card.input.channels == 5
    assert all(name.endswith((".tiff", "_mask.png")) for name in files(tmp_path / "five" / "golden"))
    running = engine.start(bundle, "cpu", max_batch=2)
    image = cv2.resize(five(99, True)[0], (64, 48), interpolation=cv2.INTER_AREA)
    assert [detection.map.shape for detection in running.detector.detect([image, image])] == 2 * [(48, 64)]
    done = run("evaluate", tmp_path / "five", data, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["data"]["pictures"] == {"good": 4, "spot": 4}


def test_6_references_make_a_bundle_that_compares(tmp_path: Path) -> None:
    data, places = tmp_path / "boards", list(PLACES)
    for place in places:
        whole, broken = piece(place, scan=9), piece(place, scan=9, defective=True)
        write(data / f"train/good/{place}.png", piece(place))
        write(data / f"test/good/{place}.png", piece(place, scan=13))
        for prefix, folder in (("train_", "train_defective"), ("", "test")):
            write(data / f"{folder}/broken/{place}.png", broken)
            mask = np.where(broken != whole, 255, 0).astype(np.uint8)
            write(data / f"{prefix}ground_truth/broken/{place}_mask.png", mask)
            write(data / f"{prefix}reference/broken/{place}.png", piece(place, scan=11))
    said = trained(data, tmp_path / "model", "--size", "192x192", "--epochs", 1, "--repair-epochs", 1, "--rotation", 0)
    assert "mode reference: references are there (4)" in said
    card = load(tmp_path / "model").card
    assert card.input.reference
    assert card.training["mode"] == "reference"
    assert card.repair is not None
    assert [(row.method, row.max_depth) for row in card.repair.methods] == [("network", None)]
    assert all(golden.reference for golden in card.golden)
    done = run("evaluate", tmp_path / "model", data, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert report["references"] == {"own": 4, "given": 4}
    assert report["figures"]["repair_psnr"] > report["figures"]["telea_psnr"]
    config = configure(
        tmp_path / "c.toml", tmp_path / "model", f"folder:{data / 'test' / 'good'}",
        camera=f'reference = "{data / "train" / "good"}"',
    )  # fmt: skip
    with Process(config) as daemon:
        assert daemon.wait() == 0
    assert " 0 unknown" in daemon.log[-1]["message"]
