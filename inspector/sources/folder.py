"""A folder of pictures: `folder:pictures?loop=0&rate=max`, in the order of their names.

loop   1: from the first again after the last; the folder is looked through anew
rate   pictures a second; max: as fast as they are taken

cv2's own reader of picture sequences stops without a word at a hole in the numbers or at a damaged file, so this one
lists the folder itself and reports each picture that it cannot read.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from inspector import files, pictures
from inspector.errors import ConfigError, DataError, SourceError, reading
from inspector.sources.pace import Pace
from inspector.sources.url import Url
from inspector.types import Image, Shot


class Folder:
    """The pictures of a folder; the part's id is the file's name. It is not live. `rate` may be infinite."""

    live = False

    def __init__(self, path: Path, rate: float = math.inf, loop: bool = False) -> None:
        self.path, self._rate, self._loop = path, rate, loop
        self._closed = threading.Event()

    def frames(self) -> Iterator[Shot]:
        """Read every picture; uint8, [height, width, 1] if it is grey, else [height, width, 3].

        One that cannot be read is a Shot without an image. Raises SourceError if there are none, or no folder.
        """
        pace = Pace(self._rate, self._closed)
        while True:
            for name in self._names():
                if not pace.wait():
                    return
                image, fault = read_picture(self.path / name)
                yield Shot(image, name, fault)
            if not self._loop:
                return

    def close(self) -> None:
        """End at the next picture."""
        self._closed.set()

    def _names(self) -> list[str]:
        try:
            with os.scandir(self.path) as entries:
                names = [e.name for e in entries if e.name.lower().endswith(pictures.SUFFIXES) and e.is_file()]
        except OSError as error:
            raise SourceError(f"folder {str(self.path)!r} cannot be read: {error.strerror}") from error
        if not names:
            raise SourceError(f"folder {str(self.path)!r} has no picture in it ({', '.join(pictures.SUFFIXES)})")
        return sorted(names)


def read_picture(path: Path) -> tuple[Image | None, str | None]:
    """A picture as uint8 [height, width, 1 or 3], or None and why not, in a sentence.

    Of 16 bits a sample the upper 8 are kept (a fixed scale: pictures stay comparable); transparency is dropped; the
    orientation that a camera noted in the file is applied.
    """
    try:
        content = files.read(path)
        image = None if _cut_short(content) else pictures.decode(content, cv2.IMREAD_ANYCOLOR)
    except OSError as error:
        return None, f"{path.name} cannot be read: {error.strerror}"
    except DataError as error:
        return None, f"{path.name} is {error}"
    if image is None:
        return None, f"{path.name} is no picture, or a damaged one"
    return np.asarray(image, np.uint8).reshape(*image.shape[:2], -1), None


def _cut_short(content: bytes) -> bool:
    """Whether it is empty, or a JPEG without its end, which OpenCV before 5.0 fills up with grey."""
    return not content or (content.startswith(b"\xff\xd8") and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda"))


def from_url(url: Url) -> Folder:
    """Raises ConfigError if there is no such folder, or it may not be read."""
    path = url.path()
    loop = url.flag("loop")
    rate = url.number("rate", math.inf, 0.001, 10_000, {"max": math.inf})
    url.finish()
    with reading(path, ConfigError, f"{url}: "):
        if not path.is_dir():
            url.refuse(f"{str(path)!r} is not a folder; give the path of a folder of pictures")
        os.scandir(path).close()
    return Folder(path, rate, loop)
