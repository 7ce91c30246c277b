"""From what a trial measured to what the line will carry (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inspector.doctor.rehearsal import Account

OF_BAD = ("repair", "encode", "result")
"""Parts that only frames with defects have; the second look is within the repair."""
MOST_OTHERS = 0.9
"""Of the cores that others take into account: beyond it nobody can tell what the rest would have carried."""
JOINING = "queues, threads, sockets"


@dataclass(frozen=True, slots=True)
class Delay:
    """From capture to receipt at the line's own rate, in seconds. unknown: share of frames without a judgement"""

    p50: float
    p99: float
    unknown: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a frame costs and what the line carries.

    parts: CPU milliseconds of every frame, by part;  bad_parts: of one with defects, beyond that
    share: of frames with defects;  capacity: frames a second at the most, were the cores the line's own
    others: share of the cores that other programs took meanwhile
    rate: frames a second of all cameras together, None where that is not known;  cores: that they can be spread on
    verdict_bytes, result_bytes: of a message, as the journal keeps it
    """

    parts: Mapping[str, float]
    bad_parts: Mapping[str, float]
    share: float
    capacity: float
    rate: float | None
    cores: float
    verdict_bytes: float
    result_bytes: float
    others: float = 0.0
    delay: Delay | None = None

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds of a frame, on average."""
        return sum(self.parts.values()) + self.share * sum(self.bad_parts.values())

    @property
    def needed(self) -> float | None:
        """Cores that the line keeps busy."""
        return None if self.rate is None else self.rate * self.cpu_ms / 1e3

    @property
    def bytes_a_frame(self) -> float:
        """What a frame adds to the journal, on average."""
        return self.verdict_bytes + self.share * self.result_bytes


def predict(
    account: Account, reading: Mapping[str, float], rates: Mapping[str, float | None], share: float, cores: float
) -> Prediction:
    """reading: CPU seconds that it takes to read and decode a frame, of the cameras that were read

    rates: of each camera, frames a second;  share: of frames with defects;  cores: that may be used
    """
    bad_seconds = {part: account.parts.get(part, 0.0) for part in OF_BAD}
    always = {part: seconds for part, seconds in account.parts.items() if part not in OF_BAD and seconds > 0}
    always[JOINING] = max(account.cpu - sum(account.parts.values()), 0.0)
    parts = {part: 1e3 * seconds / account.frames for part, seconds in always.items()}
    if reading:
        weights = {name: rates.get(name) or 1.0 for name in reading}
        read = sum(reading[name] * weight for name, weight in weights.items()) / sum(weights.values())
        parts = {"read": 1e3 * read, **parts}
    bad = {part: 1e3 * seconds / account.bad for part, seconds in bad_seconds.items() if account.bad and seconds > 0}
    whole = sum(parts.values()) + share * sum(bad.values())
    others = min(max(account.others / (account.seconds * cores), 0.0), MOST_OTHERS)
    capacity = 1e3 * account.cpu / account.seconds / whole / (1 - others)
    known = [rate for rate in rates.values() if rate is not None]
    messages = account.verdict_bytes + account.result_bytes
    # SQLite's pages and rows take room too; a short trial's journal may not have grown by a page.
    overhead = max(account.journal_bytes / messages, 1.0) if account.journal_bytes and messages else 1.0
    return Prediction(
        parts,
        bad,
        share,
        capacity,
        sum(known) if len(known) == len(rates) else None,
        cores,
        overhead * account.verdict_bytes / account.frames,
        overhead * account.result_bytes / account.bad if account.bad else 0.0,
        others,
    )
