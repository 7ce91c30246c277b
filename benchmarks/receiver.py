"""A subscriber in a process of its own that takes everything, and counts.

It speaks the daemon's protocol by `inspector.client`, or the afternoon script's plain one.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import zmq

from benchmarks import children
from inspector.client import Subscriber
from inspector.messages import ResultMessage, VerdictMessage
from inspector.types import Reason, Verdict

WAIT = 0.2
"""Seconds between looks whether it should end."""


class Arrival(NamedTuple):
    """A verdict that came. reason: of an `unknown`;  left: seconds from capture until it was handed to the socket"""

    camera: str
    frame: int
    captured_ns: int
    verdict: str
    reason: str | None = None
    left: float = 0.0


class Count:
    """What came since the start; the latencies, since they were last to be forgotten."""

    def __init__(self) -> None:
        self.verdicts = self.results = self.missing = self.duplicates = 0
        self.defective = 0
        self._frames: defaultdict[str, set[int]] = defaultdict(set)
        self._latencies: list[int] = []
        self._unknown, self._most = 0, 0
        self._cut: list[tuple[float, float]] = []

    def take(self, arrival: Arrival) -> None:
        """Count a verdict."""
        latency = time.time_ns() - arrival.captured_ns
        self._most = max(self._most, latency)
        if arrival.reason is None:
            self._latencies.append(latency)
        else:
            self._unknown += 1
        if arrival.reason == Reason.DEADLINE:
            self._cut.append((arrival.left, latency / 1e9))
        self._frames[arrival.camera].add(arrival.frame)
        self.defective += arrival.verdict == Verdict.NG
        self.verdicts += 1

    def answer(self, forget: bool = False) -> dict[str, Any]:
        """The count; latencies, capture to receive, in seconds. forget: the latencies, for a new beginning

        p50, p99: of judged frames;  max: of all;  unknown: frames that were not judged, in the same time
        cut: of each `unknown: deadline` the seconds from capture until it left, and until it came
        """
        latencies, cut, unknown, most = self._latencies, self._cut, self._unknown, self._most
        if forget:
            self._latencies, self._cut, self._unknown, self._most = [], [], 0, 0
        p50, p99 = np.percentile(latencies, (50, 99)) / 1e9 if latencies else (0.0, 0.0)
        return {
            "at": time.monotonic(),
            "verdicts": self.verdicts,
            "defective": self.defective,
            "results": self.results,
            "missing": self.missing,
            "duplicates": self.duplicates,
            "distinct": sum(map(len, list(self._frames.values()))),
            "p50": float(p50),
            "p99": float(p99),
            "max": most / 1e9,
            "unknown": unknown,
            "cut": cut,
        }


def inspector(endpoint: str, count: Count, ended: threading.Event) -> Iterator[Arrival]:
    """The verdicts of a daemon."""
    with Subscriber(endpoint) as subscriber:
        while not ended.is_set():
            message = subscriber.receive(WAIT)
            count.missing, count.duplicates = sum(subscriber.missing.values()), subscriber.duplicates
            if isinstance(message, VerdictMessage):
                left = message.latency.total
                yield Arrival(message.camera, message.frame, message.captured_ns, message.verdict, message.reason, left)
            elif isinstance(message, ResultMessage):
                count.results += 1


def plain(endpoint: str, count: Count, ended: threading.Event) -> Iterator[Arrival]:
    """The verdicts of the afternoon script."""
    socket = zmq.Context().socket(zmq.SUB)
    socket.subscribe(b"")
    socket.connect(endpoint)
    last: dict[str, int] = {}
    while not ended.is_set():
        if not socket.poll(round(WAIT * 1000)):
            continue
        _, header, *payloads = socket.recv_multipart()
        told = json.loads(header)
        camera, sequence = told["camera"], told["sequence"]
        count.missing += sequence - last.get(camera, sequence - 1) - 1
        last[camera] = sequence
        count.results += bool(payloads)
        yield Arrival(camera, told["frame"], told["captured_ns"], told["verdict"])


def main() -> None:
    """Count until the input ends."""
    given = children.options()
    count, ended = Count(), threading.Event()

    def answer() -> None:
        for question in children.questions():
            children.answer(**count.answer(**question))
        ended.set()

    children.answer()
    threading.Thread(target=answer, daemon=True).start()
    arrivals = {"inspector": inspector, "plain": plain}[given["protocol"]]
    for arrival in arrivals(given["endpoint"], count, ended):
        count.take(arrival)


if __name__ == "__main__":
    main()
