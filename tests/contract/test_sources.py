"""What sources of files and the simulation promise beyond the contract; and how those that need a device fail."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.errors import ConfigError, SourceError
from inspector.sources import Source, open_source
from inspector.sources.isolated import Isolated
from inspector.types import Image
from tests.waiting import PATIENCE, free_port

COUNT = 4
HANG = 60.0  # seconds after which something that should have ended is said to hang


def simulated(_: Path, options: str) -> str:
    return f"sim://line?width=128&height=96&frames={COUNT}&{options}"


def video(folder: Path, options: str) -> str:
    path = folder / "clip.avi"
    if not path.exists():
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), 25, (64, 48))
        for image in pictures():
            writer.write(image)
        writer.release()
    return f"file:{path}?{options}"


def folder_of_pictures(folder: Path, options: str) -> str:
    for number, image in enumerate(pictures()):
        cv2.imwrite(str(folder / f"{number:03d}.png"), image)
    return f"folder://{folder}?{options}"


def pictures() -> Iterator[Image]:
    """Each brighter than the one before it."""
    for number in range(COUNT):
        yield np.full((48, 64, 3), 40 + 40 * number, np.uint8)


MAKERS: dict[str, Callable[[Path, str], str]] = {"sim": simulated, "file": video, "folder": folder_of_pictures}

anywhere = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@pytest.fixture(params=["here", "isolated"])
def opener(request: pytest.FixtureRequest) -> Callable[[str], Source]:
    """A source in this process, or the same one in a process of its own."""
    return open_source if request.param == "here" else partial(Isolated, hangs_after=HANG)


def images(url: str, opener: Callable[[str], Source] = open_source) -> list[Image]:
    read = [shot.image for shot in opener(url).frames()]
    assert all(image is not None for image in read)
    return [image for image in read if image is not None]


@anywhere
def test_it_yields_every_picture_and_ends(
    make: Callable[[Path, str], str], tmp_path: Path, opener: Callable[[str], Source]
) -> None:
    read = images(make(tmp_path, "rate=max"), opener)
    assert len(read) == COUNT
    assert len({image.shape for image in read}) == 1
    assert all(image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 for image in read)


@anywhere
def test_it_runs_again_and_is_the_same(
    make: Callable[[Path, str], str], tmp_path: Path, opener: Callable[[str], Source]
) -> None:
    source = opener(make(tmp_path, "rate=max"))
    first, second = list(source.frames()), list(source.frames())
    assert [shot.part for shot in first] == [shot.part for shot in second]
    np.testing.assert_array_equal([shot.image for shot in first], [shot.image for shot in second])


@anywhere
def test_pictures_own_their_memory(
    make: Callable[[Path, str], str], tmp_path: Path, opener: Callable[[str], Source]
) -> None:
    url = make(tmp_path, "rate=max")
    kept = images(url, opener)
    copies = [shot.image.copy() for shot in opener(url).frames() if shot.image is not None]
    assert not any(np.shares_memory(one, other) for one, other in itertools.combinations(kept, 2))
    np.testing.assert_array_equal(kept, copies)


@anywhere
def test_close_ends_one_that_waits(
    make: Callable[[Path, str], str], tmp_path: Path, opener: Callable[[str], Source]
) -> None:
    source = opener(make(tmp_path, "rate=0.001"))
    started, seen = threading.Event(), []

    def read() -> None:
        for shot in source.frames():
            seen.append(shot)
            started.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    assert started.wait(HANG)
    source.close()
    reader.join(HANG)
    assert not reader.is_alive()
    assert len(seen) == 1


@anywhere
def test_closed_it_yields_nothing_more(
    make: Callable[[Path, str], str], tmp_path: Path, opener: Callable[[str], Source]
) -> None:
    source = opener(make(tmp_path, "rate=max"))
    frames = source.frames()
    next(frames)
    source.close()
    assert list(frames) == []
    assert list(source.frames()) == []


@anywhere
def test_it_is_live_only_if_it_does_not_wait(
    make: Callable[[Path, str], str], tmp_path: Path, opener: Callable[[str], Source]
) -> None:
    assert not opener(make(tmp_path, "rate=max")).live
    assert opener(make(tmp_path, "rate=5")).live == (make is simulated)


@anywhere
@pytest.mark.parametrize("options", ["rate=fast", "rate=-1", "rate=nan", "rate=", "rate", "rate=5&rate=6", "ratte=5"])
def test_a_wrong_option_is_refused_in_a_sentence(
    make: Callable[[Path, str], str], tmp_path: Path, options: str
) -> None:
    url = make(tmp_path, options)
    with pytest.raises(ConfigError) as caught:
        open_source(url)
    (problem,) = caught.value.problems
    assert problem.startswith(url)
    assert "rate" in problem.removeprefix(url)
    assert "\n" not in problem


@pytest.mark.parametrize("make", [video, folder_of_pictures])
def test_loop_starts_again(make: Callable[[Path, str], str], tmp_path: Path) -> None:
    source = open_source(make(tmp_path, "rate=max&loop=1"))
    rounds = [shot.image for shot in itertools.islice(source.frames(), 2 * COUNT + 1)]
    np.testing.assert_array_equal(rounds[COUNT : 2 * COUNT], rounds[:COUNT])
    np.testing.assert_array_equal(rounds[-1], rounds[0])


@pytest.mark.parametrize("make", [video, folder_of_pictures])
def test_pictures_come_in_order(make: Callable[[Path, str], str], tmp_path: Path) -> None:
    for image, expected in zip(images(make(tmp_path, "rate=max")), pictures(), strict=True):
        np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("make", [video, folder_of_pictures])
def test_files_that_went_away_are_a_source_error(make: Callable[[Path, str], str], tmp_path: Path) -> None:
    source = open_source(make(tmp_path, "rate=max"))
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(SourceError, match=str(tmp_path)):
        list(source.frames())


def test_the_simulation_numbers_its_parts() -> None:
    url = "sim://line?width=128&height=96&rate=0&frames=3"
    assert [shot.part for shot in open_source(url).frames()] == ["1", "2", "3"]


def test_the_simulation_follows_from_its_seed() -> None:
    one, same, other = (images(f"sim://line?width=128&height=96&rate=0&frames=2&seed={seed}") for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_another_session_of_the_simulation_goes_on_under_its_own_light() -> None:
    line = "sim://line?width=128&height=96&rate=0&seed=3"
    day, later, dim = (f"{line}&frames=5", f"{line}&frames=2&first=4", f"{line}&frames=2&first=4&light=0.8")
    assert [shot.part for shot in open_source(later).frames()] == ["4", "5"]
    np.testing.assert_array_equal(images(day)[3:], images(later))
    assert np.mean(images(dim)) == pytest.approx(0.8 * np.mean(images(later)), rel=0.05)


def test_the_simulation_has_no_end_of_its_own() -> None:
    source = open_source("sim://line?width=128&height=96&rate=0&channels=1")
    shots = list(itertools.islice(source.frames(), 40))
    assert shots[-1].part == "40"
    assert shots[-1].image is not None
    assert shots[-1].image.shape == (96, 128, 1)


def test_a_camera_that_is_not_there_is_a_source_error() -> None:
    with pytest.raises(SourceError, match="camera '/dev/no-such-camera' cannot be opened"):
        list(open_source("camera:/dev/no-such-camera?width=640").frames())


@pytest.fixture
def closed_port() -> int:
    return free_port()


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps"])
def test_a_network_camera_that_is_not_there_is_a_source_error(
    scheme: str, closed_port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    source = open_source(f"{scheme}://user:s3cret@127.0.0.1:{closed_port}/stream?transport=udp")
    with pytest.raises(SourceError, match=f"{scheme}://user:.*@127.0.0.1:{closed_port}/stream") as caught:
        list(source.frames())
    assert "s3cret" not in f"{caught.value} {capfd.readouterr()}"


def test_a_password_from_a_file_is_not_shown_either(
    closed_port: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    login = tmp_path / "login"
    login.write_text("user:s3cret")
    login.chmod(0o600)
    source = open_source(f"rtsp://127.0.0.1:{closed_port}/stream?credentials={login}")
    with pytest.raises(SourceError, match="check host, port, cable and power") as refused:
        list(source.frames())
    login.unlink()
    with pytest.raises(SourceError, match=r"cannot be opened: credentials .* cannot be read") as gone:
        list(source.frames())
    assert "s3cret" not in f"{refused.value} {gone.value} {capfd.readouterr()}"


def test_a_network_camera_that_is_silent_is_given_up() -> None:
    """With OpenCV's own time-out this would take half a minute and more."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        source = open_source(f"rtsp://127.0.0.1:{port}/stream?open_timeout=0.2")
        errors: list[SourceError] = []

        def read() -> None:
            try:
                list(source.frames())
            except SourceError as error:
                errors.append(error)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        reader.join(PATIENCE)
    assert len(errors) == 1
    assert "time-out 0.2 s" in str(errors[0])
