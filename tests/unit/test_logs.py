from __future__ import annotations

import ast
import io
import json
import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector import logs
from inspector.clock import ManualClock
from tests.waiting import PATIENCE

SECRET = "hunter2"
log = logging.getLogger("inspector.test")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _root_logger(monkeypatch):
    """`setup` owns the root logger and two hooks; give it some, and pytest its own back."""
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    level = logging.root.level
    yield
    logging.captureWarnings(False)
    logging.root.setLevel(level)


def written(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, form: str, level: str = "info") -> io.StringIO:
    monkeypatch.setattr(sys, "stderr", stream)
    logs.setup(form, level)
    return stream


def test_auto_is_text_on_a_terminal(monkeypatch):
    stream = written(monkeypatch, Terminal(), "auto")
    log.warning("camera %s is lost", "cam1")
    assert stream.getvalue().endswith(" WARNING inspector.test: camera cam1 is lost\n")


def test_auto_is_json_lines_elsewhere(monkeypatch):
    stream = written(monkeypatch, io.StringIO(), "auto")
    log.warning("two\nlines")
    assert stream.getvalue().count("\n") == 1
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning", "logger": "inspector.test", "thread": "MainThread", "message": "two\nlines"
    }  # fmt: skip


@pytest.mark.parametrize(("form", "stream"), [("text", io.StringIO()), ("json", Terminal())])
def test_the_configured_format_wins(monkeypatch, form, stream):
    written(monkeypatch, stream, form)
    log.warning("here")
    assert stream.getvalue().startswith("{") == (form == "json")


def test_what_is_below_the_level_is_left_out(monkeypatch):
    stream = written(monkeypatch, io.StringIO(), "text", "warning")
    log.info("quiet")
    log.error("loud")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


def test_a_second_setup_replaces_the_first(monkeypatch):
    written(monkeypatch, io.StringIO(), "text")
    stream = written(monkeypatch, io.StringIO(), "text")
    log.warning("once")
    assert stream.getvalue().count("once") == 1


@pytest.mark.parametrize("form", ["text", "json"])
def test_passwords_never_leave_not_even_in_tracebacks(monkeypatch, form):
    stream = written(monkeypatch, io.StringIO(), form)
    url = f"rtsp://admin:{SECRET}@cam/live"
    log.warning("no answer from %s", url)
    try:
        raise ValueError(url)
    except ValueError:
        log.exception("no answer")
    assert SECRET not in stream.getvalue()
    assert stream.getvalue().count("rtsp://admin:***@cam/live") == 2
    assert "Traceback" in stream.getvalue()


def test_text_that_is_no_text_is_still_json(monkeypatch):
    stream = written(monkeypatch, io.StringIO(), "json")
    log.warning("%s", b"f\xff.png".decode("utf-8", "surrogateescape"))
    stream.getvalue().encode("ascii")
    assert json.loads(stream.getvalue())["message"] == "f\udcff.png"


def test_fields_are_told_and_redacted(monkeypatch):
    stream = written(monkeypatch, io.StringIO(), "json")
    log.warning("lost", extra={"camera": "cam1", "state": f"rtsp://a:{SECRET}@b", "odd": "left out"})
    line = json.loads(stream.getvalue())
    assert (line["camera"], line["state"]) == ("cam1", "rtsp://a:***@b")
    assert "odd" not in line


def test_the_page_names_the_fields_that_lines_have(monkeypatch):
    stream = written(monkeypatch, io.StringIO(), "json")
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("oops", extra=dict.fromkeys(logs.SOMETIMES, 1))
    page = (Path(__file__).parents[2] / "docs/logs.md").read_text()
    fields = re.findall(r"(?m)^\| `(\w+)` \| (always)? ?\|", page)
    assert [name for name, _ in fields] == list(json.loads(stream.getvalue()))
    assert [name for name, always in fields if always] == list(logs.ALWAYS)


def program() -> Iterator[ast.AST]:
    for path in (Path(__file__).parents[2] / "inspector").rglob("*.py"):
        yield from ast.walk(ast.parse(path.read_text()))


def test_no_call_gives_a_field_that_is_not_on_the_page():
    given = set()
    for node in program():
        if isinstance(node, ast.keyword) and node.arg == "extra" and isinstance(node.value, ast.Dict):
            given |= {key.value for key in node.value.keys if isinstance(key, ast.Constant)}
    assert given
    assert given <= logs.SOMETIMES.keys()


def test_whatever_is_about_a_camera_has_fields():
    calls = [ast.unparse(node) for node in program() if isinstance(node, ast.Call)]
    about = [call for call in calls if re.match(r"log\.\w+\((\S+, )?'camera %s", call)]
    assert len(about) >= 6
    assert [call for call in about if "extra=" not in call] == []


@pytest.mark.parametrize("form", ["text", "json"])
def test_systemd_is_told_the_priority(monkeypatch, tmp_path, form):
    with (tmp_path / "journal").open("w+") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        log.setLevel(logging.NOTSET)
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        logs.setup(form, "info")
        log.info("well")
        try:
            raise ValueError("two\nlines")
        except ValueError:
            log.exception("not well")
        told = stream.tell()
        monkeypatch.setenv("JOURNAL_STREAM", "1:1")  # some other file's, of who started us
        logs.setup(form, "info")
        log.error("not well")
        stream.seek(0)
        first, *rest = stream.read(told).splitlines()
        assert first[:3] == "<6>"
        assert {line[:3] for line in rest} == {"<3>"}, "a traceback's lines too"
        assert len(rest) == 1 if form == "json" else len(rest) > 4
        assert stream.read(1) != "<"


def test_warnings_and_threads_that_end_are_lines_too(monkeypatch):
    stream = written(monkeypatch, io.StringIO(), "json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"rtsp://a:{SECRET}@b is\nold", DeprecationWarning, stacklevel=1)

    def end() -> None:
        raise ValueError(f"rtsp://a:{SECRET}@b")

    thread = threading.Thread(target=end, name="stray")
    thread.start()
    thread.join()
    warning, error = map(json.loads, stream.getvalue().splitlines())
    assert (warning["level"], warning["logger"]) == ("warning", "py.warnings")
    assert error["message"] == "thread stray ended by a mistake of ours"
    assert "ValueError" in error["traceback"]
    assert SECRET not in stream.getvalue()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def tally(clock):
    return logs.Tally(log, logging.WARNING, "discarded {count} frame(s)", clock)


def test_a_tally_says_the_first_at_once_and_the_rest_once_a_second(caplog, clock, tally):
    tally.add()
    for _ in range(36):
        clock.advance(0.01)
        tally.add()
    assert caplog.messages == ["discarded 1 frame(s)"]
    clock.advance(1.0)
    tally.add()
    assert caplog.messages == ["discarded 1 frame(s)", "discarded 37 frame(s)"]


def test_a_tick_says_what_waits_and_nothing_twice(caplog, clock, tally):
    tally.add()
    tally.add(5)
    tally.tick()
    assert len(caplog.messages) == 1
    clock.advance(1.0)
    tally.tick()
    tally.tick()
    clock.advance(1.0)
    tally.tick()
    assert caplog.messages == ["discarded 1 frame(s)", "discarded 5 frame(s)"]


def test_a_flush_loses_no_count(caplog, tally):
    tally.add()
    tally.add(2)
    tally.flush()
    tally.flush()
    assert caplog.messages == ["discarded 1 frame(s)", "discarded 2 frame(s)"]


def test_who_logs_waits_for_no_reader_of_the_log(monkeypatch):
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(logs, "PATIENCE", 0.01)
        logs.setup("json", "info")
        with logs.aside():
            for number in range(5000):
                log.warning("frame %d", number, extra={"count": 1})
        log.warning("the end")  # nor afterwards, as it did not come to an end
        assert json.loads(os.read(reading, 1 << 20).splitlines()[0])["message"] == "frame 0"
        os.close(reading)
        for thread in threading.enumerate():
            if thread.name == "log":
                thread.join(PATIENCE)  # the descriptor may not be another's before that


def test_what_was_logged_aside_is_there_before_what_comes_after(monkeypatch):
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        logs.setup("text", "info")
        log.info("before")
        with logs.aside():
            log.info("within")
        log.info("after")
    with os.fdopen(reading) as told:
        assert [line.split()[-1] for line in told] == ["before", "within", "after"]
