"""Every metric once, with its meaning: the scrape and docs/metrics.md both come from `TABLE`.

What the core counts anyway (the ledger, the publisher, the cameras) is read at scrape time and costs a frame nothing.
What only a frame knows (its times and scores) is noted as a row by `observe`, and rows are folded into histograms a
thousand at a time or at a scrape: 3 us a frame, where as many prometheus_client children cost 25.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from threading import Lock
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.condition.checks import CHECKS
from inspector.condition.presence import State
from inspector.mailbox import Batch, BatchEnd
from inspector.outcomes import CAPTURED, ENDS
from inspector.types import Frame, Inspection, ModelTag, Reason

NONE = math.nan
"""Stands in a row for what a frame does not have: a stage that it skipped, a score."""

STAGES = ("queue", "batch", "infer", "judge", "repair", "encode", "publish")
"""The stages of a frame's life, in order; the first five are those of its receipt."""

REFUSALS = ("key", "handshake")
"""Why a connection is refused."""

CHANGES = TAKEN, REFUSED = ("taken", "refused")
"""What comes of a change of models."""

SHADOW_OUTCOMES = AGREED, DISAGREED = ("agreed", "disagreed")
"""Whether a model in shadow gave the verdict of the one that judged."""

TRIGGER_ANSWERS = ("taken", "refused")
"""How a trigger is answered."""

AUTOMATIC = ("device", "precision")
"""What may be left to the program, which then takes the best that works."""

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SCORES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
FRAMES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)

LABELS: Mapping[str, str] = {
    "camera": "the camera's name in the configuration",
    "verdict": "`ok`, `ng` or `unknown`",
    "reason": (
        "why: of an `unknown` verdict `deadline`, `overload`, `camera`, `model` or `shutdown` (`none` for the others); "
        "of a batch's end `full`, `wait`, `deadline` or `closed`; of a refused connection `key` (it is no "
        "subscriber's) or `handshake` (no encryption, another server's key, or cut off)"
    ),
    "outcome": (
        f"`{CAPTURED}`, or what frames ended as: {', '.join(f'`{end}`' for end in ENDS)} (the daemon was killed)"
    ),
    "answer": (
        "`chunk` (a range of messages), `sessions` (which there are), `busy` (asked too much at a time) or `refused` "
        "(the request made no sense); to a trigger `taken` or `refused` (made no sense, or came too much out of time)"
    ),
    "result": (
        "how a challenge ended: `passed`; `missed` (a defective part was not judged `ng`, or not for its defect); "
        "`rejected` (a good part was judged `ng`); `failed` (no result); or `dropped` for frames, to be tried again"
    ),
    "station": "the station's name in the configuration",
    "fate": "`kept`; `failed` of a recording and `lost` of a frame: the disk failed, or there was no room in memory",
    "taken": "`recorded`, or `skipped`: the camera's recorder rested after the recording before",
    "end": "`frame`, or `missing`: none was captured in time",
    "stage": (
        f"of a frame's time {', '.join(f'`{stage}`' for stage in STAGES)}; "
        "of a queue the stage that takes from it: `infer` or `publish`"
    ),
    "state": f"what the camera does: {', '.join(f'`{state}`' for state in State)}",
    "check": "; ".join(f"`{cause}`: {check.measures}" for cause, check in CHECKS.items()),
    "model": "the name on the bundle's card",
    "sha256": "the bundle's checksum",
    "provider": "what the model really runs on, in ONNX Runtime's words",
    "precision": "what the detector computes with: `fp32`, `bf16`, `fp16` or `int8`",
    "change": "`taken` or `refused`",
    "shadow": "`agreed` or `disagreed`",
    "setting": "what was left to the program: `device` or `precision`",
    "topic": "the ZeroMQ topic",
    "version": "the program's version",
    "line": "the line's name in the configuration",
}


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table; `buckets` are a histogram's upper bounds."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


TABLE = (
    Metric("inspector_frames_captured_total", "counter", "Frames taken from the camera.", ("camera",)),
    Metric("inspector_frames_in_flight", "gauge", "Frames captured that have no verdict yet.", ("camera",)),
    Metric("inspector_verdicts_total", "counter",
           "Verdicts given. Captured frames are the sum of these and of those in flight, always.",
           ("camera", "verdict", "reason")),
    Metric("inspector_frames_unaccounted", "gauge",
           "Captured frames that have no verdict and are not in flight: 0, or there is a bug.", ("camera",)),
    Metric("inspector_shift_frames", "gauge",
           "Frames captured in this shift, and what they ended as, in all runs of the daemon, as of a second ago; 0 "
           "without a journal.",
           ("camera", "outcome")),
    Metric("inspector_frames_without_part_total", "counter",
           "Frames that have no part's id, by trigger or by source; at a station they belong to no part.", ("camera",)),
    Metric("inspector_parts_total", "counter",
           "Parts by their verdict, which is taken from what the station's cameras say.",
           ("station", "verdict", "reason")),
    Metric("inspector_parts_open", "gauge", "Parts that wait for a camera of their station.", ("station",)),
    Metric("inspector_part_late_frames_total", "counter",
           "Frames that were judged when their part had its verdict already.", ("station",)),
    Metric("inspector_triggers_total", "counter", "Triggers of a camera, by what they ended in.", ("camera", "end")),
    Metric("inspector_triggers_waiting", "gauge", "Triggers of a camera that wait for their frame.", ("camera",)),
    Metric("inspector_trigger_requests_total", "counter",
           "Requests at the trigger endpoint, by how they were answered.", ("answer",)),
    Metric("inspector_late_results_total", "counter",
           "Results that came after the frame's verdict was settled, or after its deadline: no second verdict, "
           "but kept as evidence where there is a journal.",
           ("camera",)),
    Metric("inspector_deadline_missed_total", "counter",
           "Frames whose verdict left after the deadline, or is `unknown` for want of a result by then.",
           ("camera",)),
    Metric("inspector_stage_seconds", "histogram",
           "Seconds that a frame spent in a stage; frames that skipped it are left out.",
           ("camera", "stage"), SECONDS),
    Metric("inspector_capture_to_publish_seconds", "histogram",
           "Seconds from capture until the verdict was handed to the publisher's socket.",
           ("camera",), SECONDS),
    Metric("inspector_batch_frames", "histogram", "Frames in a batch that a model ran.", ("model",), FRAMES),
    Metric("inspector_batch_closed_total", "counter",
           "Batches by why they were closed: full, the longest wait was over, a frame would have been late by more "
           "waiting, or the daemon drains.",
           ("model", "reason")),
    Metric("inspector_queue_frames", "gauge", "Frames that wait for a stage, a challenge among them.", ("stage",)),
    Metric("inspector_camera_up", "gauge",
           "1 while the camera delivers frames or waits for its trigger, else 0.", ("camera",)),
    Metric("inspector_camera_state", "gauge",
           "1 for the state that the camera is in, 0 for the others.", ("camera", "state")),
    Metric("inspector_camera_health", "gauge",
           "1 while the camera's pictures pass the check, or are not asked to; 0 from the first that fails until 10 "
           "in a row pass.",
           ("camera", "check")),
    Metric("inspector_camera_measured", "gauge",
           "What the check measured on the camera's last picture, in its own unit; NaN where it cannot tell. Of a "
           "stack, the highest of its modalities.",
           ("camera", "check")),
    Metric("inspector_camera_last_frame_timestamp_seconds", "gauge",
           "When the camera's last frame was captured, in seconds since 1970 UTC; 0 before the first.",
           ("camera",)),
    Metric("inspector_challenges_total", "counter",
           "Challenges of a camera, by how they ended. They are counted here and nowhere else.", ("camera", "result")),
    Metric("inspector_challenges_failing", "gauge",
           "Challenges of a camera that did not pass when they were last tried.", ("camera",)),
    Metric("inspector_challenge_rounds_overdue_total", "counter",
           "Rounds of challenges that were not complete when the next one was due.",
           ("camera",)),
    Metric("inspector_challenge_overdue", "gauge",
           "1 from a round of challenges that is overdue until one is complete, else 0.", ("camera",)),
    Metric("inspector_challenge_passed_timestamp_seconds", "gauge",
           "When all challenges of the camera had passed last, in seconds since 1970 UTC; 0 before the first time.",
           ("camera",)),
    Metric("inspector_calibration_timestamp_seconds", "gauge",
           "When the camera's calibration was made, in seconds since 1970 UTC; 0 where it has none.", ("camera",)),
    Metric("inspector_calibration_elsewhere", "gauge",
           "1 where the camera's calibration was made on another provider or precision than what judges now, so that "
           "its promise was made of other scores; else 0.", ("camera",)),
    Metric("inspector_camera_reconnects_total", "counter",
           "How often the camera was opened again after a failure.", ("camera",)),
    Metric("inspector_defect_score", "histogram",
           "The detector's score of a frame; a distribution that moves means that the line or the light has changed.",
           ("camera",), SCORES),
    Metric("inspector_repair_residual_score", "histogram",
           "The detector's score of a repaired frame; a low one proves the repair.", ("camera",), SCORES),
    Metric("inspector_published_messages_total", "counter",
           "Messages handed to the publisher's socket.", ("topic",)),
    Metric("inspector_published_bytes_total", "counter", "Bytes of those messages, all parts together.", ("topic",)),
    Metric("inspector_publish_errors_total", "counter", "Messages that could not be encoded or sent."),
    Metric("inspector_subscribers", "gauge", "Subscriptions that match the topic.", ("topic",)),
    Metric("inspector_hostile_messages_total", "counter",
           "Messages from outside that made no sense and were dropped."),
    Metric("inspector_auth_failures_total", "counter",
           "Connections that were refused because they did not prove to be a subscriber's.", ("reason",)),
    Metric("inspector_key_timestamp_seconds", "gauge",
           "Since when the daemon has had its key, in seconds since 1970 UTC: when the file was changed, or when the "
           "journal's folder first saw the key, whichever is longer ago; 0 where it has none."),
    Metric("inspector_subscriber_keys", "gauge",
           "Public keys of subscribers that may connect, as of the last connection."),
    Metric("inspector_subscriber_keys_wrong", "gauge",
           "Key files, or the folder itself, that cannot be used, as of the last connection; their owners are kept "
           "out."),
    Metric("inspector_subscriber_key_oldest_timestamp_seconds", "gauge",
           "When the subscribers' public key that is the oldest was put in, in seconds since 1970 UTC; 0 for none."),
    Metric("inspector_journal_failing", "gauge",
           "1 while the journal's disk is full, fails or hangs, and messages wait in memory; else 0."),
    Metric("inspector_journal_unkept_messages_total", "counter",
           "Messages that were published and could not be kept."),
    Metric("inspector_journal_bytes", "gauge", "What the journal holds; 0 where there is none."),
    Metric("inspector_journal_file_bytes", "gauge",
           "What the journal's file takes on its disk: what it holds, and the room that it will use again, for it "
           "never shrinks; 0 where there is none."),
    Metric("inspector_journal_oldest_timestamp_seconds", "gauge",
           "When the journal's oldest message was kept, in seconds since 1970 UTC; 0 where there is none, or only the "
           "last one, which stays though it is too old."),
    Metric("inspector_recorder_failing", "gauge",
           "1 while the recorder's disk hangs, and once it was full or failed until a recording is written again; "
           "else 0."),
    Metric("inspector_recorder_bytes", "gauge", "What the recorder's folder holds; 0 where there is none."),
    Metric("inspector_recorder_recordings", "gauge", "Recordings that are there."),
    Metric("inspector_recorder_memory_bytes", "gauge",
           "Frames that the recorder holds in memory, those that wait to be written included.", ("camera",)),
    Metric("inspector_recordings_total", "counter", "Recordings that were written, or could not be.", ("fate",)),
    Metric("inspector_recorder_triggers_total", "counter",
           "Frames that were worth a recording, by whether one was made for them.", ("camera", "taken")),
    Metric("inspector_recorder_frames_total", "counter",
           "Frames of recordings, by whether they were kept.", ("camera", "fate")),
    Metric("inspector_journal_limit_bytes", "gauge",
           "What the journal may hold; then its oldest messages are deleted. 0 where there is none."),
    Metric("inspector_journal_keep_seconds", "gauge",
           "Age at which the journal's messages are deleted; 0 where there is none."),
    Metric("inspector_journal_free_bytes", "gauge",
           "Room on the journal's disk for the daemon's user, as of a second ago; 0 where there is no journal."),
    Metric("inspector_catchup_requests_total", "counter",
           "Requests at the catch-up endpoint, by how they were answered.", ("answer",)),
    Metric("inspector_catchup_messages_total", "counter", "Messages that were sent once more from the journal."),
    Metric("inspector_model_info", "gauge",
           "Always 1: which models judge, and on what they really run.", ("model", "sha256", "provider", "precision")),
    Metric("inspector_model_changes_total", "counter",
           "Changes of what judges while the line ran: put in force, or refused with all as it was.", ("change",)),
    Metric("inspector_shadow_frames_total", "counter",
           "Frames that were shown to a model in shadow, by whether it gave the verdict of the model that judged.",
           ("camera", "shadow")),
    Metric("inspector_model_fallback", "gauge",
           "1 where a setting is `auto` and the model runs on less than this installation should give it, as the best "
           "failed its test at the start; else 0. Any other wish that cannot be met keeps the daemon from starting.",
           ("model", "setting")),
    Metric("inspector_build_info", "gauge", "Always 1: which version runs, and for which line.", ("version", "line")),
    Metric("inspector_ready", "gauge", "1 while frames are being judged; 0 before that and while draining."),
    Metric("inspector_stages_failing", "gauge",
           "Threads of the daemon that died, and workers, the watch over deadlines, the publisher and the guard of "
           "keys where they hang; /healthz names them. What waits for a camera or a disk has metrics of its own."),
    Metric("inspector_process_start_time_seconds", "gauge",
           "When the process was started, in seconds since 1970 UTC."),
    Metric("inspector_process_cpu_seconds_total", "counter", "CPU time that the process has used."),
    Metric("inspector_process_resident_memory_bytes", "gauge", "Memory of the process that is in RAM."),
    Metric("inspector_process_virtual_memory_bytes", "gauge", "Address space of the process."),
    Metric("inspector_process_open_fds", "gauge", "Files and sockets that the process has open."),
    Metric("inspector_process_max_fds", "gauge", "How many it may have open."),
)  # fmt: skip


BY_NAME: Mapping[str, Metric] = {metric.name: metric for metric in TABLE}

COLUMNS = (
    *(("inspector_stage_seconds", (stage,)) for stage in STAGES),
    ("inspector_capture_to_publish_seconds", ()),
    ("inspector_defect_score", ()),
    ("inspector_repair_residual_score", ()),
)
"""What a row notes of a frame: the histogram that it belongs to, and its labels beyond the camera's."""

MOST_ROWS = 256
"""Rows that a camera's frames may leave before they are folded: some 100 kB, in .2 ms."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram at one moment; `cumulative` pairs each upper bound with the observations not above it."""

    cumulative: list[tuple[str, float]]
    total: float


class Sample(NamedTuple):
    """One value of a metric, with its labels' values in the table's order."""

    metric: str
    labels: tuple[str, ...]
    value: float | Distribution


class Histogram:
    """Observations counted by upper bound (`bounds`, and then infinity), and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count `value` into the first bucket whose bound is not below it."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_all(self, values: NDArray[np.float64]) -> None:
        """`add` for every one of `values` [N]."""
        found = np.bincount(np.searchsorted(self.bounds, values), minlength=len(self.counts))
        self.counts = [count + more for count, more in zip(self.counts, found.tolist(), strict=True)]
        self.total += float(values.sum())

    def distribution(self) -> Distribution:
        """What was counted so far."""
        bounds = [*map(str, self.bounds), "+Inf"]
        return Distribution(list(zip(bounds, accumulate(self.counts), strict=True)), self.total)


class _Camera:
    """A camera's histograms, and the rows that are not in them yet."""

    def __init__(self) -> None:
        self.histograms = [Histogram(BY_NAME[metric].buckets) for metric, _ in COLUMNS]
        self.rows: list[tuple[float, ...]] = []
        self.missed = 0

    def fold(self) -> None:
        columns = np.array(self.rows, np.float64).reshape(-1, len(COLUMNS)).T
        self.rows.clear()
        for histogram, column in zip(self.histograms, columns, strict=True):
            histogram.add_all(column[~np.isnan(column)])


class _Model:
    """A model's batches."""

    def __init__(self) -> None:
        self.frames = Histogram(BY_NAME["inspector_batch_frames"].buckets)
        self.ends = dict.fromkeys(BatchEnd, 0)


class Metrics:
    """Takes what only a frame or a batch knows; every method may be called from any thread."""

    def __init__(self, cameras: Iterable[str], models: Sequence[ModelTag]) -> None:
        self._lock = Lock()
        self._cameras = {camera: _Camera() for camera in cameras}
        self._models: dict[str, _Model] = {}
        self.judge_by(models)

    @property
    def models(self) -> Iterable[str]:
        """The names on the models' cards."""
        return self._models

    def observe(self, inspection: Inspection, encode_seconds: float, handed_over: float) -> None:
        """Take a frame whose verdict was `handed_over` to the socket then: monotonic seconds."""
        frame, receipt = inspection.frame, inspection.receipt
        latency = handed_over - frame.captured
        row = (
            receipt.queue or NONE,
            receipt.batch or NONE,
            receipt.infer or NONE,
            receipt.judge or NONE,
            receipt.repair or NONE,
            encode_seconds or NONE,
            max(latency - receipt.total, 0.0) or NONE,
            latency,
            NONE if inspection.score is None else inspection.score,
            NONE if inspection.residual is None else inspection.residual,
        )
        camera = self._cameras[frame.camera]
        with self._lock:
            camera.rows.append(row)
            if handed_over > frame.deadline or inspection.reason is Reason.DEADLINE:
                camera.missed += 1
            if len(camera.rows) == MOST_ROWS:
                camera.fold()

    def judge_by(self, models: Sequence[ModelTag]) -> None:
        """Have `models` judge from now on; what was counted of those before them stays."""
        with self._lock:
            self._tags = models
            for model in models:
                self._models.setdefault(model.name, _Model())

    def batch(self, batch: Batch[Frame]) -> None:
        """Take a batch that a model is about to run."""
        standard = batch.items[0].standard
        assert standard is not None  # noqa: S101 - what is judged by nothing is not queued
        with self._lock:
            model = self._models[standard.tag.name]
            model.frames.add(len(batch.items))
            model.ends[batch.end] += 1

    def samples(self) -> list[Sample]:
        """The values of the metrics that are kept here."""
        with self._lock:
            return [*self._of_cameras(), *self._of_models()]

    def _of_cameras(self) -> Iterator[Sample]:
        for name, camera in self._cameras.items():
            camera.fold()
            for (metric, labels), histogram in zip(COLUMNS, camera.histograms, strict=True):
                yield Sample(metric, (name, *labels), histogram.distribution())
            yield Sample("inspector_deadline_missed_total", (name,), camera.missed)

    def _of_models(self) -> Iterator[Sample]:
        for tag in self._tags:
            yield Sample("inspector_model_info", (tag.name, tag.sha256, tag.provider, tag.precision), 1)
        for name, model in self._models.items():
            yield Sample("inspector_batch_frames", (name,), model.frames.distribution())
            for end, batches in model.ends.items():
                yield Sample("inspector_batch_closed_total", (name, end), batches)
