"""The dashboard, as far as it can be judged without Grafana; tests/system/test_prometheus.py runs its queries."""

from __future__ import annotations

import json
import re
import runpy
from typing import Any

import pytest

from inspector.metrics import TABLE
from tests.prometheus import ASKED, DEPLOY, SERIES, recorded, rules

FILE = DEPLOY / "grafana/dashboards/inspector.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())
PANELS = DASHBOARD["panels"]
CHARTS = [panel for panel in PANELS if panel["type"] != "row"]


def test_it_is_what_the_generator_writes():
    text = runpy.run_path(str(DEPLOY / "grafana/dashboard.py"))["text"]()
    assert FILE.read_text() == text, "run `python deploy/grafana/dashboard.py`"


def test_it_can_be_imported_anywhere():
    assert DASHBOARD["uid"]
    assert "id" not in DASHBOARD  # that is of one Grafana's database
    names = [variable["name"] for variable in DASHBOARD["templating"]["list"]]
    assert names == ["datasource", "line", "instance", "camera"]
    sources = [thing["datasource"] for thing in (*CHARTS, *DASHBOARD["templating"]["list"][1:])]
    sources += [target["datasource"] for panel in CHARTS for target in panel["targets"]]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def test_all_is_all_of_what_is_offered():
    """All daemons are those of the chosen lines: the panels know a line by its daemons alone."""
    for variable in DASHBOARD["templating"]["list"][1:]:
        assert variable["includeAll"]
        assert "allValue" not in variable
    assert not any("$line" in target["expr"] for panel in CHARTS for target in panel["targets"])


def test_its_rows_are_those_that_people_look_for():
    rows = [panel["title"] for panel in PANELS if panel["type"] == "row"]
    assert rows == ["Overview", "Cameras", "Latency", "Model and scores", "Journal and outputs", "Host"]


def test_panels_have_ids_of_their_own_and_units():
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in CHARTS:
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["type"] in {"timeseries", "stat", "heatmap", "table"}
        assert panel["title"]
        assert panel["targets"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)


def test_panels_lie_in_the_grid_and_not_over_each_other():
    taken: dict[tuple[int, int], str] = {}
    for panel in PANELS:
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies over {taken[x, y]}"
                taken[x, y] = panel["title"]


@pytest.mark.parametrize("panel", CHARTS, ids=lambda panel: panel["title"])
def test_queries_ask_for_series_that_there_are(panel):
    for target in panel["targets"]:
        asked = set(ASKED.findall(target["expr"])) | ({"ALERTS"} if "ALERTS" in target["expr"] else set())
        assert asked
        assert asked - SERIES - recorded() - {"ALERTS"} == set()
        assert "$instance" in target["expr"] or asked == {"ALERTS"}, "whatever daemon is chosen, it shows all"


def used() -> set[str]:
    """All that rules, alerts and dashboard ask for."""
    expressions = [rule["expr"] for file in ("rules.yml", "alerts.yml") for rule in rules(file)]
    expressions += [target["expr"] for panel in CHARTS for target in panel["targets"]]
    return {name for expression in expressions for name in ASKED.findall(expression)}


def test_what_is_recorded_is_used():
    assert recorded() - used() == set()


def test_most_metrics_are_shown_or_alerted_on():
    """What is not is left out on purpose, and listed here."""
    names = {re.sub("_(bucket|sum|count)$", "", name) for name in used()}
    assert {metric.name for metric in TABLE} - names == {
        "inspector_parts_open",
        "inspector_part_late_frames_total",
        "inspector_triggers_total",
        "inspector_triggers_waiting",
        "inspector_trigger_requests_total",
        "inspector_calibration_timestamp_seconds",
        "inspector_recorder_triggers_total",
        "inspector_recorder_frames_total",
        "inspector_challenge_rounds_overdue_total",
        "inspector_challenge_passed_timestamp_seconds",
        "inspector_subscriber_keys",
        "inspector_shadow_frames_total",
        "inspector_process_virtual_memory_bytes",
    }
