"""The command line: what it says of itself, and that a mistake is one sentence with its exit code."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path

import cv2
import pytest

import inspector
from inspector import cli, errors
from inspector.docs import verbs
from inspector.simulation import KINDS
from tests.bundles import make_bundle, picture
from tests.daemon import configure, run
from tests.pictures import noise, write

VERBS = verbs(cli.build_parser())
TRAINS = all(importlib.util.find_spec(module) for module in ("torch", "matplotlib", "tomli_w"))


def complaint(code: int, *arguments: object) -> str:
    """Run a verb that ends with `code`; the one sentence that it says."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("inspector: ")
    return line.removeprefix("inspector: ")


# ---- what it says of itself


def test_the_version_is_the_packages() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"inspector {inspector.__version__}\n", "")


def test_help_tells_of_every_verb_and_exit_code() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    known = {
        "run",
        "check",
        "doctor",
        "listen",
        "simulate",
        "data check",
        "train",
        "evaluate",
        "compare",
        "calibrate",
        "quantise",
        "keygen",
        "ledger",
        "replay",
        "view",
        "reload",
        "models",
        "model use",
        "model rollback",
        "model versions",
    }
    assert set(VERBS) == known
    told = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    assert {verb.split()[0] for verb in VERBS} <= told
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.exit_code for kind in kinds if issubclass(kind, errors.InspectorError)}
    assert {str(code) for code in codes | {0, 2}} <= told


@pytest.mark.parametrize("verb", VERBS)
def test_each_verbs_help_tells_of_every_option(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*verb.split(), "--help"])
    assert ended.value.code == 0
    words = capsys.readouterr().out.split()
    for action in VERBS[verb][1]._actions:
        names = action.option_strings or [action.dest]
        assert any(word.strip("[],") in names for word in words), action
        assert action.help, action


# ---- a wrong command line


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "VERB"),
        (["frobnicate"], "'frobnicate'"),
        (["--frobnicate", "run", "c.toml"], "--frobnicate"),
        (["run"], "config"),
        (["check", "a.toml", "b.toml"], "b.toml"),
        (["listen", "tcp://127.0.0.1:1", "--count", "many"], "'many'"),
        (["listen", "tcp://127.0.0.1:1", "--count", "-1"], "'-1' is not a whole number"),
        (["simulate", "out", "--good", "1.5"], "'1.5'"),
        (["simulate", "out", "--good", "0"], "'0' is not a whole number above 0"),
        (["simulate", "out", "--defective", "-1"], "'-1' is not a whole number from 0"),
        (["train", "pictures"], "--out"),
        (["train", "pictures", "--out", "m", "--size", "100x96"], "'100x96' is not HxW with multiples of 16"),
        (["train", "pictures", "--out", "m", "--size", "0x96"], "'0x96' is not HxW with multiples of 16"),
        (["train", "pictures", "--out", "m", "--size", "9600x96"], "multiples of 16 up to 8192"),
        (["train", "pictures", "--out", "m", "--rate", "0"], "'0' is not a number above 0 and below 1"),
        (["train", "pictures", "--out", "m", "--rate", "nan"], "'nan' is not a number above 0 and below 1"),
        (["train", "pictures", "--out", "m", "--seed", "-1"], "'-1' is not a whole number from 0"),
        (["train", "pictures", "--out", "m", "--seed", f"{1 << 63}"], "give a whole number below 2**63"),
        (["train", "pictures", "--out", "m", "--rotation", "nan"], "'nan' is not a number from 0 to 180"),
        (["train", "pictures", "--out", "m", "--shift", "inf"], "'inf' is not a number from 0 to 1"),
        (["train", "pictures", "--out", "m", "--shear", "-0.1"], "'-0.1' is not a number from 0 to 1"),
        (["train", "pictures", "--out", "m", "--brightness", "much"], "'much' is not a number from 0 to 1"),
        (["train", "pictures", "--out", "m", "--licence", "\udce9"], "is not UTF-8"),
        (["train", "pictures", "--out", "m", "--epochs", "0"], "'0' is not a whole number above 0"),
        (["train", "pictures", "--out", "m", "--flips", "some"], "'some'"),
        (["listen", "tcp://127.0.0.1:1", "--keep", "3"], "--keep does something only with --save; give that too"),
        (["replay", "j.db", "--speed", "2"], "--speed does something only with --publish; give"),
        (["replay", ".", "--save", "out", "--json"], "--json is for judging once more, and --save only writes"),
        (["models", "--device", "cpu"], "--device does something only with --verify; give"),
        (["model", "use", "c.toml", "m", "--within", "9"], "--within does something only with --shadow; give"),
        (["model", "use", "c.toml", "m", "--agree", "0.9"], "--agree does something only with --shadow; give"),
        (["evaluate", "bundle", "data", "--overlap", "8"], "--overlap does something only with --fit tile; give"),
        (["calibrate", "bundle", "good", "--overlap", "8"], "--overlap does something only with --fit tile; give"),
        (["calibrate", "bundle", "good", "--scan-overlap", "64"], "--scan-overlap does something only with --scan-row"),
        (["evaluate", "bundle"], "data"),
        (["calibrate", "bundle"], "good"),
        (["calibrate", "bundle", "good", "--false-rejects", "0"], "'0' is not a number above 0 and below 1"),
        (["calibrate", "bundle", "good", "--confidence", "95"], "'95' is not a number above 0 and below 1"),
        (["calibrate", "bundle", "good", "--parts", "some"], "'some'"),
        (["calibrate", "bundle", "good", "--region", "0,0,640"], "'0,0,640' is not X,Y,W,H in pixels"),
        (["calibrate", "bundle", "good", "--region", "10,10,0,50"], "give a width and a height above 0"),
        (["calibrate", "bundle", "good", "--region", "10,10,50,0"], "give a width and a height above 0"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_says_what_is_wrong(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert word in said.err.splitlines()[-1]


def test_an_unknown_verb_has_no_traceback() -> None:
    done = run("frobnicate")
    assert (done.returncode, done.stdout) == (2, "")
    usage, mistake = done.stderr.splitlines()
    assert usage == "usage: inspector [-h] [--version] VERB ..."
    assert mistake.startswith("inspector: error: ")


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    assert complaint(78, "run", tmp_path / "c.toml").startswith(f"{tmp_path / 'c.toml'}: there is no such file")


# ---- simulate


def test_simulate_writes_the_folders_that_it_promises(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "pictures"
    done = run("simulate", folder, "--seed", 7, "--good", 4, "--defective", 3)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{folder}: 4 normal and 3 defective pictures for training, and a test set\n"
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert Counter(path.parts[0] if path.parts[1:2] != ("good",) else str(path.parent) for path in files) == {
        "train/good": 4,
        "train_defective": 3,
        "train_ground_truth": 3,
        "train_reference": 3,
        "test/good": 2,
        "test": 2,
        "ground_truth": 2,
        "reference": 2,
        "MANIFEST.tsv": 1,
    }
    assert {path.parts[1] for path in files if path.parts[1:]} <= {"good", *KINDS}
    seeds = {line.rpartition("\t")[2] for line in (folder / "MANIFEST.tsv").read_text().splitlines()[1:]}
    assert seeds == {"7", "8", "9"}  # two lines to train on, since training holds one back; another for the test


def test_simulate_draws_trays_with_defects_of_a_size(tmp_path: Path) -> None:
    sides = "--width", 325, "--height", 250, "--columns", 3, "--rows", 2
    assert run("simulate", tmp_path, "--good", 1, "--defective", 2, *sides, "--defect", 12).returncode == 0
    masks = list(tmp_path.glob("*ground_truth/*/*.png"))
    assert len(masks) == 2 + 1
    for path in masks:
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert mask.shape == (250, 325)
        assert 8 <= max(cv2.boundingRect(mask)[2:]) <= 16


def test_simulate_fills_an_empty_folder(tmp_path: Path) -> None:
    assert run("simulate", tmp_path, "--good", 1, "--defective", 0).returncode == 0
    assert len(list((tmp_path / "train" / "good").glob("*.png"))) == 1


@pytest.mark.parametrize("taken", ["folder", "folder/mine.png"])
def test_simulate_touches_nothing_that_is_there(tmp_path: Path, taken: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.png").write_text("mine")
    sentence = complaint(65, "simulate", tmp_path / taken, "--good", 1, "--defective", 1)
    assert (
        sentence == f"{str(tmp_path / taken)!r} exists and is not an empty folder; give a new folder for the pictures"
    )
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "mine.png"]
    assert (tmp_path / "folder" / "mine.png").read_text() == "mine"


def test_simulate_refuses_a_line_that_cannot_be(tmp_path: Path) -> None:
    assert complaint(78, "simulate", tmp_path, "--seed", -1).startswith("seed = -1 ")
    assert list(tmp_path.iterdir()) == []


def test_simulate_cannot_write_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sentence = complaint(74, "simulate", tmp_path / "file" / "out", "--good", 1, "--defective", 0)
    assert sentence.startswith(f"{tmp_path / 'file'}")
    assert "Not a directory" in sentence


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("inspector.simulation.write_dataset", interrupted)
    assert cli.main(["simulate", str(tmp_path)]) == 130


# ---- train, evaluate


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_train_needs_pictures(tmp_path: Path, folder: str) -> None:
    data = tmp_path / folder
    sentence = complaint(65 if TRAINS else 78, "train", data, "--out", tmp_path / "bundle")
    if TRAINS:
        assert sentence.startswith(f"{data} has no normal pictures: put them into {data / 'train' / 'good'} ")
    else:
        assert " not installed, which this needs; run `" in sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not TRAINS, reason="needs what `inspector train` needs")
@pytest.mark.parametrize("out", ["mein modell", "b\u00fcndel", "b" * 65])
def test_train_refuses_a_name_that_no_card_can_have_before_it_trains(tmp_path: Path, out: str) -> None:
    sentence = complaint(65, "train", tmp_path, "--out", tmp_path / out)
    assert sentence.startswith(f"{out!r} cannot be a bundle's name: give --name 1 to 64 letters")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not TRAINS, reason="needs what `inspector train` needs")
def test_train_looks_at_the_golden_pictures_before_it_trains(tmp_path: Path) -> None:
    for seed in range(4):
        write(tmp_path / "data" / "normal" / f"{seed}.png", noise(seed))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"none")
    for golden, sentence in (("nowhere", "nowhere holds no pictures"), ("broken", "a.png is not a picture")):
        done = run("train", tmp_path / "data", "--out", tmp_path / "m", "--golden", tmp_path / golden)
        assert done.returncode == 65, done.stderr
        assert sentence in done.stderr
        assert not (tmp_path / "m.work").exists()


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_evaluate_needs_pictures(bright: Path, tmp_path: Path, folder: str) -> None:
    data = tmp_path / folder
    sentence = complaint(65, "evaluate", bright, data, "--out", tmp_path / "out")
    assert sentence == f"{data} has no pictures to evaluate: neither test/<kind>/* nor normal/* and defective/*"
    assert list(tmp_path.iterdir()) == []


def test_evaluate_needs_a_picture_that_can_be_read(bright: Path, tmp_path: Path) -> None:
    (tmp_path / "normal").mkdir()
    (tmp_path / "normal" / "1.png").write_bytes(b"no picture")
    done = run("evaluate", bright, tmp_path, "--out", tmp_path / "out", COLUMNS="500")
    assert done.returncode == 65
    assert done.stdout.startswith(f"left out: {tmp_path / 'normal' / '1.png'} is not a picture")
    assert done.stderr == f"inspector: {tmp_path} has no readable picture\n"


def test_check_refuses_a_bundle_of_stacks_for_a_camera(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "five", channels=5)
    config = configure(tmp_path / "c.toml", bundle, "sim://line?seed=1")
    assert "camera 'cam1': bundle" in (sentence := complaint(78, "check", config))
    assert "takes 5 channels, and a camera alone gives 1 (grey) or 3 (colour); give sources" in sentence


TWO = 'sources = { visible = "sim://line?modality=visible", infrared = "sim://line?modality=infrared" }'


@pytest.mark.parametrize(
    ("channels", "modalities", "sources", "found"),
    [
        (4, "", TWO, ""),
        (4, "visible = 3, infrared = 1", TWO, ""),
        (4, "infrared = 1, visible = 3", TWO,
         "takes the modalities infrared (1), visible (3), and sources are visible, infrared; name the same ones in "
         "this order"),
        (5, "", TWO,
         "takes 5 channels, and 2 sources of 1 or 3 channels each (visible, infrared) never give that; give a source "
         "for each modality that it was trained with"),
        (4, "visible = 3, infrared = 1", 'source = "sim://line"',
         "takes 4 channels, stacked of visible (3), infrared (1), and a camera alone gives 1 (grey) or 3 (colour); "
         "give sources, one for each modality, or a bundle that was trained on such pictures"),
        (4, "", TWO.replace("=infrared", "=infrared&rate=max"),
         "c.toml: camera 'cam1': sources: visible cannot wait and infrared can; take sources of one kind, cameras or "
         "files"),
    ],
)  # fmt: skip
def test_check_tells_whether_sources_and_bundle_fit(
    tmp_path: Path, channels: int, modalities: str, sources: str, found: str
) -> None:
    bundle = make_bundle(tmp_path / "stack", channels=channels, modalities=modalities)
    config = configure(tmp_path / "c.toml", bundle, "sim://line")
    config.write_text(config.read_text().replace('source = "sim://line"', sources))
    if found:
        assert complaint(78, "check", config).endswith(found)
    else:
        assert run("check", config).returncode == 0


def test_evaluate_needs_a_bundle(tmp_path: Path) -> None:
    sentence = complaint(65, "evaluate", tmp_path / "nowhere", tmp_path)
    assert str(tmp_path / "nowhere") in sentence


def test_evaluate_cannot_write_where_a_file_is(bright: Path, tmp_path: Path) -> None:
    (tmp_path / "normal").mkdir()
    cv2.imwrite(str(tmp_path / "normal" / "1.png"), picture())
    (tmp_path / "out").touch()
    done = run("evaluate", bright, tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 74
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"inspector: {tmp_path / 'out'} cannot be read or written: File exists")
