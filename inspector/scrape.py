"""What a scrape of /metrics answers: what `Metrics` keeps, and what the core counts anyway, read at that moment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client import Metric as Family
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from inspector import __version__
from inspector.asking import ANSWERS
from inspector.challenges.outcome import Outcome
from inspector.condition.checks import CHECKS, Values
from inspector.condition.presence import State
from inspector.metrics import (
    AUTOMATIC,
    CHANGES,
    REFUSALS,
    SHADOW_OUTCOMES,
    TABLE,
    TRIGGER_ANSWERS,
    Distribution,
    Metrics,
    Sample,
)
from inspector.outcomes import CAPTURED, ENDS
from inspector.types import Cause, Reason, Verdict

FAMILIES: Mapping[str, Any] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}

OUTCOMES = ((Verdict.OK, None), (Verdict.NG, None), *((Verdict.UNKNOWN, reason) for reason in Reason))
"""Every verdict with its reason."""


class Counts(Protocol):
    """One camera's account, as the ledger keeps it."""

    captured: int
    in_flight: int
    late: int

    @property
    def verdicts(self) -> Mapping[tuple[Verdict, Reason | None], int]:
        """Frames by verdict; what is missing is 0."""


class CameraState(Protocol):
    """How a camera is; `last_frame` is wall clock seconds, 0 before the first."""

    reconnects: int
    last_frame: float
    partless: int

    @property
    def up(self) -> bool:
        """Whether it delivers frames."""

    @property
    def state(self) -> State:
        """What it does."""

    @property
    def failing(self) -> Collection[Cause]:
        """The checks of its pictures that fail."""

    @property
    def values(self) -> Values:
        """The last picture's, by check."""


class Traffic(Protocol):
    """What the publisher has counted. The mappings hold every topic from the start."""

    @property
    def messages(self) -> Mapping[str, int]:
        """Messages sent, by topic."""

    @property
    def bytes(self) -> Mapping[str, int]:
        """Bytes sent, by topic."""

    @property
    def subscribers(self) -> Mapping[str, int]:
        """Subscriptions that match, by topic."""

    @property
    def errors(self) -> int:
        """Messages that could not be encoded or sent."""

    @property
    def hostile(self) -> int:
        """Messages from outside that made no sense."""


class Journal(Protocol):
    """How the journal is."""

    failing: bool
    unkept_messages: int
    size: int
    file_size: int
    oldest_ns: int | None
    keep_seconds: float
    max_bytes: int
    free: int

    def shift(self) -> Mapping[tuple[str, str], int]:
        """The frames of this shift, by camera and outcome; what is missing is 0."""


class Keys(Protocol):
    """How old the keys are; seconds since 1970 UTC, 0 for none."""

    since: float

    @property
    def subscribers(self) -> int:
        """How many may connect."""

    @property
    def wrong(self) -> int:
        """How many key files cannot be used."""

    @property
    def oldest(self) -> float:
        """When the oldest of the subscribers' keys was put in."""


class Ring(Protocol):
    """What of one camera's frames the recorder holds, and what it did with those worth a recording."""

    bytes: int
    recorded: int
    skipped: int


class Recordings(Protocol):
    """The recorder's folder."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def recordings(self) -> int:
        """How many."""


class Recorder(Protocol):
    """How the flight recorder is; the mappings are by camera."""

    recordings: int
    failures: int
    written: dict[str, int]
    lost: dict[str, int]

    @property
    def rings(self) -> Mapping[str, Ring]:
        """What is held."""

    @property
    def folder(self) -> Recordings:
        """What is kept."""

    @property
    def failing(self) -> bool:
        """Whether its disk fails or hangs."""


class CatchUp(Protocol):
    """What the catch-up endpoint has counted."""

    messages: int
    hostile: int

    @property
    def requests(self) -> Mapping[str, int]:
        """Requests by how they were answered; it holds every answer from the start."""


class PartCounts(Protocol):
    """One station's account."""

    open: int
    late: int

    @property
    def verdicts(self) -> Mapping[tuple[Verdict, Reason | None], int]:
        """Parts by verdict; what is missing is 0."""


class Triggers(Protocol):
    """One camera's triggers."""

    taken: int
    framed: int
    missing: int


class TriggerEndpoint(Protocol):
    """What the trigger endpoint has counted."""

    hostile: int

    @property
    def answers(self) -> Mapping[str, int]:
        """How many triggers were taken and refused."""


class Rounds(Protocol):
    """A camera's challenges."""

    overdue: int
    is_overdue: bool

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """Challenges by how they ended; it holds every outcome from the start."""

    @property
    def failing(self) -> Collection[str]:
        """Those that fail."""


class Course(Protocol):
    """How a camera's challenges go; `passed_at` is wall clock seconds, 0 for never."""

    passed_at: float

    @property
    def rounds(self) -> Rounds:
        """Its rounds."""


@dataclass(frozen=True, slots=True)
class Core:
    """What a scrape reads of the running daemon, from the scraper's thread.

    line: its name
    queues: how many frames wait, by the stage that takes them
    failing: one line for each stage that died or hangs
    calibrated: when the cameras that are calibrated were, in seconds since 1970 UTC
    changes: of what judges, by what came of them;  shadow: frames seen in shadow, by camera and outcome
    elsewhere: the cameras whose calibration was made on something else than what judges
    fallbacks: by model and setting, whether it runs on less than it should
    denied: how many connections were refused, by reason;  keys: those of the door, if there is one
    parts: the account of the stations;  triggers: by camera, of those that are triggered
    challenges: by camera, of those that are challenged
    """

    counts: Callable[[], Mapping[str, Counts]]
    cameras: Mapping[str, CameraState]
    queues: Mapping[str, Callable[[], int]]
    traffic: Traffic
    ready: Callable[[], bool]
    line: str = ""
    failing: Callable[[], Collection[str]] = tuple
    calibrated: Callable[[], Mapping[str, float]] = dict
    elsewhere: Callable[[], Collection[str]] = tuple
    fallbacks: Callable[[], Mapping[tuple[str, str], bool]] = dict
    changes: Mapping[str, int] = field(default_factory=dict)
    shadow: Mapping[tuple[str, str], int] = field(default_factory=dict)
    denied: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(REFUSALS, 0))
    keys: Keys | None = None
    journal: Journal | None = None
    catchup: CatchUp | None = None
    recorder: Recorder | None = None
    parts: Callable[[], Mapping[str, PartCounts]] = dict
    triggers: Mapping[str, Triggers] = field(default_factory=dict)
    trigger_endpoint: TriggerEndpoint | None = None
    challenges: Mapping[str, Course] = field(default_factory=dict)


class Scrape(Collector):
    """Called, it gives the text of /metrics (Prometheus' exposition format); from any thread."""

    def __init__(self, metrics: Metrics, core: Core) -> None:
        self._metrics = metrics
        self._core = core
        self._process = ProcessCollector(namespace="inspector", registry=None)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def __call__(self) -> bytes:
        """The text, UTF-8."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Family]:
        """Every metric of the table with its values."""
        families = {
            metric.name: FAMILIES[metric.kind](metric.name, metric.meaning, labels=metric.labels) for metric in TABLE
        }
        for name, labels, value in self._samples():
            values = (value.cumulative, value.total) if isinstance(value, Distribution) else (value,)
            families[name].add_metric(labels, *values)
        yield from families.values()

    def _samples(self) -> Iterator[Sample]:
        yield from self._metrics.samples()
        yield from self._of_frames()
        yield from self._of_cameras()
        yield from self._of_challenges()
        yield from self._of_parts()
        yield from self._of_triggers()
        yield from self._of_traffic()
        yield from self._of_keys()
        yield from self._of_models()
        yield from self._of_journal()
        yield from self._of_recorder()
        yield from self._of_catchup()
        for queue, frames in self._core.queues.items():
            yield Sample("inspector_queue_frames", (queue,), frames())
        for change in CHANGES:
            yield Sample("inspector_model_changes_total", (change,), self._core.changes.get(change, 0))
        yield Sample("inspector_build_info", (__version__, self._core.line), 1)
        yield Sample("inspector_ready", (), self._core.ready())
        yield Sample("inspector_stages_failing", (), len(self._core.failing()))
        yield from self._of_process()

    def _of_frames(self) -> Iterator[Sample]:
        for camera, counts in self._core.counts().items():
            yield Sample("inspector_frames_captured_total", (camera,), counts.captured)
            yield Sample("inspector_frames_in_flight", (camera,), counts.in_flight)
            yield Sample("inspector_late_results_total", (camera,), counts.late)
            ended = sum(counts.verdicts.values())
            yield Sample("inspector_frames_unaccounted", (camera,), counts.captured - ended - counts.in_flight)
            for verdict, reason in OUTCOMES:
                labels = (camera, verdict, reason or "none")
                yield Sample("inspector_verdicts_total", labels, counts.verdicts.get((verdict, reason), 0))

    def _of_cameras(self) -> Iterator[Sample]:
        calibrated, elsewhere = self._core.calibrated(), self._core.elsewhere()
        for name, camera in self._core.cameras.items():
            state, failing, values = camera.state, camera.failing, camera.values
            yield Sample("inspector_camera_up", (name,), camera.up)
            for one in State:
                yield Sample("inspector_camera_state", (name, one), one is state)
            for check in CHECKS:
                yield Sample("inspector_camera_health", (name, check), check not in failing)
                yield Sample("inspector_camera_measured", (name, check), values[check])
            yield Sample("inspector_camera_last_frame_timestamp_seconds", (name,), camera.last_frame)
            yield Sample("inspector_camera_reconnects_total", (name,), camera.reconnects)
            yield Sample("inspector_frames_without_part_total", (name,), camera.partless)
            yield Sample("inspector_calibration_timestamp_seconds", (name,), calibrated.get(name, 0))
            yield Sample("inspector_calibration_elsewhere", (name,), name in elsewhere)
            for outcome in SHADOW_OUTCOMES:
                yield Sample(
                    "inspector_shadow_frames_total", (name, outcome), self._core.shadow.get((name, outcome), 0)
                )

    def _of_challenges(self) -> Iterator[Sample]:
        for camera in self._core.cameras:
            course = self._core.challenges.get(camera)
            rounds = None if course is None else course.rounds
            for outcome in Outcome:
                ended = rounds.counts[outcome] if rounds else 0
                yield Sample("inspector_challenges_total", (camera, outcome), ended)
            yield Sample("inspector_challenges_failing", (camera,), len(rounds.failing) if rounds else 0)
            yield Sample("inspector_challenge_rounds_overdue_total", (camera,), rounds.overdue if rounds else 0)
            yield Sample("inspector_challenge_overdue", (camera,), rounds is not None and rounds.is_overdue)
            passed_at = course.passed_at if course else 0
            yield Sample("inspector_challenge_passed_timestamp_seconds", (camera,), passed_at)

    def _of_parts(self) -> Iterator[Sample]:
        for station, counts in self._core.parts().items():
            yield Sample("inspector_parts_open", (station,), counts.open)
            yield Sample("inspector_part_late_frames_total", (station,), counts.late)
            for verdict, reason in OUTCOMES:
                labels = (station, verdict, reason or "none")
                yield Sample("inspector_parts_total", labels, counts.verdicts.get((verdict, reason), 0))

    def _of_triggers(self) -> Iterator[Sample]:
        for camera, triggers in self._core.triggers.items():
            framed, missing = triggers.framed, triggers.missing
            yield Sample("inspector_triggers_total", (camera, "frame"), framed)
            yield Sample("inspector_triggers_total", (camera, "missing"), missing)
            yield Sample("inspector_triggers_waiting", (camera,), max(triggers.taken - framed - missing, 0))
        endpoint = self._core.trigger_endpoint
        for answer in TRIGGER_ANSWERS:
            yield Sample("inspector_trigger_requests_total", (answer,), endpoint.answers[answer] if endpoint else 0)

    def _of_journal(self) -> Iterator[Sample]:
        journal = self._core.journal
        frames = journal.shift() if journal else {}
        for camera in self._core.cameras:
            for outcome in (CAPTURED, *ENDS):
                yield Sample("inspector_shift_frames", (camera, outcome), frames.get((camera, outcome), 0))
        yield Sample("inspector_journal_failing", (), journal is not None and journal.failing)
        yield Sample("inspector_journal_unkept_messages_total", (), journal.unkept_messages if journal else 0)
        yield Sample("inspector_journal_bytes", (), journal.size if journal else 0)
        yield Sample("inspector_journal_file_bytes", (), journal.file_size if journal else 0)
        oldest = journal.oldest_ns if journal else None
        yield Sample("inspector_journal_oldest_timestamp_seconds", (), (oldest or 0) / 1e9)
        yield Sample("inspector_journal_limit_bytes", (), journal.max_bytes if journal else 0)
        yield Sample("inspector_journal_keep_seconds", (), journal.keep_seconds if journal else 0)
        yield Sample("inspector_journal_free_bytes", (), journal.free if journal else 0)

    def _of_recorder(self) -> Iterator[Sample]:
        recorder = self._core.recorder
        yield Sample("inspector_recorder_failing", (), recorder is not None and recorder.failing)
        yield Sample("inspector_recorder_bytes", (), recorder.folder.size if recorder else 0)
        yield Sample("inspector_recorder_recordings", (), recorder.folder.recordings if recorder else 0)
        yield Sample("inspector_recordings_total", ("kept",), recorder.recordings if recorder else 0)
        yield Sample("inspector_recordings_total", ("failed",), recorder.failures if recorder else 0)
        for camera in self._core.cameras:
            ring = recorder.rings[camera] if recorder else None
            yield Sample("inspector_recorder_memory_bytes", (camera,), ring.bytes if ring else 0)
            yield Sample("inspector_recorder_triggers_total", (camera, "recorded"), ring.recorded if ring else 0)
            yield Sample("inspector_recorder_triggers_total", (camera, "skipped"), ring.skipped if ring else 0)
            yield Sample(
                "inspector_recorder_frames_total", (camera, "kept"), recorder.written[camera] if recorder else 0
            )
            yield Sample("inspector_recorder_frames_total", (camera, "lost"), recorder.lost[camera] if recorder else 0)

    def _of_catchup(self) -> Iterator[Sample]:
        catchup = self._core.catchup
        for answer in ANSWERS:
            told = catchup.requests[answer] if catchup else 0
            yield Sample("inspector_catchup_requests_total", (answer,), told)
        yield Sample("inspector_catchup_messages_total", (), catchup.messages if catchup else 0)

    def _of_traffic(self) -> Iterator[Sample]:
        traffic = self._core.traffic
        for metric, by_topic in (
            ("inspector_published_messages_total", traffic.messages),
            ("inspector_published_bytes_total", traffic.bytes),
            ("inspector_subscribers", traffic.subscribers),
        ):
            for topic, value in dict(by_topic).items():
                yield Sample(metric, (topic,), value)
        yield Sample("inspector_publish_errors_total", (), traffic.errors)
        asked = sum(one.hostile for one in (self._core.catchup, self._core.trigger_endpoint) if one is not None)
        yield Sample("inspector_hostile_messages_total", (), traffic.hostile + asked)
        for reason, connections in self._core.denied.items():
            yield Sample("inspector_auth_failures_total", (reason,), connections)

    def _of_keys(self) -> Iterator[Sample]:
        keys = self._core.keys
        yield Sample("inspector_key_timestamp_seconds", (), keys.since if keys else 0)
        yield Sample("inspector_subscriber_keys", (), keys.subscribers if keys else 0)
        yield Sample("inspector_subscriber_keys_wrong", (), keys.wrong if keys else 0)
        yield Sample("inspector_subscriber_key_oldest_timestamp_seconds", (), keys.oldest if keys else 0)

    def _of_models(self) -> Iterator[Sample]:
        for model in self._metrics.models:
            for setting in AUTOMATIC:
                fell_back = self._core.fallbacks().get((model, setting), False)
                yield Sample("inspector_model_fallback", (model, setting), fell_back)

    def _of_process(self) -> Iterator[Sample]:
        """What the kernel says of us, where it is Linux; as any process with Prometheus' library tells it."""
        for family in self._process.collect():
            for sample in family.samples:
                yield Sample(sample.name, (), sample.value)
