"""Frames of any size through a daemon as a user starts it.

1. large pictures in tiles, with a region, an ignored area and a budget: small defects, in the frame's coordinates
2. pictures of another size than was configured: unknown, and the others are judged
3. what does not fit together, or into memory: exit code 78, a sentence for each camera
4. strips of a web: each defect is reported once, also where two frames meet
5. a calibration of tiles is for tiles alone
6. a calibration of strips is not for the frames that they become, and one of frames is; an older one is told of
"""

from __future__ import annotations

import importlib.util
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector import calibration, cli
from inspector.calibration import Side
from inspector.client import Subscriber
from inspector.journal.reading import Choice, Reader
from inspector.messages import ResultMessage, VerdictMessage
from inspector.types import Verdict
from inspector.wire import decode
from tests.bundles import picture
from tests.calibrations import calibration_text
from tests.daemon import Process, configure, run
from tests.waiting import PATIENCE

HEIGHT, WIDTH = 300, 400


def write(folder: Path, *images: np.ndarray) -> str:
    """Pictures in a folder, and the URL of a source that gives them for ever."""
    folder.mkdir()
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return f"folder:{folder}?loop=1&rate=50"


def test_1_small_defects_of_large_frames(bright: Path, tmp_path: Path) -> None:
    bad = picture(HEIGHT, WIDTH, square=(60, 44, 8, 8))  # where four tiles meet
    outside, ignored = picture(HEIGHT, WIDTH, square=(390, 100, 8, 8)), picture(HEIGHT, WIDTH, square=(200, 200, 8, 8))
    source = write(tmp_path / "large", picture(HEIGHT, WIDTH), bad, outside, ignored)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[190:220, 190:220] = 255
    cv2.imwrite(str(tmp_path / "ignore.png"), mask)
    camera = (
        f'size = [{WIDTH}, {HEIGHT}]\nfit = "tile"\noverlap = 12\nregion = [20, 10, 360, 280]\nignore = "ignore.png"'
    )
    config = configure(tmp_path / "c.toml", bright, source, camera=camera, publish="[daemon]\nmemory_mb = 1000")
    found: dict[str, Verdict] = {}
    with Process(config) as daemon, Subscriber(daemon.endpoint) as subscriber:
        result = None
        for message in subscriber.messages(timeout=PATIENCE):
            if isinstance(message, VerdictMessage):
                found[str(message.part)] = message.verdict
            elif isinstance(message, ResultMessage):
                result = message
            if len(found) == 4 and result is not None:
                break
    assert found == {"0.png": Verdict.OK, "1.png": Verdict.NG, "2.png": Verdict.OK, "3.png": Verdict.OK}
    assert result is not None
    (defect,) = result.defects
    assert defect.box == (60, 44, 8, 8)
    assert np.array_equal(result.mask(), np.where(bad[:, :, 0] > 200, 255, 0))
    assert result.residual == pytest.approx(128 / 255)


def test_2_frames_of_another_size_are_unknown(bright: Path, tmp_path: Path) -> None:
    write(tmp_path / "mixed", picture(), picture(HEIGHT, WIDTH))
    config = configure(tmp_path / "c.toml", bright, f"folder:{tmp_path}/mixed", camera="size = [64, 48]")
    with Process(config) as daemon:
        assert daemon.wait() == 0
    assert "2 frames: 1 ok, 0 ng, 1 unknown" in daemon.log[-1]["message"]
    assert any(f"{WIDTH}x{HEIGHT} pixels where size = [64, 48]" in line["message"] for line in daemon.log)


@pytest.mark.parametrize(
    ("camera", "daemon", "why"),
    [
        ('fit = "tile"\noverlap = 25', "", "camera 'cam1': overlap = 25: tiles have the size of the model's input"),
        ('ignore = "none.png"', "", "camera 'cam1': ignore = '{folder}/none.png' cannot be read"),
        ("", "memory_mb = 500", "what frames of camera 'cam1' need is not known; give each a size = [width, height]"),
        ("size = [5472, 3648]\nqueue = 20", "memory_mb = 1500", "23 frames of camera 'cam1', 20 of them in its queue"),
    ],
)
def test_3_what_does_not_fit_is_said_at_the_start(
    bright: Path, tmp_path: Path, camera: str, daemon: str, why: str
) -> None:
    config = configure(tmp_path / "c.toml", bright, "sim://line", camera=camera, publish=f"[daemon]\n{daemon}")
    checked = run("check", config)
    assert checked.returncode == 78
    assert why.format(folder=tmp_path) in checked.stderr


def test_4_strips_of_a_web(bright: Path, tmp_path: Path) -> None:
    web = picture(480, 64)
    tops = (5, 40, 44, 90, 132, 160, 235, 300, 470)  # frames of 64 rows that repeat 16 begin at 0, 48, 96, ...
    for number, top in enumerate(tops):
        web[top : top + 10, 6 * number + 2 : 6 * number + 6] = 250
    strips = tmp_path / "strips"
    strips.mkdir()
    for number, top in enumerate(range(0, len(web), 20)):
        cv2.imwrite(str(strips / f"{number:02}.png"), web[top : top + 20])
    config = configure(
        tmp_path / "c.toml",
        bright,
        f"folder:{strips}",
        camera='scan_rows = 64\nscan_overlap = 16\nfit = "tile"',
        publish=f'[journal]\npath = "{tmp_path}/journal.sqlite"',
    )
    with Process(config) as daemon:
        assert daemon.wait() == 0
    with closing(Reader(tmp_path / "journal.sqlite")) as journal:
        kept = [decode(list(one.kept.parts)) for one in journal.messages(Choice("result/"))]
    found = sorted(defect.box[0] for one in kept if isinstance(one, ResultMessage) for defect in one.defects)
    assert found == [6 * number + 2 for number in range(len(tops))]


calibrates = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("scipy", "tomli_w"))), reason="needs scipy, which `make test-all` installs"
)


@calibrates
def test_5_a_calibration_of_tiles_is_for_tiles_alone(bright: Path, tmp_path: Path) -> None:
    session = "sim://line?seed=4&width=128&height=96&defects=0&rate=max"
    out = tmp_path / "c.toml"
    calibrate = ["calibrate", str(bright), session, "--frames", "60", "--false-rejects", "0.1", "--out", str(out)]
    assert cli.main([*calibrate, "--fit", "tile", "--overlap", "8", "--region", "0,0,128,90"]) == 0
    frames = calibration.load(out).frames
    assert (frames.fit, frames.overlap, frames.region) == ("tile", 8, [0, 0, 128, 90])
    config = tmp_path / "line.toml"
    looked = 'calibration = "c.toml"\nfit = "tile"\noverlap = 8\nregion = [0, 0, 128, 90]'
    assert run("check", configure(config, bright, session, camera=looked)).returncode == 0
    for other in ("fit = 'resize'", 'fit = "tile"\noverlap = 8', 'fit = "tile"\nregion = [0, 0, 128, 90]'):
        checked = run("check", configure(config, bright, session, camera=f'calibration = "c.toml"\n{other}'))
        assert checked.returncode == 78
        assert "it was made of frames in tiles that overlap by 8, region [0, 0, 128, 90]" in checked.stderr


@calibrates
def test_6_a_calibration_of_strips_is_not_for_the_frames_that_they_become(
    bright: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = "sim://line?seed=4&width=128&height=96&defects=0&rate=max&strip=40", tmp_path / "c.toml"
    calibrate = ["calibrate", str(bright), source, "--false-rejects", "0.1", "--out", str(out), "--frames"]
    camera = 'calibration = "c.toml"\nscan_rows = 80\nscan_overlap = 20'
    config = configure(tmp_path / "line.toml", bright, source, camera=camera)

    assert cli.main([*calibrate, "120"]) == 0
    data = calibration.load(out).data
    assert (data.width, data.height) == (Side(least=128, most=128), Side(least=16, most=40))
    checked = run("check", config)
    assert checked.returncode == 78
    assert "made of pictures that are 16 to 40 pixels high, and the camera's frames are 80; calib" in checked.stderr

    assert cli.main([*calibrate, "60", "--scan-rows", "80", "--scan-overlap", "20"]) == 0
    data = calibration.load(out).data
    assert (data.pictures, data.height) == (60, Side(least=80, most=80))
    assert run("check", config).returncode == 0

    out.write_text(calibration_text(bright))
    checked = run("check", config)
    assert checked.returncode == 0
    assert "; it may be of strips: make it anew with --scan-rows 80\n" in checked.stdout

    capsys.readouterr()
    assert cli.main([*calibrate, "60", "--scan-rows", "80", "--scan-overlap", "64"]) == 78
    assert "--scan-overlap 64: at most half of --scan-rows 80 may be repeated; use 0 to 40" in capsys.readouterr().err
    assert cli.main([*calibrate, "80", "--scan-rows", "80"]) == 0  # repeats half of them, as the daemon does
    (tmp_path / "strips").mkdir()
    cv2.imwrite(str(tmp_path / "strips" / "1.png"), picture())
    calibrate[2] = str(tmp_path / "strips")
    assert cli.main([*calibrate, "60", "--scan-rows", "128"]) == 78
    assert "there is none; give saved ones as folder:DIR" in capsys.readouterr().err
