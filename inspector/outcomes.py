"""What frames are counted as: captured, and what they end as. Metrics, the journal's accounts and tables share it."""

from __future__ import annotations

from inspector.types import Inspection, Reason, Verdict

CAPTURED = "captured"
CRASH = "crash"
"""The end of a frame that a killed daemon left without a verdict."""

ENDS = (Verdict.OK.value, Verdict.NG.value, *(f"unknown:{reason}" for reason in Reason), CRASH)
"""All that a captured frame can end as; once it has, it is one of these and no other."""


def end_of(inspection: Inspection) -> str:
    """What the frame ends as."""
    return end(inspection.verdict, inspection.reason)


def end(verdict: str, reason: str | None) -> str:
    """What a frame with this verdict ends as."""
    return f"unknown:{reason}" if verdict == Verdict.UNKNOWN else str(verdict)
