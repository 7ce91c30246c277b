"""What judges, put together as the configuration says: models proven on their device, and what it takes beside them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inspector import calibration
from inspector import settings as configuration
from inspector.calibration import Calibration, Seen
from inspector.errors import ConfigError
from inspector.inference import bundle, engine, references, runtimes
from inspector.inference.bundle import Bundle, Input
from inspector.inference.engine import Team
from inspector.inference.references import References
from inspector.inference.view import Ignored, View, ignore_mask, view_of
from inspector.judge import Judge
from inspector.settings import Settings
from inspector.types import Cause, ModelTag, Precision
from inspector.worker import Station

log = logging.getLogger(__name__)

CPU_BATCH, GPU_BATCH = 1, 16
"""Frames in a batch unless configured: on a CPU batches do not pay (measured: 10.1 ms a frame at 1, 11.9 at 8)."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where models run: on which device, with how many workers, and at most so many frames in a batch."""

    device: str
    workers: int
    max_batch: int
    wish: configuration.Workers

    def team(self, bundle: Bundle) -> Team:
        """`bundle`, loaded and proven once for each worker. Raises BundleError, DeviceError, ModelError."""
        precision, why = engine.settle(bundle, self.device, self.wish.precision, self.wish.cache)
        log.info("bundle %r: %s", bundle.card.name, why)
        engines = [
            engine.start(bundle, self.device, self.max_batch, precision, self.wish.cache) for _ in range(self.workers)
        ]
        return Team(bundle, engines)

    def apart(self, team: Team) -> Team:
        """The bundle of a team at work, with one engine that no worker has. Raises DeviceError, ModelError."""
        precision = Precision(team.tag.precision)
        return Team(team.bundle, [engine.start(team.bundle, self.device, self.max_batch, precision, self.wish.cache)])

    def fallbacks(self, team: Team) -> Iterator[tuple[str, bool]]:
        """Of each setting, whether it was left to us and we had to take less than the best that is installed."""
        yield "device", self.wish.device == "auto" and self.device != runtimes.best_installed()
        best, *_ = engine.precisions(team.bundle, self.device)
        yield "precision", self.wish.precision == "auto" and team.tag.precision != best


@dataclass(frozen=True, slots=True)
class Judging:
    """What judges, as `settings` say. teams: by the bundle's sha256;  stations, calibrations: by camera

    fallbacks: by the model's name and the setting, whether `auto` had to take less than this installation should give;
    of several bundles of one name, for any of them
    """

    settings: Settings
    workshop: Workshop
    teams: Mapping[str, Team]
    stations: Mapping[str, Station]
    calibrations: Mapping[str, Calibration]
    fallbacks: Mapping[tuple[str, str], bool]

    @property
    def tags(self) -> list[ModelTag]:
        """The models."""
        return [team.tag for team in self.teams.values()]

    def folders(self) -> dict[str, Path]:
        """Where the bundles came from, by sha256."""
        return {sha256: team.bundle.folder for sha256, team in self.teams.items()}

    @property
    def summary(self) -> str:
        """Who works on what, in a few words."""
        how = ", ".join(sorted({f"{tag.provider} in {tag.precision}" for tag in self.tags}))
        return f"{self.workshop.workers} worker(s) on {how}"

    def notes(self) -> Iterator[str]:
        """A sentence on each camera's calibration."""
        cameras = {camera.name: camera for camera in self.settings.camera}
        for camera, one in self.calibrations.items():
            rows = cameras[camera].scan_rows
            runs_on, made_on = self._where(camera, one)
            # No mistake to be refused: a machine may have to make do. But the promise was made elsewhere.
            elsewhere = f"; it was made on {made_on}, not {runs_on}" if camera in self.elsewhere else ""
            is_doubtful = rows is not None and one.data.height is None
            doubt = f"; it may be of strips: make it anew with --scan-rows {rows}" if is_doubtful else ""
            is_blind = one.is_blind_to_blurs and Cause.DEFOCUSED in cameras[camera].health
            blind = "; it cannot tell strong blurs, being of before that: make it anew" if is_blind else ""
            yield f"camera {camera!r}: {one}{elsewhere}{doubt}{blind}"

    @property
    def elsewhere(self) -> frozenset[str]:
        """The cameras whose calibration was made on another provider or precision than what judges them."""
        pairs = {camera: self._where(camera, one) for camera, one in self.calibrations.items()}
        return frozenset(camera for camera, (runs_on, made_on) in pairs.items() if runs_on != made_on)

    def _where(self, camera: str, one: Calibration) -> tuple[str, str]:
        """What a calibrated camera's model runs on, and what the calibration was made on."""
        tags = self.stations[camera].tag, one.bundle
        runs_on, made_on = (f"{of.provider} in {of.precision}" for of in tags)
        return runs_on, made_on


def prepare(settings: Settings, now: Judging | None = None) -> Judging:
    """Load every bundle and prove it on its device. Raises ConfigError, BundleError, DeviceError, ModelError.

    now: what judges already. Its workshop is used, and so are its models and stations where `settings` keep them; it
    goes on judging meanwhile, for nothing of it is changed
    """
    bundles = {camera.bundle: bundle.load(camera.bundle) for camera in settings.camera}
    problems = _misfits(settings, bundles)
    views = _views(settings, bundles, problems)
    calibrations = _calibrations(settings, bundles, views, problems)
    by_camera = _references(settings, bundles, problems)
    if problems:
        raise ConfigError(*problems)
    unique = {one.sha256: one for one in bundles.values()}  # two paths to one bundle share it
    workshop = _workshop(settings, unique.values()) if now is None else now.workshop
    known = {} if now is None else now.teams
    teams = {sha256: known[sha256] if sha256 in known else workshop.team(one) for sha256, one in unique.items()}
    stations = {
        camera.name: _station(
            camera,
            teams[bundles[camera.bundle].sha256],
            views[camera.name],
            by_camera.get(camera.name),
            calibrations.get(camera.name),
        )
        for camera in settings.camera
    }
    if now is not None:
        stations |= {name: now.stations[name] for name in _kept(settings, stations, now)}
    fallbacks: dict[tuple[str, str], bool] = {}
    for team in teams.values():
        for setting, fell_back in workshop.fallbacks(team):
            key = team.tag.name, setting
            fallbacks[key] = fallbacks.get(key, False) or fell_back
    return Judging(settings, workshop, teams, stations, calibrations, fallbacks)


_IN_STATION = {"bundle", "calibration", "threshold", "min_area"}
"""Keys of a camera whose meaning, not whose text, decides."""


def _kept(settings: Settings, stations: Mapping[str, Station], now: Judging) -> Iterator[str]:
    """The cameras whose frames are judged as before, though maybe by what other files say."""
    before = {camera.name: camera.model_dump(exclude=_IN_STATION) for camera in now.settings.camera}
    for camera in settings.camera:
        new, old = stations[camera.name], now.stations[camera.name]
        same = new.team is old.team and (new.judge, new.calibration) == (old.judge, old.calibration)
        if (
            same
            and before.get(camera.name) == camera.model_dump(exclude=_IN_STATION)
            and new.view.traits == old.view.traits
        ):
            yield camera.name


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


def _workshop(settings: Settings, bundles: Iterable[Bundle]) -> Workshop:
    """On the device that is wished for, or the best that runs all of `bundles`."""
    wish = settings.workers
    device, why = runtimes.resolve(wish.device, [network for bundle in bundles for network in bundle.networks])
    on_cpu = device in ("cpu", "openvino:cpu")
    count = wish.count or (len(os.sched_getaffinity(0)) if on_cpu else 1)
    max_batch = wish.max_batch or (CPU_BATCH if on_cpu else GPU_BATCH)
    log.info("%s; %d worker(s), batches of up to %d", why, count, max_batch)
    return Workshop(device, count, max_batch, wish)


def _misfits(settings: Settings, bundles: Mapping[Path, Bundle]) -> list[str]:
    return [
        f"camera {camera.name!r}: bundle {str(camera.bundle)!r} {problem}"
        for camera in settings.camera
        if (problem := misfit(camera.sources, bundles[camera.bundle].card.input)) is not None
    ]


@contextmanager
def _telling(camera: configuration.Camera, problems: list[str]) -> Iterator[None]:
    """Add what is wrong with a camera to `problems`, and go on: all of it is told together."""
    try:
        yield
    except ConfigError as error:
        problems += [f"camera {camera.name!r}: {problem}" for problem in error.problems]


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


def _references(settings: Settings, bundles: Mapping[Path, Bundle], problems: list[str]) -> dict[str, References]:
    """The reference pictures of the cameras that have some; those with one folder and one kind of bundle share them."""
    loaded: dict[tuple[Path, int], References] = {}
    by_camera = {}
    for camera in settings.camera:
        if camera.reference is not None:
            key = camera.reference, bundles[camera.bundle].channels
            with _telling(camera, problems):
                loaded[key] = loaded[key] if key in loaded else references.load(*key)
                by_camera[camera.name] = loaded[key]
                about, found = {"camera": camera.name}, len(loaded[key].names)
                log.info("camera %s: %d reference picture(s), %s", camera.name, found, camera.reference, extra=about)
    return by_camera


def _views(settings: Settings, bundles: Mapping[Path, Bundle], problems: list[str]) -> dict[str, View]:
    """What is looked at of each camera's frames, where that can be."""
    views = {}
    for camera in settings.camera:
        with _telling(camera, problems):
            ignored = None
            if camera.ignore is not None or camera.ignore_polygons:
                mask = None if camera.ignore is None else ignore_mask(camera.ignore)
                ignored = Ignored(mask, camera.ignore_polygons)
            card = bundles[camera.bundle].card
            views[camera.name] = view_of(card, camera.fit, camera.overlap, camera.region, ignored, camera.size)
    return views


def _calibrations(
    settings: Settings, bundles: Mapping[Path, Bundle], views: Mapping[str, View], problems: list[str]
) -> dict[str, Calibration]:
    """By camera, of those that are calibrated: each for this bundle and camera, and for what is looked at."""
    found = {}
    for camera in settings.camera:
        if camera.calibration is not None and camera.name in views:
            with _telling(camera, problems):
                one = found[camera.name] = calibration.load(camera.calibration)
                frames = Seen.of(*views[camera.name].traits)
                size, sha256 = camera.size or (None, camera.scan_rows), bundles[camera.bundle].sha256
                if (why := calibration.objection(one, camera.name, sha256, frames, size)) is not None:
                    raise ConfigError(f"calibration {camera.calibration}: {why}")
    return found


def _station(
    camera: configuration.Camera,
    team: Team,
    view: View,
    references: References | None,
    calibrated: Calibration | None,
) -> Station:
    if calibrated is not None:
        judge = Judge(calibrated.decision.threshold, calibrated.decision.min_area, folded=True)
    else:
        decision = team.bundle.card.decision
        judge = Judge(
            decision.threshold if camera.threshold is None else camera.threshold,
            decision.min_area if camera.min_area is None else camera.min_area,
        )
    tag = None if calibrated is None else calibrated.tag
    return Station(camera.name, team, judge, camera.repair, view, references, tag)
