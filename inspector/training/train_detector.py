"""The detector, and when a frame is `ng` by it: pictures that are held back choose that, and are then learnt too."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import compress

import torch

from inspector.training import explain, threshold
from inspector.training.batches import DetectorBatches, Pair
from inspector.training.compared_pairs import PairBatches
from inspector.training.fit_detector import finish_detector, fit_detector, maps
from inspector.training.fit_discover import blend, fit_distances
from inspector.training.material import Material
from inspector.training.networks import Architecture
from inspector.training.networks.detector import Detector
from inspector.training.networks.discover import Discover
from inspector.training.plots import plot
from inspector.training.settings import BATCH, VIEW, WHOLE_BATCH, Settings, plan, plan_finish
from inspector.training.threshold import Choice
from inspector.types import Map, Say


@dataclass(frozen=True, slots=True)
class TrainedDetector:
    """network: in evaluation mode;  choice: when a frame is `ng`;  card: what is told of its training"""

    network: Detector
    choice: Choice
    card: dict[str, object]


def train_detector(settings: Settings, architecture: Architecture, material: Material, say: Say) -> TrainedDetector:
    """Train a detector of that architecture; `say` is told what is done and why."""
    training, validation, pairs = material.training, material.validation, material.pairs
    size, whole = training.size, architecture.whole
    view = size if whole else (min(VIEW, size[0]), min(VIEW, size[1]))
    views = f"{view[1]}x{view[0]} views"
    batch = WHOLE_BATCH if whole else BATCH
    batches = PairBatches if material.mode == "reference" else DetectorBatches

    # First without what is held back: on that its decision is then chosen.
    first = plan(settings, len(training), settings.epochs, architecture.steps, batch)
    say(explain.duration("detector", first, views))
    torch.manual_seed(settings.seed)
    network = architecture.build(training.channels, size)
    if isinstance(network, Discover):
        fit_distances(network, training)
    shown = batches(training, view, batch, material.augmentation)
    figures = fit_detector(network, architecture, shown, pairs, first, settings.work, settings.resume)
    if isinstance(network, Discover):
        blend(network, validation)
    plot(settings.work / "detector.jsonl", settings.work / "detector.png")
    judged = _judged(network, pairs)
    choice = threshold.choose(judged, [mask for _, mask in pairs], material.real)
    card: dict[str, object] = {**asdict(first), "figures": figures}

    # What was held back has told all that it could, and may now be known.
    everyone = training.joined(validation)
    normal = [not mask.any() for _, mask in pairs]
    if isinstance(network, Discover):
        fit_distances(network, everyone)
    else:
        last = plan_finish(first)
        say(explain.duration("detector, with what was held back too", last, views))
        shown = batches(everyone, view, batch, material.augmentation)
        figures = finish_detector(network, architecture, shown, last, settings.work, settings.resume)
        card["finish"] = {**asdict(last), "figures": figures}
    after = _judged(network, list(compress(pairs, normal)))
    if "finish" in card:
        choice = threshold.raised(choice, list(compress(judged, normal)), after)
    if material.mode == "normal":
        choice = threshold.lowered(choice, after)
    say(f"min_area {choice.min_area}; {choice.why}")
    return TrainedDetector(network, choice, card)


def _judged(network: Detector, pairs: list[Pair]) -> list[Map]:
    """Its probability map [H,W] of each picture."""
    with torch.inference_mode():
        return list(maps(network, (image for image, _ in pairs)))
