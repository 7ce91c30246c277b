"""Logging: text for people at a terminal, JSON lines for whatever collects them, on stderr. docs/logs.md is made of it.

A line is one event. What it is about goes into fields of its own: `log.warning("...", extra={"camera": name})`.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal, TextIO, cast

from inspector import notify
from inspector.aside import Aside
from inspector.clock import Clock, SystemClock
from inspector.redact import redact
from inspector.repeats import Limited

log = logging.getLogger(__name__)

PERIOD = 1.0
"""Seconds between two lines of the same tally."""
PATIENCE = 2.0
"""Seconds that the last lines get to be written."""

ALWAYS: Mapping[str, str] = {
    "time": "when it was said: ISO 8601, UTC, to the millisecond",
    "level": "`debug`, `info`, `warning`, `error` or `critical`",
    "logger": "the module that says it",
    "thread": "the thread that says it: `read-CAMERA`, `work-N`, `watch`, `publish`, ...",
    "message": "one sentence",
}
"""Fields that every line has."""

SOMETIMES: Mapping[str, str] = {
    "camera": "the camera that it is about, by its name in the configuration",
    "state": "what that camera does now: a state, a check that fails, or `healthy`",
    "subscriber": "who connected, by the name of their key",
    "count": "how many frames, connections or triggers the line stands for: those of the last second that were alike",
    "repeated": "how many lines of this kind were left out before this one",
}
"""Fields that a line has where they mean something."""

TRACEBACK = "traceback"
"""The field of an exception: where it came from, lines and all."""

PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""systemd's numbers for our levels (sd-daemon(3))."""


def setup(format: Literal["auto", "text", "json"], level: str) -> None:  # noqa: A002 - the configuration's word
    """Send every log record of `level` and above to stderr, and warnings and what ends a thread; replaces what an
    earlier call set up.
    """
    as_text = format == "text" or (format == "auto" and sys.stderr.isatty())
    handler = Limited(SystemClock())
    formatter = TextFormatter() if as_text else JsonFormatter()
    handler.setFormatter(JournalFormatter(formatter) if notify.is_journal(sys.stderr) else formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    threading.excepthook = _thread_ended


@contextmanager
def aside() -> Iterator[None]:
    """Have nobody wait for who reads the log, within; lines that cannot be written are dropped and counted then."""
    (handler,) = (one for one in logging.getLogger().handlers if isinstance(one, Limited))
    stream = Aside(sys.stderr.fileno(), _tell_lost)
    before = handler.stream
    handler.setStream(cast(TextIO, stream))
    try:
        yield
    finally:
        if stream.close(PATIENCE):
            handler.setStream(before)  # else it would hang there


def _tell_lost(lines: int) -> None:
    log.warning("%d line(s) of this log are lost: nobody took them", lines, extra={"count": lines})


def _thread_ended(ended: threading.ExceptHookArgs) -> None:
    """Log what Python would print: several lines, with whatever a URL holds."""
    name = ended.thread.name if ended.thread is not None else "that is gone"
    error = ended.exc_value or ended.exc_type()
    log.error("thread %s ended by a mistake of ours", name, exc_info=error)


class TextFormatter(logging.Formatter):
    """`12:30:01.123 WARNING reader: ...`, in local time; lines that were left out are told at its end.

    Passwords in URLs are taken out, tracebacks included.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The record's text."""
        return redact(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the parent's name
        """The record's line, without a traceback."""
        left_out = getattr(record, "repeated", 0)
        return super().formatMessage(record) + (f" (and {left_out} like it)" if left_out else "")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: the fields `ALWAYS`, those of `SOMETIMES` that it has, and `TRACEBACK` of an exception.

    Passwords in URLs are taken out, as in text.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, without its end."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "message": redact(record.getMessage()),
        }
        for name in SOMETIMES:
            if (value := getattr(record, name, None)) is not None:
                line[name] = redact(value) if isinstance(value, str) else value
        if record.exc_info:
            line[TRACEBACK] = redact(self.formatException(record.exc_info))
        return json.dumps(line)


class JournalFormatter(logging.Formatter):
    """What `inner` makes of a record, with its priority before each line, which systemd takes off: `journalctl -p
    warning`.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """The record's text."""
        priority = f"<{PRIORITIES.get(record.levelno, 6)}>"
        return priority + self._inner.format(record).replace("\n", f"\n{priority}")


class Tally:
    """Says what happens over and over at most once a second, with how often; for one thread.

    message: with `{count}` and perhaps `{detail}`, such as "the model failed on {count} frame(s), last: {detail}"
    camera: the one that it is about, if it is one
    It has no timer: whoever owns it calls `tick` now and then, and `flush` at the end, so that no count is lost.
    """

    def __init__(self, log: logging.Logger, level: int, message: str, clock: Clock, camera: str | None = None) -> None:
        self._about = {} if camera is None else {"camera": camera}
        self._log = log
        self._level = level
        self._message = message
        self._clock = clock
        self._count = 0
        self._detail = ""
        self._last = float("-inf")

    def add(self, count: int = 1, detail: str = "") -> None:
        """Count; the first one is said at once, later ones with the latest `detail`."""
        self._count += count
        self._detail = detail
        self.tick()

    def tick(self) -> None:
        """Say what was counted, if the last line is a second old."""
        if self._count and self._clock.monotonic() - self._last >= PERIOD:
            self.flush()

    def flush(self) -> None:
        """Say what was counted, if anything, now."""
        if self._count:
            text = self._message.format(count=self._count, detail=self._detail)
            self._log.log(self._level, "%s", text, extra={**self._about, "count": self._count})
            self._count = 0
            self._last = self._clock.monotonic()
