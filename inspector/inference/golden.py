"""The golden self-test: on the device that it will use, a bundle does what it did where it was made.

One that does not is refused.
"""

from __future__ import annotations

import numpy as np

from inspector.errors import BundleError
from inspector.inference.bundle import Bounds, Bundle, Golden
from inspector.inference.detector import Detector
from inspector.inference.repairer import Repairer
from inspector.judge import Judge, Judgement
from inspector.types import Image, Mask, Precision


def prove(bundle: Bundle, detector: Detector, repairer: Repairer | None, precision: Precision) -> None:
    """Run every golden picture; raises BundleError naming the first that differs, and by how much.

    precision: what `detector` computes with; each has its own bounds on the card
    """
    bounds = bundle.card.tolerance.at(precision)
    judge = Judge(bundle.card.decision.threshold, bundle.card.decision.min_area)
    for golden, picture, mask in bundle.golden():
        reference = bundle.reference(golden)
        (detection,) = detector.beside(reference).detect([picture])
        judgement = judge(detection, *picture.shape[:2])
        difference = _difference(bounds, golden, mask, detection.score, judgement)
        if difference is None and repairer is not None and judgement.mask is not None:
            difference = _repair_difference(repairer, picture, reference, judgement)
        if difference is not None:
            raise BundleError(
                f"bundle {bundle.card.name!r} does not prove itself on this machine: golden picture "
                f"{golden.picture!r} in {precision}: {difference}; use another device or precision, or export the "
                f"bundle again"
            )


def _difference(bounds: Bounds, golden: Golden, mask: Mask | None, score: float, found: Judgement) -> str | None:
    if found.verdict is not golden.verdict:
        return f"verdict {found.verdict} where {golden.verdict} was expected"
    if not abs(score - golden.score) <= bounds.score:
        return f"score {score:.4f} where {golden.score:.4f} was expected (tolerance {bounds.score})"
    if mask is not None:
        overlap = 0.0 if found.mask is None else intersection_over_union(mask, found.mask)
        if overlap < bounds.iou:
            return f"mask overlaps the expected one by {overlap:.3f} (tolerance {bounds.iou})"
    return None


def _repair_difference(repairer: Repairer, picture: Image, reference: Image | None, found: Judgement) -> str | None:
    assert found.mask is not None  # noqa: S101 - the caller asked
    repaired, _ = repairer.repair(picture, found.mask, [region.box for region in found.regions], reference)
    if np.array_equal(repaired, picture):
        return "the repairer changed nothing"
    return None


def intersection_over_union(a: Mask, b: Mask) -> float:
    """Of two masks of one shape; 1 where both are empty, 0 where the shapes differ."""
    if a.shape != b.shape:
        return 0.0
    union = int(np.count_nonzero(a | b))
    return int(np.count_nonzero(a & b)) / union if union else 1.0
