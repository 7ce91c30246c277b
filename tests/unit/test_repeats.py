"""Floods of equal errors: a bounded number of lines, and every one of them counted."""

from __future__ import annotations

import ast
import io
import json
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from inspector.clock import ManualClock
from inspector.guard import Guard
from inspector.inference.bundle import load
from inspector.inference.engine import start
from inspector.keys import ServerKeys, generate
from inspector.ledger import Ledger
from inspector.logs import JsonFormatter, TextFormatter
from inspector.mailbox import Mailbox
from inspector.repeats import BURST, Limited
from inspector.sources.intake import Camera
from inspector.sources.reader import Reader
from inspector.types import Shot
from tests.line import Line
from tests.sources import HandSource
from tests.standards import Plain
from tests.waiting import until

PACKAGE = Path(__file__).parents[2] / "inspector"
FLOOD = 10_000


class Log:
    """Our handler on the root logger, with hands on its clock; what it wrote is read as JSON."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock()
        self.due: list[Callable[[], None]] = []
        self.stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", self.stream)
        self.handler = Limited(self.clock, self.due.append)
        self.handler.setFormatter(JsonFormatter())
        monkeypatch.setattr(logging.root, "handlers", [self.handler])
        monkeypatch.setattr(logging.root, "level", logging.DEBUG)
        logging.getLogger("inspector").manager._clear_cache()

    def pass_a_second(self) -> None:
        self.clock.advance(1.0)
        due, self.due[:] = list(self.due), []
        for call in due:
            call()

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def told(self) -> int:
        """How many records the lines stand for."""
        return sum(int(line.get("count", 1)) + int(line.get("repeated", 0)) for line in self.lines)  # type: ignore[call-overload]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    return Log(monkeypatch)


def test_a_flood_is_a_burst_and_then_a_line_a_second(log):
    logger = logging.getLogger("inspector.test")
    for second in range(10):
        for number in range(FLOOD // 10):
            logger.error("frame %d is broken", 1000 * second + number)
        log.pass_a_second()
    assert len(log.lines) == BURST + 10
    assert log.told == FLOOD
    assert log.lines[BURST]["message"] == "frame 999 is broken"
    assert log.lines[BURST]["repeated"] == 1000 - BURST - 1
    log.pass_a_second()
    assert len(log.lines) == BURST + 10, "what was told is told again"


def test_the_end_loses_no_count(log):
    for _ in range(FLOOD):
        logging.getLogger("inspector.test").error("broken")
    log.handler.close()
    assert len(log.lines) == BURST + 1
    assert log.told == FLOOD


def test_a_call_that_was_silent_has_its_burst_again(log):
    def say() -> None:
        logging.getLogger("inspector.test").warning("broken")

    for _ in range(BURST + 5):
        say()
    for _ in range(2 * BURST):
        log.pass_a_second()
    before = len(log.lines)
    for _ in range(BURST):
        say()
    assert len(log.lines) == before + BURST
    assert log.told == 2 * BURST + 5


def test_cameras_and_places_do_not_silence_each_other(log):
    logger = logging.getLogger("inspector.test")
    for _ in range(FLOOD):
        logger.warning("lost", extra={"camera": "cam1"})
    logger.warning("lost", extra={"camera": "cam2"})
    logger.warning("another")
    assert [line.get("camera") for line in log.lines[-2:]] == ["cam2", None]
    assert len(log.lines) == BURST + 2


def test_text_tells_it_too(log):
    log.handler.setFormatter(TextFormatter())
    for _ in range(BURST + 38):
        logging.getLogger("inspector.test").error("broken")
    log.handler.close()
    assert log.stream.getvalue().endswith("broken (and 37 like it)\n")


def test_without_a_thread_the_next_line_tells(monkeypatch, log):
    def no_thread(_: object) -> None:
        raise RuntimeError("can't start new thread")

    log.handler._later = no_thread

    def say() -> None:
        logging.getLogger("inspector.test").warning("broken")

    for _ in range(FLOOD):
        say()
    log.clock.advance(1.0)
    say()
    assert log.lines[-1]["repeated"] == FLOOD - BURST
    assert log.told == FLOOD + 1


def test_a_thread_of_its_own_tells_without_being_asked(log, monkeypatch):
    from inspector import repeats
    from inspector.clock import SystemClock

    monkeypatch.setattr(repeats, "PERIOD", 0.01)
    log.handler = Limited(SystemClock())
    log.handler.setStream(log.stream)
    log.handler.setFormatter(JsonFormatter())
    monkeypatch.setattr(logging.root, "handlers", [log.handler])

    def flood() -> None:
        for _ in range(FLOOD // 4):
            logging.getLogger("inspector.test").error("broken")

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: log.told == FLOOD)


# ---- whatever the program says


def calls() -> list[tuple[str, int, str]]:
    """Every place in the daemon that logs: file, line and method."""
    return [
        (str(path), node.lineno, node.func.attr)
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"debug", "info", "warning", "error", "exception", "critical", "log"}
        and ast.unparse(node.func.value) in {"log", "self._log"}
    ]


@pytest.mark.parametrize("call", calls(), ids=lambda call: f"{Path(call[0]).name}:{call[1]}")
def test_every_call_that_logs_is_bounded(log, call):
    file, line, _ = call
    logger = logging.getLogger("inspector.test")
    for _ in range(FLOOD // 10):
        logger.handle(logger.makeRecord("inspector", logging.ERROR, file, line, "broken", (), None))
    log.pass_a_second()
    assert len(log.lines) == BURST + 1
    assert log.told == FLOOD // 10


def test_the_calls_are_found():
    assert len(calls()) > 30
    assert all("training" not in file for file, _, _ in calls())


# ---- the real thing, at its worst


@pytest.fixture(scope="module")
def engine(bright):
    return start(load(bright), "cpu", 8)


def test_a_camera_of_broken_pictures(log):
    ledger, inbox = Ledger(["cam1"]), Mailbox({"cam1": 10})
    source = HandSource(live=True)
    camera = Camera("cam1", source, Plain, 1.0, 10)
    reader = Reader(camera, ledger, inbox, lambda _: None, lambda _: None, log.clock)
    for number in range(FLOOD):
        reader.intake.take(Shot(None, fault="no JPEG"), 0.0, number, 1.0)
    reader.intake.flush()
    assert len(log.lines) <= 3
    assert log.told == FLOOD
    assert {line["camera"] for line in log.lines} == {"cam1"}


def test_a_camera_that_comes_and_goes(log):
    ledger, inbox = Ledger(["cam1"]), Mailbox({"cam1": 10})
    camera = Camera("cam1", HandSource(live=True), Plain, 1.0, 10)
    reader = Reader(camera, ledger, inbox, lambda _: None, lambda _: None, log.clock)
    for _ in range(FLOOD // 2):
        reader._tell("stalled", "no frame for 0.2 s")
        reader._tell("streaming", "frames arrive")
    log.handler.close()
    assert len(log.lines) <= 2 * (BURST + 1)
    assert log.told == FLOOD
    assert {line["state"] for line in log.lines} == {"stalled", "streaming"}


def test_a_model_that_fails(log, engine):
    line = Line(engine, {"cam1": "m"}, queue=FLOOD)
    line.gates["m"].fail = True
    line.pipeline.start()
    for _ in range(FLOOD // 10):
        line.sources["cam1"].show(np.zeros((48, 64, 1), np.uint8))
    line.wait_for(FLOOD // 10)
    line.pipeline.drain(60)
    failures = [one for one in log.lines if "the model failed" in str(one["message"])]
    assert sum(int(str(one["count"])) for one in failures) == FLOOD // 10
    assert len(failures) < FLOOD // 100  # one a second, however slow this machine is


def test_strangers_at_the_door(log, tmp_path):
    _, secret = generate("daemon", tmp_path)
    (tmp_path / "subscribers").mkdir()
    guard = Guard(ServerKeys.load(str(secret)), tmp_path / "subscribers", log.clock, lambda: None)
    for _ in range(FLOOD):
        guard._refuse("key", "key 1234 from 192.0.2.1")
    for tally in guard._tallies.values():
        tally.flush()
    guard.start()
    guard.close()
    refused = [line for line in log.lines if "refused" in str(line["message"])]
    assert len(refused) == 2
    assert sum(int(str(line["count"])) for line in refused) == FLOOD
