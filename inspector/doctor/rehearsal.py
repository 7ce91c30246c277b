"""The line for some seconds, in a process of its own: the daemon's real code, on pictures from memory.

It is handed an `Order` as one line of JSON. It answers with where it publishes, waits for a line, and ends with its
account. Its parts are measured where the daemon calls them, by wrapping those functions in this process alone.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from inspector import codecs
from inspector.assemble import assemble
from inspector.condition.monitor import Finding, Monitor
from inspector.doctor.machine import Machine
from inspector.doctor.meter import Meter
from inspector.inference.references import References
from inspector.inference.runtimes.onnxruntime import OrtModel
from inspector.inference.view import View
from inspector.journal.store import Store
from inspector.outputs.zeromq import ZeroMqOutput
from inspector.settings import Settings
from inspector.sources.pace import Pace
from inspector.types import Image, Shot
from inspector.wire import Encoder
from inspector.worker import Worker

VERDICT, RESULT = "verdict", "result"
WATCHED: tuple[tuple[Any, str, str], ...] = (
    (View, "fit", "fit"),
    (References, "match", "reference"),
    (OrtModel, "run", "detector"),
    (View, "judge", "judge"),
    (Worker, "_repair", "repair"),
    (codecs, "encode", "encode"),
    (Store, "write", "journal"),
    (Store, "account", "journal accounts"),
    (ZeroMqOutput, "write", "publish"),
)
"""What is measured, beside the checks and the messages, and as which part."""
WARM_UP = 1.0
"""Seconds before the measurement: first runs of a model are slow, and readers fill their queues."""
AHEAD = 2
"""Frames that a camera may be ahead of the slowest one."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to run. settings: as JSON;  pictures: by source, the folder of good.npy and bad.npy

    rates: of each source, frames a second, if `paced`; else as fast as they are taken, in that proportion
    live: of each source, whether it goes on without us while it is paced
    share: of bad pictures;  seconds: to measure
    """

    settings: dict[str, Any]
    pictures: Mapping[str, str]
    rates: Mapping[str, float]
    live: Mapping[str, bool]
    paced: bool
    share: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Account:
    """What was measured. seconds: by the wall clock;  cpu: seconds of the process;  frames, bad: verdicts, results

    parts: CPU seconds by part;  verdict_bytes, result_bytes: of all messages of a kind
    journal_bytes: that the journal grew by
    others: CPU seconds of all else on this machine but this process and its parent, the subscriber
    """

    seconds: float
    cpu: float
    frames: int
    bad: int
    parts: dict[str, float]
    verdict_bytes: int
    result_bytes: int
    journal_bytes: int
    others: float

    def __sub__(self, before: Account) -> Account:
        """What came since."""
        parts = {part: seconds - before.parts.get(part, 0.0) for part, seconds in self.parts.items()}
        return Account(
            self.seconds - before.seconds,
            self.cpu - before.cpu,
            self.frames - before.frames,
            self.bad - before.bad,
            parts,
            self.verdict_bytes - before.verdict_bytes,
            self.result_bytes - before.result_bytes,
            self.journal_bytes - before.journal_bytes,
            self.others - before.others,
        )


class Abreast:
    """Keeps cameras in the proportion of their rates, however fast all of them go together."""

    def __init__(self, rates: Mapping[str, float]) -> None:
        self._rates = rates
        self._done = dict.fromkeys(rates, 0.0)
        self._changed = threading.Condition()

    def step(self, name: str) -> None:
        """Wait until it is the turn of `name`."""
        period = 1 / self._rates[name]
        with self._changed:
            self._changed.wait_for(lambda: self._done[name] <= min(self._done.values()) + AHEAD * period)
            self._done[name] += period
            self._changed.notify_all()


class Shown:
    """A source of pictures in memory, which nobody may write to: bad ones in between, as many as the share says."""

    def __init__(
        self, name: str, folder: Path, share: float, rate: float, abreast: Abreast | None, live: bool,
        go: threading.Event,
    ) -> None:  # fmt: skip
        self.live = live and abreast is None
        self._name, self._share, self._rate = name, share, rate
        self._good, self._bad = (list(np.load(folder / f"{kind}.npy")) for kind in ("good", "bad"))
        self._abreast, self._go = abreast, go
        self._closed = threading.Event()

    def frames(self) -> Iterator[Shot]:
        """The pictures, in turn."""
        self._go.wait()
        pace, number = Pace(self._rate, self._closed), 0
        while not self._closed.is_set():
            if self._abreast is not None:
                self._abreast.step(self._name)
            elif not pace.wait():
                return
            number += 1
            yield Shot(self._picture(number), part=str(number))

    def close(self) -> None:
        """Show nothing more."""
        self._closed.set()
        self._go.set()

    def _picture(self, number: int) -> Image:
        is_bad = int(number * self._share) > int((number - 1) * self._share)
        pictures = self._bad if is_bad and self._bad else self._good
        image: Image = pictures[number % len(pictures)]
        return image


class Scale:
    """Weighs messages: bytes by kind."""

    def __init__(self) -> None:
        self.bytes: Counter[str] = Counter()

    def weigh(self, kind: str, parts: list[bytes]) -> list[bytes]:
        """Add a message; it is handed on."""
        self.bytes[kind] += sum(map(len, parts))
        return parts


def main() -> None:
    """Run the order on standard input."""
    order = Order(**json.loads(sys.stdin.readline()))
    settings = Settings(**order.settings)
    meter, scale, go, machine = Meter(), Scale(), threading.Event(), Machine()
    # Of some of the cores alone, nobody knows what others took.
    has_all_cores = machine.allowed() == os.cpu_count() and machine.quota() is None
    # What a picture is found to be does not count here: each is looked at, and then judged.
    meter.watch(Monitor, "look", "checks", then=lambda _: Finding())
    meter.watch(Encoder, "verdict", VERDICT, then=partial(scale.weigh, VERDICT))
    meter.watch(Encoder, "result", RESULT, then=partial(scale.weigh, RESULT))
    for watched in WATCHED:
        meter.watch(*watched)
    abreast = None if order.paced else Abreast(order.rates)
    sources = {
        name: Shown(name, Path(folder), order.share, order.rates[name], abreast, order.live[name], go)
        for name, folder in order.pictures.items()
    }

    def state() -> Account:
        seconds, times = meter.snapshot()
        size = 0 if settings.journal.path is None else Store(settings.journal.path).size()
        cpu, parent = time.process_time(), machine.cpu_seconds(os.getppid())
        others = (machine.busy() or 0.0) - cpu - parent if has_all_cores else 0.0
        weights = scale.bytes[VERDICT], scale.bytes[RESULT], size
        return Account(time.monotonic(), cpu, times[VERDICT], times[RESULT], seconds, *weights, others)

    with assemble(settings, opener=sources.__getitem__) as assembly:
        _say({"endpoint": assembly.endpoint})
        threading.Thread(target=_measure, args=(order.seconds, go, state), name="measure", daemon=True).start()
        assembly.daemon.run()


def _measure(seconds: float, go: threading.Event, state: Callable[[], Account]) -> None:
    """Wait for the word, measure, answer, and end the process: what is in flight is nobody's."""
    sys.stdin.readline()
    go.set()
    time.sleep(WARM_UP)
    _say("begin")
    before = state()
    time.sleep(seconds)
    _say(asdict(state() - before))
    os._exit(0)


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
