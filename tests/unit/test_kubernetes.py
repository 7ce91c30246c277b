"""The manifests agree with each other, with the configuration and with Kubernetes' schemas.

tests/system/test_pod.py runs the daemon as they say.
"""

from __future__ import annotations

import base64
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import inspector
from inspector.cli import main
from inspector.errors import ConfigError
from inspector.settings import Settings, load
from tests.containers import DEPLOY, KUBERNETES, MODELS, ROOT, manifest, moved

BASE = KUBERNETES / "base"
MANIFESTS = sorted(path.stem for path in BASE.glob("*.yaml") if path.stem != "kustomization")
POD = manifest("statefulset")["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
ENVIRONMENT = {entry["name"]: entry["value"] for entry in CONTAINER["env"]}
UNITS = {"Gi": 1024, "Mi": 1}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return moved(BASE / "inspector.toml", tmp_path / "inspector.toml", {MODELS: ROOT / "models"})


@pytest.fixture
def settings(config: Path) -> Settings:
    return load(config, {})


def mebibytes(amount: str) -> int:
    return int(amount[:-2]) * UNITS[amount[-2:]]


def kubectl(*arguments: object, folder: Path = ROOT) -> list[dict[str, Any]]:
    """What it would send to a cluster."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: what it makes of the manifests is not checked")
    done = subprocess.run(
        ["kubectl", *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # where what is out of date is said
    return list(yaml.safe_load_all(done.stdout))


def kustomized(folder: Path) -> list[dict[str, Any]]:
    return kubectl("kustomize", folder)


def examples() -> list[str]:
    """The indented blocks of the README's section."""
    section = (DEPLOY / "README.md").read_text().partition("\n## Kubernetes\n")[2].partition("\n## ")[0]
    return [re.sub("(?m)^    ", "", block) for block in re.findall(r"(?m)(?:^    .*\n)+", section)]


def test_the_base_is_made_of_all_its_files():
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    assert sorted(listed["resources"]) == [f"{name}.yaml" for name in MANIFESTS]


def test_the_pod_may_do_no_more_than_it_must():
    # What the namespace enforces (restricted), and beyond it a root file system that cannot be written.
    assert manifest("namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert POD["spec"]["securityContext"]["runAsNonRoot"] is True
    assert POD["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["spec"]["automountServiceAccountToken"] is False
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_pod_that_never_gets_ready_does_not_keep_its_correction_away():
    # With OrderedReady the controller waits for it first, also when the mistake is mended.
    assert manifest("statefulset")["spec"]["podManagementPolicy"] == "Parallel"
    assert manifest("statefulset")["spec"]["replicas"] == 1


def test_it_runs_as_the_user_of_the_image():
    one = POD["spec"]["securityContext"]
    assert f"USER {one['runAsUser']}:{one['runAsGroup']}\n" in (DEPLOY / "Containerfile").read_text()
    assert one["fsGroup"] == one["runAsGroup"]  # else it could not read its secrets
    assert CONTAINER["image"] == f"inspector:{inspector.__version__}"


def test_secrets_are_files_that_nobody_else_can_read():
    (secret,) = [volume["secret"] for volume in POD["spec"]["volumes"] if "secret" in volume]
    assert secret["defaultMode"] == 0o400
    assert "valueFrom" not in str(CONTAINER["env"])


def test_the_configuration_names_what_is_mounted(settings):
    mounts = {mount["mountPath"]: mount["name"] for mount in CONTAINER["volumeMounts"]}
    assert mounts[str(settings.journal.path.parent)] == "state"
    assert mounts[str(settings.security.subscribers)] == "subscribers"
    assert mounts[ENVIRONMENT["CREDENTIALS_DIRECTORY"]] == "credentials"
    assert str(settings.security.secret_key) == f"credential:{ENVIRONMENT['CREDENTIALS_DIRECTORY']}/inspector"
    assert mounts["/etc/inspector"] == "config"  # what the image runs by itself
    assert '["run", "/etc/inspector/inspector.toml"]' in (DEPLOY / "Containerfile").read_text()


def test_ports_agree_everywhere(settings):
    named = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    addresses = [
        settings.publish.endpoint,
        settings.publish.catchup,
        f"tcp://{settings.http.host}:{settings.http.port}",
    ]
    assert addresses == [f"tcp://0.0.0.0:{port}" for port in named.values()]
    assert {port["targetPort"]: port["port"] for port in manifest("service")["spec"]["ports"]} == named
    let_in = [port["port"] for rule in manifest("networkpolicy")["spec"]["ingress"] for port in rule["ports"]]
    assert let_in == list(named)
    assert POD["metadata"]["annotations"]["prometheus.io/port"] == str(named["metrics"])


def test_all_select_the_pod():
    labels = POD["metadata"]["labels"]
    assert manifest("statefulset")["spec"]["selector"]["matchLabels"] == labels
    assert manifest("service")["spec"]["selector"] == labels
    assert manifest("networkpolicy")["spec"]["podSelector"]["matchLabels"] == labels
    assert manifest("statefulset")["spec"]["serviceName"] == manifest("service")["metadata"]["name"]


def test_what_it_needs_is_what_it_may_have(settings):
    resources = CONTAINER["resources"]
    assert settings.workers.count == int(resources["requests"]["cpu"])
    assert settings.daemon.memory_mb is not None
    assert settings.daemon.memory_mb < mebibytes(resources["limits"]["memory"])
    (claim,) = manifest("statefulset")["spec"]["volumeClaimTemplates"]
    assert mebibytes(claim["spec"]["resources"]["requests"]["storage"]) > 1024 * settings.journal.max_gb


def test_it_gets_the_time_that_it_needs(settings):
    assert POD["spec"]["terminationGracePeriodSeconds"] > 1.5 * settings.daemon.drain
    startup, liveness = CONTAINER["startupProbe"], CONTAINER["livenessProbe"]
    unit = (ROOT / "systemd/inspector.service").read_text()
    assert f"TimeoutStartSec={startup['periodSeconds'] * startup['failureThreshold']}\n" in unit
    assert liveness["failureThreshold"] > 1  # one answer that came late is no reason


def test_kubernetes_keeps_its_names_out_of_the_environment(config, monkeypatch):
    """It would set INSPECTOR_SERVICE_HOST for the Service `inspector`, and the daemon would refuse to start."""
    assert manifest("service")["metadata"]["name"] == "inspector"
    assert POD["spec"]["enableServiceLinks"] is False
    monkeypatch.setenv("INSPECTOR_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(ConfigError, match="INSPECTOR_SERVICE_HOST"):
        load(config, {})


@pytest.mark.full
@pytest.mark.parametrize("name", MANIFESTS)
def test_the_base_fits_the_schemas(name):
    import kubernetes_validate

    kubernetes_validate.validate(manifest(name), kubernetes_validate.latest_version(), strict=True)


@pytest.mark.full
@pytest.mark.parametrize("overlay", ["base", "gpu"])
def test_what_is_applied_fits_the_schemas(overlay):
    import kubernetes_validate

    for one in kustomized(KUBERNETES / overlay):
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.full
def test_a_changed_configuration_makes_another_pod():
    applied = {one["kind"]: one for one in kustomized(BASE)}
    name = applied["ConfigMap"]["metadata"]["name"]
    assert name.startswith("inspector-")
    assert applied["ConfigMap"]["data"] == {"inspector.toml": (BASE / "inspector.toml").read_text()}
    volumes = applied["StatefulSet"]["spec"]["template"]["spec"]["volumes"]
    assert [volume["configMap"]["name"] for volume in volumes if volume["name"] == "config"] == [name]


@pytest.mark.full
def test_the_commands_of_the_readme_make_what_the_pod_mounts(tmp_path):
    applied = {}
    for line in examples()[1].splitlines():
        program, *arguments = shlex.split(line)
        if program == "inspector":
            assert main(["keygen", arguments[1], "--out", str(tmp_path / arguments[3])]) == 0
        elif arguments[0] != "apply":
            (one,) = kubectl(*arguments, "--dry-run=client", "-o", "yaml", folder=tmp_path)
            applied[one["kind"]] = one
        else:
            assert ROOT / arguments[-1] == KUBERNETES / "press"  # the folder that is described before
    volumes = {volume["name"]: volume for volume in POD["spec"]["volumes"]}
    assert applied["Secret"]["metadata"]["name"] == volumes["credentials"]["secret"]["secretName"]
    assert applied["ConfigMap"]["metadata"]["name"] == volumes["subscribers"]["configMap"]["name"]
    secret = base64.b64decode(applied["Secret"]["data"]["inspector"]).decode()
    assert secret == (tmp_path / "keys/inspector.secret").read_text()
    assert [*applied["ConfigMap"]["data"]] == ["press-plc.pub"]
    namespace = yaml.safe_load(examples()[0])["namespace"]
    assert applied.pop("Namespace")["metadata"]["name"] == namespace
    assert {one["metadata"]["namespace"] for one in applied.values()} == {namespace}


@pytest.mark.full
def test_a_line_of_ones_own_is_made_as_the_readme_says(tmp_path):
    shutil.copytree(BASE, tmp_path / "base")
    own = tmp_path / "press"
    own.mkdir()
    (own / "kustomization.yaml").write_text(examples()[0])
    (own / "inspector.toml").write_text('line = "press"\n')
    made = {one["kind"]: one for one in kustomized(own)}
    assert made["Namespace"]["metadata"]["name"] == "press"
    assert {one["metadata"].get("namespace", "press") for one in made.values()} == {"press"}
    assert made["ConfigMap"]["data"] == {"inspector.toml": 'line = "press"\n'}
    (container,) = made["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example/{CONTAINER['image']}"
    name = made["ConfigMap"]["metadata"]["name"]
    assert {"name": "config", "configMap": {"name": name}} in [
        {key: value for key, value in volume.items() if key in ("name", "configMap")}
        for volume in made["StatefulSet"]["spec"]["template"]["spec"]["volumes"]
    ]


@pytest.mark.full
def test_the_gpu_overlay_asks_for_one_and_changes_little_else():
    (one,) = [one for one in kustomized(KUBERNETES / "gpu") if one["kind"] == "StatefulSet"]
    (container,) = one["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{CONTAINER['image']}-gpu"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert {entry["name"] for entry in container["env"]} == {
        "CREDENTIALS_DIRECTORY", "INSPECTOR_WORKERS__DEVICE", "INSPECTOR_WORKERS__COUNT", "INSPECTOR_DAEMON__MEMORY_MB"
    }  # fmt: skip
    assert container["startupProbe"]["httpGet"] == CONTAINER["startupProbe"]["httpGet"]
    for key in ("livenessProbe", "readinessProbe", "securityContext", "ports"):
        assert container[key] == CONTAINER[key]
