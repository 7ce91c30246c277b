"""The pages for integrators, quality engineers, authors of subscribers and whoever changes alerts: who reads copies the
commands; so do we.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import inspector
from tests.daemon import environment
from tests.waiting import free_port

ROOT = Path(inspector.__file__).parents[1]
PAGES = ROOT / "docs"
PORTS = ("5600", "5601", "9600")
"""Of the pages, and of the configuration's defaults; others run here, too."""


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of each, in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", (PAGES / page).read_text(), flags=re.MULTILINE | re.DOTALL)


def script(page: str) -> str:
    """What a reader does who takes the page from top to bottom: files are written, commands run in one shell."""
    steps = ["set -euo pipefail", "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT"]
    for language, text in blocks(page):
        if language == "sh":
            steps.append(text)
        else:
            name = text.splitlines()[0].removeprefix("# ")
            steps.append(f"cat > {name} << 'END OF FILE'\n{text}END OF FILE")
    return "\n".join(steps) + "\n"


def follow(page: str, folder: Path) -> str:
    """Do what the page says in a folder with what it asks for; what was printed."""
    for name in ("models", "examples", "deploy", "tests"):
        (folder / name).symlink_to(ROOT / name)
    text = script(page)
    ports = {port: str(free_port()) for port in PORTS}
    for port, free in ports.items():
        text = text.replace(port, free)
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-c", text],
        cwd=folder,
        env=environment(PATH=path, INSPECTOR_PUBLISH__ENDPOINT=f"tcp://127.0.0.1:{ports['5600']}",
                        INSPECTOR_HTTP__PORT=ports["9600"], PYTHONUNBUFFERED="1"),
        capture_output=True, text=True, timeout=1000, check=False,
    )  # fmt: skip
    log = folder / "daemon.log"
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{log.read_text() if log.exists() else ''}"
    return done.stdout


def test_every_page_with_commands_is_followed_here() -> None:
    with_commands = {path.name for path in PAGES.glob("*.md") if any(name == "sh" for name, _ in blocks(path.name))}
    assert with_commands == {"alerts.md", "integrators.md", "quality.md", "subscribers.md"}


def test_integrators(tmp_path: Path) -> None:
    told = follow("integrators.md", tmp_path)
    assert len(list((tmp_path / "defects").iterdir())) > 0
    assert "threshold changed" in told
    assert "unaccounted" in told


def test_subscribers(tmp_path: Path) -> None:
    told = follow("subscribers.md", tmp_path)
    told_of = re.findall(r"^message (\d+), frame \d+: (?:ok|ng|unknown)$", told, flags=re.MULTILINE)
    sequences = [int(number) for number in told_of]
    assert len(sequences) == 80
    assert sequences == list(range(sequences[0], sequences[0] + 80)), "the second run goes on where the first ended"
    assert re.search(r"frame \d+: \d+ defective pixels", told)


@pytest.mark.full
def test_alerts(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: the alerts' cases are not tried")
    assert follow("alerts.md", tmp_path).count("SUCCESS") == len(list((ROOT / "tests/unit").glob("alerts*.test.yml")))


@pytest.mark.full
def test_quality_engineers(tmp_path: Path) -> None:
    follow("quality.md", tmp_path)
    assert "mine" in (tmp_path / "compare.html").read_text()
    assert (tmp_path / "mine.evaluation" / "report.html").exists()


def test_every_page_is_found_from_these_three() -> None:
    text = "".join((PAGES / name).read_text() for name in ("integrators.md", "quality.md", "subscribers.md"))
    linked = set(re.findall(r"\(([\w-]+\.md)", text))
    assert {path.name for path in PAGES.glob("*.md")} - {"integrators.md", "quality.md", "subscribers.md"} <= linked
