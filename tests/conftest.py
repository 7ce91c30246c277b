from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from hypothesis import HealthCheck, settings

from tests.bundles import convolutional, make_bundle, masked_pictures, picture

pytest.register_assert_rewrite("inspector.testing.sources")

# A busy machine's pauses are no failures.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side, the long ones begin first, in random order too: none is left alone at the end."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: item.path.parent.name not in ("system", "faults"))


EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="session")
def bright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny bundle (48 x 64, grey): bright pixels are defects. Not to be written to."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "bright")


@pytest.fixture(scope="session")
def reduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The like of it made of convolutions, with an int8 and an fp16 detector beside. Not to be written to."""
    pytest.importorskip("tomli_w", reason="needs tomli-w, which writes cards")
    from inspector.inference.bundle import load
    from inspector.training.quantise import add
    from inspector.types import Precision

    folder = make_bundle(tmp_path_factory.mktemp("bundles") / "reduced", graph=convolutional)
    for precision in (Precision.INT8, Precision.FP16):
        add(load(folder), masked_pictures(), True, False, precision, print)
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of 20 pictures, every fifth defective."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(20):
        image = picture(square=(10, 10, 9, 9)) if number % 5 == 4 else picture()
        cv2.imwrite(str(folder / f"{number:02}.png"), image)
    return folder


@pytest.fixture(scope="session")
def node_script(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """How to call the Node.js example, with the library beside it, as its manual says."""
    folder = npm_installed(tmp_path_factory.mktemp("node"), "zeromq@6")
    shutil.copy(EXAMPLES / "subscribe.mjs", folder)
    return ["node", str(folder / "subscribe.mjs")]


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core, a script that finds what shuts people out of a page."""
    folder = npm_installed(tmp_path_factory.mktemp("axe"), "axe-core@4")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


def npm_installed(folder: Path, package: str) -> Path:
    """`folder` with a package in it; skips where it cannot be had."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm; install Debian's nodejs and npm")
    command = ["npm", "install", "--no-audit", "--no-fund", package]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        pytest.skip(f"npm's {package} cannot be had here: {done.stderr.strip()[-300:]}")
    return folder


@pytest.fixture(params=["python", pytest.param("node", marks=pytest.mark.full)])
def script(request: pytest.FixtureRequest) -> list[str]:
    """How to call the subscriber in examples/ that stands alone, in each language."""
    if request.param == "node":
        return request.getfixturevalue("node_script")
    return [sys.executable, "-u", str(EXAMPLES / "subscribe.py")]
