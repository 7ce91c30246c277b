"""The rules for Prometheus are valid and ask for what there is; each alert is shown to fire and to keep silent."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.prometheus import ASKED, DEPLOY, SERIES, recorded, rules

ROOT = Path(__file__).parents[2]
CASES = sorted(Path(__file__).parent.glob("*.test.yml"))


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules("alerts.yml")}


@cache
def all_cases() -> list[dict[str, Any]]:
    return [test for file in CASES for test in yaml.safe_load(file.read_text())["tests"]]


def cases(alert: str) -> list[dict[str, Any]]:
    return [test for test in all_cases() if test["name"] == alert]


def expectations(alert: str) -> list[list[str]]:
    """The labels of what fires, at every moment that is looked at."""
    asked = f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
    return [
        [sample["labels"] for sample in one["exp_samples"]]
        for test in cases(alert)
        for one in test["promql_expr_test"]
        if one["expr"] == asked
    ]


def promtool(*arguments: object, folder: Path = ROOT) -> str:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: Prometheus' files are not checked")
    done = subprocess.run(["promtool", *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.full
def test_prometheus_takes_its_configuration_with_all_rules():
    told = promtool("check", "config", "deploy/prometheus.yml")
    assert "2 rule files found" in told
    for file in ("rules.yml", "alerts.yml"):
        assert f"{len(rules(file))} rules found" in told


@pytest.mark.full
@pytest.mark.parametrize("file", CASES, ids=lambda path: path.name)
def test_alerts_fire_when_they_should_and_else_keep_silent(file, tmp_path):
    for source in (DEPLOY / "rules.yml", DEPLOY / "alerts.yml", file):
        shutil.copy(source, tmp_path)
    assert "SUCCESS" in promtool("test", "rules", file.name, folder=tmp_path)


@pytest.mark.parametrize("alert", alerts())
def test_every_alert_has_a_case_that_fires_and_one_that_keeps_silent(alert):
    fires, silent = (
        [found for found in expectations(alert) if found],
        [found for found in expectations(alert) if not found],
    )
    assert fires, "nothing shows that it fires"
    assert silent, "nothing shows that it waits"
    series = [given["series"] for test in cases(alert) for given in test["input_series"]]
    assert any('instance="silent' in one for one in series), "no daemon comes close without firing"
    assert not any("silent" in labels for found in fires for labels in found)


def test_no_case_is_of_an_alert_that_is_gone():
    assert {test["name"] for test in all_cases()} == alerts().keys()


@pytest.mark.parametrize("alert", alerts())
def test_every_alert_says_what_is_wrong_and_what_to_do(alert):
    rule = alerts()[alert]
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == f"docs/alerts.md#{alert.lower()}"
    assert len(rule["annotations"]["description"]) > 40


@pytest.mark.parametrize("alert", alerts())
def test_texts_name_labels_that_the_alert_has(alert):
    """Prometheus puts nothing in place of a label that is not there, without a word."""
    named = set(re.findall(r"\$labels\.(\w+)", str(alerts()[alert]["annotations"])))
    for found in expectations(alert):
        for labels in found:
            assert named <= set(re.findall(r'(\w+)="', labels))


@pytest.mark.parametrize("file", ["rules.yml", "alerts.yml"])
def test_rules_ask_for_series_that_there_are(file):
    asked = {name for rule in rules(file) for name in ASKED.findall(rule["expr"])}
    assert asked - SERIES - recorded() == set()
    assert len(asked) >= 8


def test_the_page_explains_every_alert_as_it_is():
    page = (ROOT / "docs/alerts.md").read_text()
    sections = re.findall(r"(?m)^## (\w+)\n\n`(\w+)`, (?:after (\w+)|at once)\.\n\n(\S)", page)
    expected = [(name, rule["labels"]["severity"], rule.get("for", "")) for name, rule in alerts().items()]
    assert [section[:3] for section in sections] == expected
    assert len(re.findall(r"(?m)^## ", page)) == len(expected)
