"""A recording as it is read: from a folder that may come from anywhere, and may be damaged."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from inspector import codecs, files
from inspector.codecs import Payload
from inspector.errors import DataError, WireError
from inspector.recorder.draft import FORMAT, FRAMES, INDEX, VERSION
from inspector.types import MAX_CHANNELS, Image, Mask, Patch, Span
from inspector.values import CameraName

MAX_INDEX_BYTES = 1 << 24
MAX_LINES_BYTES = 1 << 30
_HEAD = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '\|u1', 'fortran_order': False, "
    rb"'shape': \((\d{1,9}), (\d{1,9}), (\d{1,9})\), \} *\n",
    re.DOTALL,
)
"""Before a picture, as NumPy writes it. Its own reader has many ways to fail on a damaged one."""


class _Part(BaseModel):
    """What a newer version adds is not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Beside(_Part):
    """A file or folder that came along, and its digest (setup.digest_of)."""

    path: str
    sha256: str


class Setup(_Part):
    """What came along; paths are relative to the recording. bundles: by sha256, None where it could not be had

    files: the sha256 of each file, by its path; earlier versions told none
    """

    config: str
    bundles: dict[str, str | None]
    reference: Beside | None = None
    calibration: Beside | None = None
    ignore: Beside | None = None
    files: dict[str, str] = {}


class Trigger(_Part):
    """What the recording was made for."""

    frame: int
    end: str


class Index(_Part):
    """recording.json. lost: frames that found no room;  skipped: triggers before it, while the recorder rested"""

    format: Literal["inspector-recording"]
    version: Literal[1]
    line: str
    session: int
    camera: CameraName
    captured_ns: int
    config_sha256: str
    max_batch: int
    runtime: dict[str, str]
    triggers: tuple[Trigger, ...]
    frames: int
    lost: int
    skipped: int
    setup: Setup
    frames_sha256: str


class _File(_Part):
    file: str
    sha256: str


class _Payload(_File):
    name: str
    codec: str
    shape: tuple[int, ...]
    box: tuple[int, int, int, int] | None


class _Line(_Part):
    frame: int
    captured: float
    batch: int
    reports: tuple[float | None, float | None] | None
    picture: _File | None
    payloads: tuple[_Payload, ...]
    header: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A frame of a recording, or a late result, without a picture, of the frame of that number.

    header: of its message;  damage: a sentence for each of its files that is not what was recorded
    """

    number: int
    header: Mapping[str, Any]
    image: Image | None
    mask: Mask | None
    patches: tuple[Patch, ...]
    batch: int
    reports: Span | None
    damage: tuple[str, ...]

    @property
    def is_late(self) -> bool:
        """Whether it is a result that came when the frame's verdict was settled."""
        return self.header.get("kind") == "late"


class Recording:
    """The recording in `folder`. Raises DataError where it is none, or only half of one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if folder.name.startswith(".") or not (folder / INDEX).exists():
            raise DataError(f"{folder}: is no recording, or was cut off while it was written; give one with a {INDEX}")
        content = self._read(INDEX, MAX_INDEX_BYTES)
        try:
            told = json.loads(content)
            if isinstance(told, dict) and told.get("format") == FORMAT and told.get("version") != VERSION:
                raise DataError(f"{folder}: is of version {told.get('version')}, this program knows {VERSION}")
            self.index = Index.model_validate(told)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{folder / INDEX}: {_first(error)}; copy the recording again") from error
        self._lines = self._read(FRAMES, MAX_LINES_BYTES)
        if hashlib.sha256(self._lines).hexdigest() != self.index.frames_sha256:
            raise DataError(f"{folder / FRAMES}: is not what was recorded (sha256); copy the recording again")

    @property
    def config(self) -> dict[str, Any]:
        """The settings that were in force, as JSON had them. Raises DataError."""
        try:
            config = json.loads(self._read(self.index.setup.config, MAX_INDEX_BYTES))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{self.folder / self.index.setup.config}: is no JSON; copy the recording again") from error
        if not isinstance(config, dict):
            raise DataError(f"{self.folder / self.index.setup.config}: holds no settings; copy the recording again")
        return config

    def damage(self) -> list[str]:
        """A sentence for each file of what came along that is not what was recorded."""
        found: list[str] = []
        for name, sha256 in self.index.setup.files.items():
            self._checked(_File(file=name, sha256=sha256), found)
        return found

    def frames(self) -> Iterator[Recorded]:
        """Everything that was recorded, in the order of the verdicts. Raises DataError."""
        for number, line in enumerate(self._lines.splitlines(), 1):
            try:
                told = _Line.model_validate_json(line)
            except ValidationError as error:
                raise DataError(f"{self.folder / FRAMES}, line {number}: {_first(error)}") from error
            yield self._recorded(told)

    def path(self, name: str) -> Path:
        """Where something that the recording names lies. Raises DataError where that is not in it."""
        path = self.folder / name
        with suppress(ValueError, RuntimeError):  # no name of a file; links in a circle
            if path.resolve().is_relative_to(self.folder.resolve()):
                return path
        raise DataError(f"{path} does not lie in the recording; put the file itself there")

    def _recorded(self, line: _Line) -> Recorded:
        damage: list[str] = []
        image = None if line.picture is None else _picture(self._checked(line.picture, damage), line.picture, damage)
        mask, patches = None, []
        for told in line.payloads:
            data = self._checked(told, damage)
            payload = Payload(told.name, told.codec, "uint8", told.shape, data, told.box)
            try:
                codecs.check(payload, _size(line.header))
                if told.name == "mask":
                    mask = codecs.decode_mask(payload)
                else:
                    patches.append(Patch(told.box or (0, 0, 0, 0), codecs.decode_picture(payload)))
            except WireError as error:
                damage.append(f"{told.file}: {error}")
        reports = None if line.reports is None else _bounds(line.reports)
        batch = max(line.batch, 1)
        return Recorded(line.frame, line.header, image, mask, tuple(patches), batch, reports, tuple(damage))

    def _checked(self, file: _File, damage: list[str]) -> bytes:
        """The bytes of a file; what is wrong with it is added to `damage`."""
        try:
            content = self._read(file.file, files.MAX_PICTURE_BYTES * MAX_CHANNELS)
        except DataError as error:
            damage.append(str(error))
            return b""
        if hashlib.sha256(content).hexdigest() != file.sha256:
            damage.append(f"{file.file} is not what was recorded (sha256)")
        return content

    def _read(self, name: str, limit: int) -> bytes:
        path = self.path(name)
        try:
            return files.read(path, limit)
        except DataError as error:
            raise DataError(f"{path} is {error}") from error
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}); copy the recording again") from error


def _picture(content: bytes, file: _File, damage: list[str]) -> Image | None:
    """A picture in NumPy's format (numpy.org/neps/nep-0001-npy-format), uint8 [H,W,C]; None where it is none."""
    head = _HEAD.match(content)
    if head is not None:
        shape = int(head[1]), int(head[2]), int(head[3])
        if 0 < math.prod(shape) == len(content) - head.end():
            return np.frombuffer(content, np.uint8, offset=head.end()).reshape(shape).copy()
    if content:
        damage.append(f"{file.file} is no picture, uint8 [height, width, channels]")
    return None


def _size(header: Mapping[str, Any]) -> tuple[int, int, int] | None:
    size = header.get("size")
    if isinstance(size, list) and len(size) == 3 and all(isinstance(side, int) for side in size):
        return size[0], size[1], size[2]
    return None


def _bounds(reports: tuple[float | None, float | None]) -> Span:
    first, last = reports
    return -math.inf if first is None else first, math.inf if last is None else last


def _first(error: Exception) -> str:
    """One mistake of those that pydantic lists."""
    if not isinstance(error, ValidationError):
        return f"is no JSON: {error}"
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
