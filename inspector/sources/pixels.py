"""Pictures out of the buffers of machine vision cameras, by the pixel format's code in the standard (PFNC 2.4).

Of 10, 12, 14 and 16 bits a sample the upper 8 are kept: a fixed scale, so that pictures stay comparable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.types import Image

Samples = NDArray[np.uint8]
Packing = Literal["", "p", "Packed"]
"""How samples lie: each in whole bytes; bit by bit, the lowest first; or two in three bytes, as old GigE cameras do."""

BAYER = {
    "GR": cv2.COLOR_BayerGRBG2BGR,
    "RG": cv2.COLOR_BayerRGGB2BGR,
    "GB": cv2.COLOR_BayerGBRG2BGR,
    "BG": cv2.COLOR_BayerBGGR2BGR,
}
"""By the first two pixels of a picture: how OpenCV makes blue, green, red of it."""


@dataclass(frozen=True, slots=True)
class Format:
    """A pixel format: `channels` samples a pixel of `bits` each; `colour`: OpenCV's conversion, None for grey."""

    name: str
    bits: int = 8
    packing: Packing = ""
    channels: int = 1
    colour: int | None = None

    @property
    def group(self) -> int:
        """How many bytes whole samples fill together."""
        if self.packing == "":
            return -(-self.bits // 8)
        return 5 if self.packing == "p" and self.bits == 10 else 3

    def size(self, pixels: int) -> int:
        """How many bytes so many pixels have, without padding."""
        samples = pixels * self.channels
        if self.packing == "":
            return samples * -(-self.bits // 8)
        return -(-samples * (12 if self.packing == "Packed" else self.bits) // 8)


def _formats() -> dict[int, Format]:
    known = {
        0x01080001: Format("Mono8"),
        0x01100003: Format("Mono10", 10),
        0x010C0004: Format("Mono10Packed", 10, "Packed"),
        0x010A0046: Format("Mono10p", 10, "p"),
        0x01100005: Format("Mono12", 12),
        0x010C0006: Format("Mono12Packed", 12, "Packed"),
        0x010C0047: Format("Mono12p", 12, "p"),
        0x01100025: Format("Mono14", 14),
        0x01100007: Format("Mono16", 16),
        0x02180014: Format("RGB8", channels=3, colour=cv2.COLOR_RGB2BGR),
        0x02180015: Format("BGR8", channels=3),
        0x02200016: Format("RGBa8", channels=4, colour=cv2.COLOR_RGBA2BGR),
        0x02200017: Format("BGRa8", channels=4, colour=cv2.COLOR_BGRA2BGR),
    }
    groups: tuple[tuple[int, int, Packing], ...] = (
        (0x01080008, 8, ""),
        (0x0110000C, 10, ""),
        (0x01100010, 12, ""),
        (0x0110002E, 16, ""),
        (0x010C0026, 10, "Packed"),
        (0x010C002A, 12, "Packed"),
    )
    for first, bits, packing in groups:  # in the order of BAYER
        for code, (pattern, colour) in enumerate(BAYER.items(), first):
            known[code] = Format(f"Bayer{pattern}{bits}{packing}", bits, packing, colour=colour)
    for index, pattern in enumerate(sorted(BAYER)):  # these alone are in alphabetical order
        known[0x010A0052 + 2 * index] = Format(f"Bayer{pattern}10p", 10, "p", colour=BAYER[pattern])
        known[0x010C0053 + 2 * index] = Format(f"Bayer{pattern}12p", 12, "p", colour=BAYER[pattern])
    return known


FORMATS = _formats()
"""By PFNC's code."""
NAMES = {form.name for form in FORMATS.values()} | {"RGB8Packed", "BGR8Packed"}
"""What cameras call them; the last two are older names of RGB8 and BGR8."""


def picture(code: int, data: Samples, width: int, height: int, padding: int = 0) -> tuple[Image | None, str | None]:
    """A buffer's picture as uint8 [height, width, 1 or 3] in memory of its own, or None and why not, in a sentence.

    data: uint8, from the first pixel on;  padding: bytes at the end of each row
    """
    form = FORMATS.get(code)
    if form is None:
        return None, f"pixel format 0x{code:08X} of the standard (PFNC) is none that can be read"
    if width < 1 or height < 1:
        return None, f"a picture of {width} x {height} has no pixels"
    # Padded rows begin at a byte of their own each; else the whole picture is one long row.
    rows, pixels = (height, width) if padding else (1, width * height)
    row = form.size(pixels)
    if data.size < (row + padding) * rows - padding:
        return None, _short(form, data.size, width, height)
    lines = np.lib.stride_tricks.as_strided(data, (rows, row), (row + padding, 1), writeable=False)
    if left := -row % form.group:
        lines = np.pad(lines, ((0, 0), (0, left)))
    samples = _eight_bits(form, lines.reshape(-1)).reshape(rows, -1)[:, : pixels * form.channels]
    image = samples.reshape(height, width, form.channels)
    if form.colour is not None:
        return np.asarray(cv2.cvtColor(image, form.colour), np.uint8), None
    return (image.copy() if np.shares_memory(image, data) else image), None


def objection(name: str, available: Callable[[], Iterable[str]]) -> str | None:
    """Why pictures in the PixelFormat of that name cannot be read, if so, and which of the `available` can."""
    if name in NAMES:
        return None
    can = [each for each in available() if each in NAMES]
    remedy = f"set PixelFormat to {' or '.join(can)}" if can else "it has no format that can be read"
    return f"gives PixelFormat {name}, which cannot be read; {remedy}"


def _short(form: Format, size: int, width: int, height: int) -> str:
    return f"a buffer of {size} bytes is too small for {width} x {height} pixels of {form.name}"


def _eight_bits(form: Format, data: Samples) -> Samples:
    """The upper 8 bits of samples in whole groups; a view where that is all they have."""
    if form.packing == "Packed":  # their upper 8 bits are whole bytes: the first and the last of three
        return data.reshape(-1, form.group)[:, ::2].reshape(-1)
    if form.packing == "p":
        return _unpacked(data.reshape(-1, form.group), form.bits)
    if form.bits == 8:
        return data
    return (data.view("<u2") >> (form.bits - 8)).astype(np.uint8)


def _unpacked(groups: Samples, bits: int) -> Samples:
    """The upper 8 bits of samples of 10 or 12 that lie bit by bit, the lowest first, from `groups` [n, bytes]."""
    together = groups.shape[1] * 8 // bits
    upper = np.empty((len(groups), together), np.uint8)
    for index in range(together):
        byte, shift = divmod(index * bits + bits - 8, 8)
        upper[:, index] = groups[:, byte] >> shift
        if shift:
            upper[:, index] |= groups[:, byte + 1] << (8 - shift)
    return upper.reshape(-1)
