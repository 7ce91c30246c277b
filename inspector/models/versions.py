"""What judged and what judges: versions on disk, so that a restart goes on with the last, and the way back is open.

A version is, for each camera, a bundle and what its frames are judged by beside it. The folder holds copies of bundles
and calibrations by their checksums, since whoever trains anew may write over the old; and `versions.json`, the last of
which is in force. The configuration has the last word: a camera whose keys were changed since is judged by them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from inspector import files
from inspector.errors import BundleError, ConfigError, DataError, working_in
from inspector.inference import bundle
from inspector.models.hold import unusable
from inspector.settings import Camera, Settings

KEYS = ("bundle", "calibration", "threshold", "min_area")
"""What of a camera a version says."""
AT_START = "the configuration at the start"
"""Why a version is in force that nobody asked for."""
LIST = "versions.json"
MAX_BYTES = 16 << 20
_COPY = re.compile(r"[0-9a-f]{64}(\.half|\.old|\.toml|\.toml\.new)?")
"""What copies are called, and beginnings and remains of them: all else beside them may be somebody's."""

Keys: TypeAlias = dict[str, str | int | float | None]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Judged(_Row):
    """What a camera's frames are judged by. bundle, calibration: copies, named as in the folder

    name, version: on the bundle's card;  configured: what the configuration said of KEYS at that time
    chosen: whether that was overruled, by `use` or `rollback`
    """

    name: str
    version: str
    sha256: str
    calibration: str | None
    threshold: float | None
    min_area: int | None
    configured: Keys
    chosen: bool


class Version(_Row):
    """at: UTC;  why: who wanted it, in words;  cameras: by name"""

    at: str
    why: str
    cameras: dict[str, Judged]


_VERSIONS = TypeAdapter(list[Version])


def configured(camera: Camera) -> Keys:
    """What the configuration says of KEYS."""
    return {key: str(value) if isinstance(value := getattr(camera, key), Path) else value for key in KEYS}


def calibration_name(content: bytes) -> str:
    """What a copy of a calibration is called."""
    return f"{hashlib.sha256(content).hexdigest()}.toml"


class Versions:
    """The versions below `folder`, the last of which is in force; of which the `keep` newest are kept.

    make: the folder, where it is missing
    Raises ConfigError where the folder cannot be used or read.
    """

    def __init__(self, folder: Path, keep: int, make: bool = True) -> None:
        self.folder = folder
        self._keep = keep
        try:
            if make:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                (folder / "bundles").mkdir(mode=0o700, exist_ok=True)
            with suppress(FileNotFoundError):
                os.scandir(folder).close()  # it is a folder, and may be looked into
            content = files.read(folder / LIST, MAX_BYTES) if (folder / LIST).exists() else b"[]"
            self.all = _VERSIONS.validate_json(content)
            """The oldest first."""
        except OSError as error:
            raise unusable(folder, error) from error
        except (ValidationError, DataError) as error:
            raise ConfigError(
                f"{folder / LIST} is damaged ({str(error).splitlines()[0]}); remove it, and what the configuration "
                "says judges again"
            ) from error

    @property
    def now(self) -> Version | None:
        """What is in force, None before there was any."""
        return self.all[-1] if self.all else None

    @property
    def before(self) -> Version | None:
        """What was in force before that."""
        return self.all[-2] if len(self.all) > 1 else None

    def effective(self, settings: Settings) -> Settings:
        """`settings`, whose cameras are judged by what was chosen for them where their keys have not changed since."""
        rows = {} if self.now is None else self.now.cameras
        return self._with(settings, {name: one for name, one in rows.items() if one.chosen}, unchanged=True)

    def back(self, settings: Settings, version: Version) -> Settings:
        """`settings`, whose cameras are judged as in `version`."""
        return self._with(settings, version.cameras, unchanged=False)

    def notes(self, settings: Settings) -> Iterator[str]:
        """A sentence on each camera of the configuration that is not judged as it says."""
        rows = {} if self.now is None else self.now.cameras
        for camera in settings.camera:
            one = rows.get(camera.name)
            if self.now is not None and one is not None and one.chosen and one.configured == configured(camera):
                yield (
                    f"camera {camera.name!r}: judged by {one.name} {one.sha256[:12]} since {self.now.at} "
                    f"({self.now.why}), not by {camera.bundle} of the configuration; change its keys there and it is "
                    "judged by them"
                )

    def keep_bundle(self, folder: Path, sha256: str) -> None:
        """Have a whole copy of the bundle in `folder`, on disk before a version names it.

        Raises OutputError, and BundleError where it is not that one any more.
        """
        copy = self._bundle(sha256)
        if folder == copy or _is_whole(copy, sha256):
            return
        half, old = (copy.with_name(f"{copy.name}.{end}") for end in ("half", "old"))
        with working_in(self.folder):
            for left in (half, old):
                shutil.rmtree(left, ignore_errors=True)
            shutil.copytree(folder, half, symlinks=True)
            if bundle.load(half).sha256 != sha256:
                raise BundleError(
                    f"bundle {str(folder)!r} was changed since it was loaded; leave it alone, and try again"
                )
            for path in (half, *half.rglob("*")):
                if not path.is_symlink():
                    files.sync(path)
            self._hand_over(half)
            with suppress(FileNotFoundError):  # a damaged one, which somebody may be reading: it is away for a moment
                copy.rename(old)
            half.rename(copy)
            files.sync(copy.parent)
            shutil.rmtree(old, ignore_errors=True)

    def keep_calibration(self, content: bytes) -> str:
        """Copy a calibration; the name of the copy. Raises OutputError."""
        name = calibration_name(content)
        with working_in(self.folder):
            self._write(self.folder / "calibrations" / name, content)
        return name

    def put(self, version: Version) -> None:
        """Have `version` in force, unless what now is judges alike. Raises OutputError, and all is as it was."""
        if self.now is None or self.now.cameras != version.cameras:
            self._replace([*self.all, version][-self._keep :])

    def put_back(self, version: Version) -> None:
        """Have `version`, which is that of `before`, in force again; that of now is forgotten. Raises OutputError."""
        self._replace([*self.all[:-2], version])

    def _with(self, settings: Settings, rows: Mapping[str, Judged], unchanged: bool) -> Settings:
        def judged(camera: Camera) -> Camera:
            one = rows.get(camera.name)
            if one is None or (unchanged and one.configured != configured(camera)):
                return camera
            calibration = None if one.calibration is None else self.folder / "calibrations" / one.calibration
            keys = (self._bundle(one.sha256), calibration, one.threshold, one.min_area)
            return camera.model_copy(update=dict(zip(KEYS, keys, strict=True)))

        return settings.model_copy(update={"camera": tuple(map(judged, settings.camera))})

    def _bundle(self, sha256: str) -> Path:
        return self.folder / "bundles" / sha256

    def _replace(self, versions: list[Version]) -> None:
        with working_in(self.folder):
            self._write(self.folder / LIST, _VERSIONS.dump_json(versions, indent=1))
        self.all = versions
        rows = [one for version in versions for one in version.cameras.values()]
        # What cannot be removed now is removed the next time.
        for copy in _besides(self.folder / "bundles", {one.sha256 for one in rows}):
            shutil.rmtree(copy, ignore_errors=True)
        for copy in _besides(self.folder / "calibrations", {one.calibration for one in rows}):
            with suppress(OSError):
                copy.unlink()

    def _write(self, path: Path, content: bytes) -> None:
        """Write it whole or not at all, also where the power fails."""
        path.parent.mkdir(mode=0o700, exist_ok=True)
        new = files.beside(path, content)
        self._hand_over(new)
        if path.parent != self.folder:
            self._hand_over(path.parent)
        new.replace(path)
        files.sync(path.parent)

    def _hand_over(self, path: Path) -> None:
        """What root writes here is the daemon's, who owns the folder."""
        owner = self.folder.stat()
        if owner.st_uid != os.geteuid():
            for one in (path, *path.rglob("*")):
                os.chown(one, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _is_whole(copy: Path, sha256: str) -> bool:
    """Whether the bundle `copy` is there as it was copied, with its golden pictures."""
    try:
        there = bundle.load(copy)
        for golden, _, _ in there.golden():
            there.reference(golden)
    except BundleError:
        return False
    return there.sha256 == sha256


def _besides(folder: Path, wanted: Collection[str | None]) -> Iterator[Path]:
    """The copies in `folder`, the `wanted` apart."""
    return (copy for copy in folder.glob("*") if _COPY.fullmatch(copy.name) and copy.name not in wanted)
