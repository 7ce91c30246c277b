"""The file of a calibration: read strictly, refused in sentences, and only for whom it was made."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

from inspector import calibration
from inspector.calibration import Calibration, Seen
from inspector.condition.checks import CHECKS
from inspector.condition.limits import ANY, Limits, Range
from inspector.errors import ConfigError
from inspector.inference import bundle
from inspector.settings import load
from inspector.types import CalibrationTag, Cause
from tests.calibrations import SHA256, calibration_text


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        calibration.load(path)
    assert all(problem.startswith(f"{path}: ") and "\n" not in problem for problem in caught.value.problems)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


def test_what_it_says_is_what_messages_carry(bright: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(calibration_text(bright))
    read = calibration.load(path)
    assert read.tag == CalibrationTag("2026-01-31T12:00:00Z", SHA256, 0.02, 0.95, 300, 0.9, 9)
    assert read.seconds == 1769860800
    assert "2026-01-31T12:00:00Z on 300 good parts: at most 2 % false rejects with 95 % confidence" in str(read)


@pytest.mark.parametrize(
    ("rate", "confidence", "told"),
    [
        (0.05, 0.995, "at most 5 % false rejects with 99.5 % confidence"),
        (0.0125, 0.975, "at most 1.25 % false rejects with 97.5 % confidence"),
        (0.00004, 0.99999, "at most 0.004 % false rejects with 99.999 % confidence"),
    ],
)
def test_a_promise_is_told_as_it_was_given(
    bright: Path, tmp_path: Path, rate: float, confidence: float, told: str
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(calibration_text(bright, false_reject_rate=rate, confidence=confidence))
    assert told in str(calibration.load(path))


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("threshold", "1.0", "decision.threshold = 1.0 is not allowed; use a number above 0 and below 1"),
        ("threshold", "nan", "decision.threshold = nan is not allowed; use a number above 0 and below 1"),
        ("threshold", '"0.5"', "decision.threshold = '0.5' is not allowed; use a number above 0 and below 1"),
        ("min_area", "0", "decision.min_area = 0 is not allowed; use a whole number from 1 to 67108864"),
        ("min_area", "4.0", "decision.min_area = 4.0 is not allowed; use a whole number from 1 to 67108864"),
        ("parts", "true", "data.parts = True is not allowed; use a whole number from 1 to 9007199254740992"),
        ("parts", "9\nwidth = { least = 9 }", "data.width.most is missing; add pixels of the longest"),
        ("format", "4", "format = 4 is not allowed; use 1, 2 or 3"),
        ("date", '"yesterday"', "date = 'yesterday': give UTC, like 2026-01-31T12:00:00Z"),
        ("date", '"2026-1-31T12:00:00Z"', "date = '2026-1-31T12:00:00Z': give UTC, like 2026-01-31T12:00:00Z"),
        ("sha256", '"abc"', "bundle.sha256 = 'abc': give 64 digits from 0 to f"),
        ("camera", '"a/b"', "camera = 'a/b': use 1 to 64 letters, digits, - and _, the first a letter or digit"),
        ("camera", '"cam1"\nlens = 8', "lens is not a key; the keys here are format, date, camera, bundle, frames, "
                                       "decision, promise, data, false_rejects, escapes, health"),
        ("camera", '"cam1"\n[frames]\nregion = [1, "a"]', "frames.region.1 = 'a' is not allowed; use a whole number"),
        ("min_area", "4\nmin_aera = 3", "decision.min_aera is not a key; did you mean 'min_area'?"),
    ],
)  # fmt: skip
def test_each_mistake_names_key_value_and_remedy(
    bright: Path, tmp_path: Path, key: str, value: str, sentence: str
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(calibration_text(bright, **{key: value}))
    assert problems(path) == [sentence]


HEALTH = """
[health]
pictures = 600
noise = 0.1
[health.ranges]
black = { high = 5.0 }
drifted = { low = 88.0, high = 98.5 }
"""


def test_what_a_healthy_camera_shows_is_read_as_limits(bright: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(calibration_text(bright, format=2) + HEALTH)
    health = calibration.load(path).health
    assert health is not None
    assert health.limits == Limits({Cause.BLACK: Range(high=5.0), Cause.DRIFTED: Range(88.0, 98.5)}, 0.1)


Write: TypeAlias = Callable[[Path, Calibration], None]


@pytest.fixture
def write() -> Write:
    pytest.importorskip("scipy")
    pytest.importorskip("tomli_w")
    from inspector.calibrate.calibrate import write

    return write


def test_a_full_disk_leaves_the_calibration_in_force(
    write: Write, bright: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text := calibration_text(bright))
    found = calibration.load(path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(path, found.model_copy(update={"date": "2026-02-01T12:00:00Z"}))
    assert path.read_text() == text
    assert list(tmp_path.glob("c.toml*")) == [path]


def test_one_that_cannot_be_read_back_replaces_none(write: Write, bright: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text := calibration_text(bright))
    with pytest.raises(ConfigError, match="date"):
        write(path, calibration.load(path).model_copy(update={"date": "today"}))
    assert path.read_text() == text
    assert list(tmp_path.glob("c.toml*")) == [path]


def test_a_calibration_is_replaced_where_its_link_leads_with_its_rights(
    write: Write, bright: Path, tmp_path: Path
) -> None:
    path, link = tmp_path / "c.toml", tmp_path / "link.toml"
    path.write_text(calibration_text(bright))
    path.chmod(0o640)
    link.symlink_to(path)
    if os.geteuid() == 0:
        os.chown(path, 4711, 4712)
    before = path.stat()
    write(link, calibration.load(path).model_copy(update={"date": "2026-02-01T12:00:00Z"}))
    assert link.is_symlink()
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert calibration.load(path).date == "2026-02-01T12:00:00Z"


def survived(write: Write, limits: Limits, path: Path, bundle: Path) -> Limits:
    """What the daemon reads of limits that `inspector calibrate` wrote."""
    path.write_text(calibration_text(bundle, format=3))
    health = calibration.Health.of(limits, 700)
    write(path, calibration.load(path).model_copy(update={"health": health}))
    read = calibration.load(path).health
    assert read == health
    assert read is not None
    return read.limits


def test_limits_survive_the_file(write: Write, bright: Path, tmp_path: Path) -> None:
    reference = np.random.default_rng(0).integers(0, 256, (60, 80), np.uint8)
    ranges = {cause: Range(index, index + 0.5) for index, cause in enumerate(CHECKS)}
    limits = Limits(ranges, 0.05, reference, 15.5)
    read = survived(write, limits, tmp_path / "c.toml", bright)
    assert (read.ranges, read.noise, read.contrast) == (limits.ranges, limits.noise, limits.contrast)
    assert read.reference is not None
    assert np.array_equal(read.reference, reference)


def test_limits_of_a_scene_without_a_place_survive_it_too(write: Write, bright: Path, tmp_path: Path) -> None:
    limits = Limits({Cause.BLACK: Range(high=5.0)}, 0.05)
    assert survived(write, limits, tmp_path / "c.toml", bright) == limits


def test_a_check_that_is_off_is_not_taken_for_one_that_was_not_learnt(
    write: Write, bright: Path, tmp_path: Path
) -> None:
    limits = Limits({Cause.FROZEN: ANY})
    assert survived(write, limits, tmp_path / "c.toml", bright) == limits
    assert "[health.ranges.frozen]\n" in (tmp_path / "c.toml").read_text()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("noise = 0.1", "noise = -1.0"), "health.noise = -1.0 is not allowed; use a number from 0 to 255"),
        (("black", "blakc"), "health.ranges.blakc is not a key; did you mean 'black'?"),
        (("high = 5.0", "hihg = 5.0"), "health.ranges.black.hihg is not a key; did you mean 'high'?"),
        (("noise = 0.1", 'reference = "abc"'), "health.reference = 'abc': give a grey PNG of 80 x 60 pixels in base64"),
    ],
)
def test_each_mistake_in_health_is_told(bright: Path, tmp_path: Path, change: tuple[str, str], sentence: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(calibration_text(bright, format=2) + HEALTH.replace(*change))
    assert problems(path) == [sentence]


def test_what_is_missing_is_told(bright: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(calibration_text(bright).replace("confidence = 0.95\n", ""))
    assert problems(path) == ["promise.confidence is missing; add how sure that is"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff", "is not TOML"),
        (b"format =", "is not TOML"),
        (b"a = " + b"[" * 20_000, "is not TOML"),
        (b"a = " + b"1" * 5000, "is not TOML"),
        (b"#" * (calibration.MAX_BYTES + 1), "is larger than the 65536 bytes"),
    ],
)
def test_what_is_no_calibration_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    assert problems(path)[0].startswith(sentence)


def test_it_may_begin_with_the_mark_that_windows_puts_there(bright: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(calibration_text(bright), encoding="utf-8-sig")
    assert calibration.load(path).decision.threshold == 0.9


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path / "none.toml")
    assert problem == "cannot be read (No such file or directory); make it with inspector calibrate"


def test_it_is_for_its_bundle_and_camera_alone(bright: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(calibration_text(bright))
    made, sha256 = calibration.load(path), bundle.load(bright).sha256
    whole = Seen()
    assert calibration.objection(made, "cam1", sha256, whole) is None
    assert "it was made with camera 'cam1'" in str(calibration.objection(made, "cam2", sha256, whole))
    assert f"it was made for bundle 'bright' {sha256[:12]}" in str(calibration.objection(made, "cam1", "0" * 64, whole))
    path.write_text(calibration_text(bright).replace('camera = "cam1"\n', ""))
    assert calibration.objection(calibration.load(path), "cam2", sha256, whole) is None


@pytest.mark.parametrize(
    "frames",
    [Seen(fit="tile", overlap=30), Seen(region=[0, 0, 64, 48]), Seen(ignored="ab" * 32)],
    ids=["tiles", "a region", "ignored areas"],
)
def test_it_is_for_frames_that_are_looked_at_alike(bright: Path, tmp_path: Path, frames: Seen) -> None:
    path = tmp_path / "c.toml"
    path.write_text(calibration_text(bright))
    made, sha256 = calibration.load(path), bundle.load(bright).sha256
    why = str(calibration.objection(made, "cam1", sha256, frames))
    assert "it was made of frames resized, and the camera's are" in why
    assert "calibrate anew" in why
    alike = made.model_copy(update={"frames": frames})
    assert calibration.objection(alike, "cam1", sha256, frames) is None


@pytest.mark.parametrize(
    ("size", "why"),
    [
        ((None, None), None),
        ((640, 60), None),
        ((None, 48), None),
        ((640, None), None),
        ((None, 480), "it was made of pictures that are 48 to 60 pixels high, and the camera's frames are 480; "),
        ((320, 60), "it was made of pictures that are 640 pixels wide, and the camera's frames are 320; "),
    ],
)
def test_it_is_for_frames_as_large_as_its_pictures(
    bright: Path, tmp_path: Path, size: tuple[int | None, int | None], why: str | None
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(calibration_text(bright))
    older, sha256 = calibration.load(path), bundle.load(bright).sha256
    assert calibration.objection(older, "cam1", sha256, Seen(), size) is None
    sides = "width = { least = 640, most = 640 }\nheight = { least = 48, most = 60 }"
    path.write_text(calibration_text(bright, parts=f"300\n{sides}"))
    found = calibration.objection(calibration.load(path), "cam1", sha256, Seen(), size)
    assert found is None if why is None else str(found).startswith(why)


def test_a_camera_names_it_beside_its_configuration(tmp_path: Path) -> None:
    camera = '[[camera]]\nname = "cam1"\nsource = "sim://line"\nbundle = "b"\ncalibration = "cam1.toml"\n'
    path = tmp_path / "line.toml"
    path.write_text(camera)
    assert load(path, {}).camera[0].calibration == tmp_path / "cam1.toml"
    for key in ("threshold = 0.5", "min_area = 1"):
        path.write_text(camera + key)
        with pytest.raises(ConfigError, match="take them out of this table"):
            load(path, {})
