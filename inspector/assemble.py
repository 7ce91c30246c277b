"""The composition: opens what a configuration names, and joins it into a daemon.

Everything that can be wrong is found here, before the first frame: a bundle that does not prove itself, a device that
is not what was asked for, an address that is taken.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2

from inspector import calibration
from inspector import settings as configuration
from inspector.allowlist import AllowList
from inspector.archive import Empty
from inspector.calibration import Calibration
from inspector.catchup.server import CatchUp
from inspector.clock import Clock, SystemClock
from inspector.codecs import Formats
from inspector.daemon import Daemon, Wake
from inspector.errors import ConfigError
from inspector.guard import Guard
from inspector.health import Health, Views
from inspector.inference import bundle, engine, references, runtimes
from inspector.inference.bundle import Bundle
from inspector.inference.fit import fitted
from inspector.inference.references import References
from inspector.inference.runtimes.onnxruntime import check_installation
from inspector.journal.opening import Terms, opened, probe
from inspector.judge import Judge
from inspector.keys import ServerKeys
from inspector.ledger import Ledger
from inspector.metrics import REFUSALS, Metrics
from inspector.mistakes import Probe
from inspector.outputs import open_output
from inspector.pipeline import Camera, Pipeline
from inspector.publisher import DAEMON, Keeping, Publisher
from inspector.scrape import Core, Scrape
from inspector.settings import Settings
from inspector.shifts import Shifts
from inspector.sources import Source, open_source
from inspector.stage import Service
from inspector.types import Event, ModelTag, Precision
from inspector.wire import Encoder
from inspector.worker import Station, Worker

log = logging.getLogger(__name__)

CPU_BATCH, GPU_BATCH = 1, 16
"""Frames in a batch unless configured: on a CPU batches do not pay (measured: 10.1 ms a frame at 1, 11.9 at 8)."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """A daemon ready to run, and where it can be reached; `notes` are sentences on what cameras are judged by."""

    daemon: Daemon
    endpoint: str
    http: str
    summary: str
    notes: tuple[str, ...]


def read(path: Path) -> Settings:
    """The configuration at `path`, and all files and sources that it names, looked at. Raises ConfigError."""
    probes: dict[str, Probe] = {
        "source": open_source,
        "bundle": lambda folder: bundle.load(Path(folder)),
        "reference": lambda pictures: references.load(Path(pictures), channels=1),
        "calibration": lambda file: calibration.load(Path(file)),
    }
    settings = configuration.load(path, probes)
    problems = [f"{path}: {problem}" for camera in settings.camera if (problem := _reference_problem(camera))]
    problems += [f"{path}: security: {problem}" for problem in _key_problems(settings.security)]
    if settings.publish.catchup is not None and settings.journal.path is None:
        problems.append(f"{path}: publish.catchup answers from the journal, and there is none; set journal.path")
    if problems:
        raise ConfigError(*problems)
    return settings


@contextmanager
def assemble(
    settings: Settings, opener: Callable[[str], Source] = open_source, rehearsal: bool = False
) -> Iterator[Assembly]:
    """Open everything, prove every bundle on its device, and close it all at the end.

    opener: makes a source of a camera's URL
    rehearsal: the daemon will not run, so no session is begun in the journal
    Raises ConfigError, BundleError, DeviceError, ModelError, OutputError.
    """
    build = check_installation()
    cv2.setNumThreads(1)  # the workers are the parallelism; more threads only take turns
    clock = SystemClock()
    bundles = {camera.bundle: bundle.load(camera.bundle) for camera in settings.camera}
    _check_channels(settings, bundles)
    calibrations = _calibrations(settings, bundles)
    by_camera = _references(settings, bundles)
    device, why = runtimes.resolve(settings.workers.device, next(iter(bundles.values())).detector)
    count, max_batch = _sizes(settings, device)
    log.info("%s: %s; %d worker(s), batches of up to %d", build, why, count, max_batch)
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
    notes = tuple(_notes(calibrations, tags))
    sources = [opener(camera.source) for camera in settings.camera]
    wake = Wake()

    with ExitStack() as stack:
        guard = _guard(settings.security, clock, wake)
        if guard is not None:
            stack.callback(guard.close)
        output = open_output(
            settings.publish.endpoint, settings.publish.buffer_mb << 20, settings.publish.allow_plaintext, guard
        )
        stack.callback(output.close)
        names = [camera.name for camera in settings.camera]
        record = _record(stack, settings, names, clock, rehearsal)
        metrics = Metrics(names, list(tags.values()), clock)
        catchup = _catchup(stack, settings, record, clock, guard)
        if guard is not None:
            guard.start()
        encoder = Encoder(
            settings.line,
            record.session,
            configuration.config_sha256(settings),
            {camera: one.tag for camera, one in calibrations.items()},
            None if catchup is None else catchup.endpoint,
        )
        publisher = Publisher([output], encoder, names, _formats(settings), clock, metrics.observe, record.keeping)
        pipeline = Pipeline(
            [
                _camera(camera, source, bundles[camera.bundle])
                for camera, source in zip(settings.camera, sources, strict=True)
            ],
            record.ledger,
            [Worker(engines, _stations(settings, bundles, calibrations, by_camera), clock) for engines in crew],
            publisher,
            max_batch,
            settings.workers.max_wait,
            on_batch=lambda model, frames, end: metrics.batch(tags[model].name, frames, end),
            on_stage_end=wake.ring,
            clock=clock,
            aside={**record.aside, **({} if catchup is None else {"catch-up": catchup})},
        )
        beside = [] if guard is None else [guard.stage]
        daemon = Daemon(pipeline, wake, settings.daemon.drain, settings.daemon.stall, clock, record.news, beside)
        core = Core(
            counts=pipeline.ledger.counts,
            cameras={reader.camera: reader.state for reader in pipeline.readers},
            queues={"infer": pipeline.inbox.__len__, "publish": pipeline.outbox.__len__},
            traffic=publisher,
            ready=lambda: daemon.ready,
            calibrated={camera: one.seconds for camera, one in calibrations.items()},
            denied=dict.fromkeys(REFUSALS, 0) if guard is None else guard.denied,
            journal=record.keeping.journal if record.keeping else None,
            catchup=catchup,
            shift=record.shift,
        )
        views = Views(Scrape(metrics, core), ready=lambda: daemon.ready, failing=daemon.failing)
        health = Health(settings.http.host, settings.http.port, views)
        stack.callback(health.close)
        how = ", ".join(sorted({f"{tag.provider} in {tag.precision}" for tag in tags.values()}))
        summary = f"{len(names)} camera(s), {count} worker(s) on {how}"
        log.info("%s; publishing at %s, metrics at %s/metrics", summary, output.endpoint, health.url)
        for note in notes:
            log.info("%s", note)
        yield Assembly(daemon, output.endpoint, health.url, summary, notes)


@dataclass(frozen=True, slots=True)
class _Record:
    """What remembers: the ledger, and the journal with its stages; `news` is what became of the daemon before."""

    ledger: Ledger
    session: int
    keeping: Keeping | None = None
    aside: Mapping[str, Service] = field(default_factory=dict)
    news: Sequence[Event] = ()
    shift: Callable[[], Mapping[tuple[str, str], int]] = dict


def _record(stack: ExitStack, settings: Settings, cameras: Sequence[str], clock: Clock, rehearsal: bool) -> _Record:
    wish, shifts = settings.journal, Shifts(settings.journal.shifts)
    if wish.path is None:
        log.warning("nothing is kept: what a subscriber misses is lost to it; set journal.path")
    elif rehearsal:
        probe(wish.path)
    if wish.path is None or rehearsal:
        # Milliseconds since 1970 name the session: greater than that of every run before.
        return _Record(Ledger(cameras, shifts.at), clock.wall_ns() // 1_000_000)
    terms = Terms(wish.path, wish.sync, wish.keep_days * 86_400, round(wish.max_gb * 1e9), wish.memory_mb << 20)
    begun = stack.enter_context(opened(terms, settings.line, cameras, lambda: ledger.captured(), shifts.at, clock))
    ledger = Ledger(cameras, shifts.at, begun.captures.count)
    news = []
    for loss in begun.losses:
        log.error("camera %s: %s", loss.camera, loss)
        subject = loss.camera if loss.camera in cameras else DAEMON  # who is configured no more has no topic
        news.append(Event(subject, "cut-off", str(loss), clock.wall_ns()))
    return _Record(
        ledger,
        begun.session,
        Keeping(begun.journal, shifts.at, wish.results),
        {"journal": begun.journal, "keep": begun.keeper},
        news,
        lambda: begun.journal.shift(shifts.at(clock.wall_ns())),
    )


def _catchup(
    stack: ExitStack, settings: Settings, record: _Record, clock: Clock, guard: Guard | None
) -> CatchUp | None:
    """What answers subscribers from the journal, if that is wished for; `stack` closes it."""
    publish = settings.publish
    if publish.catchup is None:
        return None
    archive = record.keeping.journal if record.keeping else Empty()  # a rehearsal has none
    context = None if guard is None else guard.context
    catchup = CatchUp(publish.catchup, archive, clock, publish.allow_plaintext, guard, context)
    stack.callback(catchup.close)
    log.info("catch-up at %s", catchup.endpoint)
    return catchup


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
        f"camera {camera.name!r}: bundle {str(camera.bundle)!r} takes {channels} channels, and a camera gives 1 (grey) "
        "or 3 (colour); give it a bundle that was trained on such pictures"
        for camera in settings.camera
        if (channels := bundles[camera.bundle].card.input.channels) not in (1, 3)
    ]
    if problems:
        raise ConfigError(*problems)


def _camera(settings: configuration.Camera, source: Source, bundle: Bundle) -> Camera:
    fit = partial(fitted, shape=bundle.card.input.shape)
    return Camera(settings.name, source, fit, bundle.sha256, settings.deadline, settings.queue)


def _reference_problem(camera: configuration.Camera) -> str | None:
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


def _key_problems(security: configuration.Security) -> list[str]:
    """What is wrong with the daemon's key and those of its subscribers."""
    problems: list[str] = []
    if security.secret_key is not None and security.subscribers is not None:
        for probe in (partial(ServerKeys.load, security.secret_key), partial(AllowList, security.subscribers)):
            try:
                probe()
            except ConfigError as error:
                problems += error.problems
    return problems


def _guard(security: configuration.Security, clock: Clock, wake: Wake) -> Guard | None:
    """Who keeps strangers out, if anybody shall."""
    if security.secret_key is None or security.subscribers is None:
        return None
    return Guard(ServerKeys.load(security.secret_key), security.subscribers, clock, wake.ring)


def _references(settings: Settings, bundles: Mapping[Path, Bundle]) -> dict[str, References]:
    """The reference pictures of the cameras that have some; those with one folder and one kind of bundle share them."""
    loaded: dict[tuple[Path, int], References] = {}
    by_camera = {}
    for camera in settings.camera:
        if camera.reference is not None:
            key = camera.reference, bundles[camera.bundle].channels
            loaded[key] = loaded[key] if key in loaded else references.load(*key)
            by_camera[camera.name] = loaded[key]
            log.info("camera %s: %d reference picture(s), %s", camera.name, len(loaded[key].names), camera.reference)
    return by_camera


def _calibrations(settings: Settings, bundles: Mapping[Path, Bundle]) -> dict[str, Calibration]:
    """By camera, of those that are calibrated. Raises ConfigError where one belongs to another bundle or camera."""
    found, problems = {}, []
    for camera in settings.camera:
        if camera.calibration is not None:
            one = found[camera.name] = calibration.load(camera.calibration)
            if (why := calibration.objection(one, camera.name, bundles[camera.bundle].sha256)) is not None:
                problems.append(f"camera {camera.name!r}: calibration {camera.calibration}: {why}")
    if problems:
        raise ConfigError(*problems)
    return found


def _notes(calibrations: Mapping[str, Calibration], tags: Mapping[str, ModelTag]) -> Iterator[str]:
    for camera, one in calibrations.items():
        tag = tags[one.bundle.sha256]
        runs_on, made_on = (f"{of.provider} in {of.precision}" for of in (tag, one.bundle))
        # No mistake to be refused: a machine may have to make do. But the promise was made elsewhere.
        elsewhere = "" if runs_on == made_on else f"; it was made on {made_on}, not {runs_on}"
        yield f"camera {camera!r}: {one}{elsewhere}"


def _stations(
    settings: Settings,
    bundles: Mapping[Path, Bundle],
    calibrations: Mapping[str, Calibration],
    by_camera: Mapping[str, References],
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
        stations[camera.name] = Station(bundles[camera.bundle].sha256, judge, camera.repair, by_camera.get(camera.name))
    return stations


def _formats(settings: Settings) -> Formats:
    publish = settings.publish
    return Formats(
        mask=publish.mask, repaired=publish.repaired, source=publish.source, jpeg_quality=publish.jpeg_quality
    )
