"""The newest defects as pictures in a folder: before | mask | repaired, with a caption."""

from __future__ import annotations

import re
from bisect import insort
from collections import deque
from pathlib import Path

import cv2
import numpy as np

from inspector import codecs
from inspector.errors import ConfigError, DataError, InspectorError, OutputError
from inspector.messages import ResultMessage
from inspector.types import Image

CAPTION_PIXELS = 24
GAP_PIXELS = 4
GREY = 128
"""Stands for the frame where the message does not carry it."""

_OURS = re.compile(r"\d{19}_[A-Za-z0-9_-]+_\d+\.png")


class Album:
    """Keeps the newest `keep` pictures in `folder`, those of earlier runs counted; other files are let alone.

    Messages are only noted at first: `write` draws them when there is time, and never those that `keep` newer ones
    pushed out by then. Raises OutputError where the folder cannot be written, and
    ConfigError for a `keep` below 1.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        if keep < 1:
            raise ConfigError(f"{keep} pictures cannot be kept; give 1 or more")
        self.folder = folder
        self._keep = keep
        self._damaged = 0
        self._noted: deque[ResultMessage] = deque(maxlen=keep)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._files = sorted(path for path in folder.iterdir() if _OURS.fullmatch(path.name))
        except OSError as error:
            raise OutputError(f"{folder} cannot be used for pictures: {error.strerror}") from error

    def note(self, message: ResultMessage) -> None:
        """Remember a result for the next `write`."""
        self._noted.append(message)

    def write(self, most: int | None = None) -> None:
        """Draw what was noted, the newest first and at most so many; delete what is too old by then."""
        for _ in range(len(self._noted) if most is None else min(most, len(self._noted))):
            message = self._noted.pop()
            try:
                picture = codecs.encode_picture(draw(message), "png")
            except InspectorError:
                self._damaged += 1
            else:
                self._keep_file(f"{message.captured_ns:019d}_{message.camera}_{message.frame}.png", picture)

    def summary(self) -> str:
        """What the folder holds, for people."""
        damaged = f", {self._damaged} result(s) could not be drawn" if self._damaged else ""
        return f"{len(self._files)} picture(s) in {self.folder.absolute()}{damaged}"

    def _keep_file(self, name: str, content: bytes) -> None:
        path = self.folder / name
        try:
            path.write_bytes(content)
            insort(self._files, path)  # names begin with the time of capture, so that their order is that of age
            while len(self._files) > self._keep:
                self._files.pop(0).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}") from error


def draw(message: ResultMessage) -> Image:
    """One result as a sheet, uint8 [height + caption, 3 widths + gaps, 3]; raises InspectorError for a damaged one.

    Where the message does not carry the frame, the repaired pieces lie on grey, and the caption says so.
    """
    mask, source = message.mask(), message.source()
    if message.size is None or not message.payloads or (mask is None and source is None):
        raise DataError("the message has no picture that could be drawn")
    blank = np.full(message.size, GREY, np.uint8)
    repaired = message.repaired(blank if source is None else source)
    panes = [source, None if mask is None else mask[:, :, None], repaired]
    return np.vstack(
        [_row(panes, blank), _caption(_words(message, source, repaired), 3 * (blank.shape[1] + GAP_PIXELS))]
    )


def _words(message: ResultMessage, source: Image | None, repaired: Image | None) -> str:
    words = [message.camera, f"frame {message.frame}"]
    if message.score is not None:
        words.append(f"score {message.score:.3f}")
    if message.residual is not None:
        words.append(f"residual {message.residual:.3f}")
    if repaired is None:
        words.append("not repaired")
    if source is None:
        words.append("frame not sent")
    return "  ".join(words)


def _row(panes: list[Image | None], blank: Image) -> Image:
    gap = np.full((blank.shape[0], GAP_PIXELS, 3), 255, np.uint8)
    shown = [blank if pane is None else pane for pane in panes]
    # Of a stack the first three channels, or the first alone: what a screen has room for.
    colours = [np.broadcast_to(p[:, :, : 3 if p.shape[2] >= 3 else 1], (*blank.shape[:2], 3)) for p in shown]
    return np.hstack([piece for colour in colours for piece in (colour, gap)])


def _caption(words: str, width: int) -> Image:
    caption = np.full((CAPTION_PIXELS, width, 3), 255, np.uint8)
    needed = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)[0][0]
    scale = 0.5 * min(1.0, (width - 2 * GAP_PIXELS) / needed)
    cv2.putText(caption, words, (GAP_PIXELS, 17), cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return caption
