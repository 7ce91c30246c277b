"""What Prometheus is given, and a real one that scrapes a daemon and answers queries."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from inspector.metrics import TABLE
from tests.waiting import PATIENCE, free_port, until

DEPLOY = Path(__file__).parents[1] / "deploy"
ASKED = re.compile(r"\b(?:\w+:)?inspector_\w+(?::\w+)?")
"""Names in an expression, of series and of what is recorded."""

SERIES = {
    name
    for metric in TABLE
    for name in (
        [f"{metric.name}_{part}" for part in ("bucket", "sum", "count")]
        if metric.kind == "histogram"
        else [metric.name]
    )
}
"""The names of all series that the daemon has."""

HASTE = {"[3d]": "[30s]", "[1d]": "[30s]", "[1h]": "[5s]", "[5m]": "[5s]", "offset 3d": "offset 30s",
         "offset 1h": "offset 5s", "interval: 5m": "interval: 1s"}  # fmt: skip
"""What makes seconds of days in rules.yml, so that a test sees what it records."""


def rules(file: str) -> list[dict[str, Any]]:
    """The rules of a file in deploy/."""
    groups = yaml.safe_load((DEPLOY / file).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def recorded() -> set[str]:
    """The names of what is recorded."""
    return {rule["record"] for rule in rules("rules.yml")}


class Prometheus:
    """A Prometheus with the configuration in deploy/, but for the target `address` (host:port) and its haste."""

    def __init__(self, folder: Path, address: str) -> None:
        config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [address]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        shutil.copy(DEPLOY / "alerts.yml", folder)
        text = (DEPLOY / "rules.yml").read_text()
        for slow, fast in HASTE.items():
            text = text.replace(slow, fast)
        (folder / "rules.yml").write_text(text)
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        self._log = (folder / "prometheus.log").open("w")
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=self._log,
            stderr=self._log,
        )

    def __enter__(self) -> Prometheus:
        until(self._is_ready, "Prometheus does not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)
        self._log.close()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples that an expression has now; one that is not valid fails the test."""
        return list(self._get("query", query=expression)["result"])

    def names(self) -> set[str]:
        """The names of all series that there are."""
        return set(self._get("label/__name__/values"))

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its state."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, Path(self._log.name).read_text()
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=PATIENCE):
                return True
        except OSError:
            return False

    def _get(self, what: str, **parameters: str) -> Any:
        url = f"{self._url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
