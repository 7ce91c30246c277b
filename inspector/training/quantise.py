"""`inspector quantise`: gives a bundle its detector in fewer bits, where that loses next to nothing.

What it loses is measured against the fp32 detector, by the daemon's own code, on the pictures that were held back until
the threshold was chosen. The network has learnt them since, so neither would do as well on others.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from inspector import files
from inspector.errors import BundleError, DataError
from inspector.inference import bundle as bundles
from inspector.inference import engine, runtimes
from inspector.inference.bundle import CARD, VARIANTS, Bundle
from inspector.inference.detector import Detector
from inspector.judge import Judge
from inspector.training import data, packing
from inspector.training.batches import Pair
from inspector.training.describe import describe
from inspector.training.metrics import PixelCounts, area_under_roc
from inspector.training.pairs import validation_pairs
from inspector.training.pictures import Pictures
from inspector.training.reduce import convolutions, to_fp16, to_int8
from inspector.training.split import VALIDATION, split
from inspector.types import Precision, Say, Verdict

F1_LOSS, AUROC_LOSS, DIFFERING = 0.01, 0.005, 0.01
"""Most that may be lost of the pixel F1 and of the image AUROC, and share of the pictures whose verdict may differ (one
may in any case). Small beside what the choice of pictures decides: at an AUROC of 0.985 on 77 good and 113 defective
ones its 95 % interval reaches 0.016 to either side (Hanley and McNeil 1982)."""

HELD_BACK = "held back until the threshold was chosen, and learnt since"
"""What a bundle's own validation pictures are by the time that they are measured on."""

CALIBRATION = 64
"""Pictures that the ranges of activations are found on, at most: a spread of them all."""

IN_FP32 = ((0.0, 0.0), (0.05, 0.0), (0.15, 0.07))
"""Shares of the convolutions that are left as they are at the start and at the end, one at least of each, in the order
in which it is tried. Rounding hurts near the camera's bytes and near the decision, and the more is left, the less time
is saved: of fp32's, ONNX Runtime takes .69, .68 and .81, and OpenVINO .53, .57 and .82 (measured)."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a detector makes of the pictures."""

    pixel_f1: float
    image_auroc: float
    verdicts: tuple[Verdict, ...]


def quantise(folder: Path, root: Path, precision: Precision, say: Say) -> Bundle:
    """Add the detector in `precision` (int8 or fp16) to the bundle in `folder`, by the pictures in `root`.

    Raises DataError, and BundleError where too much would be lost; the bundle is then as it was.
    """
    bundle = bundles.load(folder)
    everything = data.training_samples(root)
    data.check_modalities(everything, bundle.card.input.modalities)
    samples, problems = data.readable(everything, bundle.card.input.channels, whole=True)
    for problem in problems:
        say(f"left out: {problem}")
    samples = data.as_trained(samples, bundle.card.training)
    seed = int(bundle.card.training.get("seed", 0))
    if not any(sample.good for sample in samples):
        raise DataError(f"{root} has no normal picture that can be read, to measure the loss on; add some")
    learnt = data.data_hash(samples) == bundle.card.training.get("data_sha256")
    if learnt:
        _, samples = split(samples, float(bundle.card.training.get("validation", VALIDATION)), seed)
        say(f"the pictures that it was trained with: {len(samples)} of them are used, {HELD_BACK}")
    else:
        say(f"not the pictures that it was trained with: all {len(samples)} are used")
    height, width, channels = bundle.card.input.shape
    pairs, real = validation_pairs(Pictures(samples, (height, width), channels), seed)
    return add(bundle, pairs, real, learnt, precision, say)


def add(bundle: Bundle, pairs: Sequence[Pair], real: bool, learnt: bool, precision: Precision, say: Say) -> Bundle:
    """Add the detector in `precision` to a bundle on disk, measured on `pairs`: pictures at its size and their masks.

    real: whether the defects on them are, or synthetic;  learnt: whether they are those that its training held back
    Raises BundleError where too much would be lost.
    """
    taken = set(runtimes.load(bundle.detector, "cpu").inputs)
    if taken != {"image"}:
        raise BundleError(f"bundle {bundle.card.name!r} takes {' and '.join(sorted(taken))}: only fp32 is made of such")
    before = measure(bundle, bundle.detector, pairs)
    problems = []
    for model, how in _candidates(bundle, pairs, precision):
        after = measure(bundle, model, pairs)
        problem = too_much(before, after)
        if problem is None:
            account = _account(before, after, pairs, real, learnt, how)
            say(f"{precision}: {how}; {account['measured']}")
            return _write(bundle, model, precision, account)
        problems.append(f"{how}: {problem}")
        say(f"{precision}, not taken: {problems[-1]}")
    raise BundleError(
        f"bundle {bundle.card.name!r} would lose too much in {precision} ({problems[-1]}); it stays in fp32; "
        f"train longer, or on more pictures, for clearer decisions"
    )


def _candidates(bundle: Bundle, pairs: Sequence[Pair], precision: Precision) -> Iterator[tuple[bytes, str]]:
    """Graphs to try, the fastest first, and how each was made."""
    if precision is Precision.FP16:
        yield to_fp16(bundle.detector), "convolutions in half precision, the decision in fp32"
        return
    pictures = [image for image, _ in pairs[:: -(-len(pairs) // CALIBRATION)]]
    for first, last in left_in_fp32(bundle.detector):
        how = (
            f"static, unsigned activations, signed weights by channel, ranges from {len(pictures)} pictures, "
            f"the first {first} and last {last} convolutions in fp32"
        )
        yield to_int8(bundle.detector, pictures, first, last), how


def left_in_fp32(model: bytes) -> list[tuple[int, int]]:
    """How many of the model's first and last convolutions to leave, in the order in which it is tried."""
    count = convolutions(model)
    ladder = [(max(1, round(first * count)), max(1, math.ceil(last * count))) for first, last in IN_FP32]
    return list(dict.fromkeys(ladder))  # of few convolutions these may be the same


def measure(bundle: Bundle, model: bytes, pairs: Sequence[Pair]) -> Figures:
    """What `model`, as the bundle's detector, makes of pictures with known masks; on the CPU."""
    detector = Detector(runtimes.load(model, "cpu"), bundle, max_batch=1)
    judge = Judge(bundle.card.decision.threshold, bundle.card.decision.min_area)
    counts, verdicts = PixelCounts(), []
    scores: dict[bool, list[float]] = {True: [], False: []}
    for image, mask in pairs:
        (detection,) = detector.detect([image])
        judgement = judge(detection, *mask.shape)
        counts.add(np.zeros_like(mask) if judgement.mask is None else judgement.mask, mask)
        scores[bool(mask.any())].append(detection.score)
        verdicts.append(judgement.verdict)
    auroc = area_under_roc(np.array(scores[False]), np.array(scores[True]))
    return Figures(counts.figures()["pixel_f1"], auroc, tuple(verdicts))


def too_much(before: Figures, after: Figures) -> str | None:
    """Why `after` is no stand-in for `before`; None where it is one. A figure that is not a number is no proof."""
    if not before.pixel_f1 - after.pixel_f1 <= F1_LOSS:
        return f"pixel F1 {after.pixel_f1:.3f} where fp32 has {before.pixel_f1:.3f} (it may lose {F1_LOSS})"
    if not before.image_auroc - after.image_auroc <= AUROC_LOSS:
        return f"image AUROC {after.image_auroc:.4f} where fp32 has {before.image_auroc:.4f} (it may lose {AUROC_LOSS})"
    differing, allowed = _differing(before, after), max(1, int(DIFFERING * len(before.verdicts)))
    if differing > allowed:
        return f"{differing} of {len(before.verdicts)} verdicts differ from fp32's ({allowed} may)"
    return None


def _differing(before: Figures, after: Figures) -> int:
    return sum(a is not b for a, b in zip(before.verdicts, after.verdicts, strict=True))


def _account(
    before: Figures, after: Figures, pairs: Sequence[Pair], real: bool, learnt: bool, how: str
) -> dict[str, Any]:
    """What the card says of it."""
    which = f" ({HELD_BACK})" if learnt else ""
    return {
        "how": how,
        "measured": (
            f"on {len(pairs)} pictures{which} with {'real' if real else 'synthetic'} defects: pixel F1 "
            f"{after.pixel_f1:.4f} (fp32 {before.pixel_f1:.4f}), image AUROC {after.image_auroc:.4f} (fp32 "
            f"{before.image_auroc:.4f}), {_differing(before, after)} verdict(s) differ"
        ),
        "rule": (
            f"taken because it loses at most {F1_LOSS} of pixel F1 and {AUROC_LOSS} of image AUROC and at most "
            f"{DIFFERING:.0%} of the verdicts (or one) differ: less than another choice of pictures changes"
        ),
    }


def _write(bundle: Bundle, model: bytes, precision: Precision, account: dict[str, Any]) -> Bundle:
    """Prove the variant, then put it into the bundle's folder, the card last.

    Both are on the disk before: where there is no room for them, the bundle is as it was, and between the two it is so
    too, since its card does not name the variant. Only where that replaces another would a stop just then leave a
    bundle that is refused.
    """
    model = describe(model, bundle.card, "detector", precision)
    sums = {f"detector_{precision}": hashlib.sha256(model).hexdigest()}
    training = bundle.card.training | {precision.value: account}
    card = bundle.card.model_copy(update={"files": bundle.card.files.model_copy(update=sums), "training": training})
    proven = replace(bundle, card=card, variants={**bundle.variants, precision: model})
    engine.start(proven, "cpu", 1, precision)
    files.replace({bundle.folder / VARIANTS[precision]: model, bundle.folder / CARD: packing.encoded(card)})
    return bundles.load(bundle.folder)
