"""Pictures that unfold: small files which claim, or truly hold, far more than they should."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping

import cv2
import numpy as np

_LONG = 4


def png(width: int, height: int) -> bytes:
    """A true one-bit PNG, all black; 60,000 x 60,000 pixels are 430 KiB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = 250
    line = (width + 7) // 8 + 1
    deflate = zlib.compressobj(9)
    pixels = b"".join(deflate.compress(bytes(line * rows)) for _ in range(height // rows)) + deflate.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def tiff(*sizes: tuple[int, int]) -> bytes:
    """A TIFF of grey pages with these widths and heights, which share one strip of a mebibyte, deflated."""
    strip = zlib.compress(bytes(1 << 20), 9)
    data = bytearray(b"II*\0" + bytes(4) + strip + b"\0" * (len(strip) % 2))
    link = 4
    for width, height in sizes:
        struct.pack_into("<I", data, link, len(data))
        tags = (
            (256, width), (257, height), (258, 8), (259, 8), (262, 1), (273, 8), (277, 1), (278, height),
            (279, len(strip)),
        )  # fmt: skip
        data += struct.pack("<H", len(tags))
        for tag, value in tags:
            data += struct.pack("<HHII", tag, _LONG, 1, value)
        link = len(data)
        data += bytes(4)
    return bytes(data)


def jpeg(width: int, height: int) -> bytes:
    """A JPEG whose frame header claims that size."""
    done, small = cv2.imencode(".jpg", np.zeros((64, 64), np.uint8))
    assert done
    data = bytearray(small.tobytes())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


BOMBS: Mapping[str, Callable[[], bytes]] = {
    "huge.png": lambda: png(60_000, 60_000),
    "large.png": lambda: png(20_000, 20_000),
    "huge.jpg": lambda: jpeg(60_000, 60_000),
    "huge.tiff": lambda: tiff((60_000, 60_000)),
    "stack.tiff": lambda: tiff(*[(9_900, 9_900)] * 16),
    "uneven.tiff": lambda: tiff((10, 10), *[(9_900, 9_900)] * 15),
}
"""By the name of the file."""
