"""How a challenge ends (pure)."""

from __future__ import annotations

from enum import StrEnum

import cv2
import numpy as np

from inspector.challenges.pictures import Picture
from inspector.types import Inspection, Mask, Verdict


class Outcome(StrEnum):
    """What became of a challenge."""

    PASSED = "passed"
    """It was judged as it must be."""
    MISSED = "missed"
    """A defective part was judged `ok`, or `ng` with one of its defects not in the mask."""
    REJECTED = "rejected"
    """A good part was judged `ng`."""
    FAILED = "failed"
    """There was no result."""
    DROPPED = "dropped"
    """It gave way to frames; it is tried again."""


BLIND = frozenset({Outcome.MISSED, Outcome.FAILED})
"""After these nothing proves that a part without a finding is good. One that rejects too much still proves that."""


def outcome_of(picture: Picture, inspection: Inspection) -> tuple[Outcome, str]:
    """What `inspection` of the challenge with `picture` means, and that in a sentence."""
    found = f"{picture.name} was judged {inspection.verdict}"
    if inspection.score is not None:
        found += f" (score {inspection.score:.3f}, threshold {inspection.threshold:.3f})"
    if inspection.verdict is Verdict.UNKNOWN:
        return Outcome.FAILED, f"{found}, {inspection.cause or inspection.reason}: there was no result"
    if inspection.verdict is not picture.expected:
        outcome = Outcome.MISSED if picture.expected is Verdict.NG else Outcome.REJECTED
        return outcome, f"{found}, and must be {picture.expected}"
    if picture.mask is not None and inspection.mask is not None:
        missed = _missed(picture.mask, inspection.mask)
        if missed:
            return Outcome.MISSED, f"{found}, and the defect at ({missed[0][0]}, {missed[0][1]}) was not found"
    return Outcome.PASSED, found


def _missed(expected: Mask, found: Mask) -> list[tuple[int, int]]:
    """x, y of the middle of each connected defect of `expected` of which `found` has no pixel."""
    number, labels, _, centroids = cv2.connectedComponentsWithStats(expected, connectivity=8)
    hit = np.bincount(labels[found != 0], minlength=number)
    return [(round(centroids[label][0]), round(centroids[label][1])) for label in range(1, number) if not hit[label]]
