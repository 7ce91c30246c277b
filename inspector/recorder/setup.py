"""What frames are judged with, kept beside the recordings: bundles, reference pictures, calibrations, masks, settings.

A bundle may be swapped after a recording, and the recording go to another machine. So each of these is copied once into
the recorder's own store, and linked from there into every recording: each is whole, and none costs the bytes again.
Copied, and not linked to where it came from: whoever overwrites that file would change what is linked.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from inspector.errors import BundleError
from inspector.inference import bundle
from inspector.pictures import SUFFIXES
from inspector.settings import Camera, Settings, effective

log = logging.getLogger(__name__)

STORE = ".store"
SETUP = "setup"
BESIDE = ("reference", "calibration", "ignore")
"""Keys of a camera that name files which a verdict depends on, beside its bundle."""


class Setups:
    """Lays into a recording what its frames were judged with; `root` is the recorder's folder.

    folders: where each bundle that judges came from, by its sha256
    """

    def __init__(self, root: Path, settings: Settings, folders: Callable[[], Mapping[str, Path]]) -> None:
        self._store = root / STORE
        self._cameras = {camera.name: camera for camera in settings.camera}
        self._config = json.dumps(effective(settings), indent=1)
        self._folders = folders
        self._stored: dict[object, tuple[Path, str] | None] = {}

    def carry(self) -> None:
        """Copy what is not in the store yet, and take out of it what nobody uses. Raises OSError."""
        for camera in self._cameras.values():
            self._beside(camera)
        for sha256 in self._folders():
            self._bundle(sha256)
        self._sweep()

    def lay(self, camera: str, models: Iterable[str], recording: Path) -> dict[str, Any]:
        """Link it all into the folder of a recording; what its index tells of it. Raises OSError.

        models: the sha256 of each bundle that judged
        """
        into = recording / SETUP
        into.mkdir()
        (into / "config.json").write_text(self._config, encoding="utf-8")
        bundles = {}
        for sha256 in models:
            kept = self._bundle(sha256)
            bundles[sha256] = None if kept is None else _linked(kept[0], into / f"bundle-{sha256[:12]}", recording)
        told: dict[str, Any] = {"config": f"{SETUP}/config.json", "bundles": bundles}
        for key, kept in self._beside(self._cameras[camera]).items():
            where = None if kept is None else _linked(kept[0], into / key, recording)
            told[key] = None if kept is None else {"path": where, "sha256": kept[1]}
        return told

    @property
    def size(self) -> int:
        """Bytes of the store."""
        return sum(file.stat().st_size for file in self._store.rglob("*") if file.is_file())

    def _beside(self, camera: Camera) -> dict[str, tuple[Path, str] | None]:
        return {key: None if (path := getattr(camera, key)) is None else self._keep(path, path) for key in BESIDE}

    def _bundle(self, sha256: str) -> tuple[Path, str] | None:
        """The copy of a bundle; None where it cannot be had any more."""
        if (sha256 in self._stored) or (folder := self._folders().get(sha256)) is None:
            return self._stored.get(sha256)
        kept = self._keep(sha256, folder)
        try:
            there = None if kept is None else bundle.load(kept[0]).sha256
        except BundleError as error:
            there = str(error)
        if there != sha256:
            log.warning("recordings do not carry bundle %s: %s holds another by now", sha256[:12], folder)
            kept = self._stored[sha256] = None
        return kept

    def _keep(self, key: object, path: Path) -> tuple[Path, str] | None:
        """The copy of a file or folder, and its digest."""
        if key not in self._stored:
            digest = digest_of(path)
            place = self._store / digest
            if not place.exists():
                part = self._store / f".{digest}"
                shutil.rmtree(part, ignore_errors=True)
                for file in _files(path):
                    copy = part / path.name / file.relative_to(path) if path.is_dir() else part / path.name
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, copy)
                part.rename(place)
            self._stored[key] = place / path.name, digest
        return self._stored[key]

    def _sweep(self) -> None:
        """Take out what was carried for an earlier configuration, and is in no recording any more."""
        used = {kept[1] for kept in self._stored.values() if kept is not None}
        for place in self._store.iterdir() if self._store.is_dir() else ():
            is_linked = any(file.stat().st_nlink > 1 for file in place.rglob("*") if file.is_file())
            if place.name not in used and not is_linked:
                shutil.rmtree(place, ignore_errors=True)


def digest_of(path: Path) -> str:
    """The sha256 (hex) over a file, or over the names and contents of what matters in a folder. Raises OSError."""
    digest = hashlib.sha256()
    for file in _files(path):
        content = file.read_bytes()
        name = file.relative_to(path).as_posix() if path.is_dir() else ""
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    """A file; or of a bundle what is needed to run it, and of another folder its pictures."""
    if not path.is_dir():
        yield path
    elif (path / bundle.CARD).exists():
        yield path / bundle.CARD
        yield from sorted(path.glob("*.onnx"))
        yield from sorted((path / bundle.GOLDEN).glob("*"))
    else:
        yield from sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)


def _linked(kept: Path, into: Path, recording: Path) -> str:
    """Put `kept` into a folder of a recording; where, seen from the recording."""
    for file in _files(kept):
        link = into / kept.name / file.relative_to(kept) if kept.is_dir() else into / kept.name
        link.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, link)
        except OSError:  # a file system without links; one without room says so again
            shutil.copyfile(file, link)
    return (into / kept.name).relative_to(recording).as_posix()
