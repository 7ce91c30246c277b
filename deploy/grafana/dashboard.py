"""Writes dashboards/inspector.json, the dashboard for Grafana: `python deploy/grafana/dashboard.py`.

A panel is a line of ROWS. In expressions, CAMERA and DAEMON stand for what is chosen at the top of the dashboard, and
RATE for the time over which a rate is taken.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OUT = Path(__file__).with_name("dashboards") / "inspector.json"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WORDS = {
    "CAMERA": 'instance=~"$instance", camera=~"$camera"',
    "DAEMON": 'instance=~"$instance"',
    "RATE": "$__rate_interval",
}
COLUMNS, HEIGHT, STAT_HEIGHT = 24, 8, 4
"""Grafana's grid is 24 wide; heights are in its rows of 30 pixels."""


@dataclass(frozen=True, slots=True)
class Panel:
    """title; unit as Grafana names it; queries as (expression, legend), or for a table the expression alone."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    width: int = 8
    says: str = ""
    bad: float | None = None
    """From here on it is red; a negative one: below its absolute value."""


def stat(title: str, unit: str, expression: str, says: str = "", bad: float | None = None) -> Panel:
    """One number, a few of which fit side by side."""
    return Panel(title, unit, ((expression, ""),), "stat", 3, says, bad)


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    ("Overview", (
        stat("Daemons ready", "none", "sum(inspector_ready{DAEMON})", "Those that judge frames.", -1),
        stat("Cameras away", "none", "count(inspector_camera_up{CAMERA}) - sum(inspector_camera_up{CAMERA})",
             "Those that deliver no frames.", 1),
        stat("Frames a second", "suffix:/s", "sum(rate(inspector_frames_captured_total{CAMERA}[RATE]))"),
        stat("Defective", "percentunit", 'sum(rate(inspector_verdicts_total{CAMERA, verdict="ng"}[RATE])) '
             "/ sum(rate(inspector_verdicts_total{CAMERA}[RATE]))", "Share of frames that are `ng`."),
        stat("Unknown", "percentunit", 'sum(rate(inspector_verdicts_total{CAMERA, verdict="unknown"}[RATE])) '
             "/ sum(rate(inspector_verdicts_total{CAMERA}[RATE]))", "Share of frames that nobody judged.", 0.01),
        stat("99 % are faster than", "s", "max(instance:inspector_capture_to_publish_seconds:p99_5m{DAEMON})",
             "From capture to the publisher's socket, in the slowest daemon."),
        stat("Unaccounted", "none", "sum(inspector_frames_unaccounted{CAMERA})",
             "Frames without a verdict: 0, or there is a bug.", 1),
        stat("Alerts", "none", 'count(ALERTS{alertname=~"Inspector.+", alertstate="firing"}) or vector(0)',
             "Those that fire, of all daemons; docs/alerts.md says what to do.", 1),
        Panel("Verdicts", "suffix:/s", (("sum by (verdict) (camera_verdict:inspector_verdicts:rate5m{CAMERA})",
                                         "{{verdict}}"),)),
        Panel("Defective by camera", "percentunit",
              (('camera_verdict:inspector_verdicts:share5m{CAMERA, verdict="ng"}', "{{camera}}"),)),
        Panel("Unknown by reason", "percentunit", (("camera_reason:inspector_unknown:share5m{CAMERA}",
                                                    "{{camera}} {{reason}}"),), bad=0.01),
    )),
    ("Cameras", (
        Panel("Frames", "suffix:/s", (("rate(inspector_frames_captured_total{CAMERA}[RATE])", "{{camera}}"),)),
        Panel("State", "none", (("inspector_camera_state{CAMERA} == 1", "{{camera}} {{state}}"),),
              says="A line for the state that each camera is in."),
        Panel("Since the last frame", "s", (("time() - (inspector_camera_last_frame_timestamp_seconds{CAMERA} > 0)",
                                             "{{camera}}"),)),
        Panel("Checks that fail", "none", (("1 - inspector_camera_health{CAMERA}", "{{camera}} {{check}}"),), bad=1),
        Panel("What the checks measure", "none", (("inspector_camera_measured{CAMERA}", "{{camera}} {{check}}"),),
              says="Each in its own unit, as docs/health.md says; watch `drifted` for the lamp's age."),
        Panel("Opened again", "none", (("increase(inspector_camera_reconnects_total{CAMERA}[RATE])", "{{camera}}"),)),
        Panel("Parts", "suffix:/s", (("sum by (station, verdict) (rate(inspector_parts_total{DAEMON}[RATE]))",
                                      "{{station}} {{verdict}}"),), says="Where [[station]] is configured."),
        Panel("Frames without a part's id", "suffix:/s",
              (("rate(inspector_frames_without_part_total{CAMERA}[RATE])", "{{camera}}"),)),
        Panel("This shift", "none", (("sum by (outcome) (inspector_shift_frames{CAMERA})", "{{outcome}}"),),
              says="Frames over all runs of the daemon; needs a journal."),
    )),
    ("Latency", (
        Panel("Capture to publish", "s", tuple(
            (f"histogram_quantile({share}, sum by (le) "
             "(rate(inspector_capture_to_publish_seconds_bucket{CAMERA}[RATE])))", f"p{percent}")
            for share, percent in ((0.5, 50), (0.95, 95), (0.99, 99)))),
        Panel("99 % are faster than", "s", (("camera:inspector_capture_to_publish_seconds:p99_5m{CAMERA}",
                                             "{{camera}}"),)),
        Panel("Distribution", "s", (
            ("sum by (le) (increase(inspector_capture_to_publish_seconds_bucket{CAMERA}[RATE]))", "{{le}}"),
        ), "heatmap"),
        Panel("Stages", "s", (("avg by (stage) (camera_stage:inspector_stage_seconds:mean5m{CAMERA})", "{{stage}}"),),
              says="Mean seconds of the frames that passed the stage."),
        Panel("Deadlines missed", "percentunit", (("camera:inspector_deadline_missed:share5m{CAMERA}", "{{camera}}"),),
              bad=0.01),
        Panel("Late results", "suffix:/s", (("rate(inspector_late_results_total{CAMERA}[RATE])", "{{camera}}"),),
              says="Evidence that came after the verdict."),
        Panel("Queues", "none", (("inspector_queue_frames{DAEMON}", "{{stage}}"),
                                 ("stage:inspector_queue_frames:max5m{DAEMON}", "{{stage}}, most in 5 minutes"),
                                 ("sum(inspector_frames_in_flight{CAMERA})", "in flight"))),
        Panel("Batches", "none", (("rate(inspector_batch_frames_sum{DAEMON}[RATE]) "
                                   "/ rate(inspector_batch_frames_count{DAEMON}[RATE])", "{{model}}"),),
              says="Frames in a batch, on average."),
        Panel("Why batches closed", "suffix:/s", (("sum by (reason) (rate(inspector_batch_closed_total{DAEMON}[RATE]))",
                                                   "{{reason}}"),)),
    )),
    ("Model and scores", (
        Panel("Models", "none", (("inspector_model_info{DAEMON}", ""),), "table", 12,
              "Which judge, and on what they really run."),
        Panel("Less than installed", "none", (("inspector_model_fallback{DAEMON}", "{{model}} {{setting}}"),
                                              ("inspector_calibration_elsewhere{CAMERA}", "calibration {{camera}}")),
              width=12, says="1 where `auto` fell back, or a calibration was made on something else.", bad=1),
        Panel("Scores", "none", (("sum by (le) (increase(inspector_defect_score_bucket{CAMERA}[RATE]))", "{{le}}"),),
              "heatmap"),
        Panel("Mean score of an hour", "none", (("camera:inspector_defect_score:mean1h{CAMERA}", "{{camera}}"),)),
        Panel("Drift of scores", "percentunit", (("camera:inspector_defect_score:drift1h{CAMERA}", "{{camera}}"),),
              says="Largest difference between the distributions of this hour and the three days before.", bad=0.15),
        Panel("Defective", "percentunit", (('camera_verdict:inspector_verdicts:share1h{CAMERA, verdict="ng"}',
                                            "{{camera}}"),)),
        Panel("Drift of verdicts", "percentunit",
              (('camera_verdict:inspector_verdicts:shift1h{CAMERA, verdict=~"ng|unknown"}', "{{camera}} {{verdict}}"),),
              says="This hour's share less that of the three days before."),
        Panel("Challenges", "none", (("inspector_challenges_failing{CAMERA}", "{{camera}} failing"),
                                     ("inspector_challenge_overdue{CAMERA}", "{{camera}} overdue"),
                                     ("sum by (result) (increase(inspector_challenges_total{CAMERA}[1h]))",
                                      "{{result}} in an hour")),
              says="Known parts that cameras are tried with; docs/challenges.md."),
        Panel("Scores after repair", "none", (("histogram_quantile(0.9, sum by (camera, le) "
              "(rate(inspector_repair_residual_score_bucket{CAMERA}[RATE])))", "{{camera}}"),),
              says="Nine of ten repaired frames are below; low ones prove the repair."),
    )),
    ("Journal and outputs", (
        Panel("Journal", "bytes", (("inspector_journal_bytes{DAEMON}", "holds"),
                                   ("inspector_journal_limit_bytes{DAEMON}", "may hold"),
                                   ("inspector_journal_free_bytes{DAEMON}", "free on its disk"))),
        Panel("Journal reaches back", "s", (("time() - (inspector_journal_oldest_timestamp_seconds{DAEMON} > 0)",
                                             "{{instance}}"),)),
        Panel("Journal in trouble", "none", (("inspector_journal_failing{DAEMON}", "failing"),
                                             ("increase(inspector_journal_unkept_messages_total{DAEMON}[RATE])",
                                              "messages not kept")), bad=1),
        Panel("Flight recorder", "bytes", (
            ("inspector_recorder_bytes{DAEMON}", "on disk"),
            ("sum by (instance) (inspector_recorder_memory_bytes{CAMERA})", "in memory"),
        )),
        Panel("Recordings", "none", (("increase(inspector_recordings_total{DAEMON}[RATE])", "{{fate}}"),
                                     ("inspector_recorder_recordings{DAEMON}", "kept"),
                                     ("inspector_recorder_failing{DAEMON}", "failing"))),
        Panel("Published", "suffix:/s", (("sum by (topic) (rate(inspector_published_messages_total{DAEMON}[RATE]))",
                                          "{{topic}}"),)),
        Panel("Bytes published", "Bps", (("instance:inspector_published_bytes:rate5m{DAEMON}", "{{instance}}"),)),
        Panel("Subscribers", "none", (("inspector_subscribers{DAEMON}", "{{topic}}"),)),
        Panel("Caught up with", "suffix:/s", (("rate(inspector_catchup_messages_total{DAEMON}[RATE])", "messages"),
                                              ("rate(inspector_catchup_requests_total{DAEMON}[RATE])", "{{answer}}"))),
        Panel("Refused and broken", "none", (("increase(inspector_auth_failures_total{DAEMON}[RATE])", "{{reason}}"),
                                             ("increase(inspector_hostile_messages_total{DAEMON}[RATE])", "hostile"),
                                             ("increase(inspector_publish_errors_total{DAEMON}[RATE])", "not sent"),
                                             ("inspector_subscriber_keys_wrong{DAEMON}", "wrong keys"))),
        Panel("Age of keys", "s", (("time() - (inspector_key_timestamp_seconds{DAEMON} > 0)", "ours"),
                                   ("time() - (inspector_subscriber_key_oldest_timestamp_seconds{DAEMON} > 0)",
                                    "the oldest subscriber's"))),
    )),
    ("Host", (
        Panel("CPU", "none", (("instance:inspector_process_cpu:rate5m{DAEMON}", "{{instance}}"),),
              says="Cores that the daemon uses."),
        Panel("Memory", "bytes", (("inspector_process_resident_memory_bytes{DAEMON}", "{{instance}}"),)),
        Panel("Open files", "percentunit", (("inspector_process_open_fds{DAEMON} / inspector_process_max_fds{DAEMON}",
                                             "{{instance}}"),), says="Share of what it may open.", bad=0.8),
        Panel("Running since", "dateTimeAsIso", (("inspector_process_start_time_seconds{DAEMON} * 1000",
                                                  "{{instance}}"),), "stat"),
        Panel("Threads that hang", "none", (("inspector_stages_failing{DAEMON}", "{{instance}}"),), bad=1),
        Panel("Versions", "none", (("inspector_build_info{DAEMON}", ""),), "table"),
    )),
)  # fmt: skip


def main() -> None:
    """Write the dashboard."""
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(text(), encoding="utf-8")


def text() -> str:
    """The dashboard's JSON."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it (schema 39: Grafana 11 and later)."""
    return {
        "uid": "inspector",
        "title": "inspector",
        "tags": ["inspector"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables()},
        "annotations": {"list": [restarts()]},
        "panels": panels(),
    }


def variables() -> list[dict[str, Any]]:
    """What is chosen at the top: where the data is, lines, their daemons, and their cameras."""
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}}
    chosen = (
        ("line", "Line", "label_values(inspector_build_info, line)"),
        ("instance", "Daemon", 'label_values(inspector_build_info{line=~"$line"}, instance)'),
        ("camera", "Camera", 'label_values(inspector_frames_captured_total{instance=~"$instance"}, camera)'),
    )
    return [source, *(_variable(name, label, query) for name, label, query in chosen)]


def _variable(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,  # whenever the time range changes
        "sort": 1,
        "multi": True,
        "includeAll": True,  # without an `allValue`: of what is offered, which is narrowed by what was chosen before
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def restarts() -> dict[str, Any]:
    """A mark where a daemon was started."""
    return {
        "name": "Starts",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": expand("changes(inspector_process_start_time_seconds{DAEMON}[RATE]) > 0"),
        "titleFormat": "{{instance}} was started",
    }


def panels() -> list[dict[str, Any]]:
    """Every row's heading and panels, laid out from left to right."""
    found: list[dict[str, Any]] = []
    x = y = line = 0  # `line`: the height of what stands side by side
    for heading, row in ROWS:
        y, x, line = y + line, 0, 0
        found.append(
            {"type": "row", "title": heading, "collapsed": False, "panels": [], "gridPos": _place(0, y, COLUMNS, 1)}
        )
        y += 1
        for panel in row:
            height = STAT_HEIGHT if panel.width == stat("", "", "").width else HEIGHT
            if x + panel.width > COLUMNS or (line and height != line):
                y, x, line = y + line, 0, 0
            found.append(_panel(panel, _place(x, y, panel.width, height)))
            x, line = x + panel.width, height
    return [{"id": number, **panel} for number, panel in enumerate(found, 1)]


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _panel(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, **_limits(panel)}, "overrides": []},
        "options": OPTIONS[panel.kind],
        "targets": [_target(panel, chr(ord("A") + at), *query) for at, query in enumerate(panel.queries)],
        **({"transformations": [LABELS_ALONE]} if panel.kind == "table" else {}),
    }


OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background", "textMode": "auto"},
    "heatmap": {"calculate": False, "color": {"scheme": "Blues"}, "yAxis": {"axisPlacement": "left"}},
    "table": {"showHeader": True},
}
LABELS_ALONE = {
    "id": "organize",
    "options": {"excludeByName": {"Time": True, "Value": True, "__name__": True, "job": True}},
}


def _limits(panel: Panel) -> dict[str, Any]:
    if panel.bad is None:
        return {}
    below = panel.bad < 0
    steps: list[dict[str, Any]] = [{"value": None, "color": "red" if below else "green"}]
    steps.append({"value": abs(panel.bad), "color": "green" if below else "red"})
    return {"color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"}} | {
        "thresholds": {"mode": "absolute", "steps": steps}
    }


def _target(panel: Panel, ref: str, expression: str, legend: str) -> dict[str, Any]:
    once = panel.kind == "table"
    shape = {"table": "table", "heatmap": "heatmap"}.get(panel.kind, "time_series")
    return {
        "refId": ref,
        "datasource": SOURCE,
        "expr": expand(expression),
        "legendFormat": legend,
        "format": shape,
        "instant": once,
        "range": not once,
    }


def expand(expression: str) -> str:
    """The expression as Grafana knows it."""
    for word, meaning in WORDS.items():
        expression = expression.replace(word, meaning)
    return expression


if __name__ == "__main__":
    main()
