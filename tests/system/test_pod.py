"""The daemon as Kubernetes would run it: configuration, keys and state laid out as kubelet mounts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.keys import ClientKeys, generate
from tests.containers import KUBERNETES, MODELS, ROOT, manifest, moved
from tests.daemon import Process, run
from tests.observer import Observer
from tests.waiting import until

(CONTAINER,) = manifest("statefulset")["spec"]["template"]["spec"]["containers"]
FREE = {
    "INSPECTOR_PUBLISH__ENDPOINT": "tcp://127.0.0.1:*",
    "INSPECTOR_PUBLISH__CATCHUP": "tcp://127.0.0.1:*",
    "INSPECTOR_HTTP__PORT": "0",
}
"""Instead of the pod's own addresses, those that are free here."""


def project(folder: Path, mode: int, *files: Path, **contents: str) -> None:
    """What kubelet makes of a Secret or ConfigMap: files in a folder of their own, links to them, and a swap of the
    folder as a whole when they change."""
    new = folder / f"..{len(list(folder.glob('..[0-9]*')))}"
    new.mkdir(parents=True)
    for file in files:
        contents[file.name] = file.read_text()
    for name, content in contents.items():
        (new / name).write_text(content)
        (new / name).chmod(mode)
    (folder / "..new").symlink_to(new.name)
    (folder / "..new").rename(folder / "..data")
    for name in contents:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


class Pod:
    """Its volumes below a folder, and the keys of those who made them."""

    def __init__(self, folder: Path) -> None:
        self.keys = folder / "keys"
        mounts = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
        place = {there: folder / name for name, there in mounts.items()}
        self.subscribers = folder / "subscribers"
        for name in ("inspector", "reader", "late"):
            generate(name, self.keys)
        # With an fsGroup, kubelet lets the group read what the manifest gives mode 0400.
        secret = (self.keys / "inspector.secret").read_text()
        project(folder / "credentials", 0o440, inspector=secret, front="user:password\n")
        project(self.subscribers, 0o644, self.keys / "reader.pub")
        (folder / "state").mkdir()
        (folder / "config").mkdir()
        here = {there: place[there] for there in (mounts["subscribers"], mounts["state"])}
        source = KUBERNETES / "base/inspector.toml"
        self.config = moved(source, folder / "config/inspector.toml", {MODELS: ROOT / "models", **here})
        self.environment = FREE | {entry["name"]: str(place[entry["value"]]) for entry in CONTAINER["env"]}

    def reader(self, name: str, daemon: Process) -> Observer:
        keys = ClientKeys.load(self.keys / f"{name}.secret", self.keys / "inspector.pub")
        return Observer(daemon.endpoint, keys=keys)


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


def test_its_configuration_is_fine(pod):
    done = run("check", pod.config, **pod.environment)
    assert done.returncode == 0, done.stderr


def test_a_camera_finds_its_password_among_the_credentials(pod):
    text = pod.config.read_text()
    example = next(line[1:] for line in text.splitlines() if line.startswith('#source = "rtsp:'))
    plain = next(line for line in text.splitlines() if line.startswith("source = "))
    pod.config.write_text(text.replace(plain, example))
    done = run("check", pod.config, **pod.environment)
    assert done.returncode == 0, done.stderr
    (Path(pod.environment["CREDENTIALS_DIRECTORY"]) / "front").unlink()
    assert run("check", pod.config, **pod.environment).returncode == 78


def test_probes_are_answered_and_those_with_keys_are_served(pod):
    with Process(pod.config, **pod.environment) as daemon:
        daemon.keep_reading()
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert daemon.get(CONTAINER[probe]["httpGet"]["path"]) == "ok\n"
        with pod.reader("reader", daemon) as reader:
            reader.wait_for(3)
        # A key that is put into the ConfigMap later lets its owner in, without a restart.
        with pod.reader("late", daemon) as late:
            refused = 'inspector_auth_failures_total{reason="key"}'
            until(lambda: daemon.metrics()[refused] > 0, "nobody was refused")
            assert late.count == 0
            project(pod.subscribers, 0o644, pod.keys / "reader.pub", pod.keys / "late.pub")
            late.wait_for(3)


def test_nothing_is_written_but_to_its_volumes(pod, tmp_path):
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "state")}
    with Process(pod.config, **pod.environment, HOME=str(tmp_path / "keys")) as daemon:
        daemon.keep_reading()
        with pod.reader("reader", daemon) as reader:
            reader.wait_for(3)
    after = {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "state")}
    assert after == before
    assert (tmp_path / "state/journal.sqlite").exists()
