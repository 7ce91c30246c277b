from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.errors import ConfigError
from inspector.extras import remedy
from inspector.inference.runtimes.onnxruntime import check_installation

Installer = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installer:
    """Makes the interpreter see exactly these distributions, by their metadata on disk."""

    def make(*names: str) -> None:
        for name in names:
            folder = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        monkeypatch.setattr("sys.path", [str(tmp_path)])

    return make


def test_one_build_is_fine(install: Installer) -> None:
    install("onnxruntime-gpu", "opencv-python-headless")
    assert check_installation() == "onnxruntime-gpu"


def test_none_says_what_to_install(install: Installer) -> None:
    install("opencv-python-headless")
    with pytest.raises(ConfigError, match=re.escape(f"no ONNX Runtime is installed; {remedy('cpu')}, or gpu")):
        check_installation()


@pytest.mark.parametrize(
    "both", [("onnxruntime", "onnxruntime-gpu"), ("opencv-python", "opencv-python-headless", "onnxruntime")]
)
def test_two_builds_say_what_to_uninstall(install: Installer, both: tuple[str, ...]) -> None:
    install(*both)
    with pytest.raises(ConfigError, match=f"pip uninstall {both[0]} {both[1]}"):
        check_installation()
