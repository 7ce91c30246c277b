"""What deploy/ gives to container engines, read as they read it, and laid out as they would lay it out."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
KUBERNETES = DEPLOY / "kubernetes"
MODELS = "/opt/inspector/models"
"""Where the image has the bundles that ship."""


def manifest(name: str) -> dict[str, Any]:
    """A file of the base."""
    content: dict[str, Any] = yaml.safe_load((KUBERNETES / "base" / f"{name}.yaml").read_text())
    return content


def files_mounted(service: str) -> dict[str, Path]:
    """What compose mounts into a service from this repository, by where it is there."""
    volumes = (volume.split(":") for volume in SERVICES[service]["volumes"])
    return {there: DEPLOY / here for here, there, *_ in volumes if here.startswith(".")}


def lay_out(service: str, root: Path) -> None:
    """Copy what compose mounts into a service to where it would be, below `root`."""
    for there, here in files_mounted(service).items():
        place = root / there.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if here.is_dir() else shutil.copy)(here, place)


def moved(config: Path, to: Path, places: dict[str, Path]) -> Path:
    """A copy at `to` of a configuration written for a container, with the container's folders at `places`."""
    text = config.read_text()
    for there, here in places.items():
        assert there in text, f"{config} does not name {there}"
        text = text.replace(there, str(here))
    to.write_text(text)
    return to


def context() -> list[Path]:
    """The files of the working tree that .dockerignore lets into a build, relative to its root."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    rules = [(line.startswith("!"), _pattern(line.removeprefix("!"))) for line in patterns]
    return [path for path in _files(ROOT) if _let_in(str(path), rules)]


def _files(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path.relative_to(ROOT) for path in files if path.relative_to(ROOT).parts[0][0] not in "."]


def _let_in(path: str, rules: list[tuple[bool, re.Pattern[str]]]) -> bool:
    """The last pattern that fits decides."""
    return next((let_in for let_in, pattern in reversed(rules) if pattern.match(path)), True)


def _pattern(line: str) -> re.Pattern[str]:
    """Of the path itself or anything below it; * stays within a folder and ** does not."""
    words = re.split(r"(\*\*/|\*)", line)
    expression = "".join({"**/": "(.*/)?", "*": "[^/]*"}.get(word, re.escape(word)) for word in words)
    return re.compile(rf"{expression}(/|$)")
