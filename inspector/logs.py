"""Logging: text for people at a terminal, JSON lines for whatever collects them, on stderr."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

from inspector.clock import Clock
from inspector.redact import redact

PERIOD = 1.0
"""Seconds between two lines of the same tally."""


def setup(format: Literal["auto", "text", "json"], level: str) -> None:  # noqa: A002 - the configuration's word
    """Send every log record of `level` and above to stderr; replaces what an earlier call set up."""
    as_text = format == "text" or (format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class TextFormatter(logging.Formatter):
    """`12:30:01.123 WARNING reader: ...`, in local time. Passwords in URLs are taken out, tracebacks included."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The record's text."""
        return redact(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (ISO 8601, UTC), level, logger, thread, message, and a traceback if there is one.

    Passwords in URLs are taken out, as in text.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, without its end."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            line["traceback"] = redact(self.formatException(record.exc_info))
        return json.dumps(line)


class Tally:
    """Says what happens over and over at most once a second, with how often; for one thread.

    message: with `{count}` and perhaps `{detail}`, such as "the model failed on {count} frame(s), last: {detail}"
    It has no timer: whoever owns it calls `tick` now and then, and `flush` at the end, so that no count is lost.
    """

    def __init__(self, log: logging.Logger, level: int, message: str, clock: Clock) -> None:
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
            self._log.log(self._level, self._message.format(count=self._count, detail=self._detail))
            self._count = 0
            self._last = self._clock.monotonic()
