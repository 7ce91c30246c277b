"""A whole pipeline with a real model, hand-fed cameras and a memory output, for tests to play on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from inspector.challenges.challenger import Challenges
from inspector.clock import SystemClock
from inspector.codecs import Formats
from inspector.condition.limits import NOTHING, Limits
from inspector.condition.monitor import Monitor
from inspector.daemon import Wake
from inspector.errors import ModelError
from inspector.inference.detector import Look
from inspector.inference.engine import Engine, Team
from inspector.inference.view import View
from inspector.judge import Judge
from inspector.ledger import Ledger
from inspector.mailbox import Batch, BatchEnd
from inspector.matching import Trigger, Triggers
from inspector.messages import PartMessage, ResultMessage, VerdictMessage
from inspector.outputs.memory import MemoryOutput
from inspector.parts import Parts
from inspector.parts import Station as Place
from inspector.pipeline import Pipeline
from inspector.publisher import Publisher
from inspector.sources.intake import Camera
from inspector.stage import Service
from inspector.types import Box, Detection, Event, Frame, Inspection, Late, Reason, Verdict
from inspector.wire import Encoder, decode
from inspector.worker import Station, Worker
from tests.sources import HandSource
from tests.waiting import PATIENCE

UNDER_WAY = 0.5
"""Seconds that a triggered frame may be under way."""


class Gate:
    """Stands before a real detector: `open` lets batches through, `fail` makes the next ones fail."""

    def __init__(self, engine: Engine, model: str = "m") -> None:
        self.engine = engine
        self.tag = replace(engine.tag, sha256=model)
        self.open = threading.Event()
        self.entered = threading.Event()
        self.fail = False

    def look(self, looks: Sequence[Look], goes_on: Callable[[int], bool]) -> Iterator[tuple[int, Detection]]:
        self.entered.set()
        assert self.open.wait(PATIENCE)
        if self.fail:
            raise ModelError("out of memory")
        yield from self.engine.detector.look(looks, goes_on)

    def again(
        self, look: Look, changed: Sequence[Box], before: Detection, between: Callable[[], None] = lambda: None
    ) -> Detection:
        return self.engine.detector.again(look, changed, before, between)

    @property
    def detector(self) -> Gate:
        return self

    @property
    def repairer(self) -> object:
        return self.engine.repairer


class Recorder(MemoryOutput):
    """A memory output that tells of each message."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def write(self, topic: str, parts: Sequence[bytes]) -> None:
        with self._changed:
            super().write(topic, parts)
            self._changed.notify_all()

    def all(self) -> list[list[bytes]]:
        with self._changed:
            return list(self.messages)

    def wait_for(self, kind: type, number: int) -> None:
        def enough() -> bool:
            return sum(isinstance(decode(parts), kind) for parts in self.messages) >= number

        with self._changed:
            assert self._changed.wait_for(enough, PATIENCE)


class Witness(Publisher):
    """A publisher that remembers the late results it was given."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.late: list[Inspection] = []

    def publish(self, items: Iterable[Inspection | Late | Event]) -> None:
        items = list(items)
        self.late += [item.inspection for item in items if isinstance(item, Late)]
        super().publish(items)


def unchanged(image: np.ndarray) -> np.ndarray:
    """What the detector takes: pictures are of its size."""
    return image


class Line:
    """A pipeline under test, and what it published."""

    def __init__(
        self,
        engine: Engine,
        cameras: dict[str, str],
        deadline: float = 60.0,
        queue: int = 100,
        live: bool = True,
        limits: Limits = NOTHING,
        station: float | None = None,
        window: float | None = None,
        tiled: Mapping[str, float] = MappingProxyType({}),
        challenges: Mapping[str, Challenges] = MappingProxyType({}),
        aside: Mapping[str, Service] = MappingProxyType({}),
    ) -> None:
        """station: all cameras are at one, with that deadline;  window: they are triggered

        tiled: cameras whose frames are cut into tiles, and their deadlines
        """
        self.sources = {name: HandSource(live) for name in cameras}
        self.output = Recorder()
        self.gates = {model: Gate(engine, model) for model in set(cameras.values())}
        for gate in self.gates.values():
            gate.open.set()
        self.batches: list[tuple[str, int, BatchEnd]] = []
        self.wake = Wake()
        clock = SystemClock()
        self.triggers = {} if window is None else {name: Triggers(0.0, window, UNDER_WAY) for name in cameras}
        parts = Parts([] if station is None else [Place("gate", tuple(cameras), station)])
        self.publisher = Witness(
            [self.output],
            Encoder("line1", 1, "0" * 64),
            list(cameras),
            Formats(),
            clock,
            lambda *_: None,
            None,
            ["gate"],
        )
        views = {name: View((48, 64, 1), 8 if name in tiled else None) for name in cameras}
        self._engines: dict[str, list[Any]] = {model: [gate] for model, gate in self.gates.items()}
        bundle: Any = None  # nobody asks for it
        teams = {model: Team(bundle, engines) for model, engines in self._engines.items()}
        self.stations = {
            name: Station(name, teams[model], Judge(0.7, 4), True, views[name]) for name, model in cameras.items()
        }
        self.pipeline = Pipeline(
            [
                Camera(
                    name,
                    self.sources[name],
                    partial(self.stations.__getitem__, name),
                    tiled.get(name, deadline),
                    queue,
                    Monitor(limits),
                    triggers=self.triggers.get(name),
                )
                for name in cameras
            ],
            Ledger(cameras),
            [Worker(0, clock)],
            self.publisher,
            max_batch=4,
            max_wait=0.0,
            on_batch=self._note,
            on_stage_end=self.wake.ring,
            clock=clock,
            aside=aside,
            parts=parts,
            challenges=challenges,
        )

    def replace(self, gate: Gate) -> None:
        """Have `gate` stand before the detector instead of that of its model."""
        self.gates[gate.tag.sha256] = self._engines[gate.tag.sha256][0] = gate

    def _note(self, batch: Batch[Frame]) -> None:
        standard = batch.items[0].standard
        assert standard is not None
        self.batches.append((standard.tag.sha256, len(batch.items), batch.end))

    def trigger(self, part: str) -> None:
        """A part is there, for every camera."""
        for triggers in self.triggers.values():
            triggers.add(Trigger(part, time.monotonic(), time.time_ns()))

    def parts(self) -> list[PartMessage]:
        return [m for m in map(decode, self.output.all()) if isinstance(m, PartMessage)]

    def messages(self, kind: type[VerdictMessage] | type[ResultMessage]) -> list[VerdictMessage]:
        return [m for m in map(decode, self.output.all()) if isinstance(m, kind)]

    def verdicts(self) -> list[tuple[str, int, Verdict, Reason | None]]:
        return [(m.camera, m.frame, m.verdict, m.reason) for m in self.messages(VerdictMessage)]

    def wait_for(self, frames: int) -> None:
        """Until that many verdicts are out."""
        self.output.wait_for(VerdictMessage, frames)

    def balance(self) -> None:
        verdicts = self.messages(VerdictMessage)
        for camera, counts in self.pipeline.ledger.counts().items():
            mine = [m for m in verdicts if m.camera == camera]
            assert counts.in_flight == 0
            assert counts.captured == sum(counts.verdicts.values()) == len(mine)
            assert sorted(m.frame for m in mine) == list(range(1, counts.captured + 1))
            assert [m.sequence for m in mine] == list(range(1, len(mine) + 1))
        parts = self.parts()
        assert [part.sequence for part in parts] == list(range(1, len(parts) + 1))
        assert all(counts.open == 0 for counts in self.pipeline.parts.counts().values())
        assert all(triggers.taken == triggers.framed + triggers.missing for triggers in self.triggers.values())
