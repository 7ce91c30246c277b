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

import cv2

from inspector import budget
from inspector import settings as configuration
from inspector.arrivals import open_arrivals
from inspector.cameras import camera_of, challenges_of, monitor_of, source_of
from inspector.clock import Clock, SystemClock
from inspector.codecs import Formats
from inspector.daemon import Daemon, Wake
from inspector.guard import Guard
from inspector.health import Health, Views
from inspector.inference.runtimes.onnxruntime import check_installation
from inspector.jobs import Jobs
from inspector.judging import Judging, prepare
from inspector.keys import ServerKeys
from inspector.metrics import REFUSALS, Metrics
from inspector.models.change import Changes
from inspector.models.control import Control
from inspector.models.hold import hold
from inspector.models.shadow import Shadow
from inspector.models.versions import Versions
from inspector.outputs import open_output
from inspector.pipeline import Pipeline
from inspector.publisher import Publisher
from inspector.record import open_catchup, open_record
from inspector.recorder.opening import open_recorder
from inspector.scrape import Core, Scrape
from inspector.settings import Settings
from inspector.sources import Source, open_source
from inspector.status import Recent, Status
from inspector.types import Inspection
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


@contextmanager
def assemble(
    settings: Settings,
    opener: Callable[[str], Source] = open_source,
    rehearsal: bool = False,
    reread: Callable[[], Settings] | None = None,
) -> Iterator[Assembly]:
    """Open everything, prove every bundle on its device, and close it all at the end.

    opener: makes a source of a camera's URL
    rehearsal: the daemon will not run, so no session is begun in the journal
    reread: reads the configuration again, for a reload; without it there is none
    Raises ConfigError, BundleError, DeviceError, ModelError, OutputError.
    """
    build = check_installation()
    cv2.setNumThreads(1)  # the workers are the parallelism; more threads only take turns
    clock = SystemClock()
    with ExitStack() as stack:
        versions = _versions(stack, settings.models, rehearsal)
        bare = budget.resident_bytes()
        judging = prepare(settings if versions is None else versions.effective(settings))
        workshop = judging.workshop
        spare = 0 if versions is None else budget.resident_bytes() - bare
        log.info("%s, %s", build, judging.summary)
        challenges = challenges_of(settings.camera, judging.stations)
        depth = budget.outbox_depth(
            settings, judging.stations, workshop.workers, workshop.max_batch, budget.resident_bytes(), spare
        )
        stations = dict(judging.stations)  # those in force: what each next frame is judged by
        sources = [
            source_of(camera, stations[camera.name].team.bundle.card.input.modalities, opener)
            for camera in settings.camera
        ]
        wake, jobs = Wake(), Jobs(on_stop=lambda: shadow.stop())
        guard = _guard(settings, clock, wake, rehearsal)
        if guard is not None:
            stack.callback(guard.close)
        output = open_output(
            settings.publish.endpoint, settings.publish.buffer_mb << 20, settings.publish.allow_plaintext, guard
        )
        stack.callback(output.close)
        names = [camera.name for camera in settings.camera]
        record = open_record(stack, settings, names, clock, rehearsal)
        folders = judging.folders()
        recorder = open_recorder(stack, settings, judging, folders, record.session, clock, rehearsal)
        metrics = Metrics(names, judging.tags, clock)
        catchup = open_catchup(stack, settings, record, clock, guard)
        live = {name: source.live for name, source in zip(names, sources, strict=True)}
        arrivals = open_arrivals(stack, settings, live, clock, guard)
        if guard is not None:
            guard.start()
        encoder = Encoder(
            settings.line,
            record.session,
            configuration.config_sha256(judging.settings),
            None if catchup is None else catchup.endpoint,
        )
        places = [station.name for station in settings.station]
        formats = _formats(settings)
        recent = Recent(clock)

        def observe(inspection: Inspection, encode_seconds: float, publish_seconds: float) -> None:
            metrics.observe(inspection, encode_seconds, publish_seconds)
            recent.observe(inspection)
            shadow.offer(inspection)

        publisher = Publisher(
            [output],
            encoder,
            names,
            formats,
            clock,
            observe,
            record.keeping,
            places,
            recorder,
            settings.publish.preview,
        )
        control = None
        if versions is not None and not rehearsal:
            control = Control(versions.folder, lambda *asked: changes.act(*asked), jobs.submit)
            stack.callback(control.close)
        pipeline = Pipeline(
            [
                camera_of(
                    camera,
                    source,
                    partial(stations.__getitem__, camera.name),
                    judging.calibrations.get(camera.name),
                    arrivals.triggers.get(camera.name),
                )
                for camera, source in zip(settings.camera, sources, strict=True)
            ],
            record.ledger,
            [Worker(index, clock) for index in range(workshop.workers)],
            publisher,
            workshop.max_batch,
            settings.workers.max_wait,
            on_batch=metrics.batch,
            on_stage_end=wake.ring,
            clock=clock,
            aside={
                "change": jobs,
                **({} if control is None else {"control": control}),
                **record.aside,
                **({} if recorder is None else {"recorder": recorder}),
                **({} if catchup is None else {"catch-up": catchup}),
                **({} if arrivals.endpoint is None else {"triggers": arrivals.endpoint}),
            },
            parts=arrivals.parts,
            outbox_depth=depth,
            challenges=challenges,
        )
        beside = [] if guard is None else [guard.stage]
        shadow = Shadow(pipeline.idle, pipeline.announce, clock)
        cameras = {reader.camera: reader.state for reader in pipeline.readers}

        def adopt(now: Judging) -> None:
            metrics.judge_by(now.tags)
            folders.update(now.folders())
            encoder.configured(configuration.config_sha256(now.settings))
            before = changes.judging
            pipeline.challenge([name for name, one in now.stations.items() if one is not before.stations[name]])
            for camera in now.settings.camera:
                learnt = now.calibrations.get(camera.name)
                if learnt != before.calibrations.get(camera.name):
                    cameras[camera.name].monitor = monitor_of(camera, live[camera.name], learnt)

        changes = Changes(
            settings,
            judging,
            stations,
            reread,
            versions,
            shadow,
            None if settings.daemon.memory_mb is None else spare,
            adopt,
            pipeline.announce,
            clock,
            record.ledger.in_flight,
            jobs.submit,
        )
        if not rehearsal:
            changes.begin()
        reload = None if reread is None else partial(jobs.submit, changes.reload)
        journal = record.keeping.journal if record.keeping else None
        status = Status(pipeline.readers, recent, lambda: journal is not None and journal.failing)
        daemon = Daemon(
            pipeline, wake, settings.daemon.drain, settings.daemon.stall, clock, record.news, beside, reload, status
        )
        core = Core(
            counts=pipeline.ledger.counts,
            cameras=cameras,
            queues={"infer": pipeline.inbox.__len__, "publish": pipeline.outbox.__len__},
            traffic=publisher,
            ready=lambda: daemon.ready,
            line=settings.line,
            failing=daemon.failing,
            calibrated=lambda: {camera: one.seconds for camera, one in changes.judging.calibrations.items()},
            elsewhere=lambda: changes.judging.elsewhere,
            fallbacks=lambda: changes.judging.fallbacks,
            changes=changes.counts,
            shadow=shadow.counts,
            denied=dict.fromkeys(REFUSALS, 0) if guard is None else guard.denied,
            keys=guard,
            journal=journal,
            catchup=catchup,
            recorder=recorder,
            shift=record.shift,
            parts=arrivals.parts.counts,
            triggers=arrivals.triggers,
            trigger_endpoint=arrivals.endpoint,
            challenges={} if pipeline.challenger is None else pipeline.challenger.courses,
        )
        views = Views(Scrape(metrics, core), ready=lambda: daemon.ready, failing=daemon.failing)
        health = Health(settings.http.host, settings.http.port, views)
        stack.callback(health.close)
        summary, notes = f"{len(names)} camera(s), {judging.summary}", (*judging.notes(), *changes.notes())
        log.info("%s; publishing at %s, metrics at %s/metrics", summary, output.endpoint, health.url)
        for camera, note in zip(judging.calibrations, judging.notes(), strict=True):
            log.info("%s", note, extra={"camera": camera})
        for note in changes.notes():
            log.info("%s", note)
        yield Assembly(daemon, output.endpoint, health.url, summary, notes)


def _guard(settings: Settings, clock: Clock, wake: Wake, rehearsal: bool) -> Guard | None:
    """Who keeps strangers out, if anybody shall."""
    security, path = settings.security, settings.journal.path
    if security.secret_key is None or security.subscribers is None:
        return None
    notes = None if path is None or rehearsal else path.with_name(f"{path.name}-keys")
    return Guard(ServerKeys.load(security.secret_key), security.subscribers, clock, wake.ring, notes)


def _versions(stack: ExitStack, models: configuration.Models, rehearsal: bool) -> Versions | None:
    """What was chosen in earlier runs, if that is kept. Until `stack` ends it is ours to change.

    Raises ConfigError, and OutputError where it is another's.
    """
    if models.state is None:
        return None
    if not rehearsal:
        stack.enter_context(hold(models.state))
    return Versions(models.state, models.keep, make=not rehearsal)


def _formats(settings: Settings) -> Formats:
    publish = settings.publish
    return Formats(
        mask=publish.mask, repaired=publish.repaired, source=publish.source, jpeg_quality=publish.jpeg_quality
    )
