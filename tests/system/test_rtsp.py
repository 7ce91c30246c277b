"""A network camera over a real RTSP server, which is stopped, killed and started again."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inspector.errors import SourceError
from inspector.sources import open_source
from tests.rtsp import CYCLE, FPS, REASON, Server, number_of, record

pytest.importorskip("av", reason=REASON)
pytest.importorskip("aio_rtsp_toolkit", reason=REASON)
pytestmark = [pytest.mark.full, pytest.mark.alone]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    record(tmp_path / "cam.mp4")
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


def check_frames(url: str) -> None:
    shots = list(itertools.islice(open_source(url).frames(), 10))
    for shot in shots:
        assert shot.image is not None
        assert shot.image.shape == (240, 320, 3)
        assert 40 <= shot.image.mean() <= 160
    images = [shot.image for shot in shots if shot.image is not None]
    assert not any(np.shares_memory(one, other) for one, other in itertools.pairwise(images))


def test_killed_and_started_again(server: Server) -> None:
    source = open_source(server.url)
    frames = source.frames()
    assert next(frames).image is not None
    server.kill()
    with pytest.raises(SourceError, match="gave no frame for 60 s, or ended the stream") as lost:
        list(frames)
    with pytest.raises(SourceError, match="cannot be opened") as refused:
        list(source.frames())
    assert "s3cret" not in f"{lost.value} {refused.value}"
    server.start()
    assert next(source.frames()).image is not None


def test_stopped_and_continued(server: Server) -> None:
    source = open_source(f"{server.camera}?open_timeout=5&read_timeout=5")
    frames = source.frames()
    assert next(frames).image is not None
    server.signal(signal.SIGSTOP)
    with pytest.raises(SourceError, match="gave no frame for 5 s"):
        list(frames)
    with pytest.raises(SourceError, match="cannot be opened"):
        list(source.frames())
    server.signal(signal.SIGCONT)
    assert next(source.frames()).image is not None


def test_frames_are_as_old_as_they_are(server: Server) -> None:
    """What the pictures show says when each was sent; the server stalls for a while, and then sends what it missed."""
    seen: list[tuple[float, float]] = []  # by the picture's number, seconds: when captured, when it arrived
    number, before = 0, 0
    for shot in open_source(server.url).frames():
        assert shot.image is not None
        assert shot.captured_ns is not None
        shown = number_of(shot.image)
        number, before = number + (shown - before) % CYCLE if seen else 0, shown
        seen.append((shot.captured_ns / 1e9 - number / FPS, time.time() - number / FPS))
        if len(seen) == 30:
            server.signal(signal.SIGSTOP)
            threading.Timer(1.5, server.signal, [signal.SIGCONT]).start()
        if len(seen) == 120:
            break
    start = min(arrival for _, arrival in seen)
    assert max(arrival for _, arrival in seen) - start > 1.2, "a burst of old frames came"
    assert [captured for captured, _ in seen] == pytest.approx([start] * len(seen), abs=0.4)


def test_the_transport_is_the_one_asked_for(server: Server) -> None:
    """This server speaks TCP alone."""
    check_frames(f"{server.url}&transport=tcp&name=kept")
    with pytest.raises(SourceError, match="is there and refuses; check path, user, password and transport"):
        list(open_source(f"{server.url}&transport=udp").frames())
    check_frames(server.url)


def test_a_camera_whose_clock_is_wrong_may_go_without_it(server: Server) -> None:
    check_frames(f"{server.url}&stamps=arrival")
    assert next(open_source(f"{server.url}&stamps=arrival").frames()).captured_ns is None


def test_cameras_open_side_by_side(server: Server) -> None:
    failures: list[BaseException] = []

    def watch() -> None:
        try:
            check_frames(server.url)
        except BaseException as error:
            failures.append(error)

    watchers = [threading.Thread(target=watch) for _ in range(4)]
    for watcher in watchers:
        watcher.start()
    for watcher in watchers:
        watcher.join()
    assert failures == []


def test_close_ends_it(server: Server) -> None:
    source = open_source(server.url)
    frames = source.frames()
    next(frames)
    threading.Thread(target=source.close).start()
    assert sum(1 for _ in frames) < 250
