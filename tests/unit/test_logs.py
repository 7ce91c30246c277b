from __future__ import annotations

import io
import json
import logging
import sys

import pytest

from inspector import logs
from inspector.clock import ManualClock

SECRET = "hunter2"
log = logging.getLogger("inspector.test")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _root_logger(monkeypatch):
    """`setup` owns the root logger; give it one, and pytest its own back."""
    monkeypatch.setattr(logging.root, "handlers", [])
    level = logging.root.level
    yield
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
