"""What a listener knows of a line, added up message by message, and how it is shown."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np
from rich.table import Table
from rich.text import Text

from inspector.messages import BeatMessage, EventMessage, Message, VerdictMessage
from inspector.types import Precision, Verdict

WINDOW = 1000
"""Frames of each camera that rate and latency are taken from, at most."""
WINDOW_SECONDS = 5.0
SILENCE_SECONDS = 3.0
"""So long without a beat, and the daemon counts as gone."""


@dataclass
class Tally:
    """One camera, or all of them; `recent` holds (monotonic seconds of arrival, seconds since capture).

    cause: what is wrong with a camera's last picture, if anything
    """

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=WINDOW))
    last_defect: str = ""
    cause: str = ""

    def take(self, message: VerdictMessage, now: float, latency: float) -> None:
        """Add a verdict."""
        self.verdicts[message.verdict] += 1
        self.recent.append((now, latency))
        if message.verdict is Verdict.NG:
            at = time.strftime("%H:%M:%S", time.localtime(message.captured_ns / 1e9))
            score = "" if message.score is None else f" score {message.score:.2f}"
            self.last_defect = f"{at} frame {message.frame}{score}, {len(message.defects)} region(s)"

    def rate(self, now: float) -> float:
        """Frames a second over the window."""
        self._forget(now)
        return len(self.recent) / max(now - self.recent[0][0], 0.1) if self.recent else 0.0

    def percentiles(self, now: float) -> tuple[float, float] | None:
        """Latency in seconds that half and 99 % of the window's frames stay below."""
        self._forget(now)
        if not self.recent:
            return None
        median, high = np.percentile([latency for _, latency in self.recent], [50, 99])
        return float(median), float(high)

    def _forget(self, now: float) -> None:
        while self.recent and self.recent[0][0] < now - WINDOW_SECONDS:
            self.recent.popleft()


class Board:
    """A listener's account of what it received.

    same_clock: whether the daemon's wall clock is ours, so that latency can be taken from capture to arrival; if not,
    it is the message's own receipt, which ends where the daemon encoded it
    """

    def __init__(self, same_clock: bool) -> None:
        self.cameras: dict[str, Tally] = {}
        self.total = Tally()
        self.total.recent = deque(maxlen=WINDOW * 16)
        self._same_clock = same_clock
        self._models: set[str] = set()
        self._news = ""
        self._heard: float | None = None
        self._ended = False

    @property
    def verdicts(self) -> int:
        """How many verdicts came."""
        return self.total.verdicts.total()

    def take(self, message: Message, now: float, now_ns: int) -> None:
        """Add a message that came at `now` (monotonic seconds) and `now_ns` (wall clock)."""
        self._heard = now
        self._ended = isinstance(message, BeatMessage) and message.final
        if isinstance(message, VerdictMessage):
            since_capture = (now_ns - message.captured_ns) / 1e9
            latency = max(since_capture, 0.0) if self._same_clock else message.latency.total
            camera = self.cameras.setdefault(message.camera, Tally())
            camera.take(message, now, latency)
            camera.cause = _printable(message.cause or "")
            self.total.take(message, now, latency)
            if message.model is not None:
                of = message.model
                how = "" if of.precision == Precision.FP32 else f" in {of.precision}"
                self._models.add(_printable(f"{of.name} on {of.provider}{how}"))
        elif isinstance(message, EventMessage):
            event = message.event
            at = time.strftime("%H:%M:%S", time.localtime(event.at_ns / 1e9))
            self._news = _printable(f"{at} {event.subject} {event.state}: {event.detail}")

    def state(self, now: float) -> str:
        """What the daemon does, as far as we can hear."""
        if self._heard is None:
            return "nothing heard yet"
        if self._ended:
            return "the daemon said goodbye"
        silence = now - self._heard
        return "running" if silence < SILENCE_SECONDS else f"silent for {silence:.0f} s"

    def line(self, missing: int, now: float) -> str:
        """The account in one line."""
        of, waits = self.total.verdicts, self.total.percentiles(now)
        shown = "" if waits is None else f", latency p50 {_ms(waits[0])} p99 {_ms(waits[1])} ms"
        return (
            f"{len(self.cameras)} camera(s), {of[Verdict.OK]} ok, {of[Verdict.NG]} ng, {of[Verdict.UNKNOWN]} unknown, "
            f"{self.total.rate(now):.1f} frames/s{shown}, {missing} missing; {self.state(now)}"
        )

    def table(self, missing: int, now: float) -> Table:
        """The account as a table for terminals."""
        table = Table(title=Text(", ".join(sorted(self._models)) or "no model heard of yet"), title_justify="left")
        for heading in ("camera", "ok", "ng", "unknown", "frames/s", "p50 ms", "p99 ms"):
            table.add_column(heading, justify="left" if heading == "camera" else "right", no_wrap=True)
        table.add_column("last defect", min_width=24)
        for name in sorted(self.cameras):
            table.add_row(name, *_cells(self.cameras[name], now))
        table.add_section()
        table.add_row("all", *_cells(self.total, now), style="bold")
        measured = (
            "capture to arrival here" if self._same_clock else "capture to publishing, by the daemon's own receipt"
        )
        table.caption = Text("\n".join(filter(None, [
            f"{self.state(now)}, {missing} message(s) missing; latency is from {measured}",
            self._news,
        ])))  # fmt: skip
        table.caption_justify = "left"
        return table


def _printable(text: str) -> str:
    """Without control characters: a message is from outside, and a terminal obeys them."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _cells(tally: Tally, now: float) -> list[Text]:
    rate, waits = tally.rate(now), tally.percentiles(now)
    last = f"now {tally.cause}: no picture to judge" if tally.cause else tally.last_defect
    cells = [str(tally.verdicts[verdict]) for verdict in (Verdict.OK, Verdict.NG, Verdict.UNKNOWN)]
    cells += [f"{rate:.1f}", *("-" if waits is None else _ms(wait) for wait in waits or (0, 0)), last]
    return [Text(cell) for cell in cells]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"
