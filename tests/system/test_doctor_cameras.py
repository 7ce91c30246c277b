"""The doctor beside real cameras: a network camera's server, and Aravis' fake one that another program has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inspector.errors import SourceError
from inspector.sources import open_source
from tests import cameras
from tests.daemon import configure, run
from tests.rtsp import FPS, REASON, Server, record
from tests.waiting import until

pytestmark = [pytest.mark.full, pytest.mark.alone]

GIGE = f"gige://{cameras.ADDRESS}?Width=320&Height=240&AcquisitionFrameRate=20&TriggerMode=Off"


def looked_at(folder: Path, bundle: Path, url: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, what was found of the one camera, and all that was written."""
    config = configure(folder / "c.toml", bundle, url)
    done = run("doctor", config, "--json", "--no-benchmark")
    (found,) = [one for one in json.loads(done.stdout)["findings"] if one["check"] == "cameras"]
    return done.returncode, found, done.stdout + done.stderr


def pace(found: dict[str, Any]) -> float | None:
    """Frames a second; by a machine that was busy meanwhile any number, or none."""
    match = re.search(r"(\S+) frames/s", found["text"])
    return None if match is None else float(match[1])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    pytest.importorskip("av", reason=REASON)
    pytest.importorskip("aio_rtsp_toolkit", reason=REASON)
    record(tmp_path / "cam.mp4")
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


def test_a_network_camera_that_delivers_refuses_and_is_gone(server: Server, tmp_path: Path, bright: Path) -> None:
    code, found, told = looked_at(tmp_path, bright, server.url)
    assert (code, found["level"]) == (75, "fine")  # nothing is kept, for one
    assert "320x240x3" in found["text"]
    assert "s3cret" not in told
    until(lambda: pace(looked_at(tmp_path, bright, server.url)[1]) == pytest.approx(FPS, rel=0.3), "its pace")
    code, found, told = looked_at(tmp_path, bright, server.url.replace("cam.mp4", "other.mp4"))
    assert (code, "refuses" in found["text"], "s3cret" in told) == (SourceError.exit_code, True, False)
    server.kill()
    code, found, told = looked_at(tmp_path, bright, server.url)
    assert (code, "cannot be opened" in found["text"], "s3cret" in told) == (SourceError.exit_code, True, False)


def test_a_machine_vision_camera_that_another_program_has(tmp_path: Path, bright: Path) -> None:
    with cameras.fake_camera():
        code, found, _ = looked_at(tmp_path, bright, GIGE)
        assert code == 75, found
        assert "320x240x1" in found["text"]
        until(lambda: looked_at(tmp_path, bright, GIGE)[1]["level"] == "fine", "the pace that it is asked for")
        frames = open_source(GIGE).frames()
        assert next(frames).image is not None
        try:
            code, found, _ = looked_at(tmp_path, bright, GIGE)
        finally:
            frames.close()  # type: ignore[attr-defined]
    assert (code, found["level"]) == (SourceError.exit_code, "failure")
    assert "no other program has it" in found["remedy"]
