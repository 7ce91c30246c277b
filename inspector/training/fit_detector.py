"""Trains the detector: a per-pixel binary classifier."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from inspector.training import loop
from inspector.training.batches import DetectorBatches, Pair
from inspector.training.losses import PixelLoss, detection_loss, focal, weighted_entropy
from inspector.training.metrics import PixelCounts, PixelScores, cross_entropy
from inspector.training.networks import Architecture
from inspector.training.networks.detector import Detector
from inspector.types import Image, Map

CHECKED_PIXELS = 4_000_000
"""How much of the validation pictures each epoch is measured on; the threshold is chosen on all of them."""

MINED, MINED_PLACES = 24, 8
"""Normal pictures that are searched for hard negatives before an epoch, and how many each may give."""


def fit_detector(
    network: Detector,
    architecture: Architecture,
    batches: DetectorBatches,
    validation: list[Pair],
    plan: loop.Plan,
    folder: Path,
    resume: bool,
) -> dict[str, float]:
    """Train `network` in place: the last epoch's weights, in evaluation mode, and its figures."""
    pixels = sum(mask.size for _, mask in validation)
    checked = validation[:: math.ceil(pixels / CHECKED_PIXELS)]

    def validate(candidate: nn.Module) -> dict[str, float]:
        scores, counts, entropy = PixelScores(), PixelCounts(), []
        for (_, mask), probability in zip(checked, maps(candidate, (image for image, _ in checked)), strict=True):
            scores.add(probability, mask)
            counts.add(np.where(probability > 0.5, 255, 0).astype(np.uint8), mask)
            entropy.append(cross_entropy(probability, mask))
        figures = counts.figures()
        best, _ = scores.best_f1()
        return {
            "validation_loss": float(np.mean(entropy)),
            "accuracy": figures["pixel_accuracy"],
            "f1": figures["pixel_f1"],
            "best_f1": best,
        }

    return _fit("detector", network, architecture, batches, validate, plan, folder, resume)


def finish_detector(
    network: Detector, architecture: Architecture, batches: DetectorBatches, plan: loop.Plan, folder: Path, resume: bool
) -> dict[str, float]:
    """Go on with `network` in place, with pictures that were held back until now: nothing is left to validate it on."""
    return _fit("finish", network, architecture, batches, lambda candidate: {}, plan, folder, resume)


def _fit(
    name: str,
    network: Detector,
    architecture: Architecture,
    batches: DetectorBatches,
    validate: Callable[[nn.Module], Mapping[str, float]],
    plan: loop.Plan,
    folder: Path,
    resume: bool,
) -> dict[str, float]:
    device = best_device()
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pixelwise: PixelLoss = focal if architecture.focal else weighted_entropy(positive_weight(batches))

    def loss(rng: np.random.Generator) -> Tensor:
        views = batches.draw(rng)
        truth = torch.from_numpy(views.masks).to(device).gt(0).float()
        known = torch.from_numpy(views.known).to(device)
        logits, picture = network.answers(as_input(views.images, device))
        return detection_loss(logits, picture if architecture.whole else None, truth, known, pixelwise)

    def dwell(candidate: nn.Module, rng: np.random.Generator) -> None:
        batches.hard = mistaken(candidate, batches, rng)

    small = batches.view != batches.pictures.size
    task = loop.Task(
        name, network, loss, validate, trunk_rate=architecture.trunk_rate, prepare=dwell if small else None
    )
    kept, figures = loop.fit(task, plan, folder, resume)
    network.load_state_dict(kept)
    network.cpu().eval()
    return figures


def mistaken(network: nn.Module, batches: DetectorBatches, rng: np.random.Generator) -> list[tuple[int, float, float]]:
    """Places (picture, x, y) of some normal pictures that `network` takes for defects: hard negatives.

    Of each picture the largest ones, since a young network is wrong nearly everywhere.
    """
    indices = batches.normal(MINED, rng)
    places = []
    for index, probability in zip(indices, maps(network, (batches.whole(i) for i in indices)), strict=True):
        wrong = (probability > 0.5).astype(np.uint8)
        _, _, stats, centres = cv2.connectedComponentsWithStats(wrong, connectivity=8)
        largest = 1 + np.argsort(stats[1:, cv2.CC_STAT_AREA])[::-1][:MINED_PLACES]
        places += [(index, float(x), float(y)) for x, y in centres[largest]]
    return places


def positive_weight(batches: DetectorBatches) -> float:
    """How much more a defective pixel counts: the root of how much rarer it is, at most 10."""
    views = batches.draw(np.random.default_rng(0))
    share = max(float((views.masks[views.known] > 0).mean()), 1e-4)
    return float(np.clip(np.sqrt((1 - share) / share), 1, 10))


def maps(network: nn.Module, images: Iterator[Image]) -> Iterator[Map]:
    """Probability maps [H,W] of pictures, one at a time."""
    device = next(network.parameters()).device
    for image in images:
        logits = network(as_input(image[np.newaxis], device))
        yield torch.sigmoid(logits)[0].cpu().numpy()


def as_input(images: np.ndarray, device: torch.device) -> Tensor:
    """uint8 [N,H,W,C] -> float [N,C,H,W] in [0, 1], channels last in memory as they came."""
    return torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2).float() / 255


def best_device() -> torch.device:
    """A CUDA device where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
