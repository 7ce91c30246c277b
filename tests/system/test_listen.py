"""`inspector listen` as a process, at a daemon that is one as well."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest

import inspector
from inspector import address
from inspector.album import CAPTION_PIXELS, GAP_PIXELS
from inspector.client import Subscriber
from inspector.messages import VerdictMessage
from tests.bundles import FILL, picture
from tests.daemon import Process, command, run
from tests.lossy import TOPICS, Daemon
from tests.readers import ROUND, endless, reading, rest

VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(inspector.__file__).parent / "message.schema.json").read_text())
)
NOBODY = "tcp://127.0.0.1:1"
THERE = r"(running|silent for \d+ s)"
"""What a summary says of a daemon that is there; on a busy machine it may be silent for a while."""


@pytest.fixture(scope="module")
def daemon(bright: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Runs while this module's tests do; they only listen."""
    config = endless(tmp_path_factory.mktemp("daemon"), bright, publish='source = "png"')
    with Process(config) as process:
        yield process


def headers_in(output: str) -> list[dict]:
    """The headers in lines of JSON, each of them valid."""
    headers = [json.loads(line) for line in output.splitlines()]
    for header in headers:
        VALIDATOR.validate(header)
    return headers


def of_kind(kind: str, headers: list[dict]) -> list[dict]:
    return [header for header in headers if header["kind"] == kind]


def counted(headers: list[dict]) -> str:
    """How a summary begins that counted these verdicts."""
    of = Counter(header["verdict"] for header in of_kind("verdict", headers))
    return f"1 camera(s), {of['ok']} ok, {of['ng']} ng, {of['unknown']} unknown, "


# ---- lines for people


def test_it_ends_after_count_verdicts_with_a_summary(daemon: Process) -> None:
    done = run("listen", daemon.endpoint, "--count", 2 * ROUND)
    assert (done.returncode, done.stderr) == (0, "")
    first, *_, summary = done.stdout.splitlines()
    assert first == f"listening at {daemon.endpoint}"
    # Any two rounds of the pictures have 8 defective ones.
    assert re.fullmatch(
        r"1 camera\(s\), 32 ok, 8 ng, 0 unknown, \d+\.\d frames/s, latency p50 \d+\.\d p99 \d+\.\d ms, "
        rf"0 missing; {THERE}",
        summary,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_summary(number: signal.Signals) -> None:
    with reading(command("listen", NOBODY)) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == f"listening at {NOBODY}\n"
        listener.send_signal(number)
        out, errors = rest(listener)
    assert listener.returncode == 0
    assert out == "0 camera(s), 0 ok, 0 ng, 0 unknown, 0.0 frames/s, 0 missing; nothing heard yet\n"
    assert errors == ""


def test_a_terminal_gets_a_table(daemon: Process) -> None:
    ours, theirs = pty.openpty()
    terminal = {"TERM": "xterm", "COLUMNS": "150", "LINES": "40"}
    with reading(command("listen", daemon.endpoint, "--count", 100), out=theirs, **terminal) as listener:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:  # Linux says so when the other side is closed
            pass
        finally:
            os.close(ours)
        assert listener.stderr is not None
        assert (listener.wait(60), listener.stderr.read()) == (0, "")
    text = shown.decode()
    assert "bright on CPUExecutionProvider" in text
    assert re.search(r"│ cam1 +│ +\d+ │ +\d+ │ +0 │ +\d+\.\d │", text)
    assert "latency is from capture to arrival here" in text
    assert "1 camera(s), 80 ok, 20 ng, 0 unknown, " in text.splitlines()[-1]


# ---- lines of JSON


def test_json_is_every_header_as_it_was_published(daemon: Process) -> None:
    with Subscriber(daemon.endpoint, kinds=["verdict"]) as subscriber:
        verdicts = (message for message in subscriber if isinstance(message, VerdictMessage))
        first = next(verdicts)  # from here on we hear all that the listener can
        done = run("listen", daemon.endpoint, "--json", "--count", 2 * ROUND)
        assert done.returncode == 0
        headers = headers_in(done.stdout)
        assert {header["kind"] for header in headers} <= {"verdict", "event", "beat"}
        begin, *_, end = (header["sequence"] for header in of_kind("verdict", headers))
        assert first.sequence < begin
        published = []
        while not published or published[-1].sequence < end:
            published.append(next(verdicts))
        assert not subscriber.missing
    lines = [line for line in done.stdout.splitlines() if json.loads(line)["kind"] == "verdict"]
    assert len(lines) == 2 * ROUND
    assert lines == [message.raw.decode() for message in published if message.sequence >= begin]
    hello, summary = done.stderr.splitlines()
    assert hello == f"listening at {daemon.endpoint}"
    assert summary.startswith(counted(headers))
    assert re.search(rf", 0 missing; {THERE}$", summary)


def test_it_hears_the_daemon_to_its_end_and_counts_as_it_does(bright: Path, tmp_path: Path) -> None:
    with (
        Process(endless(tmp_path, bright)) as daemon,
        reading(command("listen", daemon.endpoint, "--json")) as listener,
    ):
        assert listener.stdout is not None
        lines = [listener.stdout.readline()]
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
        while not (header := json.loads(lines[-1])).get("final"):
            lines.append(listener.stdout.readline())
        listener.send_signal(signal.SIGTERM)
        more, errors = rest(listener)
    assert (listener.returncode, more) == (0, "")
    headers = headers_in("".join(lines))
    assert ("daemon", "stopping") in [(event["subject"], event["state"]) for event in of_kind("event", headers)]
    verdicts = of_kind("verdict", headers)
    published = header["sequences"]["verdict/line1/cam1/"]
    assert [verdict["sequence"] for verdict in verdicts] == list(range(published - len(verdicts) + 1, published + 1))
    assert f" {published} frames: " in daemon.log[-1]["message"]
    summary = errors.splitlines()[-1]
    assert summary.startswith(counted(headers))
    assert summary.endswith(", 0 missing; the daemon said goodbye")


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_reader_that_goes_away_is_an_end(daemon: Process, form: list[str]) -> None:
    with reading(command("listen", daemon.endpoint, *form)) as listener:
        assert listener.stdout is not None
        assert listener.stderr is not None
        assert listener.stdout.readline()
        listener.stdout.close()
        assert listener.wait(60) == 0
        assert listener.stderr.read() == (f"listening at {daemon.endpoint}\n" if form else "")


def test_pictures_are_kept_when_the_reader_goes_away(daemon: Process, tmp_path: Path) -> None:
    with reading(command("listen", daemon.endpoint, "--json", "--save", tmp_path)) as listener:
        assert listener.stdout is not None
        noted = 0
        while noted < 8:
            noted += json.loads(listener.stdout.readline())["kind"] == "result"
        listener.stdout.close()
        assert listener.wait(60) == 0
    assert len(list(tmp_path.iterdir())) >= noted


# ---- pictures


def test_pictures_are_saved_and_it_says_where(daemon: Process, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "defects"
    done = run("listen", daemon.endpoint, "--save", folder, "--keep", 3, "--count", 2 * ROUND)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[1] == f"keeping pictures of the newest 3 defects in {folder}"
    assert lines[-1] == f"3 picture(s) in {folder}"
    assert " 8 ng, " in lines[-2]
    bad = picture(channels=3, square=(10, 10, 9, 9))
    mask = np.where(bad == 250, 255, 0)
    repaired = np.where(bad == 250, FILL, bad)
    gap = np.full((48, GAP_PIXELS, 3), 255)
    saved = [cv2.imread(str(path)) for path in folder.iterdir()]
    assert len(saved) == 3
    for sheet in saved:
        np.testing.assert_array_equal(sheet[:-CAPTION_PIXELS], np.hstack([bad, gap, mask, gap, repaired, gap]))


def test_the_newest_of_the_results_in_the_json_are_saved(daemon: Process, tmp_path: Path) -> None:
    (tmp_path / "0000000000000000001_cam1_1.png").touch()  # of an earlier run
    (tmp_path / "mine.png").touch()
    done = run("listen", daemon.endpoint, "--save", tmp_path, "--keep", 2, "--json", "--count", 2 * ROUND)
    assert done.returncode == 0
    results = of_kind("result", headers_in(done.stdout))
    assert len(results) >= 2
    names = [f"{header['captured_ns']:019d}_cam1_{header['frame']}.png" for header in results]
    assert {path.name for path in tmp_path.iterdir()} == {"mine.png", *names[-2:]}
    assert done.stderr.splitlines()[-1] == f"2 picture(s) in {tmp_path}"


# ---- what cannot be done


@pytest.mark.parametrize("wrong", ["nonsense", "tcp://127.0.0.1", "http://127.0.0.1:5600", "tcp://127.0.0.1:99999"])
def test_a_wrong_address_gets_one_sentence(wrong: str) -> None:
    done = run("listen", wrong)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr == f"inspector: {wrong!r} is no ZeroMQ address; {address.FORMS}\n"


def test_a_folder_that_cannot_be_written_gets_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("listen", NOBODY, "--save", tmp_path / "file")
    assert (done.returncode, done.stdout) == (74, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"inspector: {tmp_path / 'file'} cannot be used for pictures")


def test_no_pictures_to_keep_gets_one_sentence(tmp_path: Path) -> None:
    done = run("listen", NOBODY, "--save", tmp_path, "--keep", 0)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr == "inspector: 0 pictures cannot be kept; give 1 or more\n"


def test_what_is_gone_is_a_line_of_json_and_in_the_count() -> None:
    with ExitStack() as stack:
        line = Daemon(stack)
        line.start(catchup=False)
        with reading(command("listen", line.endpoint, "--json", "--count", "2")) as listener:
            waited = {b"\x01verdict/", b"\x01event/", b"\x01beat/"}
            while waited:
                waited.discard(line.socket.recv())
            line.beat()
            line.verdicts(1)
            line.verdicts(3, lose=True)
            line.verdicts(1)
            out, errors = rest(listener)
    assert [json.loads(one)["kind"] for one in out.splitlines()] == ["beat", "verdict", "gone", "verdict"]
    gone = {"kind": "gone", "line": "line1", "topic": TOPICS[0], "session": 1, "first": 2, "last": 4, "reason": None}
    assert json.loads(out.splitlines()[2]) == gone
    assert ", 3 missing; " in errors
