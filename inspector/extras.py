"""Extras of this project: how the installation that runs gets one. It is installed from a clone, and on no index."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

SERVICE = "runtime"
"""In an environment that deploy/install.sh made: the extras that it was told, a build of ONNX Runtime first."""
BUILDS = {"cpu", "gpu", "openvino"}
"""Of ONNX Runtime, of which there may be one alone."""


def remedy(*extras: str, instead_of: str | None = None) -> str:
    """How to add `extras`, to stand in a sentence. instead_of: the package that one of them excludes"""
    service = Path(sys.prefix, SERVICE)
    if service.is_file():
        had = service.read_text(encoding="utf-8").strip().split(",")
        build = next((extra for extra in extras if extra in BUILDS), had[0])
        words = dict.fromkeys([build, *(extra for extra in (*had, *extras) if extra not in BUILDS)])
        return f"run `sh deploy/install.sh {','.join(words)}` in the clone that it was installed from"
    clone = Path(__file__).parents[1]
    is_clone = (clone / "pyproject.toml").is_file()
    pip = [sys.executable, "-m", "pip"]
    removal = "" if instead_of is None else f"run `{shlex.join([*pip, 'uninstall', instead_of])}`, then "
    addition = shlex.join([*pip, "install", f"{clone if is_clone else '.'}[{','.join(extras)}]"])
    return f"{removal}run `{addition}`{'' if is_clone else ' in a clone of this project'}"
