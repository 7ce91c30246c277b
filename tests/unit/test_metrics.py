from __future__ import annotations

import math
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from inspector import __version__, docs
from inspector.clock import ManualClock
from inspector.condition.checks import CHECKS
from inspector.condition.presence import State
from inspector.ledger import Ledger
from inspector.mailbox import Batch, BatchEnd
from inspector.matching import Trigger, Triggers
from inspector.metrics import AUTOMATIC, LABELS, MOST_ROWS, STAGES, TABLE, Histogram, Metrics
from inspector.parts import Parts, Station
from inspector.scrape import OUTCOMES, Core, Scrape
from inspector.types import Cause, Frame, Inspection, ModelTag, Reason, Receipt, Verdict
from tests.standards import Plain

CAMERAS = ("cam1", "cam2")
TOPICS = ("verdict/line1/cam1/", "beat/")
TAG = ModelTag("lines", "ab12", "CPUExecutionProvider")


@dataclass
class Camera:
    up: bool = False
    reconnects: int = 0
    last_frame: float = 0.0
    state: State = State.CONNECTING
    failing: frozenset[Cause] = frozenset()
    values: dict[Cause, float] = field(default_factory=lambda: dict.fromkeys(CHECKS, math.nan))
    partless: int = 0


@dataclass
class Traffic:
    messages: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOPICS, 0))
    bytes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOPICS, 0))
    subscribers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOPICS, 0))
    errors: int = 0
    hostile: int = 0


@dataclass
class Journal:
    failing: bool = True
    unkept_messages: int = 3
    size: int = 1000
    file_size: int = 1500
    oldest_ns: int | None = 1_700_000_000_500_000_000
    keep_seconds: float = 60.0
    max_bytes: int = 2000
    free: int = 500

    def shift(self) -> dict[tuple[str, str], int]:
        return {("cam1", "captured"): 9}


@dataclass
class Keys:
    since: float = 1.6e9
    subscribers: int = 4
    wrong: int = 2
    oldest: float = 1.5e9


class House:
    """A daemon's metrics without the daemon."""

    def __init__(self, **more: Any) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics(CAMERAS, [TAG])
        self.ledger = Ledger(CAMERAS)
        self.cameras = {name: Camera() for name in CAMERAS}
        self.traffic = Traffic()
        self.inbox = [0]
        self.ready = False
        queues = {"infer": lambda: len(self.inbox)}
        self.parts = Parts([Station("gate", CAMERAS, 1.0)])
        self.triggers = Triggers(0.0, 0.1, 1.0)
        core = Core(
            self.ledger.counts,
            self.cameras,
            queues,
            self.traffic,
            lambda: self.ready,
            parts=self.parts.counts,
            triggers={"cam1": self.triggers},
            line="line1",
            **more,
        )
        self.scrape = Scrape(self.metrics, core)

    def families(self) -> dict[str, Family]:
        found = {}
        for family in text_string_to_metric_families(self.scrape().decode()):
            # The parser takes the _total off a counter's name.
            found[family.name + "_total" * (family.type == "counter")] = family
        return found

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in self.families().values():
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in found, f"{key} is there twice"
                found[key] = sample.value
        return found

    def value(self, name: str, **labels: str) -> float:
        return self.samples()[name, frozenset(labels.items())]

    def frame(self, camera: str = "cam1", deadline: float = 1.0) -> Frame:
        now = self.clock.monotonic()
        return Frame(camera, 1, self.clock.wall_ns(), now, now + deadline, None)


@pytest.fixture
def house() -> House:
    return House()


def test_the_scrape_is_what_the_table_says_both_ways(house):
    families = house.families()
    assert families.keys() == {metric.name for metric in TABLE}
    for metric in TABLE:
        family = families[metric.name]
        assert (family.type, family.documentation) == (metric.kind, metric.meaning)
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert labels == set(metric.labels), metric.name


def test_the_documented_page_names_every_metric_and_label():
    page = docs.metrics_page()
    for metric in TABLE:
        assert f"| `{metric.name}` | {metric.kind} |" in page
    assert {label for metric in TABLE for label in metric.labels} == LABELS.keys()


def test_the_generated_pages_are_up_to_date():
    assert docs.stale(Path(__file__).parents[2] / "docs") == [], "run `python -m inspector.docs`"


def test_a_stale_page_is_noticed_and_written_anew(tmp_path):
    assert len(docs.stale(tmp_path)) == len(docs.PAGES)
    docs.write(tmp_path)
    assert docs.stale(tmp_path) == []
    page = tmp_path / "config.md"
    page.write_text(page.read_text() + "more")
    assert docs.stale(tmp_path) == [str(page)]


def test_names_follow_the_conventions():
    for metric in TABLE:
        assert metric.name.startswith("inspector_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert list(metric.buckets) == sorted(set(metric.buckets))


def test_every_label_set_is_there_at_zero_from_the_start(house):
    samples = house.samples()

    def value(name: str, **labels: str) -> float:
        return samples[f"inspector_{name}", frozenset(labels.items())]

    for camera in CAMERAS:
        for verdict, reason in OUTCOMES:
            assert value("verdicts_total", camera=camera, verdict=verdict, reason=reason or "none") == 0
        for stage in STAGES:
            assert value("stage_seconds_count", camera=camera, stage=stage) == 0
        for name in ("frames_captured_total", "frames_in_flight", "late_results_total", "deadline_missed_total",
                     "capture_to_publish_seconds_count", "defect_score_count", "repair_residual_score_count",
                     "camera_up", "camera_last_frame_timestamp_seconds", "camera_reconnects_total"):  # fmt: skip
            assert value(name, camera=camera) == 0
        for state in State:
            assert value("camera_state", camera=camera, state=state) == (state is State.CONNECTING)
        for check in CHECKS:
            assert value("camera_health", camera=camera, check=check) == 1
            assert math.isnan(value("camera_measured", camera=camera, check=check))
    for verdict, reason in OUTCOMES:
        assert value("parts_total", station="gate", verdict=verdict, reason=reason or "none") == 0
    for end in BatchEnd:
        assert value("batch_closed_total", model="lines", reason=end) == 0
    for topic in TOPICS:
        for name in ("published_messages_total", "published_bytes_total", "subscribers"):
            assert value(name, topic=topic) == 0
    assert value("model_info", model="lines", sha256="ab12", provider="CPUExecutionProvider", precision="fp32") == 1
    assert value("build_info", version=__version__, line="line1") == 1
    for setting in AUTOMATIC:
        assert value("model_fallback", model="lines", setting=setting) == 0


def test_the_ledger_and_the_scrape_count_the_same(house):
    settled = [
        Inspection(house.frame(), Verdict.OK),
        Inspection(house.frame(), Verdict.NG),
        Inspection(house.frame(), Verdict.UNKNOWN, Reason.OVERLOAD),
    ]
    for number, inspection in enumerate(settled):
        frame = Frame("cam1", number, 0, 0.0, math.inf, None)
        house.ledger.open(frame)
        house.ledger.settle(Inspection(frame, inspection.verdict, inspection.reason), 0.0)
    house.ledger.open(Frame("cam1", 99, 0, 0.0, math.inf, None))
    assert house.value("inspector_frames_captured_total", camera="cam1") == 4
    assert house.value("inspector_frames_in_flight", camera="cam1") == 1
    assert house.value("inspector_verdicts_total", camera="cam1", verdict="ok", reason="none") == 1
    assert house.value("inspector_verdicts_total", camera="cam1", verdict="ng", reason="none") == 1
    assert house.value("inspector_verdicts_total", camera="cam1", verdict="unknown", reason="overload") == 1
    assert house.value("inspector_frames_captured_total", camera="cam2") == 0


def test_parts_and_triggers_are_counted(house):
    for number in (1, 2, 3):
        frame = Frame("cam1", number, 0, 0.0, math.inf, None, f"A{number}")
        house.parts.capture(frame)
        house.parts.judge(Inspection(frame, Verdict.NG))
    first = Frame("cam2", 1, 0, 0.0, math.inf, None, "A1")
    house.parts.capture(first)
    house.parts.judge(Inspection(first, Verdict.OK))
    house.cameras["cam2"].partless = 4
    assert house.value("inspector_parts_total", station="gate", verdict="ng", reason="none") == 1
    assert house.value("inspector_parts_open", station="gate") == 2
    assert house.value("inspector_frames_without_part_total", camera="cam2") == 4
    for at in (1.0, 2.0, 3.0):
        house.triggers.add(Trigger("A1", at, 0))
    house.triggers.match(2.0)
    assert house.value("inspector_triggers_total", camera="cam1", end="frame") == 1
    assert house.value("inspector_triggers_total", camera="cam1", end="missing") == 1
    assert house.value("inspector_triggers_waiting", camera="cam1") == 1
    assert house.value("inspector_trigger_requests_total", answer="taken") == 0


def test_what_the_core_counts_is_read_at_the_scrape(house):
    values = dict.fromkeys(CHECKS, 0.5) | {Cause.FROZEN: 7}
    house.cameras["cam2"] = Camera(True, 3, 1.7e9 + 0.25, State.FROZEN, frozenset({Cause.FROZEN}), values)
    house.traffic.messages["beat/"] = 7
    house.traffic.bytes["beat/"] = 700
    house.traffic.subscribers["beat/"] = 2
    house.traffic.errors, house.traffic.hostile = 4, 5
    house.inbox.append(1)
    house.ready = True
    assert house.value("inspector_camera_up", camera="cam2") == 1
    assert house.value("inspector_camera_up", camera="cam1") == 0
    assert house.value("inspector_camera_reconnects_total", camera="cam2") == 3
    assert house.value("inspector_camera_state", camera="cam2", state="frozen") == 1
    assert house.value("inspector_camera_state", camera="cam2", state="streaming") == 0
    assert house.value("inspector_camera_health", camera="cam2", check="frozen") == 0
    assert house.value("inspector_camera_health", camera="cam2", check="black") == 1
    assert house.value("inspector_camera_measured", camera="cam2", check="frozen") == 7
    assert house.value("inspector_camera_last_frame_timestamp_seconds", camera="cam2") == 1.7e9 + 0.25
    assert house.value("inspector_published_messages_total", topic="beat/") == 7
    assert house.value("inspector_published_bytes_total", topic="beat/") == 700
    assert house.value("inspector_subscribers", topic="beat/") == 2
    assert house.value("inspector_publish_errors_total") == 4
    assert house.value("inspector_hostile_messages_total") == 5
    assert house.value("inspector_queue_frames", stage="infer") == 2
    assert house.value("inspector_ready") == 1


def test_journal_keys_and_stages_are_read_at_the_scrape():
    failing = ["work-0: no progress for 31 s"]
    fallbacks = {("lines", "device"): True}
    house = House(
        journal=Journal(), keys=Keys(), failing=lambda: failing, elsewhere=lambda: {"cam2"}, fallbacks=lambda: fallbacks
    )
    assert house.value("inspector_shift_frames", camera="cam1", outcome="captured") == 9
    assert house.value("inspector_shift_frames", camera="cam2", outcome="captured") == 0
    assert house.value("inspector_journal_failing") == 1
    assert house.value("inspector_journal_bytes") == 1000
    assert house.value("inspector_journal_file_bytes") == 1500
    assert house.value("inspector_journal_limit_bytes") == 2000
    assert house.value("inspector_journal_keep_seconds") == 60
    assert house.value("inspector_journal_free_bytes") == 500
    assert house.value("inspector_journal_oldest_timestamp_seconds") == 1_700_000_000.5
    assert house.value("inspector_key_timestamp_seconds") == 1.6e9
    assert house.value("inspector_subscriber_keys") == 4
    assert house.value("inspector_subscriber_keys_wrong") == 2
    assert house.value("inspector_subscriber_key_oldest_timestamp_seconds") == 1.5e9
    assert house.value("inspector_stages_failing") == 1
    failing.clear()
    assert house.value("inspector_stages_failing") == 0
    assert house.value("inspector_calibration_elsewhere", camera="cam1") == 0
    assert house.value("inspector_calibration_elsewhere", camera="cam2") == 1
    assert house.value("inspector_model_fallback", model="lines", setting="device") == 1
    assert house.value("inspector_model_fallback", model="lines", setting="precision") == 0


def test_the_process_is_this_one(house):
    assert house.value("inspector_process_cpu_seconds_total") <= time.process_time() + 1
    assert house.value("inspector_process_resident_memory_bytes") > 1 << 20
    assert time.time() - 86_400 * 30 < house.value("inspector_process_start_time_seconds") <= time.time() + 1
    before = house.value("inspector_process_open_fds")
    with Path(os.devnull).open():
        assert house.value("inspector_process_open_fds") == before + 1
    assert before < house.value("inspector_process_max_fds")


def test_a_frame_enters_the_histograms_of_its_camera(house):
    frame = house.frame()
    house.clock.advance(0.1)
    receipt = Receipt(queue=0.02, batch=0.005, infer=0.03, judge=0.001, repair=0.04)
    inspection = Inspection(frame, Verdict.NG, score=0.93, threshold=0.5, residual=0.02, receipt=receipt)
    house.metrics.observe(inspection, 0.003, house.clock.monotonic())
    spent = {**{name: getattr(receipt, name) for name in STAGES[:5]}, "encode": 0.003, "publish": 0.004}
    for stage, seconds in spent.items():
        assert house.value("inspector_stage_seconds_sum", camera="cam1", stage=stage) == pytest.approx(seconds)
        assert house.value("inspector_stage_seconds_count", camera="cam1", stage=stage) == 1
        assert house.value("inspector_stage_seconds_count", camera="cam2", stage=stage) == 0
    assert house.value("inspector_capture_to_publish_seconds_sum", camera="cam1") == pytest.approx(0.1)
    assert house.value("inspector_defect_score_bucket", camera="cam1", le="0.9") == 0
    assert house.value("inspector_defect_score_bucket", camera="cam1", le="0.95") == 1
    assert house.value("inspector_defect_score_bucket", camera="cam1", le="+Inf") == 1
    assert house.value("inspector_repair_residual_score_sum", camera="cam1") == pytest.approx(0.02)
    assert house.value("inspector_deadline_missed_total", camera="cam1") == 0


def test_what_a_frame_did_not_have_is_not_observed(house):
    house.metrics.observe(Inspection(house.frame(), Verdict.UNKNOWN, Reason.OVERLOAD), 0.001, house.clock.monotonic())
    assert house.value("inspector_stage_seconds_count", camera="cam1", stage="infer") == 0
    assert house.value("inspector_stage_seconds_count", camera="cam1", stage="encode") == 1
    assert house.value("inspector_defect_score_count", camera="cam1") == 0
    assert house.value("inspector_repair_residual_score_count", camera="cam1") == 0
    assert house.value("inspector_capture_to_publish_seconds_count", camera="cam1") == 1


def test_a_score_of_zero_is_a_score(house):
    house.metrics.observe(Inspection(house.frame(), Verdict.OK, score=0.0, threshold=0.5), 0.0, house.clock.monotonic())
    assert house.value("inspector_defect_score_count", camera="cam1") == 1


@pytest.mark.parametrize(
    ("late", "reason", "missed"),
    [(0.9, None, 0), (1.1, None, 1), (0.9, Reason.DEADLINE, 1), (1.1, Reason.DEADLINE, 1)],
)
def test_a_missed_deadline_counts_once(house, late, reason, missed):
    frame = house.frame(deadline=1.0)
    house.clock.advance(late)
    inspection = Inspection(frame, Verdict.UNKNOWN if reason else Verdict.OK, reason)
    house.metrics.observe(inspection, 0.0, house.clock.monotonic())
    assert house.value("inspector_deadline_missed_total", camera="cam1") == missed


def batch(frames: int, end: BatchEnd) -> Batch[Frame]:
    return Batch([Frame("cam1", 1, 0, 0.0, 1.0, None, standard=Plain())] * frames, 0.0, end)


def test_a_batch_is_counted_by_size_and_end(house):
    house.metrics.batch(batch(16, BatchEnd.FULL))
    house.metrics.batch(batch(3, BatchEnd.WAIT))
    assert house.value("inspector_batch_frames_sum", model="lines") == 19
    assert house.value("inspector_batch_frames_bucket", model="lines", le="4.0") == 1
    assert house.value("inspector_batch_frames_bucket", model="lines", le="16.0") == 2
    ends = {end: house.value("inspector_batch_closed_total", model="lines", reason=end) for end in BatchEnd}
    assert ends == {BatchEnd.FULL: 1, BatchEnd.WAIT: 1, BatchEnd.DEADLINE: 0, BatchEnd.CLOSED: 0}


def test_no_frame_is_lost_between_threads_and_scrapes(house):
    frames, threads = MOST_ROWS + 100, 4
    inspection = Inspection(house.frame(), Verdict.OK, score=0.25, threshold=0.5)

    def observe() -> None:
        for _ in range(frames):
            house.metrics.observe(inspection, 0.5, house.clock.monotonic())

    running = [threading.Thread(target=observe) for _ in range(threads)]
    for thread in running:
        thread.start()
    house.scrape()
    for thread in running:
        thread.join()
    assert house.value("inspector_defect_score_count", camera="cam1") == frames * threads
    assert house.value("inspector_stage_seconds_sum", camera="cam1", stage="encode") == frames * threads * 0.5


@given(st.lists(st.floats(0, 20), max_size=50))
def test_a_histogram_counts_by_upper_bound(values):
    bounds = (0.5, 1.0, 10.0)
    one_by_one, at_once = Histogram(bounds), Histogram(bounds)
    for value in values:
        one_by_one.add(value)
    at_once.add_all(np.array(values, np.float64))
    expected = [(str(bound), sum(value <= bound for value in values)) for bound in bounds] + [("+Inf", len(values))]
    assert one_by_one.distribution().cumulative == at_once.distribution().cumulative == expected
    assert at_once.distribution().total == pytest.approx(sum(values))


def test_two_instances_share_nothing():
    one, other = House(), House()
    one.metrics.batch(batch(1, BatchEnd.FULL))
    assert other.value("inspector_batch_closed_total", model="lines", reason="full") == 0
