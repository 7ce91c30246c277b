"""How many frame periods pass until a pipeline tells that a camera's driver hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np

from inspector.clock import SystemClock
from inspector.codecs import Formats
from inspector.inference.engine import Team
from inspector.inference.view import View
from inspector.judge import Judge
from inspector.ledger import Ledger
from inspector.outputs.memory import MemoryOutput
from inspector.pipeline import Pipeline
from inspector.publisher import Publisher
from inspector.sources.intake import Camera
from inspector.sources.pace import Pace
from inspector.types import Shot
from inspector.wire import Encoder
from inspector.worker import Station


class Unplugged:
    """A live camera whose driver gives `FRAMES` frames at `rate` a second, and then hangs until `close`."""

    live = True
    FRAMES = 50

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._closed = threading.Event()
        self.last = 0.0

    def frames(self) -> Iterator[Shot]:
        """Deliver, and hang; `last` is when the last frame came, in monotonic seconds."""
        pace = Pace(self._rate, self._closed)
        for _ in range(self.FRAMES):
            if not pace.wait():
                return
            self.last = time.monotonic()
            yield Shot(np.zeros((48, 64, 1), np.uint8))
        self._closed.wait()

    def close(self) -> None:
        """Hang no longer."""
        self._closed.set()


def main() -> None:
    """Measure and print."""
    standard = Station("cam", Team(None, ()), Judge(0.5, 1), False, View((48, 64, 1)))  # type: ignore[arg-type]
    for rate in (5, 10, 25, 50):
        source, clock, told = Unplugged(rate), SystemClock(), threading.Event()

        class Listener(MemoryOutput):
            def write(self, topic: str, parts: Sequence[bytes]) -> None:
                if b'"state":"stalled"' in parts[1]:
                    told.set()  # noqa: B023 - listens for this one alone

        publisher = Publisher([Listener()], Encoder("line1", 1, ""), ["cam"], Formats(), clock, lambda *_: None)
        pipeline = Pipeline(
            [Camera("cam", source, lambda: standard, 1.0, 4)],
            Ledger(["cam"]), [], publisher, 1, 0.0, lambda *_: None, lambda: None, clock,
        )  # fmt: skip
        pipeline.start()
        assert told.wait(60)
        periods = (time.monotonic() - source.last) * rate
        pipeline.drain(1.0)
        print(f"unplugged at {rate} frames/s: told after {periods:.1f} frame periods", flush=True)
