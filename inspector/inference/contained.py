"""Whether an ONNX file stands alone: one that keeps its weights in other files names any path, or even memory.

Read from the file itself (protocol buffers' wire format and onnx.proto's field numbers), since the daemon does without
the package `onnx`, and what ONNX Runtime allows differs from version to version. What ONNX Runtime's own reader would
take otherwise than this one is refused: no export writes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from inspector.errors import DataError

EXTERNAL_DATA, DATA_LOCATION = 13, 14  # of TensorProto
INSIDE = memoryview(b"\0")  # what DATA_LOCATION says of data that are in the file

ORT_FORMAT = b"ORTM"
"""At byte 4: what ONNX Runtime reads as its own format, whatever else the file may be."""

MESSAGES: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""By kind of message, the fields that lead to a tensor, and the kind of message that they hold."""


def check_contained(model: bytes) -> None:
    """Raise DataError, whose sentence goes on after "PATH is", if a tensor's data is elsewhere, or this is no ONNX."""
    if model[4:8] == ORT_FORMAT:
        raise DataError("in ONNX Runtime's own format; export it as ONNX")
    data = memoryview(model)
    left = [("model", 0, len(data))]
    try:
        while left:
            kind, start, end = left.pop()
            for field, first, last in _fields(data, start, end):
                is_elsewhere = field == EXTERNAL_DATA or (field == DATA_LOCATION and data[first:last] != INSIDE)
                if kind == "tensor" and is_elsewhere:
                    raise DataError("an ONNX file whose weights are in another file; export it with all of them inside")
                below = MESSAGES.get(kind, {}).get(field)
                if below is not None:
                    left.append((below, first, last))
    except IndexError as error:
        raise DataError("no ONNX file, or a damaged one; export it again") from error


def _fields(data: memoryview, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, and start and end of the content, of each field; raises IndexError for what is none."""
    while at < end:
        tag, at = _varint(data, at, end)
        number, first = tag >> 3, at
        if not number or tag >> 32:  # protocol buffers end a message at the one, and lose the other's upper bits
            raise IndexError(at)
        match tag & 7:
            case 0:  # varint
                _, at = _varint(data, at, end)
            case 1:  # 64 bits
                at += 8
            case 2:  # bytes, or a message
                length, first = _varint(data, at, end)
                at = first + length
            case 5:  # 32 bits
                at += 4
            case _:
                raise IndexError(at)
        if at > end:
            raise IndexError(at)
        yield number, first, at


def _varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise IndexError(at)
