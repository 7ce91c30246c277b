from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from inspector import extras
from inspector.extras import remedy

ROOT = Path(__file__).parents[2]


def test_in_a_clone_it_is_a_command_that_pip_understands() -> None:
    run, command, rest = remedy("view", "cpu").split("`")
    assert (run, rest) == ("run ", "")
    python, *words, wanted = shlex.split(command)
    assert (python, words) == (sys.executable, ["-m", "pip", "install"])
    assert wanted == f"{ROOT}[view,cpu]"


def test_one_build_takes_the_place_of_another() -> None:
    _, removal, _, addition, _ = remedy("gpu", instead_of="onnxruntime").split("`")
    assert removal == f"{shlex.quote(sys.executable)} -m pip uninstall onnxruntime"
    assert addition.endswith("[gpu]'")


def test_away_from_a_clone_it_names_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "__file__", str(tmp_path / "site-packages" / "inspector" / "extras.py"))
    assert remedy("view").endswith(" -m pip install '.[view]'` in a clone of this project")


def test_for_a_service_it_is_what_installed_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    (tmp_path / "runtime").write_text("gpu,genicam\n")
    assert remedy("train") == "run `sh deploy/install.sh gpu,genicam,train` in the clone that it was installed from"
    assert "gpu,genicam`" in remedy("genicam")
    assert "`sh deploy/install.sh openvino,genicam`" in remedy("openvino", instead_of="onnxruntime-gpu")
    assert 'echo "$runtime" >"$new/runtime"' in (ROOT / "deploy/install.sh").read_text()


def test_every_extra_that_is_named_is_there() -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    sources = [path.read_text() for path in (ROOT / "inspector").rglob("*.py")]
    assert not [text for text in sources if re.search(r"inspector\[\w", text)], "on no index"
    named = {
        word
        for text in sources
        for call in re.findall(r"remedy\(([^)]*)\)", text)
        for word in re.findall(r"'(\w+)'", call)
    }
    assert {"cpu", "gpu", "openvino", "gige", "genicam", "view"} <= named <= known.keys()
    assert known.keys() > extras.BUILDS
