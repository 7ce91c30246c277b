"""Whether an ONNX file stands alone: one that keeps its weights in other files names any path, or even memory.

Read from the file itself (protocol buffers' wire format and onnx.proto's field numbers), since the daemon does without
the package `onnx`, and what ONNX Runtime allows differs from version to version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from inspector.errors import DataError

EXTERNAL_DATA, DATA_LOCATION = 13, 14  # of TensorProto

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
    data = memoryview(model)
    left = [("model", 0, len(data))]
    try:
        while left:
            kind, start, end = left.pop()
            for field, value, first, last in _fields(data, start, end):
                if kind == "tensor" and (field == EXTERNAL_DATA or (field == DATA_LOCATION and value)):
                    raise DataError("an ONNX file whose weights are in another file; export it with all of them inside")
                below = MESSAGES.get(kind, {}).get(field)
                if below is not None:
                    left.append((below, first, last))
    except IndexError as error:
        raise DataError("no ONNX file, or a damaged one; export it again") from error


def _fields(data: memoryview, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, value (of a varint) and bytes' start and end of each field; raises IndexError for what is none."""
    while at < end:
        tag, at = _varint(data, at, end)
        value, first = 0, at
        match tag & 7:
            case 0:  # varint
                value, at = _varint(data, at, end)
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
        yield tag >> 3, value, first, at


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
