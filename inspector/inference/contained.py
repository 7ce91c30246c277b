"""Whether an ONNX file stands alone: one that keeps its weights in other files names any path, or even memory.

So does a node that stands for a whole compiled model, which OpenVINO and others read from wherever it says.

Read from the file itself (protocol buffers' wire format and onnx.proto's field numbers), since the daemon does without
the package `onnx`, and what ONNX Runtime allows differs from version to version. What ONNX Runtime's own reader would
take otherwise than this one is refused: no export writes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from inspector.errors import DataError

EXTERNAL_DATA, DATA_LOCATION = 13, 14  # of TensorProto
INSIDE = memoryview(b"\0")  # what DATA_LOCATION says of data that are in the file

OP_TYPE = 4  # of NodeProto
COMPILED = memoryview(b"EPContext")  # what OP_TYPE says of a compiled model

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
"""By kind of message, the fields that lead to a tensor or a node, and the kind of message that they hold."""


def check_contained(model: bytes) -> None:
    """Raise DataError, whose sentence goes on after "PATH is", if something of it is elsewhere, or this is no ONNX."""
    if model[4:8] == ORT_FORMAT:
        raise DataError("in ONNX Runtime's own format; export it as ONNX")
    data = memoryview(model)
    left = [("model", 0, len(data))]
    try:
        while left:
            kind, start, end = left.pop()
            for field, first, last in _fields(data, start, end):
                content = data[first:last]
                if kind == "tensor" and (field == EXTERNAL_DATA or (field == DATA_LOCATION and content != INSIDE)):
                    raise DataError("an ONNX file whose weights are in another file; export it with all of them inside")
                if kind == "node" and field == OP_TYPE and content == COMPILED:
                    raise DataError("an ONNX file around a compiled model (EPContext); export it as it was before")
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
