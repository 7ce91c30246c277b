"""deploy/install.sh, step by step, on a machine that is made up: its folders are here, and its commands are stubs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SYSTEMCTL = """#!/bin/sh
# A unit runs while its file is there. Versions named in `refusals` do not get ready, and are not started again.
cd "$MACHINE"
case $1 in
list-units) (cd active && ls) | sed 's/$/ loaded active running/' ;;
restart)
    rm -f "active/$2"
    echo "$2 $(basename "$(readlink root/current)")" >>restarted
    grep -qx "$2 $(basename "$(readlink root/current)")" refusals && exit 1
    touch "active/$2"
    ;;
esac
"""
PYTHON = """#!/bin/sh
case "$*" in
"-m venv "*)
    mkdir "$3" "$3/bin"
    for program in pip inspector; do printf '#!/bin/sh\\n' >"$3/bin/$program" && chmod u+x "$3/bin/$program"; done
    ;;
esac
"""

Step = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Where the versions `old`, which is current, and `new` are installed, and no line runs."""
    for folder in ("active", "bin", "clone/deploy", "root/versions/old", "root/versions/new"):
        (tmp_path / folder).mkdir(parents=True)
    for version in ("old", "new"):
        (tmp_path / "root/versions" / version / "inspector.service").touch()
    (tmp_path / "root/current").symlink_to("versions/old")
    for file in ("refusals", "restarted"):
        (tmp_path / file).touch()
    stub(tmp_path / "bin/systemctl", SYSTEMCTL)
    return tmp_path


@pytest.fixture
def step(machine: Path) -> Step:
    """Runs one of the script's functions, with root's folders in `machine`."""

    def run(command: str) -> subprocess.CompletedProcess[str]:
        text, _, _ = (ROOT / "deploy/install.sh").read_text().partition("\nrequire\n")
        for line in ("root=/opt/inspector\n", "config=/etc/inspector\n", "units=/usr/local/lib/systemd/system\n"):
            assert line in text
            text = text.replace(line, f"{line.partition('=')[0]}={machine}/{line.partition('=')[0]}\n")
        text = text.replace("/usr/local/bin/", f"{machine}/bin/")
        script = machine / "clone/deploy/install.sh"
        script.write_text(f"{text}\n{command}\n")
        environment = {**os.environ, "MACHINE": str(machine), "PATH": f"{machine}/bin:{os.environ['PATH']}"}
        # Under the umask of a careful root.
        return subprocess.run(
            ["sh", script], env=environment, umask=0o077, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def stub(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def active(machine: Path) -> list[str]:
    return sorted(path.name for path in (machine / "active").iterdir())


LINES = ["inspector.service", "inspector@press.service"]


@pytest.fixture
def _two_lines(machine: Path) -> None:
    for unit in LINES:
        (machine / "active" / unit).touch()


@pytest.mark.usefixtures("_two_lines")
class TestSwitch:
    def test_lines_that_run_are_restarted(self, machine: Path, step: Step) -> None:
        done = step("switch new")
        assert (done.returncode, done.stderr) == (0, "")
        assert (machine / "restarted").read_text().splitlines() == [f"{unit} new" for unit in LINES]
        assert (machine / "root/current").readlink() == Path("versions/new")
        assert (machine / "root/previous").readlink() == Path("versions/old")

    @pytest.mark.parametrize("refused", [LINES, LINES[:1], LINES[1:]])
    def test_each_runs_again_with_the_old_version_where_the_new_one_failed_for_good(
        self, machine: Path, step: Step, refused: list[str]
    ) -> None:
        (machine / "refusals").write_text("".join(f"{unit} new\n" for unit in refused))
        done = step("switch new")
        assert (done.returncode, done.stderr) == (1, "install: new does not run here; old is back\n")
        assert active(machine) == LINES
        assert (machine / "restarted").read_text().splitlines()[-2:] == [f"{unit} old" for unit in LINES]
        assert (machine / "root/current").readlink() == Path("versions/old")
        assert not (machine / "root/previous").is_symlink()

    def test_one_that_does_not_come_back_keeps_no_other_from_it_and_is_told(self, machine: Path, step: Step) -> None:
        (machine / "refusals").write_text(f"{LINES[0]} new\n{LINES[0]} old\n")
        done = step("switch new")
        assert done.returncode == 1
        assert done.stderr == "install: new does not run here; old is back, but not ready either\n"
        assert active(machine) == LINES[1:]
        assert f"journalctl -u {LINES[0]}" in done.stdout


@pytest.fixture
def clone(machine: Path) -> Path:
    """What is installed of a clone, empty, and as closed as the umask has it."""
    clone = machine / "clone"
    for folder in ("inspector", "models/one", "systemd"):
        (clone / folder).mkdir(parents=True)
    for name in ("models/one/bundle.toml", "systemd/inspector.service", "deploy/inspector.toml", "pyproject.toml",
                 "constraints.txt", "README.md", "LICENSE"):  # fmt: skip
        (clone / name).touch()
    for path in clone.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    stub(machine / "bin/python", PYTHON)
    return clone


@pytest.mark.usefixtures("clone")
def test_what_is_made_is_readable_for_the_service(machine: Path, step: Step) -> None:
    done = step(f"python={machine}/bin/python; build 1.0 cpu; lay_out")
    assert (done.returncode, done.stderr) == (0, "")
    credentials = machine / "config/credentials"
    assert credentials.stat().st_mode & 0o777 == 0o700
    version, config = machine / "root/versions/1.0", machine / "config"
    made = [version, *version.rglob("*"), config, *(path for path in config.iterdir() if path != credentials)]
    assert {version / "models/one/bundle.toml", version / "runtime", config / "inspector.toml"} <= {*made}
    for path in made:
        needed = 0o555 if path.is_dir() else 0o444
        assert path.stat().st_mode & needed == needed, path


@pytest.mark.usefixtures("clone")
def test_what_openvino_needs_of_the_unit_is_told(machine: Path, step: Step) -> None:
    assert "systemctl edit" not in step(f"python={machine}/bin/python; build 1.0 cpu").stdout
    assert "for OpenVINO, by systemctl edit" in step(f"python={machine}/bin/python; build 1.0 openvino,view").stdout


def test_what_does_not_run_is_not_started(machine: Path, step: Step) -> None:
    assert step("switch new").returncode == 0
    assert active(machine) == []
