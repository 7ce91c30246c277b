"""Folders of pictures and video files: what is read, what is reported, and that no damage passes for an end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector import pictures
from inspector.errors import SourceError
from inspector.sources import file, open_source
from inspector.sources.folder import Folder, read_picture

NOISE = np.random.default_rng(1).integers(0, 256, (64, 80, 3), np.uint8)


def test_a_picture_that_cannot_be_read_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "b.png"), NOISE)
    cv2.imwrite(str(tmp_path / "d.jpg"), NOISE)
    (tmp_path / "a.png").touch()
    (tmp_path / "c.PNG").write_bytes(b"not a picture")
    (tmp_path / "e.jpg").write_bytes((tmp_path / "d.jpg").read_bytes()[:2000])
    (tmp_path / "f.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("not looked at")
    (tmp_path / "g.png").mkdir()
    shots = list(Folder(tmp_path).frames())
    assert [(shot.part, shot.image is not None) for shot in shots] == [
        ("a.png", False),
        ("b.png", True),
        ("c.PNG", False),
        ("d.jpg", True),
        ("e.jpg", False),
    ]
    faults = [shot.fault for shot in shots if shot.image is None]
    assert faults == [f"{name} is no picture, or a damaged one" for name in ("a.png", "c.PNG", "e.jpg")]


@pytest.mark.parametrize("suffix", pictures.SUFFIXES)
def test_every_format_is_read_and_half_of_it_is_not(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture{suffix}"
    cv2.imwrite(str(path), NOISE if suffix != ".pgm" else NOISE[:, :, 0])
    image, fault = read_picture(path)
    assert fault is None
    assert image is not None
    assert image.shape == ((64, 80, 1) if suffix == ".pgm" else (64, 80, 3))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    image, fault = read_picture(path)
    assert image is None
    assert fault is not None


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (NOISE[:, :, 0], NOISE[:, :, :1]),
        (NOISE, NOISE),
        (np.dstack([NOISE, NOISE[:, :, 0]]), NOISE),
        (NOISE.astype(np.uint16) * 256 + 255, NOISE),
        (NOISE[:, :, 0].astype(np.uint16) * 256, NOISE[:, :, :1]),
    ],
    ids=["grey", "colour", "transparent", "colour 16 bit", "grey 16 bit"],
)
def test_pictures_become_8_bit_grey_or_colour(stored: np.ndarray, expected: np.ndarray, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "picture.png"), stored)
    image, _ = read_picture(tmp_path / "picture.png")
    assert image is not None
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, expected)


def test_a_picture_that_vanished_is_reported(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), NOISE)
    frames = Folder(tmp_path).frames()
    assert next(frames).fault is None
    (tmp_path / "b.png").unlink()
    assert next(frames).fault == "b.png cannot be read: No such file or directory"


def test_what_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), np.zeros((1000, 2000), np.uint8))
    monkeypatch.setattr(pictures, "MAX_PIXELS", 1_000_000)
    assert read_picture(path) == (None, "picture.png is a picture of more than 1 megapixels; give a smaller one")
    with path.open("ab") as file:
        file.truncate((256 << 20) + 1)
    assert read_picture(path) == (None, "picture.png is larger than the 256 MiB that are allowed")


def test_a_picture_that_opencv_refuses_to_decode_is_reported(tmp_path: Path) -> None:
    """A small file may claim to unfold into gigabytes; OpenCV's limit is read once, when it is imported."""
    cv2.imwrite(str(tmp_path / "bomb.png"), np.zeros((100, 100), np.uint8))
    program = "import sys; from inspector.sources import open_source; print([*open_source(sys.argv[1]).frames()])"
    environment = os.environ | {"OPENCV_IO_MAX_IMAGE_PIXELS": "9999"}
    run = subprocess.run(
        [sys.executable, "-c", program, f"folder:{tmp_path}"], env=environment, capture_output=True, text=True
    )
    assert "fault='bomb.png is a picture of more than 100 megapixels; give a smaller one'" in run.stdout, run.stderr


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no picture in it"):
        list(open_source(f"folder:{tmp_path}?loop=1").frames())


def test_a_video_cut_short_is_an_error_after_its_last_frame(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25, (80, 64))
    for _ in range(20):
        writer.write(NOISE)
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = open_source(f"file:{path}?rate=max").frames()
    assert next(frames).image is not None
    with pytest.raises(SourceError, match=r"ended after \d+ of 20 frames; it is damaged or cut short"):
        list(frames)


def test_a_video_of_huge_frames_is_refused_before_it_is_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25, (80, 64))
    writer.write(NOISE)
    writer.release()
    monkeypatch.setattr(file, "MAX_PIXELS", 80 * 64 - 1)
    with pytest.raises(SourceError, match=r"clip\.avi' has frames of more than 0 megapixels"):
        list(open_source(f"file:{path}?rate=max").frames())


def test_what_is_no_video_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"not a video")
    source = open_source(f"file:{tmp_path}/clip.mp4")
    with pytest.raises(SourceError, match="is not a video that FFmpeg can read"):
        list(source.frames())
    (tmp_path / "clip.mp4").unlink()
    with pytest.raises(SourceError, match=r"clip\.mp4' cannot be read \(No such file or directory\)"):
        list(source.frames())


@pytest.mark.parametrize(("option", "expected"), [("", 12.5), ("?rate=native", 12.5), ("?rate=3", 3.0)])
def test_a_video_is_played_at_its_own_rate_unless_told(
    option: str, expected: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 12.5, (80, 64))
    writer.write(NOISE)
    writer.release()
    rates = []

    class Spy(file.Pace):
        def __init__(self, rate: float, *others: object) -> None:
            rates.append(rate)
            super().__init__(rate, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(file, "Pace", Spy)
    assert len(list(open_source(f"file:{path}{option}").frames())) == 1
    assert rates == [expected]
