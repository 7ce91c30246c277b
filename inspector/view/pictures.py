"""A result's pictures as a browser can show them: the frame, the outline of the mask, and the repaired pieces.

What browsers read as it is goes to them as it came; the rest is encoded anew, once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from inspector import codecs
from inspector.codecs import Payload
from inspector.errors import WireError
from inspector.messages import ResultMessage
from inspector.types import Box, Image, Mask

MOST_OUTLINES = 200
"""The largest regions are outlined, so many of them."""
SHOWN_BY_BROWSERS = ("jpeg", "png", "patch")


@dataclass(frozen=True, slots=True)
class Piece:
    """A repaired piece, PNG or JPEG, and where it belongs in the frame."""

    box: Box
    data: bytes


class Defect:
    """A result, and what is shown of it; whatever of it is damaged is not shown.

    preview: the frame made small, if a preview of it came
    """

    def __init__(self, message: ResultMessage, preview: bytes | None = None) -> None:
        self.message = message
        self.preview = preview

    @property
    def is_ready(self) -> bool:
        """Whether outlines, pieces and frame were made already."""
        return {"outlines", "pieces", "frame"} <= self.__dict__.keys()

    def make(self) -> Defect:
        """Make what is shown, which takes milliseconds; itself."""
        _ = self.outlines, self.pieces, self.frame
        return self

    @cached_property
    def outlines(self) -> list[list[int]]:
        """Closed lines round the mask's regions, in pixels of the frame: [x, y, x, y, ...] each."""
        try:
            mask = self.message.mask()
        except WireError:
            mask = None
        return [] if mask is None else outlines(mask)

    @cached_property
    def pieces(self) -> list[Piece]:
        """The repaired pieces, or the whole repaired frame as one."""
        try:
            return list(_pieces(self.message))
        except WireError:
            return []

    @cached_property
    def frame(self) -> bytes | None:
        """The frame at its own size as JPEG or PNG; None where the message does not carry it."""
        source = next((one for one in self.message.payloads if one.name == "source"), None)
        try:
            return None if source is None else _shown(source)
        except WireError:
            return None

    @property
    def best(self) -> bytes | None:
        """The frame at its own size, or else made small."""
        return self.preview if self.frame is None else self.frame

    @property
    def quick(self) -> bytes | None:
        """The frame made small, or else at its own size."""
        return self.frame if self.preview is None else self.preview


def outlines(mask: Mask) -> list[list[int]]:
    """Closed lines round the regions of a mask, the largest first, holes among them."""
    found, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    largest = sorted(found, key=cv2.contourArea, reverse=True)[:MOST_OUTLINES]
    return [cv2.approxPolyDP(line, 0.75, closed=True).reshape(-1).tolist() for line in largest]


def _pieces(message: ResultMessage) -> Iterator[Piece]:
    for payload in message.payloads:
        if payload.name == "repaired" and payload.codec in codecs.CODECS["repaired"]:
            height, width = payload.shape[:2]
            yield Piece(payload.box or (0, 0, width, height), _shown(payload))


def _shown(payload: Payload) -> bytes:
    """A picture's payload as browsers read it."""
    if payload.codec in SHOWN_BY_BROWSERS and payload.shape[2] in (1, 3):
        return payload.data
    return codecs.encode_picture(_colours(codecs.decode_picture(payload)), "png")


def _colours(image: Image) -> Image:
    """Of a stack the first three channels, or the first alone."""
    return np.ascontiguousarray(image[:, :, : 3 if image.shape[2] >= 3 else 1])
