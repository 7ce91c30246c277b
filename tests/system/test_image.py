"""The container's image, really built by buildah and started with a root that cannot be written: `make image`.

No registry is asked for the image that it stands on: a Debian with its own Python 3.11 stands in.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.containers import DEPLOY, ROOT
from tests.daemon import REACHED

BASE = os.environ.get("INSPECTOR_BASE", "")
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not BASE, reason="the image is not built: that takes root and minutes, `make image`"),
]
NAME = "docker.io/library/python:3.11-slim-bookworm"
STAND_IN = f"FROM scratch\nADD {Path(BASE).name} /\nRUN rm -f /usr/lib/python3.11/EXTERNALLY-MANAGED\n"
PORTS = {"INSPECTOR_HTTP__PORT": "0", "INSPECTOR_PUBLISH__CATCHUP": "tcp://127.0.0.1:*"}
LISTEN = [
    "/usr/bin/env",
    *(f"{key}={value}" for key, value in PORTS.items()),
    "INSPECTOR_PUBLISH__ENDPOINT=tcp://127.0.0.1:*",
]
WITHIN = """
set -eu
mkdir -p "$1/etc/inspector"
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
mount -t tmpfs none "$1/tmp"
mount -t proc none "$1/proc"
mount --rbind /dev "$1/dev"
mount --bind "$2" "$1/etc/inspector"
mount --bind "$3" "$1/var/lib/inspector"
root=$1 user=$4
shift 4
exec chroot "$root" setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --bounding-set=-all \
    --inh-caps=-all env -i "$@"
"""
"""As an engine does with --read-only --cap-drop ALL. Arguments: root, configuration, state, user, and the command."""


class Image:
    """The image, unpacked at `root`; `config` is what it says of itself."""

    def __init__(self, folder: Path) -> None:
        self._store = ["--storage-driver", "vfs", "--root", str(folder / "store"), "--runroot", str(folder / "run")]
        (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (folder / "Containerfile").write_text(STAND_IN)
        policy = ("--signature-policy", str(folder / "policy.json"))
        build = ("bud", "--isolation", "chroot", "--pull-never", *policy)
        self._buildah(*build, "-t", NAME, "-f", str(folder / "Containerfile"), str(Path(BASE).parent.absolute()))
        self._buildah(*build, *_pip(folder), "-t", "inspector", "-f", str(DEPLOY / "Containerfile"), str(ROOT))
        self.config: dict[str, Any] = json.loads(self._buildah("inspect", "inspector"))["OCIv1"]["config"]
        container = self._buildah("from", "--pull-never", *policy, "inspector").split()[-1]
        self.root = Path(self._buildah("mount", container).strip())

    def command(self, state: Path) -> list[str]:
        """What runs its own entry point and command, as its user, with the configuration of compose.yml."""
        user = self.config["User"].split(":")[0]
        own = [*self.config["Env"], *LISTEN, *self.config["Entrypoint"], *self.config["Cmd"]]
        return [
            "unshare",
            "--mount",
            "sh",
            "-c",
            WITHIN,
            "sh",
            *map(str, (self.root, DEPLOY / "compose", state, user)),
            *own,
        ]

    def _buildah(self, *arguments: str) -> str:
        done = subprocess.run(["buildah", *self._store, *arguments], capture_output=True, text=True, timeout=1000)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout


def _pip(folder: Path) -> list[str]:
    """pip finds packages there as it does here: its configuration, and the files that this names."""
    told = subprocess.run(["pip", "config", "list"], capture_output=True, text=True, check=True, timeout=60).stdout
    settings = [(key.rsplit(".", 1)[1], ast.literal_eval(value)) for key, _, value in re.findall(r"(\S+)(=)(.*)", told)]
    lines = ("{} = {}\n".format(key, value.replace("\n", "\n    ")) for key, value in dict(settings).items())
    (folder / "pip.conf").write_text("[global]\n" + "".join(lines))
    words = {word for _, value in settings for word in value.split()}
    files = {word for word in words if word.startswith("/") and Path(word).exists()}
    # An index in a folder links to its neighbours, too.
    files |= {str(Path(word.removeprefix("file://")).parent) for word in words if word.startswith("file:///")}
    mounts = [f"{folder / 'pip.conf'}:/etc/pip.conf:ro", *(f"{file}:{file}:ro" for file in sorted(files))]
    return [argument for mount in mounts for argument in ("-v", mount)]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp("image")
    yield Image(folder)
    shutil.rmtree(folder)  # copies of a whole system


def test_it_has_what_the_daemon_needs_and_nothing_else(image):
    assert sorted(path.name for path in (image.root / "opt/inspector").iterdir()) == ["models", "venv"]
    installed = {
        path.name.split("-")[0] for path in (image.root / "opt/inspector/venv").glob("lib/*/site-packages/*-info")
    }
    assert {"inspector", "onnxruntime"} <= installed
    assert installed & {"pip", "setuptools", "torch", "pytest"} == set()
    assert not (image.root / "src").exists()
    assert image.config["StopSignal"] == "SIGTERM"


def test_it_runs_with_a_root_that_cannot_be_written_and_stops_when_it_is_told(image, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    user = int(image.config["User"].split(":")[0])
    os.chown(state, user, user)
    for folder in (*tmp_path.parents, tmp_path)[-3:]:
        folder.chmod(folder.stat().st_mode | 0o011)  # a bind mount needs the way to it
    with subprocess.Popen(image.command(state), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        log, http = "", ""
        for line in process.stderr:
            log += line
            found = REACHED.search(line)
            http = found[2] if found else http
            if '"ready"' in line:
                break
        assert http, log
        address = http.rstrip('"').replace("0.0.0.0", "127.0.0.1")
        with urllib.request.urlopen(f"{address}/readyz", timeout=30) as answer:
            assert answer.read() == b"ok\n"
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert re.search(rf"(?m)^Uid:\t{user}\t{user}\t{user}\t{user}$", status)
        assert re.search(r"(?m)^CapBnd:\t0+$", status)
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(60) == 0, log + rest
    assert (state / "journal.sqlite").stat().st_uid == user
