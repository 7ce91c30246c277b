"""What judges, put together as the configuration says: models proven on their device, and what it takes beside them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from inspector import calibration
from inspector import settings as configuration
from inspector.calibration import Calibration, Seen
from inspector.errors import ConfigError
from inspector.inference import bundle, engine, references, runtimes
from inspector.inference.bundle import Bundle, Input
from inspector.inference.engine import Engine
from inspector.inference.references import References
from inspector.inference.view import Ignored, View, ignore_mask, view_of
from inspector.judge import Judge
from inspector.settings import Settings
from inspector.types import ModelTag, Precision
from inspector.worker import Station

log = logging.getLogger(__name__)

CPU_BATCH, GPU_BATCH = 1, 16
"""Frames in a batch unless configured: on a CPU batches do not pay (measured: 10.1 ms a frame at 1, 11.9 at 8)."""


@dataclass(frozen=True, slots=True)
class Judging:
    """bundles: by the path that the configuration names;  crew: for each worker its engines, by the bundle's sha256

    tags: the models, by sha256;  max_batch: frames;  stations, calibrations: by camera
    fallbacks: by the model's name and the setting, whether `auto` had to take less than this installation should give
    """

    bundles: Mapping[Path, Bundle]
    crew: list[dict[str, Engine]]
    tags: Mapping[str, ModelTag]
    max_batch: int
    stations: Mapping[str, Station]
    calibrations: Mapping[str, Calibration]
    fallbacks: Mapping[tuple[str, str], bool]

    @property
    def summary(self) -> str:
        """Who works on what, in a few words."""
        how = ", ".join(sorted({f"{tag.provider} in {tag.precision}" for tag in self.tags.values()}))
        return f"{len(self.crew)} worker(s) on {how}"

    def notes(self) -> Iterator[str]:
        """A sentence on each camera's calibration."""
        for camera, one in self.calibrations.items():
            runs_on, made_on = self._where(one)
            # No mistake to be refused: a machine may have to make do. But the promise was made elsewhere.
            elsewhere = f"; it was made on {made_on}, not {runs_on}" if camera in self.elsewhere else ""
            yield f"camera {camera!r}: {one}{elsewhere}"

    @property
    def elsewhere(self) -> frozenset[str]:
        """The cameras whose calibration was made on another provider or precision than what judges them."""
        pairs = {camera: self._where(one) for camera, one in self.calibrations.items()}
        return frozenset(camera for camera, (runs_on, made_on) in pairs.items() if runs_on != made_on)

    def _where(self, one: Calibration) -> tuple[str, str]:
        """What a calibrated camera's model runs on, and what the calibration was made on."""
        runs_on, made_on = (f"{of.provider} in {of.precision}" for of in (self.tags[one.bundle.sha256], one.bundle))
        return runs_on, made_on


def prepare(settings: Settings) -> Judging:
    """Load every bundle and prove it on its device. Raises ConfigError, BundleError, DeviceError, ModelError."""
    bundles = {camera.bundle: bundle.load(camera.bundle) for camera in settings.camera}
    _check_channels(settings, bundles)
    views = _views(settings, bundles)
    calibrations = _calibrations(settings, bundles, views)
    stations = _stations(settings, bundles, calibrations, _references(settings, bundles), views)
    device, why = runtimes.resolve(settings.workers.device, next(iter(bundles.values())).detector)
    count, max_batch = _sizes(settings, device)
    log.info("%s; %d worker(s), batches of up to %d", why, count, max_batch)
    unique = {one.sha256: one for one in bundles.values()}  # two paths to one bundle share it
    precisions = {sha256: _precision(one, device, settings.workers) for sha256, one in unique.items()}
    crew = [
        {
            sha256: engine.start(one, device, max_batch, precisions[sha256], settings.workers.cache)
            for sha256, one in unique.items()
        }
        for _ in range(count)
    ]
    tags = {model.tag.sha256: model.tag for model in crew[0].values()}
    fallbacks = {
        (tags[sha256].name, setting): fell_back
        for sha256, one in unique.items()
        for setting, fell_back in _fallbacks(settings.workers, device, one, tags[sha256])
    }
    return Judging(bundles, crew, tags, max_batch, stations, calibrations, fallbacks)


def _fallbacks(
    workers: configuration.Workers, device: str, bundle: Bundle, tag: ModelTag
) -> Iterator[tuple[str, bool]]:
    """Of each setting, whether it was left to us and we had to take less than the best that is installed."""
    yield "device", workers.device == "auto" and device != runtimes.best_installed()
    best = engine.best_precision(bundle, device)
    yield "precision", workers.precision == "auto" and tag.precision != best


def reference_problem(camera: configuration.Camera) -> str | None:
    """Why a camera's bundle and its reference pictures do not belong together, if so."""
    if bundle.load(camera.bundle).card.input.reference == (camera.reference is not None):
        return None
    if camera.reference is None:
        return (
            f"camera {camera.name!r}: reference is missing; its bundle {str(camera.bundle)!r} compares each frame "
            "with a reference picture: give one, or a folder with one for each position"
        )
    return (
        f"camera {camera.name!r}: reference = {str(camera.reference)!r}: its bundle {str(camera.bundle)!r} does not "
        "compare frames with reference pictures; remove the key, or give a bundle that was trained with references"
    )


def _sizes(settings: Settings, device: str) -> tuple[int, int]:
    """How many workers, and how many frames in a batch."""
    on_cpu = device in ("cpu", "openvino:cpu")
    count = settings.workers.count or (len(os.sched_getaffinity(0)) if on_cpu else 1)
    return count, settings.workers.max_batch or (CPU_BATCH if on_cpu else GPU_BATCH)


def _precision(bundle: Bundle, device: str, workers: configuration.Workers) -> Precision:
    """What the bundle's detector will compute with."""
    precision, why = engine.settle(bundle, device, workers.precision, workers.cache)
    log.info("bundle %r: %s", bundle.card.name, why)
    return precision


def _check_channels(settings: Settings, bundles: Mapping[Path, Bundle]) -> None:
    problems = [
        f"camera {camera.name!r}: bundle {str(camera.bundle)!r} {problem}"
        for camera in settings.camera
        if (problem := misfit(camera.sources, bundles[camera.bundle].card.input)) is not None
    ]
    if problems:
        raise ConfigError(*problems)


def misfit(sources: Mapping[str, str] | None, takes: Input) -> str | None:
    """What the bundle of a camera takes and the camera does not give, if so; `sources` are those of a stack."""
    known = ", ".join(f"{name} ({channels})" for name, channels in takes.modalities.items())
    if sources is None:
        if takes.channels in (1, 3):
            return None
        stacked = f", stacked of {known}" if known else ""
        return (
            f"takes {takes.channels} channels{stacked}, and a camera alone gives 1 (grey) or 3 (colour); give sources, "
            "one for each modality, or a bundle that was trained on such pictures"
        )
    if takes.modalities:
        if list(sources) == list(takes.modalities):
            return None
        return f"takes the modalities {known}, and sources are {', '.join(sources)}; name the same ones in this order"
    if takes.channels in range(len(sources), 3 * len(sources) + 1, 2):
        return None
    return (
        f"takes {takes.channels} channels, and {len(sources)} sources of 1 or 3 channels each ({', '.join(sources)}) "
        "never give that; give a source for each modality that it was trained with"
    )


def _references(settings: Settings, bundles: Mapping[Path, Bundle]) -> dict[str, References]:
    """The reference pictures of the cameras that have some; those with one folder and one kind of bundle share them."""
    loaded: dict[tuple[Path, int], References] = {}
    by_camera = {}
    for camera in settings.camera:
        if camera.reference is not None:
            key = camera.reference, bundles[camera.bundle].channels
            loaded[key] = loaded[key] if key in loaded else references.load(*key)
            by_camera[camera.name] = loaded[key]
            about, found = {"camera": camera.name}, len(loaded[key].names)
            log.info("camera %s: %d reference picture(s), %s", camera.name, found, camera.reference, extra=about)
    return by_camera


def _views(settings: Settings, bundles: Mapping[Path, Bundle]) -> dict[str, View]:
    """What is looked at of each camera's frames. Raises ConfigError where that cannot be."""
    views, problems = {}, []
    for camera in settings.camera:
        try:
            ignored = None
            if camera.ignore is not None or camera.ignore_polygons:
                mask = None if camera.ignore is None else ignore_mask(camera.ignore)
                ignored = Ignored(mask, camera.ignore_polygons)
            card = bundles[camera.bundle].card
            views[camera.name] = view_of(card, camera.fit, camera.overlap, camera.region, ignored, camera.size)
        except ConfigError as error:
            problems += [f"camera {camera.name!r}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(*problems)
    return views


def _calibrations(
    settings: Settings, bundles: Mapping[Path, Bundle], views: Mapping[str, View]
) -> dict[str, Calibration]:
    """By camera, of those that are calibrated. Raises ConfigError where one belongs to another bundle or camera."""
    found, problems = {}, []
    for camera in settings.camera:
        if camera.calibration is not None:
            one = found[camera.name] = calibration.load(camera.calibration)
            frames = Seen.of(*views[camera.name].traits)
            if (why := calibration.objection(one, camera.name, bundles[camera.bundle].sha256, frames)) is not None:
                problems.append(f"camera {camera.name!r}: calibration {camera.calibration}: {why}")
    if problems:
        raise ConfigError(*problems)
    return found


def _stations(
    settings: Settings,
    bundles: Mapping[Path, Bundle],
    calibrations: Mapping[str, Calibration],
    by_camera: Mapping[str, References],
    views: Mapping[str, View],
) -> dict[str, Station]:
    stations = {}
    for camera in settings.camera:
        if (one := calibrations.get(camera.name)) is not None:
            judge = Judge(one.decision.threshold, one.decision.min_area, folded=True)
        else:
            decision = bundles[camera.bundle].card.decision
            judge = Judge(
                decision.threshold if camera.threshold is None else camera.threshold,
                decision.min_area if camera.min_area is None else camera.min_area,
            )
        sha256 = bundles[camera.bundle].sha256
        stations[camera.name] = Station(sha256, judge, camera.repair, views[camera.name], by_camera.get(camera.name))
    return stations
