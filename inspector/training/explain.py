"""What a training run says of itself: aloud before it begins, and in the bundle's card."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch

from inspector import __version__
from inspector.training.data import Sample
from inspector.training.loop import Plan
from inspector.training.settings import Mode
from inspector.training.split import group_names


def pictures(
    samples: list[Sample], validation: Sequence[Sample], mode: Mode, whole: bool, compared: int = 0
) -> Iterator[str]:
    """Sentences on the pictures and what is learnt from them.

    whole: whether they are shown whole;  compared: in mode reference, how many defective ones are beside a reference
    """
    good = sum(sample.good for sample in samples)
    masked = sum(sample.mask is not None for sample in samples)
    unmasked = len(samples) - good - masked
    yield (
        f"{len(samples)} pictures of {len(set(group_names(samples)))} parts: {good} normal, {masked} defective with "
        f"masks, {unmasked} defective without; {len(validation)} are held back to validate on, by whole parts"
    )
    if mode == "reference":
        yield from _pairs(len(samples) - good, compared)
        return
    if mode == "normal":
        yield "normal pictures alone: it learns what they look like, and finds synthetic defects drawn on them"
    else:
        yield "defects are shown: it trains on real defects, synthetic defects and normal pictures, a third each"
    if unmasked and whole:
        yield f"of the {unmasked} defective pictures without masks only their label is known: it must find the place"
    elif unmasked:
        yield f"the {unmasked} defective pictures without masks are not trained on: small views may miss their defect"


def _pairs(defective: int, compared: int) -> Iterator[str]:
    if compared:
        yield (
            f"pairs are shown: it trains on real defects beside their references ({compared}), synthetic defects and "
            "normal pictures, a third each"
        )
    else:
        yield "pairs are shown: it trains on synthetic defects and normal pictures, half each"
    if compared < defective:
        yield (
            f"the {defective - compared} defective pictures without a mask, or without a reference of their size, are "
            "not trained on"
        )


def duration(name: str, plan: Plan, what: str) -> str:
    """How long and on what a network is trained."""
    return f"{name}: {plan.epochs} epochs of {plan.steps} batches of {plan.batch}, {what}, seed {plan.seed}"


def counts(training: list[Sample], validation: list[Sample]) -> dict[str, int]:
    """Pictures on each side; defective ones count with and without a mask."""
    found = {}
    for side, samples in (("training", training), ("validation", validation)):
        found[f"{side}_normal"] = sum(sample.good for sample in samples)
        found[f"{side}_defective"] = sum(not sample.good for sample in samples)
    return found


def versions() -> dict[str, str]:
    """Of all that has a say in the figures."""
    return {
        "inspector": __version__, "python": platform.python_version(), "torch": torch.__version__,
        "numpy": np.__version__, "opencv": cv2.__version__,
    }  # fmt: skip
