"""A camera that sees several places of a board, each beside its own reference picture; the daemon as a process.

1. each frame is compared with its own place, though it is shifted and turned; the message names the place
2. a defect is found, and repaired with what the reference shows there
3. a frame that lies on no reference is `unknown: camera`, never `ok`
4. a bundle that compares and a camera without references, or the other way round: one sentence each, exit code 78
5. a reference that is no picture: exit code 78
"""

from __future__ import annotations

import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.client import Subscriber
from inspector.messages import ResultMessage, VerdictMessage
from inspector.types import Reason, Verdict
from tests.boards import PLACES, moved, piece
from tests.bundles import make_bundle
from tests.daemon import Process, configure, run
from tests.pictures import noise, write
from tests.waiting import PATIENCE

DEFECT = np.s_[60:74, 100:112]


@pytest.fixture(scope="module")
def comparing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("models") / "comparing", 192, 192, reference=True)


@pytest.fixture
def frames(tmp_path: Path) -> dict[str, np.ndarray]:
    """What the camera sees: each place good and defective, moved; noise; and a place without a reference."""
    shown = {}
    for number, place in enumerate(list(PLACES)[:3]):
        image = piece(place)
        write(tmp_path / "golden" / f"{place}.png", image)
        broken = image.copy()
        broken[DEFECT] = 255 - broken[DEFECT]
        shown[f"{place}-good.png"] = moved(image, 3 + number, -2, 0.3)
        shown[f"{place}-broken.png"] = moved(broken, -3, 2 + number, -0.3)
    shown["noise.png"] = noise(1, 192, 192)
    shown["stranger.png"] = piece(list(PLACES)[3])
    for name, image in shown.items():
        write(tmp_path / "frames" / name, image)
    return shown


def test_1_to_3_each_frame_is_compared_with_its_own_place(
    comparing: Path, frames: dict[str, np.ndarray], tmp_path: Path
) -> None:
    source = f"folder:{tmp_path / 'frames'}?loop=1&rate=100"
    config = configure(tmp_path / "c.toml", comparing, source, camera='reference = "golden"')
    verdicts: dict[str, VerdictMessage] = {}
    results: dict[str, ResultMessage] = {}
    with Process(config) as daemon, Subscriber(daemon.endpoint) as subscriber:
        for message in subscriber.messages(timeout=PATIENCE):
            if isinstance(message, VerdictMessage) and message.part:
                verdicts[message.part] = message
            elif isinstance(message, ResultMessage) and message.part:
                results[message.part] = message
            if len(verdicts) == len(frames) and len(results) == 3:
                break
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    for place in list(PLACES)[:3]:
        good, broken = verdicts[f"{place}-good.png"], verdicts[f"{place}-broken.png"]
        assert (good.verdict, good.position) == (Verdict.OK, place)
        assert (broken.verdict, broken.position) == (Verdict.NG, place)
        result = results[f"{place}-broken.png"]
        frame, mask = frames[f"{place}-broken.png"], result.mask()
        assert mask is not None
        assert result.residual is not None
        assert result.residual < 0.7 < (result.score or 0)  # what is left is the defect's soft rim, below the threshold
        repaired = result.repaired(frame)
        assert repaired is not None
        number = list(PLACES).index(place)
        whole = moved(piece(place), -3, 2 + number, -0.3)
        assert np.array_equal(repaired[mask == 0], frame[mask == 0])
        assert np.abs(repaired[mask > 0].astype(int) - whole[mask > 0]).mean() < 16
        assert np.abs(frame[mask > 0].astype(int) - whole[mask > 0]).mean() > 160
    for name in ("noise.png", "stranger.png"):
        assert (verdicts[name].verdict, verdicts[name].reason) == (Verdict.UNKNOWN, Reason.CAMERA)
        assert verdicts[name].position is None
    assert any("lie on no reference picture, last camera cam1, frame" in line["message"] for line in daemon.log)


def test_4_bundle_and_references_must_belong_together(comparing: Path, bright: Path, tmp_path: Path) -> None:
    write(tmp_path / "golden.png", piece("bus"))
    done = run("check", configure(tmp_path / "c.toml", comparing, "sim://line", "sim://line"))
    assert done.returncode == 78
    assert done.stderr.count("\n") == 2
    assert "camera 'cam2': reference is missing; its bundle" in done.stderr
    done = run("check", configure(tmp_path / "c.toml", bright, "sim://line", camera='reference = "golden.png"'))
    assert done.returncode == 78
    assert f"camera 'cam1': reference = '{tmp_path / 'golden.png'}'" in done.stderr
    assert "does not compare frames with reference pictures; remove the key" in done.stderr


def test_4b_together_they_are_fine(comparing: Path, tmp_path: Path) -> None:
    write(tmp_path / "golden.png", cv2.cvtColor(piece("bus"), cv2.COLOR_GRAY2BGR))
    done = run("check", configure(tmp_path / "c.toml", comparing, "sim://line", camera='reference = "golden.png"'))
    assert done.returncode == 0, done.stderr
    assert "1 reference picture(s)" in done.stderr


def test_5_a_reference_that_is_no_picture_is_a_mistake_of_the_configuration(comparing: Path, tmp_path: Path) -> None:
    (tmp_path / "golden.png").write_text("no picture")
    done = run("check", configure(tmp_path / "c.toml", comparing, "sim://line", camera='reference = "golden.png"'))
    assert done.returncode == 78
    assert "camera 'cam1': reference: reference picture" in done.stderr
    assert "is no picture, or a damaged one" in done.stderr
