"""A calibrated camera, from the command line to the subscriber.

1. a calibrated camera beside one that is not: scores folded, its own decision, the calibration in every message
2. a calibration for another bundle, of another camera, or damaged: exit code 78, one sentence a camera
3. `check` says what cameras are calibrated by
4. calibrate on a simulated session, run the daemon on another: verdicts are those of the threshold that was chosen
5. too few parts: exit code 65, and the sentence's own remedy works
6. a data set with defective pictures chooses min_area by them; what the bundle was trained on is left out
7. pictures of one part count as one
8. a video of the line is a session
9. a bundle that compares: with the camera's references, and not without
10. what the camera's pictures are like while it is well is learnt too, and the daemon finds that its lamp went weak
11. the same of saved pictures of a colour camera, which a bundle for grey judges: its frames are well
"""

from __future__ import annotations

import errno
import importlib.util
import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector import calibration, cli, files
from inspector.calibrate import session
from inspector.client import Subscriber
from inspector.condition.learn import ENOUGH
from inspector.condition.measure import LAMP
from inspector.condition.monitor import Monitor
from inspector.inference import bundle, engine
from inspector.inference.bundle import CARD
from inspector.judge import Judge
from inspector.messages import VerdictMessage
from inspector.simulation import Line
from inspector.training import data, learnt
from inspector.types import Reason, Verdict
from tests.boards import moved, piece
from tests.bundles import make_bundle, picture
from tests.calibrations import SHA256, calibration_text
from tests.daemon import Process, configure, run
from tests.waiting import PATIENCE

calibrates = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("scipy", "tomli_w"))), reason="needs scipy, which `make test-all` installs"
)

SESSION = "sim://line?seed=4&width=128&height=96&defects=0&rate=max"


def calibrated(config: Path, *names: str) -> Path:
    """Give those cameras of a configuration the calibration c.toml beside it."""
    text = config.read_text()
    for name in names:
        text = text.replace(f'name = "{name}"\n', f'name = "{name}"\ncalibration = "c.toml"\n')
    config.write_text(text)
    return config


def verdicts(daemon: Process, number: int) -> dict[str, list[VerdictMessage]]:
    """The first so many verdicts of each camera that come."""
    found: dict[str, list[VerdictMessage]] = {"cam1": [], "cam2": []}
    with Subscriber(daemon.endpoint, kinds=["verdict"]) as subscriber:
        for message in subscriber.messages(timeout=PATIENCE):
            if isinstance(message, VerdictMessage):
                found[message.camera].append(message)
            if all(len(messages) >= number for messages in found.values()):
                break
    assert all(len(messages) >= number for messages in found.values()), {name: len(one) for name, one in found.items()}
    return found


def test_1_a_calibrated_camera_beside_one_that_is_not(bright: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "0.png").write_bytes(b"no picture")
    doubtful = picture(square=(10, 10, 9, 9))
    doubtful[doubtful > 200] = 220  # above the bundle's own 0.7, below the calibrated 0.9
    for name, image in (("1", picture()), ("2", doubtful), ("3", picture(square=(10, 10, 9, 9)))):
        cv2.imwrite(str(folder / f"{name}.png"), image)
    (tmp_path / "c.toml").write_text(calibration_text(bright))
    source = f"folder:{folder}?loop=1&rate=50"
    with Process(calibrated(configure(tmp_path / "line.toml", bright, source, source), "cam1")) as daemon:
        found = verdicts(daemon, 8)
        metrics = daemon.metrics()
    judge = Judge(0.9, 9, folded=True)
    expected = {  # verdict of cam1, verdict of cam2, the model's score
        "0.png": (Verdict.UNKNOWN, Verdict.UNKNOWN, None),
        "1.png": (Verdict.OK, Verdict.OK, 60 / 255),
        "2.png": (Verdict.OK, Verdict.NG, 220 / 255),
        "3.png": (Verdict.NG, Verdict.NG, 250 / 255),
    }
    for message in found["cam1"]:
        assert message.calibration is not None
        assert (message.calibration.data_sha256, message.calibration.parts) == (SHA256, 300)
        verdict, _, score = expected[str(message.part)]
        assert message.verdict is verdict
        if score is None:
            assert (message.reason, message.score, message.threshold) == (Reason.CAMERA, None, None)
            continue
        assert message.score == pytest.approx(judge.told(score), rel=1e-5)
        assert message.threshold == 0.5
        assert (message.score > 0.5) == (verdict is Verdict.NG)
        assert [defect.score for defect in message.defects] == ([message.score] if verdict is Verdict.NG else [])
        if verdict is Verdict.NG:
            assert message.residual == pytest.approx(judge.told(128 / 255), rel=1e-5)
    for message in found["cam2"]:
        assert message.calibration is None
        _, verdict, score = expected[str(message.part)]
        assert message.verdict is verdict
        assert message.score == pytest.approx(score)
    assert metrics['inspector_calibration_timestamp_seconds{camera="cam1"}'] == 1769860800
    assert metrics['inspector_calibration_timestamp_seconds{camera="cam2"}'] == 0


def test_2_a_calibration_that_does_not_fit_is_refused(bright: Path, tmp_path: Path) -> None:
    config = calibrated(configure(tmp_path / "line.toml", bright, "sim://line", "sim://line"), "cam1", "cam2")
    for verb, change, sentences in (
        (
            "run",
            {"sha256": f'"{"0" * 64}"'},
            [f"camera 'cam{n}': .*made for bundle 'bright' 000000000000, " for n in (1, 2)],
        ),
        ("check", {}, ["camera 'cam2': .*made with camera 'cam1'; "]),
        ("check", {"threshold": 7}, ["camera 'cam1', camera 'cam2': .*decision.threshold = 7 is not allowed; "]),
    ):
        (tmp_path / "c.toml").write_text(calibration_text(bright, **change))
        done = run(verb, config)
        assert (done.returncode, done.stdout) == (78, "")
        lines = [line for line in done.stderr.splitlines() if line.startswith("inspector: ")]
        assert len(lines) == len(sentences), done.stderr
        for line, sentence in zip(lines, sentences, strict=True):
            assert re.search(sentence, line), line
        assert "Traceback" not in done.stderr


def test_3_check_says_what_cameras_are_calibrated_by(bright: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(calibration_text(bright, provider='"elsewhere"', precision='"int8"'))
    done = run("check", calibrated(configure(tmp_path / "line.toml", bright, "sim://line", "sim://line"), "cam1"))
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if "calibrated" in line]
    assert line == (
        "camera 'cam1': calibrated 2026-01-31T12:00:00Z on 300 good parts: at most 2 % false rejects with 95 % "
        "confidence; threshold 0.9 (told as 0.5), min_area 9; it was made on elsewhere in int8, not "
        "CPUExecutionProvider in fp32"
    )


@pytest.mark.parametrize(("version", "health", "blind"), [(2, "", True), (2, "health = []", False), (3, "", False)])
def test_3b_a_calibration_of_before_strong_blurs_could_be_learnt_is_told_of(
    bright: Path, tmp_path: Path, version: int, health: str, blind: bool
) -> None:
    learnt = "[health]\npictures = 320\n[health.ranges.defocused]\nlow = 20.0\n"
    (tmp_path / "c.toml").write_text(calibration_text(bright, format=version) + learnt)
    config = calibrated(configure(tmp_path / "line.toml", bright, "sim://line", camera=health), "cam1")
    checked, examined = run("check", config), run("doctor", config, "--json", "--no-cameras", "--no-benchmark")
    (line,) = [line for line in checked.stdout.splitlines() if "calibrated" in line]
    assert line.endswith("; it cannot tell strong blurs, being of before that: make it anew") == blind
    (found,) = [found for found in json.loads(examined.stdout)["findings"] if "was calibrated" in found["text"]]
    assert ("cannot tell strong blurs" in found["text"]) == blind


@calibrates
@pytest.mark.full
def test_4_from_a_simulated_session_to_the_next(bright: Path, tmp_path: Path) -> None:
    done = run(
        "calibrate",
        bright,
        f"{SESSION}&frames=60",
        "--false-rejects",
        0.1,
        "--out",
        tmp_path / "c.toml",
        "--camera",
        "cam1",
    )
    assert done.returncode == 0, done.stderr
    assert "false rejects: at most 100 of 1,000 good parts, with confidence 0.95; expected" in done.stdout
    made = calibration.load(tmp_path / "c.toml")
    assert (made.data.pictures, made.data.parts, made.camera, made.escapes) == (60, 60, "cam1", None)

    later = "sim://line?seed=4&width=128&height=96&defects=0&rate=20&first=61&light=1.02"
    config = configure(tmp_path / "line.toml", bright, later, later, camera="deadline = 60\nqueue = 1000")
    with Process(calibrated(config, "cam1")) as daemon:
        found = verdicts(daemon, 30)["cam1"]
    running = engine.start(bundle.load(bright), "cpu", 1)
    judge = Judge(made.decision.threshold, made.decision.min_area, folded=True)
    line = Line(4, 128, 96, defect_share=0, light=1.02)
    for message in found:
        (detection,) = running.detector.detect([line.part(int(str(message.part))).image])
        assert message.verdict is judge(detection, 96, 128).verdict
        assert message.score == pytest.approx(judge.told(detection.score), abs=1e-6)
        assert message.calibration == made.tag


@calibrates
@pytest.mark.full
def test_10_a_weak_lamp_is_found(bright: Path, tmp_path: Path) -> None:
    done = run("calibrate", bright, f"{SESSION}&frames=150", "--out", tmp_path / "c.toml", "--camera", "cam1")
    assert done.returncode == 0, done.stderr
    assert "healthy: median brightness of the last frames, in grey levels, " in done.stdout
    made = calibration.load(tmp_path / "c.toml")
    assert made.health is not None
    assert (made.format, made.health.pictures) == (3, 150)

    line = "sim://line?seed=4&width=128&height=96&defects=0&rate=40&first=200&light="
    config = configure(tmp_path / "line.toml", bright, f"{line}0.8", f"{line}0.8", camera="deadline = 60\nqueue = 1000")
    with Process(calibrated(config, "cam1")) as daemon:
        found = verdicts(daemon, 60)
        metrics = daemon.metrics()
    weak = [message for message in found["cam1"] if message.cause is not None]
    assert [(message.verdict, message.reason, message.cause) for message in weak] == len(weak) * [
        (Verdict.UNKNOWN, Reason.CAMERA, "drifted")
    ]
    assert [message.frame for message in weak] == [message.frame for message in found["cam1"] if message.frame >= LAMP]
    assert all(message.cause is None for message in found["cam2"]), "which has learnt nothing"
    assert metrics['inspector_camera_health{camera="cam1",check="drifted"}'] == 0
    assert metrics['inspector_camera_health{camera="cam2",check="drifted"}'] == 1


@dataclass
class Ended:
    """How a verb that ran in this process ended."""

    code: int
    said: str
    complained: str


Calibrate = Callable[..., Ended]


@pytest.fixture
def calibrate(capsys: pytest.CaptureFixture[str]) -> Calibrate:
    def ended(*arguments: object) -> Ended:
        code = cli.main(["calibrate", *map(str, arguments)])
        return Ended(code, *capsys.readouterr())

    return ended


@calibrates
@pytest.mark.full
def test_5_too_few_parts_and_what_they_suffice_for(calibrate: Calibrate, bright: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.toml"
    done = calibrate(bright, f"{SESSION}&frames=20", "--out", out)
    assert done.code == 65
    (line,) = done.complained.splitlines()
    assert (
        "20 good parts are too few to promise a false-reject rate of 0.02 with 0.95 confidence: that needs 149" in line
    )
    assert not out.exists()
    lowest = re.findall(r"--false-rejects (\S+),", line)[0]
    assert calibrate(bright, f"{SESSION}&frames=20", "--out", out, "--false-rejects", lowest).code == 0
    assert calibration.load(out).promise.false_reject_rate == float(lowest)


def noise(seed: int) -> np.ndarray:
    """A good picture that looks like no other, with a speck."""
    image = np.random.default_rng(seed).integers(30, 90, (48, 64, 1), np.uint8)
    image[seed % 40, seed % 60] = 240
    return image


def write(folder: Path, images: list[np.ndarray]) -> None:
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"{number:03}.png"), image)


@calibrates
@pytest.mark.full
def test_6_a_data_set_with_defective_pictures(calibrate: Calibrate, tmp_path: Path) -> None:
    root, out = tmp_path / "data", tmp_path / "c.toml"
    write(root / "train" / "good", [noise(seed) for seed in range(30)])
    write(root / "test" / "good", [noise(seed) for seed in range(100, 140)])
    defects = []
    for seed in range(200, 220):
        defects.append(noise(seed))
        defects[-1][10:14, 10:14] = 200  # fainter than the good parts' specks, but of 16 pixels
    write(root / "test" / "dent", defects)
    folder = make_bundle(tmp_path / "bundle", threshold=0.5)
    arguments = (folder, root, "--false-rejects", 0.15, "--out", out)
    done = calibrate(*arguments)
    assert done.code == 0, done.complained
    made = calibration.load(out)
    assert (made.data.parts, made.decision.min_area) == (70, 4)  # larger ones lose as little, the bundle's own is kept
    assert made.escapes is not None
    assert (made.escapes.parts, made.escapes.per_1000) == (20, 0)
    # Each of four areas has a quarter of the doubt, half of it at the upper end.
    assert made.escapes.high == pytest.approx(1000 * (1 - (0.05 / 4 / 2) ** (1 / 20)), abs=0.01)
    assert "0 of 20 here" in done.said

    (root / "train" / "good" / "damaged.png").write_bytes(b"which training left out")
    taken, _ = data.readable(data.training_samples(root), 1)
    card = folder / CARD
    card.write_text(card.read_text() + f'[training]\nmode = "normal"\ndata_sha256 = "{data.data_hash(taken)}"\n')
    done = calibrate(*arguments)
    assert f"left out: 30 pictures in {root}, as the bundle was trained on them" in done.said
    assert calibration.load(out).data.parts == 40
    assert tomllib.loads(out.read_text())["bundle"]["sha256"] == bundle.load(folder).sha256


@calibrates
@pytest.mark.full
def test_6b_pictures_that_it_was_trained_on_are_no_witnesses(calibrate: Calibrate, tmp_path: Path) -> None:
    root = tmp_path / "data"
    write(root / "normal", [noise(seed) for seed in range(30)])
    folder = make_bundle(tmp_path / "bundle")
    assert calibrate(folder, root, "--false-rejects", 0.1, "--out", tmp_path / "c.toml").code == 0
    sha256 = data.data_hash(data.training_samples(root))
    card = folder / CARD
    card.write_text(card.read_text() + f'[training]\ndata_sha256 = "{sha256}"\n')
    done = calibrate(folder, root, "--false-rejects", 0.1, "--out", tmp_path / "c.toml")
    assert done.code == 65
    assert f"{root} has no picture that the bundle was not trained on" in done.complained


@calibrates
@pytest.mark.full
def test_6c_each_picture_that_it_was_trained_on_is_left_out(calibrate: Calibrate, tmp_path: Path) -> None:
    root, out = tmp_path / "data", tmp_path / "c.toml"
    write(root / "train" / "good", [noise(seed) for seed in range(30)])
    write(root / "train_defective" / "dent", [noise(seed) for seed in range(50, 53)])
    folder = make_bundle(tmp_path / "bundle")
    (folder / "history").mkdir()
    learnt.write(folder / "history", data.training_samples(root))
    shown, wish = root / "train" / "good", ("--false-rejects", 0.1, "--out", out)
    for place in root, shown:
        done = calibrate(folder, place, *wish)
        assert done.code == 65
        assert f"{place} has no picture that the bundle was not trained on" in done.complained
    done = calibrate(folder, f"folder:{shown}", *wish)
    assert done.code == 65
    assert "no good picture that can be read and that the bundle was not trained on" in done.complained

    for number, seed in enumerate(range(100, 140)):
        cv2.imwrite(str(shown / f"new {number}.png"), noise(seed))
    for place in root, shown, f"folder:{shown}":
        done = calibrate(folder, place, *wish)
        assert done.code == 0, done.complained
        said = rf"left out: 3\d pictures in {re.escape(str(place))}, as the bundle was trained on them"
        assert re.search(said, done.said), done.said
        assert calibration.load(out).data.pictures == 40
    done = calibrate(folder, shown, "--defective", root / "train_defective", *wish)
    assert done.code == 65
    assert "train_defective has no picture that the bundle was not trained on; put others into it" in done.complained


@calibrates
@pytest.mark.full
def test_7_pictures_of_one_part_count_as_one(calibrate: Calibrate, bright: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "good", tmp_path / "c.toml"
    brighter = [np.clip(noise(seed) * 1.02, 0, 255).astype(np.uint8) for seed in range(30)]
    write(folder, [noise(seed) for seed in range(30)] + brighter)
    arguments = (bright, folder, "--false-rejects", 0.1, "--out", out)
    assert calibrate(*arguments).code == 0
    assert (calibration.load(out).data.parts, calibration.load(out).data.pictures) == (30, 60)
    assert calibrate(*arguments, "--parts", "each").code == 0
    assert calibration.load(out).data.parts == 60
    rows = "".join(f"{number:03}.png\t{number // 20}\n" for number in range(60))
    (folder / "MANIFEST.tsv").write_text(f"path\tgroup\n{rows}")
    done = calibrate(*arguments)
    assert done.code == 65
    assert "3 good parts are too few" in done.complained
    assert "(60 pictures count as 3 parts; see --parts)" in done.complained


@calibrates
@pytest.mark.full
def test_8_a_video_is_a_session(calibrate: Calibrate, bright: Path, tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "s.avi"), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), 25, (64, 48))
    for seed in range(40):
        writer.write(cv2.cvtColor(noise(seed), cv2.COLOR_GRAY2BGR))
    writer.release()
    out = tmp_path / "c.toml"
    source = f"file:{tmp_path}/s.avi?rate=max"
    done = calibrate(bright, source, "--false-rejects", 0.1, "--frames", 35, "--out", out)
    assert done.code == 0, done.complained
    assert calibration.load(out).data.pictures == 35


@calibrates
@pytest.mark.full
@pytest.mark.parametrize(
    ("code", "arguments", "word"),
    [
        (65, ["{here}/nowhere"], "nowhere is not a folder"),
        (65, ["{here}"], "no picture that the bundle was not trained on"),
        (78, ["smi://line"], "a source's URL starts with one of camera:"),
        (78, ["rtps://user:secret@127.0.0.1/live"], "rtps://user:***@127.0.0.1/live: there is no such folder"),
        (78, ["sim://line?seed=x"], "seed = 'x'"),
        (66, ["rtsp://user:secret@127.0.0.1:1/live"], "rtsp://user:***@127.0.0.1:1/live"),
        (78, [SESSION, "--camera", "a/b"], "--camera 'a/b': use 1 to 64 letters"),
        (65, [SESSION, "--defective", "{here}/nowhere"], "nowhere is not a folder"),
    ],
)
def test_what_cannot_be_calibrated_is_one_sentence(
    calibrate: Calibrate, bright: Path, tmp_path: Path, code: int, arguments: list[str], word: str
) -> None:
    here = [argument.format(here=tmp_path) for argument in arguments]
    done = calibrate(bright, *here, "--out", tmp_path / "c.toml")
    assert done.code == code, done.complained
    assert word in done.complained.splitlines()[-1]
    assert not (tmp_path / "c.toml").exists()


@calibrates
def test_a_folder_that_cannot_be_read_is_one_sentence(
    calibrate: Calibrate, bright: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(folder: Path, _: str) -> list[data.Sample]:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(data, "loose_samples", refused)
    done = calibrate(bright, tmp_path, "--out", tmp_path / "c.toml")
    assert done.code == 74
    assert f"{tmp_path} cannot be read or written: Permission denied" in done.complained


@calibrates
@pytest.mark.parametrize("out", ["nowhere/c.toml", "folder", "file/c.toml", "sealed/c.toml"])
def test_a_place_that_cannot_be_written_is_told_before_the_first_picture(
    calibrate: Calibrate, bright: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    def looking(*_: object) -> None:
        raise AssertionError("a picture is looked at")

    real = files.beside

    def beside(path: Path, content: bytes) -> Path:
        if path.parent.name == "sealed":
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return real(path, content)

    (tmp_path / "file").touch()
    for name in ("folder", "sealed"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(session.Session, "pictures", looking)
    monkeypatch.setattr(files, "beside", beside)
    done = calibrate(bright, SESSION, "--out", tmp_path / out)
    assert done.code == 74
    (line,) = done.complained.splitlines()
    assert re.search(rf"{re.escape(str(tmp_path / out))}\S* cannot be read or written: .*; choose another place", line)


@calibrates
def test_what_is_at_the_place_stays_until_there_is_a_new_calibration(
    calibrate: Calibrate, bright: Path, tmp_path: Path
) -> None:
    out = tmp_path / "c.toml"
    out.write_text("the old one")
    assert calibrate(bright, f"{SESSION}&frames=20", "--out", out).code == 65
    assert [path.read_text() for path in tmp_path.iterdir()] == ["the old one"]


@calibrates
def test_9_a_bundle_that_compares_needs_the_cameras_references(
    calibrate: Calibrate, bright: Path, tmp_path: Path
) -> None:
    comparing = make_bundle(tmp_path / "comparing", 192, 192, reference=True)
    shown = [moved(np.minimum(piece("bus"), np.uint8(255 - 5 * n)), n % 5 - 2, n % 3 - 1) for n in range(6)]
    write(tmp_path / "good", [*shown, piece("vias")])
    write(tmp_path / "golden", [piece("bus")])
    wish = ("--parts", "each", "--false-rejects", 0.5, "--out", tmp_path / "c.toml")
    done = calibrate(comparing, tmp_path / "good", "--references", tmp_path / "golden", *wish)
    assert done.code == 0, done.complained
    assert calibration.load(tmp_path / "c.toml").data.parts == 6
    assert "006.png lies on no reference, the daemon calls it unknown" in done.said
    done = calibrate(comparing, tmp_path / "good", *wish)
    assert done.code == 78
    assert "compares each picture with a reference: give --references" in done.complained
    done = calibrate(bright, tmp_path / "good", "--references", tmp_path / "golden", *wish)
    assert done.code == 78
    assert "bundle 'bright' does not compare" in done.complained


def orange(seed: int) -> np.ndarray:
    """A picture in colour, with noise."""
    spread = np.random.default_rng(seed).normal(0, 6, (48, 64, 3))
    return np.clip(np.array([20, 100, 220]) + spread, 0, 255).astype(np.uint8)


@calibrates
def test_11_a_colour_camera_that_a_bundle_for_grey_judges(calibrate: Calibrate, bright: Path, tmp_path: Path) -> None:
    write(tmp_path / "good", [orange(seed) for seed in range(ENOUGH)])
    out = tmp_path / "c.toml"
    wish = ("--parts", "each", "--false-rejects", 0.1, "--out", out)
    done = calibrate(bright, tmp_path / "good", *wish, "--camera", "cam1")
    assert done.code == 0, done.complained
    health = calibration.load(out).health
    assert health is not None
    monitor = Monitor(health.limits)
    assert {monitor.look(orange(seed), seed).cause for seed in range(1000, 1000 + 2 * LAMP)} == {None}
