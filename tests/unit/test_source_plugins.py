"""Sources of other packages: real packages as pip lays them out, made for the test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from inspector.calibrate.session import Session
from inspector.errors import ConfigError
from inspector.inference import bundle
from inspector.sources import open_source
from inspector.sources.sim import Simulation

PARROT = '''
import numpy as np
from inspector.types import Shot

class Parrot:
    """Says what it has heard: grey pictures, each brighter than the one before it."""
    live = False

    def __init__(self, frames):
        self._frames, self._closed = frames, False

    def frames(self):
        for number in range(self._frames):
            if self._closed:
                return
            yield Shot(np.full((4, 6, 1), 10 * number, np.uint8), part=str(number))

    def close(self):
        self._closed = True

def from_url(url):
    frames = url.whole("frames", 10, 1, 20)
    url.finish()
    return Parrot(frames)
'''

FILLING = """
    page = np.zeros((4, 6, 1), np.uint8)

    def _fill(self, number):
        self.page[:] = number
        return self.page
"""

CONTRACT = """
import pytest
from inspector.testing.sources import Counterpart, Ending, SourceContract

class TestParrot(Ending, SourceContract):
    @pytest.fixture
    def counterpart(self):
        return Counterpart("parrot:?frames=12", 12, lambda image: int(image.mean()) // 10)
"""


def install(folder: Path, name: str, code: str, *entries: str) -> None:
    """As pip would have it: a module, and beside it what it says of itself."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[inspector.sources]\n" + "\n".join(entries))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in ("parrot", "other"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return tmp_path


def problem(url: str) -> str:
    with pytest.raises(ConfigError) as caught:
        open_source(url)
    (sentence,) = caught.value.problems
    assert "\n" not in sentence
    return sentence


def test_another_package_adds_a_source(site: Path) -> None:
    install(site, "parrot", PARROT, "parrot = parrot:from_url")
    assert [shot.part for shot in open_source("parrot:?frames=3").frames()] == ["0", "1", "2"]
    assert "frames = '0' is not allowed" in problem("parrot:?frames=0")


def test_a_camera_with_it_can_be_calibrated(site: Path, bright: Path) -> None:
    install(site, "parrot", PARROT, "parrot = parrot:from_url")
    session = Session(["parrot:?frames=3"], [], 10, bundle.load(bright), open_source)
    assert [picture.part for picture in session.pictures()] == [f"parrot:?frames=3 {number}" for number in range(3)]


def test_it_is_loaded_for_its_own_scheme_alone(site: Path) -> None:
    install(site, "parrot", "raise RuntimeError('loaded')", "parrot = parrot:from_url")
    open_source("sim://line")
    assert "is not a kind of source" in problem("parrott:")
    assert "parrot" not in sys.modules


def test_what_is_built_in_stays(site: Path) -> None:
    install(site, "parrot", PARROT, "sim = parrot:from_url")
    assert isinstance(open_source("sim://line"), Simulation)


@pytest.mark.parametrize(
    ("code", "entry", "expected"),
    [
        ("import no_such_module", "from_url", "package 'parrot', which offers parrot:, fails (ModuleNotFoundError: "),
        ("raise RuntimeError('two\\nlines')", "from_url", "fails (RuntimeError: two lines); mend or reinstall it"),
        (PARROT, "no_such_function", "fails (AttributeError: "),
        ("from_url = 3", "from_url", "offers parrot: as parrot:from_url, which cannot be called; mend it"),
        ("def from_url(url): return 3", "from_url", "makes a source without live, frames, close; docs/sources.md"),
        ("def from_url(url): return 1 / 0", "from_url", "fails (ZeroDivisionError: division by zero)"),
    ],
)
def test_a_broken_one_is_named(site: Path, code: str, entry: str, expected: str) -> None:
    install(site, "parrot", code, f"parrot = parrot:{entry}")
    assert expected in problem("parrot:")


def test_two_for_one_scheme_are_named(site: Path) -> None:
    install(site, "parrot", PARROT, "parrot = parrot:from_url")
    install(site, "other", PARROT, "parrot = other:from_url")
    sentence = problem("parrot:")
    assert "package 'parrot'" in sentence
    assert "package 'other'" in sentence
    assert "each offer parrot:; uninstall all but one" in sentence


def contract(site: Path) -> subprocess.CompletedProcess[str]:
    """Run the contract in that package's own folder, as its author would."""
    (site / "test_parrot.py").write_text(CONTRACT)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_parrot.py"]
    path = f"{site}:{Path(__file__).parents[2]}"
    return subprocess.run(
        command, cwd=site, env={"PYTHONPATH": path}, capture_output=True, text=True, timeout=120, check=False
    )


def test_its_author_can_run_the_contract_on_it(site: Path) -> None:
    install(site, "parrot", PARROT, "parrot = parrot:from_url")
    done = contract(site)
    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        ("np.full((4, 6, 1), 10 * number, np.uint8)", "self._fill(number)", "test_its_pictures_own_their_memory"),
        ("10 * number, np.uint8", "100 - 10 * number, np.uint8", "test_frames_come_in_order"),
        ("np.uint8)", "float)", "test_its_pictures_are_uint8"),
        ("            if self._closed:\n                return\n", "", "test_closed_it_yields_nothing_more"),
        ("range(self._frames)", "range(self._frames - 1)", "test_it_yields_every_frame"),
    ],
)
def test_the_contract_finds_what_is_wrong(site: Path, right: str, wrong: str, expected: str) -> None:
    assert right in PARROT
    code = PARROT.replace(right, wrong, 1).replace("    live = False\n", f"    live = False\n{FILLING}")
    install(site, "parrot", code, "parrot = parrot:from_url")
    done = contract(site)
    assert done.returncode == 1, done.stdout
    assert f"FAILED test_parrot.py::TestParrot::{expected}" in done.stdout
