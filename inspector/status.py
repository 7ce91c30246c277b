"""How the line does, in the one line that `systemctl status` shows: what is wrong first, then its last seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from inspector.clock import Clock
from inspector.sources.reader import Reader
from inspector.types import Inspection, Verdict

WINDOW = 10.0
"""Seconds that the figures are of."""
MOST_FRAMES = 16_384
"""That are remembered for them, some 2 MB; where more come in `WINDOW`, the figures are of fewer seconds."""
MOST_NAMES = 3
"""Cameras that are named, where something is wrong with them."""


class Recent:
    """The verdicts of the last seconds; `observe` costs a frame half a microsecond."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: deque[tuple[float, float, Verdict]] = deque(maxlen=MOST_FRAMES)

    def observe(self, inspection: Inspection, handed_over: float) -> None:
        """Take a frame whose verdict was `handed_over` to the outputs then: monotonic seconds; by the publisher's
        thread.
        """
        rows = self._rows
        rows.append((handed_over, handed_over - inspection.frame.captured, inspection.verdict))
        while handed_over - rows[0][0] > WINDOW:
            rows.popleft()

    def figures(self) -> str:
        """Such as `118 frames/s, p99 21 ms, 3 ng, 0 unknown in 10 s`."""
        now, rows = self._clock.monotonic(), tuple(self._rows)
        seconds = max(min(WINDOW, now - rows[0][0]), 1.0) if rows else WINDOW
        rows = tuple(row for row in rows if now - row[0] <= seconds)
        if not rows:
            return f"no verdicts in {seconds:.0f} s"
        p99 = float(np.percentile([latency for _, latency, _ in rows], 99))
        told = [verdict for _, _, verdict in rows]
        return (
            f"{_short(len(rows) / seconds)} frames/s, p99 {_short(1000 * p99)} ms, "
            f"{told.count(Verdict.NG)} ng, {told.count(Verdict.UNKNOWN)} unknown in {seconds:.0f} s"
        )


class Status:
    """The line, of `readers` and `recent`. is_journal_failing: whether its disk is full, fails or hangs"""

    def __init__(self, readers: Sequence[Reader], recent: Recent, is_journal_failing: Callable[[], bool]) -> None:
        self._readers = readers
        self._recent = recent
        self._is_journal_failing = is_journal_failing

    def __call__(self) -> str:
        """Such as `cam2 lost; 3/4 cameras, 88 frames/s, ...`."""
        wrong = [f"{reader.camera} {what}" for reader in self._readers if (what := _wrong(reader))]
        if len(wrong) > MOST_NAMES:
            wrong = [*wrong[:MOST_NAMES], f"{len(wrong) - MOST_NAMES} more"]
        up = sum(reader.state.up for reader in self._readers)
        parts = [
            *([", ".join(wrong)] if wrong else []),
            *(["the journal fails"] if self._is_journal_failing() else []),
            f"{up}/{len(self._readers)} cameras, {self._recent.figures()}",
        ]
        return "; ".join(parts)


def _wrong(reader: Reader) -> str:
    """What is wrong with a camera in a word or two, if anything is."""
    return " ".join(sorted(reader.state.failing)) if reader.state.up else str(reader.state.state)


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"
