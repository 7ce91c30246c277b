"""A daemon's own account of its frames, read from its /metrics."""

from __future__ import annotations

import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from benchmarks.accounting import Tally

PATIENCE = 30.0
"""Seconds in which a subscriber must have reached the daemon."""

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine


@dataclass(frozen=True, slots=True)
class Account:
    """Frames over all cameras. verdicts: by `ok`, `ng` and `unknown: REASON`"""

    captured: int = 0
    in_flight: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)

    @property
    def settled(self) -> int:
        """Frames that have their verdict."""
        return sum(self.verdicts.values())

    @property
    def tally(self) -> Tally:
        """What was done so far. Raises RuntimeError where a frame is `unknown`, which is no work done."""
        unknown = {name: frames for name, frames in self.verdicts.items() if name not in ("ok", "ng")}
        if unknown:
            raise RuntimeError(f"frames were not judged, so that there is no rate of work: {unknown}")
        return Tally(self.settled, self.verdicts.get("ng", 0))

    @property
    def balances(self) -> bool:
        """Whether every captured frame has its verdict."""
        return self.captured == self.settled and self.in_flight == 0


def account(http: str) -> Account:
    """The account of the daemon at `http`."""
    found: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    for sample in _samples(http):
        if sample.name in ("inspector_frames_captured_total", "inspector_frames_in_flight"):
            found[sample.name] += int(sample.value)
        elif sample.name == "inspector_verdicts_total" and sample.value:
            verdict, reason = sample.labels["verdict"], sample.labels["reason"]
            verdicts[verdict if reason == "none" else f"{verdict}: {reason}"] += int(sample.value)
    return Account(found["inspector_frames_captured_total"], found["inspector_frames_in_flight"], dict(verdicts))


def judged(http: str) -> Tally:
    """What the daemon at `http` has done so far. Raises RuntimeError where a frame is `unknown`."""
    return account(http).tally


def total(http: str, name: str) -> float:
    """The sum of a metric over its labels."""
    return sum(sample.value for sample in _samples(http) if sample.name == name)


def wait_for_subscriber(http: str) -> None:
    """Until somebody has subscribed to every verdict."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        verdicts = [s for s in _samples(http) if s.labels.get("topic", "").startswith("verdict/")]
        if all(sample.value for sample in verdicts if sample.name == "inspector_subscribers"):
            return
        time.sleep(0.1)
    raise RuntimeError(f"no subscriber reached the daemon at {http} within {PATIENCE} s")


def _samples(http: str) -> Iterator[Sample]:
    with _opener.open(f"{http}/metrics") as response:
        text = response.read().decode()
    for family in text_string_to_metric_families(text):
        yield from family.samples
