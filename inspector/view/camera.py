"""What is known of one camera, and of one station."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from inspector.messages import PartMessage, PreviewMessage, VerdictMessage
from inspector.types import Verdict
from inspector.view import told
from inspector.view.history import MILLISECONDS, SCORES, History, Pace, Spread
from inspector.view.pictures import Defect
from inspector.view.standing import Standing


@dataclass
class Camera:
    """One camera. Moments are monotonic seconds.

    last, last_at: the newest verdict and when its frame was captured;  live, live_at: likewise the newest preview
    defect, defect_at: the newest result and when it was published
    live_version, defect_version: count up with what there is to show of it
    """

    counts: Counter[Verdict] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    pace: Pace = field(default_factory=Pace)
    history: History = field(default_factory=History)
    scores: Spread = field(default_factory=lambda: Spread(SCORES))
    latencies: Spread = field(default_factory=lambda: Spread(MILLISECONDS))
    last: VerdictMessage | None = None
    last_at: float = 0.0
    threshold: float | None = None
    standing: Standing = field(default_factory=Standing)
    live: PreviewMessage | None = None
    live_at: float = 0.0
    defect: Defect | None = None
    defect_at: float = 0.0
    live_version: int = 0
    defect_version: int = 0

    @property
    def live_is_defect(self) -> bool:
        """Whether the newest preview is of the frame of the newest result."""
        if self.live is None or self.defect is None:
            return False
        return (self.live.session, self.live.frame) == (self.defect.message.session, self.defect.message.frame)

    def brief(self, now: float) -> dict[str, Any]:
        """What changes with every frame."""
        return told.counts(self.counts) | {
            "rate": self.pace.rate(now),
            "last": self.last and told.verdict(self.last),
            "age": now - self.last_at if self.last else None,
            "state": self.standing.state,
        }

    def survey(self, now_ns: int) -> dict[str, Any]:
        """What people look at now and then: over time, distributions, the threshold."""
        return {
            "history": self.history.until(now_ns),
            "scores": self.scores.counts(),
            "latencies": self.latencies.counts(),
            "median": self.latencies.quantile(0.5),
            "slowest": self.latencies.quantile(0.99),
            "threshold": self.threshold,
            "reasons": dict(self.reasons),
            "detail": self.standing.told and self.standing.told.event.detail,
        }


@dataclass
class Station:
    """The parts that a station's cameras saw."""

    counts: Counter[Verdict] = field(default_factory=Counter)
    last: PartMessage | None = None

    def brief(self) -> dict[str, Any]:
        """Its counts and its last part."""
        last = {"part": self.last and self.last.part, "verdict": self.last and self.last.verdict.value}
        return told.counts(self.counts) | last
