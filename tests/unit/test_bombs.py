"""Pictures that unfold are refused in a sentence, wherever pictures are read, before they fill the memory.

In a process of its own, since OpenCV reads its limit once, and so that its memory can be measured.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bombs import BOMBS
from tests.bundles import make_bundle
from tests.daemon import configure, run

MOST_MIB = 1000
"""Three pages of 100 megapixels, and the next, beside the libraries; the bombs would unfold to 1.5 GiB and more."""

PROGRAM = """
import inspector  # before OpenCV, as in every verb
import json, pathlib, re, sys
from inspector.errors import InspectorError
from inspector.inference import bundle, references
from inspector.sources.folder import read_picture
from inspector.training import data
from inspector.training.check import facts

path = pathlib.Path(sys.argv[1])
sample = data.Sample(path, data.GOOD, mask=path, reference=path)
readers = {
    "folder": lambda: read_picture(path)[1],
    "reference": lambda: references.load(path, 1),
    "golden": lambda: bundle._picture(path.parent.parent, path.name, 1),
    "training": lambda: data.read_picture(path, 3),
    "stored": lambda: data.read_as_stored(path),
    "check": lambda: facts.measure(sample, path.parent),
}
said = {}
for name, reader in readers.items():
    try:
        said[name] = str(reader())
    except InspectorError as error:
        said[name] = str(error)
status = pathlib.Path("/proc/self/status").read_text()  # not ru_maxrss, which remembers the parent's peak
print(json.dumps([said, int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) >> 10]))
"""


SLOW = {"stack.tiff", "uneven.tiff"}
"""Whose first pages are within the limit, so that they are decoded: seconds."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.full] if name in SLOW else []) for name in BOMBS]
)
def test_every_reader_refuses_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / "golden" / name
    path.parent.mkdir()
    path.write_bytes(BOMBS[name]())
    assert path.stat().st_size < 1 << 20
    done = subprocess.run([sys.executable, "-c", PROGRAM, path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said, mebibytes = json.loads(done.stdout)
    if name == "uneven.tiff":  # whose first page, which a camera's folder takes, is a picture like any other
        assert said.pop("folder") == "None"
    wrong = {
        "stack.tiff": "a stack of more than 300 million values",
        "uneven.tiff": "a stack whose pages are uint8 (10, 10), uint8 (9900, 9900)",
    }.get(name, "a picture of more than 100 megapixels; give a smaller one")
    if name == "stack.tiff":
        assert said.pop("folder") == "None"  # one page is just small enough
    assert {reader: sentence for reader, sentence in said.items() if wrong not in sentence} == {}
    assert all("\n" not in sentence for sentence in said.values())
    assert mebibytes < MOST_MIB


def test_the_verbs_say_so(tmp_path: Path, bright: Path) -> None:
    bomb = BOMBS["huge.png"]()
    (tmp_path / "normal").mkdir()
    (tmp_path / "normal" / "bomb.png").write_bytes(bomb)
    done = run("data", "check", tmp_path, "--json", tmp_path / "findings.json")
    assert done.returncode == 65
    found = (tmp_path / "findings.json").read_text()
    assert "bomb.png" in found
    assert "it is a picture of more than 100 megapixels" in found

    config = configure(tmp_path / "line.toml", bright, "sim://line", camera='reference = "normal/bomb.png"')
    done = run("check", config)
    assert done.returncode == 78
    (line,) = done.stderr.splitlines()
    assert "bomb.png' is a picture of more than 100 megapixels" in line


def test_a_bundle_with_a_bomb_for_a_golden_picture_is_refused(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "bundle")
    golden = next((folder / "golden").glob("*.png"))
    golden.write_bytes(BOMBS["huge.png"]())
    done = run("check", configure(tmp_path / "line.toml", folder, "sim://line"))
    assert done.returncode == 65
    line = done.stderr.splitlines()[-1]
    assert f"{golden} is a picture of more than 100 megapixels" in line
