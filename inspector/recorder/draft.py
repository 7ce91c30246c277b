"""A recording as it is written: in a folder with a hidden name, which gets its own once all is in it.

    CAMERA-TIME-FRAME/
        recording.json      what it is; written last
        frames.jsonl        a line a frame: its verdict's header, and the files that belong to it with their sha256
        frames/12.npy       the picture as it was captured, in NumPy's format: not compressed, for that takes time
        frames/12-mask.png, 12-repaired-0.png   what was found and repaired
        setup/              what it was judged with

Nothing is pickled. What a crash leaves half written keeps its hidden name, and is no recording.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from inspector import codecs
from inspector.codecs import Formats
from inspector.recorder.ring import Kept
from inspector.types import Frame, Image, Inspection, Span, Verdict

FORMAT, VERSION = "inspector-recording", 1
INDEX, FRAMES = "recording.json", "frames.jsonl"
_FORMATS = Formats(mask="png", repaired="patch", source="none")


class Draft:
    """Begins the recording `name` in the folder `root`. All of it raises OSError where it cannot be written.

    frames: how many are in it;  size: bytes written so far
    """

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.frames = self.size = 0
        self.folder = root / f".{name}"
        shutil.rmtree(self.folder, ignore_errors=True)  # a name comes twice where the clock was set back
        (self.folder / "frames").mkdir(parents=True)
        self._lines = (self.folder / FRAMES).open("wb")
        self._sha256 = hashlib.sha256()
        self._late = 0

    def add(self, kept: Kept) -> None:
        """Write a frame, or the evidence of a late result."""
        stem = str(kept.number)
        if kept.image is None and kept.mask is not None:  # a late result's: its frame may be there as well
            self._late += 1
            stem = f"{stem}-late-{self._late}"
        told: dict[str, Any] = {"frame": kept.number, "captured": kept.captured, "batch": kept.batch}
        told["reports"] = _finite(kept.reports)
        told["picture"] = None if kept.image is None else self._picture(f"{stem}.npy", kept.image)
        told["payloads"] = self._payloads(stem, kept)
        line = json.dumps(told)[:-1].encode() + b', "header": ' + kept.header + b"}\n"
        self._sha256.update(line)
        self._lines.write(line)
        self.size += len(line)
        self.frames += kept.image is not None

    def finish(self, about: Mapping[str, Any]) -> Path:
        """Give it its name; where it lies then. about: what `recording.json` tells beside the frames."""
        self._lines.close()
        index = {"format": FORMAT, "version": VERSION, **about, "frames_sha256": self._sha256.hexdigest()}
        content = json.dumps(index, indent=1).encode() + b"\n"
        self.size += len(content)
        with (self.folder / INDEX).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return self.folder.rename(self.folder.with_name(self.name))

    def abandon(self) -> None:
        """Delete what was written, as far as the disk lets one."""
        with suppress(OSError):  # what waits cannot be flushed where the disk is full, and goes anyway
            self._lines.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _picture(self, name: str, image: Image) -> dict[str, Any]:
        image = np.ascontiguousarray(image)
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(image))
        return self._file(name, head.getvalue(), image.data.cast("B"))

    def _payloads(self, stem: str, kept: Kept) -> list[dict[str, Any]]:
        frame = Frame("", kept.number, 0, 0.0, 0.0, None)
        found = Inspection(frame, Verdict.NG, mask=kept.mask, patches=kept.patches)
        told = []
        for number, payload in enumerate(codecs.encode(found, _FORMATS)):
            suffix = "mask" if payload.name == "mask" else f"{payload.name}-{number - 1}"
            file = self._file(f"{stem}-{suffix}.png", payload.data)
            told.append(
                {"name": payload.name, "codec": payload.codec, "shape": payload.shape, "box": payload.box} | file
            )
        return told

    def _file(self, name: str, *pieces: bytes | memoryview) -> dict[str, Any]:
        digest = hashlib.sha256()
        with (self.folder / "frames" / name).open("wb", buffering=0) as file:
            for piece in pieces:
                digest.update(piece)
                left = memoryview(piece)
                while left:  # a disk that is nearly full takes a part
                    left = left[file.write(left) :]
                self.size += len(piece)
        return {"file": f"frames/{name}", "sha256": digest.hexdigest()}


def _finite(reports: Span | None) -> list[float | None] | None:
    """JSON has no infinity."""
    return None if reports is None else [bound if math.isfinite(bound) else None for bound in reports]
