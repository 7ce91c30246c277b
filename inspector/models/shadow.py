"""A model that is shown what another one judges: on live frames, before it takes over, and only where nobody waits.

It gets a frame once that has its verdict, if no frame waits for a worker and a worker has nothing to do; so it sees a
part of the frames, on a busy line none at all, and says how many it saw.
"""

from __future__ import annotations

import queue
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from inspector.clock import Clock
from inspector.errors import ModelError
from inspector.metrics import AGREED, DISAGREED
from inspector.types import Event, Frame, Inspection, Say, Verdict
from inspector.worker import Station, Worker

MOST_EVENTS = 100
"""Disagreements of one shadow that are published; all are counted."""
LOOK = 0.1
"""Seconds until it looks up."""


@dataclass(frozen=True, slots=True)
class Wish:
    """frames: how many it shall see;  within: seconds in which it must have

    agree: the share of them at least in which it must say the same; None: it need not
    """

    frames: int
    within: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    agree: float | None = None


class Shadow:
    """Who watches beside the flow; `offer` is called for every verdict, by the publisher's thread.

    idle: whether nobody waits, and a worker has nothing to do
    """

    def __init__(self, idle: Callable[[], bool], announce: Callable[[Event], None], clock: Clock) -> None:
        self.counts = Counter[tuple[str, str]]()
        """Frames seen, by camera and outcome."""
        self._idle = idle
        self._announce = announce
        self._clock = clock
        self._worker = Worker(0, clock)
        self._stations: Mapping[str, Station] = {}
        self._stopped = False
        self._told = 0
        self._seen: queue.Queue[Inspection] = queue.Queue(1)

    def offer(self, inspection: Inspection) -> None:
        """Take a frame that was judged, if one can be looked at just now."""
        if not self._stations or inspection.frame.camera not in self._stations or inspection.verdict is Verdict.UNKNOWN:
            return
        if not self._seen.full() and self._idle():
            self._seen.put_nowait(inspection)

    def stop(self) -> None:
        """Have `watch` end: the daemon stops."""
        self._stopped = True

    def watch(self, stations: Mapping[str, Station], wish: Wish, tell: Say) -> str:
        """Look at live frames with `stations`; what came of it. Raises ModelError where it does not agree enough.

        stations: none of their engines is a worker's, for an engine is one thread's
        """
        seen, same, end = 0, 0, self._clock.monotonic() + wish.within
        tell(f"in shadow for {wish.frames} frames, {wish.within:g} s at the most")
        self._stations = {name: replace(station, repair=False) for name, station in stations.items()}
        self._told = 0
        try:
            while seen < wish.frames:
                self._worker.tick()
                if self._stopped or self._clock.monotonic() >= end:
                    raise ModelError(
                        f"in shadow it saw {seen} of {wish.frames} frames in {wish.within:g} s, for it sees only what "
                        "comes while a worker is idle; ask for fewer, or for more time, or do without"
                    )
                try:
                    inspection = self._seen.get(timeout=LOOK)
                except queue.Empty:
                    continue
                if self._idle():
                    seen += 1
                    same += self._agrees(inspection)
                del inspection  # a frame holds its model
        finally:
            self._stations = {}
            self._forget()
            self._worker.flush()
        sentence = f"in shadow it said the same of {same} of {seen} frames"
        if wish.agree is not None and same < wish.agree * seen:
            raise ModelError(f"{sentence}, less than {wish.agree:.2%}; look at the events, or ask for less")
        return sentence

    def _agrees(self, inspection: Inspection) -> bool:
        """Look at a frame; whether it is judged the same."""
        other = self._judge(inspection.frame)
        same = other.verdict is inspection.verdict
        self.counts[inspection.frame.camera, AGREED if same else DISAGREED] += 1
        self._told += not same
        if not same and self._told <= MOST_EVENTS:
            detail = f"frame {inspection.frame.number}: {_said(inspection)}, {_said(other)}"
            self._announce(Event(inspection.frame.camera, "shadow", detail, self._clock.wall_ns()))
        return same

    def _judge(self, frame: Frame) -> Inspection:
        station, found = self._stations[frame.camera], list[Inspection]()
        now = self._clock.monotonic()
        assert frame.image is not None  # noqa: S101 - it was judged
        try:
            shown = replace(frame, fitted=station.fit(frame.image), standard=station)
        except ModelError:
            return Inspection(frame, Verdict.UNKNOWN, model=station.tag)
        self._worker.inspect([shown], now, now, found.append)
        return found[0]

    def _forget(self) -> None:
        while not self._seen.empty():
            self._seen.get_nowait()


def _said(inspection: Inspection) -> str:
    score = "" if inspection.score is None else f" with score {inspection.score:.3f}"
    model = inspection.model
    return f"{inspection.verdict}{score} by {'no model' if model is None else f'{model.name} {model.sha256[:12]}'}"
