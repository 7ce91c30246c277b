"""A bundle made ready to run: loaded onto a device, proven there, and named for every message."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.inference import runtimes
from inspector.inference.bundle import Bundle
from inspector.inference.detector import Detector
from inspector.inference.golden import prove
from inspector.inference.repairer import Repairer
from inspector.types import ModelTag


@dataclass(frozen=True, slots=True)
class Engine:
    """One worker's sessions of one bundle; owned by one thread."""

    detector: Detector
    repairer: Repairer | None
    tag: ModelTag


def start(bundle: Bundle, device: str, max_batch: int) -> Engine:
    """Load and prove `bundle` on `device` (not "auto"). Raises DeviceError, ModelError, BundleError.

    Call it from one thread at a time: creating sessions at once is not safe in every runtime.
    """
    model = runtimes.load(bundle.detector, device)
    detector = Detector(model, bundle, max_batch)
    repairer = None if bundle.repairer is None else Repairer(runtimes.load(bundle.repairer, device), bundle)
    prove(bundle, detector, repairer)
    return Engine(detector, repairer, ModelTag(bundle.card.name, bundle.sha256, model.provider))
