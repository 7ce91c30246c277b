"""The daemon beside Prometheus and Grafana, as far as it can be checked without an engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import inspector
from inspector.settings import Settings, load
from tests.containers import COMPOSE, DEPLOY, MODELS, ROOT, SERVICES, files_mounted, lay_out, moved

GPU = yaml.safe_load((DEPLOY / "compose.gpu.yml").read_text())
PROMETHEUS = yaml.safe_load((DEPLOY / "compose/prometheus.yml").read_text())
PROVISIONING = DEPLOY / "grafana/provisioning"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(moved(DEPLOY / "compose/inspector.toml", tmp_path / "inspector.toml", {MODELS: ROOT / "models"}), {})


def ports(service: str) -> dict[int, str]:
    """Where on this machine each port of a service is published."""
    split = (entry.rsplit(":", 1) for entry in SERVICES[service]["ports"])
    return {int(inner): outer for outer, inner in split}


def probe(service: str) -> str:
    return " ".join(SERVICES[service]["healthcheck"]["test"])


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_can_do_more_than_it_must(service):
    one = SERVICES[service]
    assert (one["read_only"], one["cap_drop"]) == (True, ["ALL"])
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert one["mem_limit"]
    assert [place for place in ports(service).values() if not place.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_mounted_is_there(service):
    assert [here for here in files_mounted(service).values() if not here.exists()] == []
    named = {volume.split(":")[0] for volume in SERVICES[service]["volumes"]} - {"."}
    assert {name for name in named if not name.startswith(".")} <= COMPOSE["volumes"].keys()


def test_the_daemon_listens_where_its_ports_are_published(settings):
    addresses = [
        settings.publish.endpoint,
        settings.publish.catchup,
        f"tcp://{settings.http.host}:{settings.http.port}",
    ]
    assert addresses == [f"tcp://0.0.0.0:{port}" for port in ports("inspector")]
    expose = re.search(r"(?m)^EXPOSE (.*)$", (DEPLOY / "Containerfile").read_text())
    assert expose is not None
    assert [int(port) for port in expose[1].split()] == list(ports("inspector"))


def test_the_daemon_keeps_its_journal_on_a_volume_and_gets_time_to_drain(settings):
    assert f"state:{settings.journal.path.parent}" in SERVICES["inspector"]["volumes"]
    assert float(SERVICES["inspector"]["stop_grace_period"].removesuffix("s")) > 1.5 * settings.daemon.drain


def test_its_image_is_the_one_that_is_built_here():
    one = SERVICES["inspector"]
    assert one["image"] == f"inspector:{inspector.__version__}"
    assert (DEPLOY / one["build"]["context"] / one["build"]["dockerfile"]).samefile(DEPLOY / "Containerfile")
    assert GPU["services"]["inspector"]["image"] == f"{one['image']}-gpu"
    assert GPU["services"]["inspector"]["build"]["args"] == {"RUNTIME": "gpu"}


def test_prometheus_scrapes_the_daemon_of_this_file_and_else_as_the_other_does():
    ((target,),) = [config.pop("targets") for config in PROMETHEUS["scrape_configs"][0]["static_configs"]]
    service, port = target.split(":")
    assert int(port) in ports(service)
    other = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    for config in other["scrape_configs"][0]["static_configs"]:
        config.pop("targets")
    assert other == PROMETHEUS


def test_prometheus_is_given_all_files_that_it_loads():
    (config,) = [word.split("=")[1] for word in SERVICES["prometheus"]["command"] if "config.file" in word]
    folder = Path(config).parent
    assert {config, *(str(folder / file) for file in PROMETHEUS["rule_files"])} <= files_mounted("prometheus").keys()


def test_grafana_finds_prometheus_and_the_dashboard():
    (source,) = yaml.safe_load((PROVISIONING / "datasources/prometheus.yml").read_text())["datasources"]
    service, port = re.fullmatch(r"http://(\w+):(\d+)", source["url"]).groups()
    assert int(port) in ports(service)
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards/inspector.yml").read_text())["providers"]
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert (files_mounted("grafana")[str(home.parent)] / home.name).is_file()
    assert files_mounted("grafana")["/etc/grafana/provisioning"].samefile(PROVISIONING)


@pytest.mark.parametrize("service", SERVICES)
def test_each_is_asked_for_its_health_on_a_port_of_its_own(service):
    port = re.search(r"http://127\.0\.0\.1:(\d+)/", probe(service))
    assert port is not None
    assert int(port[1]) in ports(service)


@pytest.mark.full
@pytest.mark.parametrize("file", [COMPOSE, GPU], ids=["cpu", "gpu"])
def test_it_keeps_to_the_compose_specification(file):
    from compose_spec import PyCompose

    PyCompose.from_json(json.dumps(file)).validate()


@pytest.mark.full
def test_the_linter_has_no_other_complaint_than_those_that_are_meant():
    program = Path(sys.executable).with_name("compose-lint")
    done = subprocess.run(
        [program, "--format", "json", DEPLOY / "compose.yml"], capture_output=True, text=True, timeout=120
    )
    found = {(one["service"], one["rule_id"]) for one in json.loads(done.stdout)["findings"]}
    # Tags instead of digests, which a site pins for itself; and no limit of CPU for the daemon.
    assert found == {*((service, "CL-0019") for service in SERVICES), ("inspector", "CL-0026")}


@pytest.mark.full
def test_prometheus_takes_its_configuration_as_it_is_mounted(tmp_path):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: Prometheus' files are not checked")
    lay_out("prometheus", tmp_path)
    config = tmp_path / "etc/prometheus/prometheus.yml"
    done = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 rule files found" in done.stdout
