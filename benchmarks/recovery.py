"""What it costs to lose nothing: reading what was missed, a new start, and a neighbour that stops reading.

The cameras are live, and wait for nobody, but for the new starts: those are of `inspector run` with clips.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import daemon, preloaded
from benchmarks.daemon import JOURNAL, Daemon
from benchmarks.latency import LOAD
from benchmarks.material import CAMERAS, HEIGHT, WIDTH, Material
from inspector.client import Subscriber
from inspector.journal.reading import Choice, Reader
from inspector.messages import BeatMessage, ResultMessage, VerdictMessage

REAL_TIME = 30.0 * CAMERAS
"""Frames a second of a line of four cameras."""
SETTLE = 1.0
"""Seconds after a neighbour has stopped, or goes on, until that shows."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """rate: frames a second whose messages a subscriber catches up with, beside a daemon at `LOAD`

    restart: seconds from the start of the process until its first verdict was kept, which is when it is published
    alone, beside: p99 of a healthy subscriber's latency, in seconds, while another reads too and while that is stopped
    unknown: frames that were not judged meanwhile, and have no latency
    """

    rate: float
    restart: float
    alone: float
    beside: float
    unknown: int


def measure(given: Material) -> Recovery:
    """Find the capacity, then all of it at `LOAD`."""
    rate = LOAD * preloaded.capacity(given) / CAMERAS
    starts = []
    for _ in range(given.plan.rounds):
        began = time.time_ns()
        with daemon.running(given, CAMERAS, f"{rate:.3f}", journal=True) as line:
            line.receiver.ask()
            time.sleep(given.plan.warm_up)
        starts.append((_first_verdict(line.journal) - began) / 1e9)
    journal = Path(tempfile.mkdtemp(dir=given.folder)) / JOURNAL
    with (
        preloaded.running(given.bundle, given.clips, (WIDTH, HEIGHT), rate=rate, journal=journal) as live,
        daemon.receiving((line := live.daemon).endpoint) as neighbour,
    ):
        time.sleep(2 * given.plan.window)
        caught_up = median(_catch_up(line) for _ in range(given.plan.rounds))
        alone, beside = [], []
        for _ in range(given.plan.rounds):
            alone.append(_heard(line, given.plan.window))
            os.kill(neighbour.pid, signal.SIGSTOP)
            beside.append(_heard(line, given.plan.window))
            os.kill(neighbour.pid, signal.SIGCONT)
    before, meanwhile = (median(answer["p99"] for answer in answers) for answers in (alone, beside))
    unknown = sum(answer["unknown"] for answer in alone + beside)
    return Recovery(caught_up, median(starts), before, meanwhile, unknown)


def _first_verdict(journal: Path) -> int:
    reader = Reader(journal)
    first = next(reader.messages(Choice("verdict/")))
    reader.close()
    return first.at_ns


def _catch_up(line: Daemon) -> float:
    """Frames a second, from a subscriber's first beat on until it has all that was published before it came."""
    reader = Reader(line.journal)
    (session,) = reader.sessions(0)
    reader.close()
    wanted = {topic: last for topic, last in session.sequences.items() if not topic.startswith("event/")}
    position = dict.fromkeys(wanted, (session.session, 0))
    frames, left = 0, set(wanted)
    with Subscriber(line.endpoint, kinds=["verdict", "result", "beat"], position=position) as subscriber:
        began = None
        while left:
            message = subscriber.receive(30.0)
            if isinstance(message, BeatMessage):  # it tells where to ask
                began = time.monotonic() if began is None else began
                continue
            if not isinstance(message, VerdictMessage | ResultMessage):
                raise RuntimeError(f"catching up ended with {message}")
            topic = f"{message.kind}/{message.line}/{message.camera}/"
            frames += isinstance(message, VerdictMessage) and message.sequence <= wanted[topic]
            if message.sequence >= wanted[topic]:
                left.discard(topic)
        if began is None:
            raise RuntimeError("there was no beat")
        return frames / (time.monotonic() - began)


def _heard(line: Daemon, seconds: float) -> dict[str, Any]:
    time.sleep(SETTLE)
    line.receiver.ask(forget=True)
    time.sleep(seconds)
    return line.receiver.ask()
