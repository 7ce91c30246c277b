"""The composition: opens what a configuration names, and joins it into a daemon.

Everything that can be wrong is found here, before the first frame: a bundle that does not prove itself, a device that
is not what was asked for, an address that is taken.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2

from inspector import calibration
from inspector import settings as configuration
from inspector.allowlist import AllowList
from inspector.calibration import Calibration
from inspector.clock import Clock, SystemClock
from inspector.codecs import Formats
from inspector.condition import limits
from inspector.condition.monitor import Monitor
from inspector.daemon import Daemon, Wake
from inspector.errors import ConfigError
from inspector.guard import Guard
from inspector.health import Health, Views
from inspector.inference import bundle, references
from inspector.inference.bundle import Bundle
from inspector.inference.fit import fitted
from inspector.inference.runtimes.onnxruntime import check_installation
from inspector.judging import prepare, reference_problem
from inspector.keys import ServerKeys
from inspector.metrics import REFUSALS, Metrics
from inspector.mistakes import Probe
from inspector.outputs import open_output
from inspector.pipeline import Camera, Pipeline
from inspector.publisher import Publisher
from inspector.record import open_catchup, open_record
from inspector.scrape import Core, Scrape
from inspector.settings import Settings
from inspector.sources import Source, open_source
from inspector.sources.isolated import Isolated
from inspector.sources.throttle import Throttle
from inspector.types import Cause
from inspector.wire import Encoder
from inspector.worker import Worker

log = logging.getLogger(__name__)


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
    problems = [f"{path}: {problem}" for camera in settings.camera if (problem := reference_problem(camera))]
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
    judging = prepare(settings)
    log.info("%s, %s", build, judging.summary)
    sources = [
        Isolated(camera.source, camera.hangs_after) if camera.isolate else opener(camera.source)
        for camera in settings.camera
    ]
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
        record = open_record(stack, settings, names, clock, rehearsal)
        metrics = Metrics(names, list(judging.tags.values()), clock)
        catchup = open_catchup(stack, settings, record, clock, guard)
        if guard is not None:
            guard.start()
        encoder = Encoder(
            settings.line,
            record.session,
            configuration.config_sha256(settings),
            {camera: one.tag for camera, one in judging.calibrations.items()},
            None if catchup is None else catchup.endpoint,
        )
        publisher = Publisher([output], encoder, names, _formats(settings), clock, metrics.observe, record.keeping)
        pipeline = Pipeline(
            [
                _camera(camera, source, judging.bundles[camera.bundle], judging.calibrations.get(camera.name))
                for camera, source in zip(settings.camera, sources, strict=True)
            ],
            record.ledger,
            [Worker(engines, judging.stations, clock) for engines in judging.crew],
            publisher,
            judging.max_batch,
            settings.workers.max_wait,
            on_batch=lambda model, frames, end: metrics.batch(judging.tags[model].name, frames, end),
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
            calibrated={camera: one.seconds for camera, one in judging.calibrations.items()},
            denied=dict.fromkeys(REFUSALS, 0) if guard is None else guard.denied,
            journal=record.keeping.journal if record.keeping else None,
            catchup=catchup,
            shift=record.shift,
        )
        views = Views(Scrape(metrics, core), ready=lambda: daemon.ready, failing=daemon.failing)
        health = Health(settings.http.host, settings.http.port, views)
        stack.callback(health.close)
        summary, notes = f"{len(names)} camera(s), {judging.summary}", tuple(judging.notes())
        log.info("%s; publishing at %s, metrics at %s/metrics", summary, output.endpoint, health.url)
        for note in notes:
            log.info("%s", note)
        yield Assembly(daemon, output.endpoint, health.url, summary, notes)


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


def _camera(settings: configuration.Camera, source: Source, bundle: Bundle, calibrated: Calibration | None) -> Camera:
    fit = partial(fitted, shape=bundle.card.input.shape)
    learnt = None if calibrated is None or calibrated.health is None else calibrated.health.limits
    monitor = Monitor(learnt or limits.fixed(source.live), [Cause(name) for name in settings.health])
    throttle = None if settings.max_rate is None else Throttle(settings.max_rate, settings.queue)
    return Camera(
        settings.name,
        source,
        fit,
        bundle.sha256,
        settings.deadline,
        settings.queue,
        monitor,
        settings.silence,
        throttle,
    )


def _formats(settings: Settings) -> Formats:
    publish = settings.publish
    return Formats(
        mask=publish.mask, repaired=publish.repaired, source=publish.source, jpeg_quality=publish.jpeg_quality
    )
