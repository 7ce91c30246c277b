"""A real Prometheus with the rules in deploy/ scrapes a real daemon; the queries of the dashboard are run on it."""

from __future__ import annotations

import json
import math
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inspector.keys import ClientKeys, generate
from tests.daemon import Process, configure
from tests.observer import Observer
from tests.prometheus import DEPLOY, SERIES, Prometheus, recorded
from tests.waiting import until

pytestmark = pytest.mark.full

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/inspector.json").read_text())
CHOSEN = {
    "$instance": r"(127\\.0\\.0\\.1:\\d+|another\\.one:9600)",
    "$line": "line1",
    "$camera": "(cam1|cam2)",
    "$__rate_interval": "10s",
}
"""What Grafana puts into expressions, where all is chosen: lists, with their dots escaped; the port is any."""


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A daemon with simulated cameras, defects, a station, a journal, keys and a subscriber."""
    folder = tmp_path_factory.mktemp("line")
    bundle = ROOT / "models/simulated-line"
    sources = [f"sim://line?seed={seed}&width=320&height=240&rate=5&defects=0.3" for seed in (1, 2)]
    station = '[[station]]\nname = "gate"\ncameras = ["cam1", "cam2"]\n'
    journal = '[journal]\npath = "journal.sqlite"\n'
    _, secret = generate("daemon", folder)
    generate("reader", folder)
    (folder / "subscribers").mkdir()
    shutil.copy(folder / "reader.pub", folder / "subscribers")
    security = f'[security]\nsecret_key = "{secret}"\nsubscribers = "subscribers"\n'
    more = f"{journal}{station}{security}"
    keys = ClientKeys.load(folder / "reader.secret", folder / "daemon.pub")
    config = configure(
        folder / "line.toml", bundle, *sources, more='line = "line1"', publish=f'catchup = "tcp://127.0.0.1:*"\n{more}'
    )
    with Process(config) as daemon:
        daemon.keep_reading()
        with Observer(daemon.endpoint, ("verdict", "result", "part"), keys=keys):
            yield daemon


@pytest.fixture(scope="module")
def prometheus(line: Process, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that has watched it for a while, so that what is recorded of an hour is there (hours are seconds here)."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed: no scrape and no query of the dashboard is tried")
    with Prometheus(tmp_path_factory.mktemp("prometheus"), line.http.removeprefix("http://")) as running:
        until(lambda: recorded() <= running.names(), "not all is recorded")
        yield running


EXPRESSIONS = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
]


def asked(expression: str) -> str:
    for word, meaning in CHOSEN.items():
        expression = expression.replace(word, meaning)
    assert "$" not in expression
    return expression


def test_every_series_arrives(prometheus: Prometheus) -> None:
    assert SERIES - prometheus.names() == {"inspector_triggers_total", "inspector_triggers_waiting"}  # none here
    up = 'up{job="inspector"}'
    until(lambda: [sample["value"][1] for sample in prometheus.query(up)] == ["1"], "it is not up")


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_dashboard_shows_something(prometheus: Prometheus, expression: str) -> None:
    def shown() -> bool:
        return any(not math.isnan(float(sample["value"][1])) for sample in prometheus.query(asked(expression)))

    until(shown, expression)


def test_no_start_is_marked_where_none_was(prometheus: Prometheus) -> None:
    (starts,) = DASHBOARD["annotations"]["list"]
    known = asked(starts["expr"]).replace("> 0", ">= 0")
    until(lambda: len(prometheus.query(known)) == 1, "nothing is known of starts")
    assert prometheus.query(asked(starts["expr"])) == []


@pytest.mark.parametrize("variable", DASHBOARD["templating"]["list"][1:], ids=lambda variable: variable["name"])
def test_the_variables_have_values(prometheus: Prometheus, variable: dict[str, Any]) -> None:
    series, label = variable["definition"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
    number = {"line": 1, "instance": 1, "camera": 2}[variable["name"]]

    def values() -> set[str]:
        return {sample["metric"][label] for sample in prometheus.query(asked(series))}

    until(lambda: len(values()) == number, f"{label} has not {number} value(s)")


def test_every_rule_is_well_and_a_good_line_raises_no_alarm(prometheus: Prometheus) -> None:
    def evaluated() -> bool:
        return all(rule["lastEvaluation"] > "2" for rule in prometheus.rules())

    until(evaluated)
    for rule in prometheus.rules():
        assert rule["health"] == "ok", rule
    # This machine may be too slow for its deadlines, and no journal may grow to 10 GB on a small disk.
    machine = {
        "InspectorDeadlinesMissed", "InspectorFramesUnknown", "InspectorJournalDiskSmall",
        "InspectorVerdictsDrift", "InspectorScoresDrift",
    }  # fmt: skip

    def none_is_raised() -> bool:  # a scrape that took longer than its second is forgotten with the next one
        return {sample["metric"]["alertname"] for sample in prometheus.query("ALERTS")} <= machine

    until(none_is_raised, "no alarm")


def test_prometheus_counts_as_the_daemon_does(prometheus: Prometheus, line: Process) -> None:
    told = line.metrics()

    def caught_up() -> bool:
        now = {sample["metric"]["camera"]: float(sample["value"][1]) for sample in captured()}
        return set(now) == {"cam1", "cam2"} and all(
            now[camera] >= told[f'inspector_frames_captured_total{{camera="{camera}"}}'] for camera in now
        )

    def captured() -> list[dict[str, Any]]:
        return prometheus.query("inspector_frames_captured_total")

    unaccounted: set[str] = set()

    def is_told() -> bool:
        unaccounted.update(sample["value"][1] for sample in prometheus.query("inspector_frames_unaccounted"))
        return bool(unaccounted)

    until(caught_up)
    until(is_told)
    assert unaccounted == {"0"}


def test_a_daemon_that_is_killed_raises_the_alarm(bright: Path, tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed: no alarm is tried")
    config = configure(tmp_path / "line.toml", bright, "sim://line?width=96&height=96&rate=5")
    with Process(config) as daemon, Prometheus(tmp_path, daemon.http.removeprefix("http://")) as prometheus:
        until(lambda: [sample["value"][1] for sample in prometheus.query("up")] == ["1"])
        daemon.send(signal.SIGKILL)
        pending = 'ALERTS{alertname="InspectorDown"}'
        until(lambda: bool(prometheus.query(pending)), "nobody notices")
        (alarm,) = prometheus.query(pending)
        assert alarm["metric"]["severity"] == "critical"
