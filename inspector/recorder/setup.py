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
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from inspector import files
from inspector.errors import BundleError, DataError
from inspector.inference import bundle
from inspector.judging import Judging
from inspector.pictures import SUFFIXES
from inspector.settings import Camera, Settings, effective

log = logging.getLogger(__name__)

STORE = ".store"
SETUP = "setup"
BESIDE = ("reference", "calibration", "ignore")
"""Keys of a camera that name files which a verdict depends on, beside its bundle."""


class Kept(NamedTuple):
    """A file or folder in the store, the name under which it comes along, and its digest (`digest_of`).

    The name is that of where it came from: a frame's position is called after the file of its reference picture.
    files: the sha256 of each of its files, by their paths seen from `copy`
    """

    copy: Path
    name: str
    sha256: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """What judges until others take over. models: by camera, the sha256 of its bundle

    folders: where each bundle came from, by its sha256
    references: by camera, the copy of its reference, by that's path: one for all setups that judge by it as it was read
    stored: copies of other files beside the bundles, by their path
    """

    settings: Settings
    models: Mapping[str, str]
    folders: Mapping[str, Path]
    references: Mapping[str, dict[Path, Kept]]
    stored: dict[Path, Kept] = field(default_factory=dict)

    @classmethod
    def of(cls, judging: Judging, before: Setup | None = None, changed: Collection[str] = ()) -> Setup:
        """That of what judges, which it does not hold.

        before: that of what judged so far;  changed: the cameras whose references were read again since
        """
        models = {camera: station.tag.sha256 for camera, station in judging.stations.items()}
        references = {
            camera: {} if before is None or camera in changed else before.references[camera] for camera in models
        }
        return cls(judging.settings, models, judging.folders(), references)

    def camera(self, name: str) -> Camera:
        """The camera's table."""
        return next(camera for camera in self.settings.camera if camera.name == name)


class Setups:
    """Lays into a recording what its frames were judged with; `root` is the recorder's folder.

    now: what judges; another may be put in its place from any thread
    """

    def __init__(self, root: Path, now: Setup) -> None:
        self._store = root / STORE
        self._bundles: dict[tuple[str, Path], Kept | None] = {}
        self._kept: dict[str, Kept] = {}
        self._folders: Mapping[str, Path] = {}
        self.judge_by(now)

    def judge_by(self, setup: Setup) -> None:
        """Have `setup` be what judges; from any thread. Bundles that judged before may still come along."""
        self._folders = {**self._folders, **setup.folders}
        self.now = setup

    def carry(self) -> None:
        """Copy what is not in the store yet, and take out of it what nobody uses. Raises OSError, DataError."""
        now = self.now
        for camera in now.settings.camera:
            self._beside(now, camera)
        for sha256 in now.folders:
            self._bundle(sha256)
        self._sweep()

    def lay(self, setup: Setup, camera: str, models: Iterable[str], recording: Path) -> dict[str, Any]:
        """Link it all into the folder of a recording; what its index tells of it. Raises OSError, DataError.

        setup: one that judges or did;  models: the sha256 of each bundle that judged
        """
        into = recording / SETUP
        into.mkdir()
        config = json.dumps(effective(setup.settings), indent=1).encode()
        (into / "config.json").write_bytes(config)
        sums = {f"{SETUP}/config.json": hashlib.sha256(config).hexdigest()}
        bundles = {}
        for sha256 in models:
            kept = self._bundle(sha256)
            bundles[sha256] = None if kept is None else _linked(kept, into / f"bundle-{sha256[:12]}", recording, sums)
        told: dict[str, Any] = {"config": f"{SETUP}/config.json", "bundles": bundles}
        for key, kept in self._beside(setup, setup.camera(camera)).items():
            where = None if kept is None else _linked(kept, into / key, recording, sums)
            told[key] = None if kept is None else {"path": where, "sha256": kept.sha256}
        return told | {"files": sums}

    @property
    def size(self) -> int:
        """Bytes of the store."""
        return sum(file.stat().st_size for file in self._store.rglob("*") if file.is_file())

    def _beside(self, setup: Setup, camera: Camera) -> dict[str, Kept | None]:
        found = {}
        for key in BESIDE:
            path = getattr(camera, key)
            stored = setup.references[camera.name] if key == "reference" else setup.stored
            if path is not None and path not in stored:
                stored[path] = self._keep(path)
            found[key] = None if path is None else stored[path]
        return found

    def _bundle(self, sha256: str) -> Kept | None:
        """The copy of a bundle; None where it cannot be had any more."""
        if (folder := self._folders.get(sha256)) is None:
            return None
        if (sha256, folder) not in self._bundles:
            kept = self._keep(folder)
            try:
                there = bundle.load(kept.copy).sha256
            except BundleError as error:
                there = str(error)
            if there != sha256:
                log.warning("recordings do not carry bundle %s: %s holds another by now", sha256[:12], folder)
            self._bundles[sha256, folder] = kept if there == sha256 else None
        return self._bundles[sha256, folder]

    def _keep(self, path: Path) -> Kept:
        """The copy of a file or folder."""
        digest = digest_of(path)
        if digest not in self._kept:
            # Power may have been cut as it was written; and recordings share its files, which somebody may have changed
            # in one of them. To look is to read it all, so once in a run is enough.
            place = self._store / digest
            copy = next((copy for copy in place.glob("*") if is_intact(copy, digest)), None) or self._copy(path, place)
            sums = {_seen_from(copy, file): hashlib.sha256(file.read_bytes()).hexdigest() for file in _files(copy)}
            self._kept[digest] = Kept(copy, path.name, digest, sums)
        return self._kept[digest]._replace(name=path.name)  # it may have come from a path of another name

    def _copy(self, path: Path, place: Path) -> Path:
        """Copy a file or folder into `place` of the store, or nothing of it; the copy."""
        part = place.with_name(f".{place.name}")
        shutil.rmtree(part, ignore_errors=True)
        for file in _files(path):
            copy = part / path.name / _seen_from(path, file)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
            files.sync(copy)
        if not is_intact(part / path.name, place.name):
            raise OSError(None, f"{path} was changed while it was copied")
        shutil.rmtree(place, ignore_errors=True)
        return part.rename(place) / path.name

    def _sweep(self) -> None:
        """Take out what was carried in an earlier run, and is in no recording any more."""
        for place in self._store.iterdir() if self._store.is_dir() else ():
            is_linked = any(file.stat().st_nlink > 1 for file in place.rglob("*") if file.is_file())
            if place.name not in self._kept and not is_linked:
                shutil.rmtree(place, ignore_errors=True)


def digest_of(path: Path) -> str:
    """The sha256 (hex) over a file, or over the names and contents of what matters in a folder.

    Raises OSError, and DataError where a file is none to be read.
    """
    digest = hashlib.sha256()
    for file in _files(path):
        try:
            content = files.read(file, bundle.MAX_MODEL_BYTES)
        except DataError as error:
            raise DataError(f"{file} is {error}") from error
        name = _seen_from(path, file) if path.is_dir() else ""
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def is_intact(path: Path, sha256: str) -> bool:
    """Whether the digest of a file or folder is `sha256`; of one that cannot be read it is not."""
    try:
        return digest_of(path) == sha256
    except (OSError, DataError):
        return False


def _files(path: Path) -> Iterator[Path]:
    """A file; or of a bundle what is needed to run it, and of another folder its pictures."""
    if not path.is_dir():
        yield path
        return
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if (path / bundle.CARD).exists():
        found = [path / bundle.CARD, *sorted(path.glob("*.onnx")), *sorted((path / bundle.GOLDEN).glob("*"))]
    yield from filter(Path.is_file, found)  # folders may lie among them, which nobody reads


def _seen_from(path: Path, file: Path) -> str:
    """Where one of `_files(path)` lies."""
    return file.relative_to(path).as_posix()


def _linked(kept: Kept, into: Path, recording: Path, sums: dict[str, str]) -> str:
    """Put `kept` into a folder of a recording; where, seen from the recording.

    sums: gets the sha256 of each of its files, by their paths seen from the recording
    """
    place = into / kept.name
    for name, sha256 in kept.files.items():
        file, link = kept.copy / name, place / name
        link.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, link)
        except OSError:  # a file system without links; one without room says so again
            shutil.copyfile(file, link)
        sums[_seen_from(recording, link)] = sha256
    return _seen_from(recording, place)
