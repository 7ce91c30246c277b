"""The container's image, as far as it can be checked without an engine; `make image` builds it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import inspector
from tests.containers import DEPLOY, MODELS, ROOT, context
from tests.daemon import environment

FILE = DEPLOY / "Containerfile"
STEPS = re.sub(r"\\\n", "", re.sub(r"(?m)^#.*\n", "", FILE.read_text())).splitlines()
COPIES = [line.split()[1:] for line in STEPS if line.startswith("COPY") and "--from" not in line]

PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def pins(path: Path) -> dict[str, str]:
    lines = (line.partition("==") for line in path.read_text().splitlines() if "==" in line)
    return {name.lower(): version for name, _, version in lines}


def copied(folder: Path) -> Path:
    """What a build is given, in a folder of its own."""
    for path in context():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    return folder


def test_its_label_says_the_version_of_the_program():
    assert f'org.opencontainers.image.version="{inspector.__version__}"' in FILE.read_text()


def test_nobody_runs_it_as_root_and_it_phones_nobody():
    last = [line for line in STEPS if line.startswith("USER")][-1]
    assert last == "USER 10001:10001"
    assert STEPS.index(last) > max(index for index, line in enumerate(STEPS) if line.startswith(("RUN", "COPY")))
    assert "ORT_DISABLE_TELEMETRY=1" in FILE.read_text()


def test_the_gpu_image_has_the_versions_of_the_others():
    gpu, others = pins(DEPLOY / "constraints-gpu.txt"), pins(ROOT / "constraints.txt")
    assert gpu["onnxruntime-gpu"] == others["onnxruntime"]
    assert gpu.keys() & others.keys() == set()


def test_everything_that_installs_here_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    names += (
        project["project"]["optional-dependencies"]["cpu"] + project["project"]["optional-dependencies"]["openvino"]
    )
    known = {name.replace("_", "-") for name in pins(ROOT / "constraints.txt")}
    assert {re.split(r"[>\[=]", name)[0] for name in names} <= known


def test_only_what_it_needs_goes_into_the_build():
    let_in = {str(path) for path in context()}
    assert {"inspector/cli.py", "models/simulated-line/bundle.toml", "models/pcb/NOTICE.txt"} <= let_in
    assert {path.split("/")[0] for path in let_in} == {
        "LICENSE", "README.md", "constraints.txt", "deploy", "inspector", "models", "pyproject.toml",
    }  # fmt: skip
    assert [path for path in let_in if path.startswith("deploy/")] == ["deploy/constraints-gpu.txt"]
    assert [
        path for path in let_in if "__pycache__" in path or "/history/" in path or path.endswith("report.html")
    ] == []


@pytest.mark.full
def test_the_linter_has_no_complaint():
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, "--no-color", FILE], capture_output=True, text=True, timeout=60)
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


@pytest.mark.full
def test_every_package_of_the_gpu_image_is_pinned(tmp_path):
    """What pip would install, without downloading it: CUDA is gigabytes."""
    source, report = copied(tmp_path / "context"), tmp_path / "report.json"
    constraints = [source / "constraints.txt", source / "deploy/constraints-gpu.txt"]
    subprocess.run(
        [*PIP, "install", "--dry-run", "--ignore-installed", "--no-build-isolation", "--report", report,
         *(word for file in constraints for word in ("--constraint", file)), f"{source}[gpu]"],
        check=True, timeout=600,
    )  # fmt: skip
    installed = {entry["metadata"]["name"] for entry in json.loads(report.read_text())["install"]}
    assert {"onnxruntime-gpu", "nvidia-cudnn-cu13"} <= installed
    pinned = {_plain(name) for file in constraints for name in pins(file)}
    assert {_plain(name) for name in installed} - pinned == {"inspector"}


def _plain(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


@pytest.mark.full
def test_what_it_copies_is_enough_to_build_install_and_start(tmp_path):
    """Its steps for real, but for what comes from a registry of images or packages."""
    source, root = copied(tmp_path / "context"), tmp_path / "root"
    for *names, there in COPIES:
        place = (root / "src" / there).resolve() if there.startswith(".") or "/" not in there else root / there[1:]
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            thing = source / name
            shutil.copytree(thing, place, dirs_exist_ok=True) if thing.is_dir() else shutil.copy(thing, place)

    wheel = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", "."]
    subprocess.run(wheel, cwd=root / "src", check=True, timeout=300)
    (built,) = (root / "src/dist").glob("inspector-*.whl")
    site = root / "site"
    subprocess.run([*PIP, "install", "--no-deps", "--target", site, built], check=True, timeout=300)

    config = tmp_path / "inspector.toml"
    text = (DEPLOY / "compose/inspector.toml").read_text()
    config.write_text(text.replace("/opt/", f"{root}/opt/").replace("/var/lib/inspector", str(tmp_path)))
    assert f"{root}{MODELS}/simulated-line" in config.read_text()
    ports = {"INSPECTOR_HTTP__PORT": "0", "INSPECTOR_PUBLISH__CATCHUP": "tcp://127.0.0.1:*"}
    there = environment(PYTHONPATH=str(site), INSPECTOR_PUBLISH__ENDPOINT="tcp://127.0.0.1:*", **ports)
    told = subprocess.run([sys.executable, "-c", "import inspector; print(inspector.__file__)"], cwd=tmp_path,
                          env=there, capture_output=True, text=True, timeout=60)  # fmt: skip
    assert told.stdout.startswith(str(site))  # not the working tree's
    command = [sys.executable, "-m", "inspector", "check", config]
    done = subprocess.run(command, cwd=tmp_path, env=there, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
