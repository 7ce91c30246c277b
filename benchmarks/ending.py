"""SIGTERM and a closed terminal end a benchmark as an error does: it ends what it started, on its way out."""

from __future__ import annotations

import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def by_signals() -> None:
    """From here on they raise SystemExit in the main thread; one that is ignored, as under nohup, stays so."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, _: FrameType | None) -> None:
    for each in SIGNALS:  # another one would cut off what ends the rest
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)
