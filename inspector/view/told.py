"""Messages in what JSON can say, for pages to show."""

from __future__ import annotations

from collections import Counter
from typing import Any

from inspector import wire
from inspector.messages import Judged, ResultMessage, VerdictMessage
from inspector.types import Verdict
from inspector.view.shelf import Place


def place_of(message: VerdictMessage | ResultMessage) -> Place:
    """Where a verdict or result was published."""
    return Place(wire.topic(message.kind, message.line, message.camera), message.session, message.sequence)


def row(message: VerdictMessage | ResultMessage) -> dict[str, Any]:
    """What is listed of a verdict or result. `at`: milliseconds since 1970;  latency: seconds from capture on."""
    place = place_of(message)
    return verdict(message) | {
        "link": f"{place.topic}{place.session}/{place.sequence}",
        "camera": message.camera,
        "part": message.part,
        "at": message.captured_ns / 1e6,
        "latency": message.latency.total,
        "residual": message.residual,
    }


def verdict(message: Judged) -> dict[str, Any]:
    """What was said of a frame."""
    return {
        "frame": message.frame,
        "verdict": message.verdict.value,
        "reason": message.reason and message.reason.value,
        "cause": message.cause,
        "score": message.score,
    }


def counts(of: Counter[Verdict]) -> dict[str, Any]:
    """A number for each verdict."""
    return {verdict.value: of[verdict] for verdict in Verdict}
