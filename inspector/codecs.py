"""Pictures and masks as the bytes of a message's payloads, and back (pure; the header is wire.py's).

    mask      png    PNG of one bit a pixel, white where defective
              rle    COCO's uncompressed run lengths: {"size": [h, w], "counts": [...]}, column by column, good first
              raw    one byte a pixel, row by row, 255 where defective
    repaired  patch  PNG of each repaired piece, with its box: lossless, and small beside the whole frame
              jpeg, png, raw   the whole repaired frame
    source    jpeg, png, raw   the frame as it was captured
    preview   jpeg   the frame made small, to be looked at

A picture of another number of channels than 1 or 3 is a stack: as PNG or JPEG it is one grey picture of all its
channels, one below the other; raw holds it like any other, the channels of a pixel side by side.

Every decoder takes hostile bytes: it raises WireError, and reads a picture's own size before it decodes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector import pictures
from inspector.errors import DataError, WireError
from inspector.types import MAX_CHANNELS, Box, Image, Inspection, Mask, Patch

MAX_PIXELS = pictures.MAX_PIXELS
"""A larger picture is refused before it is decoded; of a stack, the pixels of all channels count."""

CODECS = {
    "mask": frozenset({"png", "rle", "raw"}),
    "repaired": frozenset({"patch", "jpeg", "png", "raw"}),
    "source": frozenset({"jpeg", "png", "raw"}),
    "preview": frozenset({"jpeg"}),
}
"""Every payload name and the codecs that it may come in; readers skip what is not here."""

PREVIEW_PIXELS = 640
"""Of a preview's longer side, at the most."""
PREVIEW_QUALITY = 80

_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start-of-frame markers (ITU-T T.81, table B.1)
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length


@dataclass(frozen=True, slots=True)
class Formats:
    """Which codecs a result's payloads are sent in; `jpeg_quality` from 1 to 100."""

    mask: Literal["png", "rle", "raw"] = "png"
    repaired: Literal["patch", "jpeg", "png", "raw", "none"] = "patch"
    source: Literal["none", "jpeg", "png", "raw"] = "none"
    jpeg_quality: int = 90


@dataclass(frozen=True, slots=True)
class Payload:
    """One payload part and its line in the header; `box` is where a `patch` belongs in the frame."""

    name: str
    codec: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes = field(repr=False)
    box: Box | None = None


def encode(inspection: Inspection, formats: Formats) -> list[Payload]:
    """The payloads of a result, in the order mask, repaired, source; what the inspection lacks is left out.

    Raises DataError where a codec cannot hold the picture (JPEG ends at 65,500 pixels a side).
    """
    payloads = []
    image, patches = inspection.frame.image, inspection.patches
    if inspection.mask is not None:
        data = _encode_mask(inspection.mask, formats.mask)
        payloads.append(Payload("mask", formats.mask, "uint8", inspection.mask.shape, data))
    if formats.repaired == "patch":
        payloads += [_picture("repaired", "patch", patch.image, formats, patch.box) for patch in patches]
    elif formats.repaired != "none" and patches and image is not None:
        payloads.append(_picture("repaired", formats.repaired, overlay(image, patches), formats))
    if formats.source != "none" and image is not None:
        payloads.append(_picture("source", formats.source, image, formats))
    return payloads


def preview(image: Image) -> Payload:
    """A frame [H,W,C] made small, as JPEG; of a stack the first three channels, or the first alone."""
    height, width, channels = image.shape
    shown = image[:, :, : 3 if channels >= 3 else 1]
    step = max(1, max(height, width) // (2 * PREVIEW_PIXELS))  # rows and columns that are never looked at cost nothing
    shown = np.ascontiguousarray(shown[::step, ::step])
    scale = PREVIEW_PIXELS / max(shown.shape[:2])
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in (shown.shape[1], shown.shape[0]))
        shown = cv2.resize(shown, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
    return Payload("preview", "jpeg", "uint8", shown.shape, encode_picture(shown, "jpeg", PREVIEW_QUALITY))


def _picture(name: str, codec: str, image: Image, formats: Formats, box: Box | None = None) -> Payload:
    return Payload(name, codec, "uint8", image.shape, encode_picture(image, codec, formats.jpeg_quality), box)


def encode_picture(image: Image, codec: str, jpeg_quality: int = 90) -> bytes:
    """`image` [H,W,C] in a codec of pictures; raises DataError where that cannot hold it."""
    if codec == "raw":
        return image.tobytes()
    if _is_stack(image.shape):
        image = _column(image)
    if codec == "jpeg":
        return _imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
    return _imencode(".png", image, [])


def _is_stack(shape: tuple[int, ...]) -> bool:
    return shape[2] not in (1, 3)


def _column(stack: Image) -> Image:
    """The channels of [H,W,C] one below the other, [C*H,W,1]."""
    height, width, channels = stack.shape
    if stack.size > MAX_PIXELS:
        raise DataError(f"a stack of shape {stack.shape} has more than {MAX_PIXELS} values; send it raw")
    return np.ascontiguousarray(stack.transpose(2, 0, 1)).reshape(channels * height, width, 1)


def overlay(source: Image, patches: Sequence[Patch]) -> Image:
    """A copy of `source` [H,W,C] with each patch laid over it; raises DataError where one does not fit."""
    result = source.copy()
    for patch in patches:
        x, y, width, height = patch.box
        piece = result[y : y + height, x : x + width]
        if min(patch.box) < 0 or piece.shape != patch.image.shape:
            raise DataError(
                f"a patch of shape {patch.image.shape} at {patch.box} does not fit a frame of shape {source.shape}"
            )
        piece[:] = patch.image
    return result


def check(payload: Payload, size: tuple[int, int, int] | None) -> None:
    """Check what a header says of a payload against the frame's `size` [height, width, channels], decoding nothing.

    Names and codecs that this version does not know pass. Raises WireError.
    """
    if payload.codec not in CODECS.get(payload.name, ()):
        return
    what = f"payload {payload.name!r} ({payload.codec})"
    if size is None or not (0 < size[2] <= MAX_CHANNELS and 0 < size[0] * size[1] <= MAX_PIXELS):
        raise WireError(
            f"{what} needs a frame of 1 to {MAX_PIXELS} pixels and 1 to {MAX_CHANNELS} channels; size is {size}"
        )
    shape: tuple[int, ...] = size[:2] if payload.name == "mask" else size
    if payload.codec == "patch":
        x, y, width, height = payload.box or (0, 0, 0, 0)
        if not (0 < width <= size[1] - x and 0 < height <= size[0] - y):
            raise WireError(f"{what} has box {payload.box}, which is not inside the frame of size {size}")
        shape = (height, width, size[2])
    if payload.name == "preview":
        shape = _small(payload, size)
    if payload.dtype != "uint8" or payload.shape != shape:
        raise WireError(f"{what} is {payload.dtype:.40} {payload.shape}; it should be uint8 {shape}")
    if payload.codec != "raw" and len(shape) == 3 and _is_stack(shape) and math.prod(shape) > MAX_PIXELS:
        raise WireError(f"{what} of shape {shape} has more than {MAX_PIXELS} values in all")
    if payload.codec == "raw" and len(payload.data) != math.prod(shape):
        raise WireError(f"{what} has {len(payload.data)} bytes, its shape {shape} needs {math.prod(shape)}")


def _small(payload: Payload, size: tuple[int, int, int]) -> tuple[int, ...]:
    """The shape of a preview, if it may have that of a frame of `size`."""
    shape = payload.shape
    fits = len(shape) == 3 and 0 < shape[0] <= size[0] and 0 < shape[1] <= size[1] and shape[2] in (1, 3)
    return shape if fits else (*(min(side, PREVIEW_PIXELS) for side in size[:2]), 3 if size[2] >= 3 else 1)


def decode_mask(payload: Payload) -> Mask:
    """The mask of a checked payload, uint8 [height, width], 0 or 255; raises WireError."""
    height, width = payload.shape
    if payload.codec == "rle":
        return _decode_rle(payload.data, height, width)
    mask: Mask
    if payload.codec == "raw":
        mask = np.frombuffer(payload.data, np.uint8).reshape(height, width)
    else:
        mask = _decode_picture(payload.data, "png", (height, width, 1))[:, :, 0]
    if not np.all((mask == 0) | (mask == 255)):
        raise WireError("the mask holds values other than 0 and 255")
    return mask


def decode_picture(payload: Payload) -> Image:
    """The picture of a checked payload, uint8 [height, width, channels]; raises WireError."""
    height, width, channels = payload.shape
    if payload.codec == "raw":
        return np.frombuffer(payload.data, np.uint8).reshape(height, width, channels)
    codec: Literal["jpeg", "png"] = "jpeg" if payload.codec == "jpeg" else "png"
    if not _is_stack(payload.shape):
        return _decode_picture(payload.data, codec, (height, width, channels))
    column = _decode_picture(payload.data, codec, (channels * height, width, 1))
    return np.ascontiguousarray(column.reshape(channels, height, width).transpose(1, 2, 0))


def _encode_mask(mask: Mask, codec: str) -> bytes:
    if codec == "raw":
        return mask.tobytes()
    if codec == "png":
        return _imencode(".png", mask, [cv2.IMWRITE_PNG_BILEVEL, 1, cv2.IMWRITE_PNG_COMPRESSION, 1])
    columns = mask.ravel(order="F") != 0
    turns = np.flatnonzero(columns[1:] != columns[:-1]) + 1
    counts = np.diff(turns, prepend=0, append=columns.size).tolist()
    if columns[0]:
        counts.insert(0, 0)
    return json.dumps({"size": mask.shape, "counts": counts}, separators=(",", ":")).encode()


def _imencode(extension: str, image: NDArray[np.uint8], options: list[int]) -> bytes:
    try:
        done, data = cv2.imencode(extension, image, options)
    except cv2.error as error:
        raise DataError(f"a picture of shape {image.shape} cannot be written as {extension}: {error.err}") from error
    if not done:
        raise DataError(f"a picture of shape {image.shape} cannot be written as {extension}")
    return bytes(data)


def _decode_rle(data: bytes, height: int, width: int) -> Mask:
    try:
        runs = json.loads(data)
        size, counts = runs["size"], np.array(runs["counts"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise WireError("the mask's run lengths are not a JSON object with size and counts") from error
    if size != [height, width]:
        raise WireError(f"the mask's run lengths are for size {size!r:.40}, the header says {[height, width]}")
    # The limit on each count keeps their sum from wrapping round.
    if counts.ndim != 1 or counts.dtype != np.int64 or counts.min() < 0 or counts.max() > MAX_PIXELS:
        raise WireError("the mask's run lengths are not a list of whole numbers from 0")
    if counts.sum() != height * width:
        raise WireError(f"the mask's run lengths cover {counts.sum()} pixels, its shape has {height * width}")
    values = np.zeros(counts.size, np.uint8)
    values[1::2] = 255
    return np.repeat(values, counts).reshape(width, height).T


def _decode_picture(data: bytes, codec: Literal["jpeg", "png"], shape: tuple[int, int, int]) -> Image:
    height, width, channels = shape
    found = _png_size(data) if codec == "png" else _jpeg_size(data)
    if found != (height, width):
        raise WireError(f"a {codec} payload holds a picture of size {found}, the header says {(height, width)}")
    flags = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR
    try:
        image = pictures.decode(data, flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except DataError as error:
        raise WireError(f"a {codec} payload is {error}") from error
    if image is None or image.shape[:2] != (height, width):
        raise WireError(f"a {codec} payload of {len(data)} bytes cannot be decoded")
    return np.asarray(image, np.uint8).reshape(shape)


def _png_size(data: bytes) -> tuple[int, int] | None:
    """Height and width as the PNG itself gives them (PNG specification, 11.2.2); None if it is no PNG."""
    if len(data) < 24 or not data.startswith(_PNG):
        return None
    return int.from_bytes(data[20:24]), int.from_bytes(data[16:20])


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Height and width as the JPEG itself gives them in its frame header (ITU-T T.81, B.2.2); None if it has none."""
    if not data.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _JPEG_SIZES:
            return int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
        if marker == 0xFF:
            at += 1  # a fill byte
        elif marker in _JPEG_BARE:
            at += 2
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4]))
    return None
