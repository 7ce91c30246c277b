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

from inspector import budget, heap
from inspector import settings as configuration
from inspector.adoption import Adoption
from inspector.cameras import camera_of, challenges_of, source_of
from inspector.clock import Clock, SystemClock
from inspector.codecs import Formats
from inspector.daemon import Daemon, Wake
from inspector.health import Health, Views
from inspector.inference.runtimes.onnxruntime import check_installation
from inspector.jobs import Jobs
from inspector.judging import prepare
from inspector.metrics import REFUSALS, Metrics
from inspector.models.change import Changes
from inspector.models.control import Control
from inspector.models.hold import hold
from inspector.models.shadow import Shadow
from inspector.models.versions import Versions
from inspector.pipeline import Pipeline
from inspector.publisher import Publisher
from inspector.scrape import Core, Scrape
from inspector.settings import Settings
from inspector.sources import Source, open_source
from inspector.stage import Service
from inspector.status import Recent, Status
from inspector.surroundings import Surroundings, open_surroundings
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
    heap.share()
    cv2.setNumThreads(1)  # the workers are the parallelism; more threads only take turns
    clock, wake = SystemClock(), Wake()
    with ExitStack() as stack:
        versions = _versions(stack, settings.models, rehearsal)
        bare = budget.resident_bytes()
        judging = prepare(settings if versions is None else versions.effective(settings))
        spare = 0 if versions is None else budget.resident_bytes() - bare
        log.info("%s, %s", build, judging.summary)
        challenges = challenges_of(settings.camera, judging.stations)
        depth = budget.outbox_depth(
            settings,
            judging.stations,
            judging.workshop.workers,
            judging.workshop.max_batch,
            budget.resident_bytes(),
            spare,
        )
        stations = dict(judging.stations)  # those in force: what each next frame is judged by
        sources = {
            camera.name: source_of(camera, stations[camera.name].team.bundle.card.input.modalities, opener)
            for camera in settings.camera
        }
        live = {name: source.live for name, source in sources.items()}
        around = open_surroundings(stack, settings, judging, sources, clock, wake.ring, rehearsal)
        jobs = Jobs(on_stop=lambda: shadow.stop())
        aside: dict[str, Service] = {"change": jobs}
        if versions is not None and not rehearsal:
            aside["control"] = control = Control(versions.folder, lambda *asked: changes.act(*asked), jobs.submit)
            stack.callback(control.close)
        metrics, recent = Metrics(sources, judging.tags), Recent(clock)

        def observe(inspection: Inspection, encode_seconds: float, handed_over: float) -> None:
            metrics.observe(inspection, encode_seconds, handed_over)
            recent.observe(inspection, handed_over)
            shadow.offer(inspection)

        catchup = None if around.catchup is None else around.catchup.endpoint
        config = configuration.config_sha256(judging.settings)
        encoder = Encoder(settings.line, around.record.session, config, catchup)
        publisher = _publisher(settings, around, encoder, clock, observe)
        pipeline = Pipeline(
            [
                camera_of(
                    camera,
                    sources[camera.name],
                    partial(stations.__getitem__, camera.name),
                    judging.calibrations.get(camera.name),
                    around.arrivals.triggers.get(camera.name),
                )
                for camera in settings.camera
            ],
            around.record.ledger,
            [Worker(index, clock) for index in range(judging.workshop.workers)],
            publisher,
            judging.workshop.max_batch,
            settings.workers.max_wait,
            on_batch=metrics.batch,
            on_stage_end=wake.ring,
            clock=clock,
            aside=aside | around.aside,
            parts=around.arrivals.parts,
            outbox_depth=depth,
            challenges=challenges,
        )
        shadow = Shadow(pipeline.idle, pipeline.announce, clock)
        changes = Changes(
            settings,
            judging,
            reread,
            versions,
            shadow,
            None if settings.daemon.memory_mb is None else spare,
            Adoption(stations, metrics, encoder, around.recorder, pipeline.challenge, pipeline.cameras, live),
            pipeline.announce,
            clock,
            around.record.ledger.in_flight,
            jobs.submit,
        )
        if not rehearsal:
            changes.begin()
        daemon = Daemon(
            pipeline,
            wake,
            settings.daemon.drain,
            settings.daemon.stall,
            clock,
            around.record.news,
            [] if around.guard is None else [around.guard.stage],
            None if reread is None else partial(jobs.submit, changes.reload),
            Status(pipeline.readers, recent, lambda: around.journal is not None and around.journal.failing),
        )
        core = _core(settings, around, pipeline, publisher, changes, shadow, daemon)
        views = Views(Scrape(metrics, core), ready=lambda: daemon.ready, failing=daemon.failing)
        health = Health(settings.http.host, settings.http.port, views)
        stack.callback(health.close)
        endpoint = around.output.endpoint
        summary, notes = f"{len(sources)} camera(s), {judging.summary}", (*judging.notes(), *changes.notes())
        log.info("%s; publishing at %s, metrics at %s/metrics", summary, endpoint, health.url)
        for camera, note in zip(judging.calibrations, judging.notes(), strict=True):
            log.info("%s", note, extra={"camera": camera})
        for note in changes.notes():
            log.info("%s", note)
        yield Assembly(daemon, endpoint, health.url, summary, notes)


def _versions(stack: ExitStack, models: configuration.Models, rehearsal: bool) -> Versions | None:
    """What was chosen in earlier runs, if that is kept. Until `stack` ends it is ours to change.

    Raises ConfigError, and OutputError where it is another's.
    """
    if models.state is None:
        return None
    if not rehearsal:
        stack.enter_context(hold(models.state))
    return Versions(models.state, models.keep, make=not rehearsal)


def _publisher(
    settings: Settings,
    around: Surroundings,
    encoder: Encoder,
    clock: Clock,
    observe: Callable[[Inspection, float, float], None],
) -> Publisher:
    wish = settings.publish
    return Publisher(
        [around.output],
        encoder,
        [camera.name for camera in settings.camera],
        Formats(mask=wish.mask, repaired=wish.repaired, source=wish.source, jpeg_quality=wish.jpeg_quality),
        clock,
        observe,
        around.record.keeping,
        [station.name for station in settings.station],
        around.recorder,
        wish.preview,
    )


def _core(
    settings: Settings,
    around: Surroundings,
    pipeline: Pipeline,
    publisher: Publisher,
    changes: Changes,
    shadow: Shadow,
    daemon: Daemon,
) -> Core:
    return Core(
        counts=pipeline.ledger.counts,
        cameras=pipeline.cameras,
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
        denied=dict.fromkeys(REFUSALS, 0) if around.guard is None else around.guard.denied,
        keys=around.guard,
        journal=around.journal,
        catchup=around.catchup,
        recorder=around.recorder,
        parts=around.arrivals.parts.counts,
        triggers=around.arrivals.triggers,
        trigger_endpoint=around.arrivals.endpoint,
        challenges={} if pipeline.challenger is None else pipeline.challenger.courses,
    )
