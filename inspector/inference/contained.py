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

MAX_DEPTH = 100
"""Messages within one another: deeper ones ONNX Runtime does not read either."""
MAX_FIELDS = 5_000_000
"""Of the messages that are looked through: some seconds' work. Those that ship have a few thousand."""

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
    try:
        for count, (kind, number, content) in enumerate(_walk(memoryview(model))):
            if count == MAX_FIELDS:
                raise DataError(f"an ONNX file of more than {MAX_FIELDS:,} fields; export it with weights as raw data")
            if kind == "tensor" and (number == EXTERNAL_DATA or (number == DATA_LOCATION and content != INSIDE)):
                raise DataError("an ONNX file whose weights are in another file; export it with all of them inside")
            if kind == "node" and number == OP_TYPE and content == COMPILED:
                raise DataError("an ONNX file around a compiled model (EPContext); export it as it was before")
    except IndexError as error:
        raise DataError("no ONNX file, or a damaged one; export it again") from error


def _walk(model: memoryview) -> Iterator[tuple[str, int, memoryview]]:
    """Every field of the messages in MESSAGES: the kind of its message, its number and its content; raises IndexError.

    Depth first, so that it holds no more at a time than the messages that lie around one another.
    """
    around = [("model", _fields(model))]
    while around:
        kind, fields = around[-1]
        for number, content in fields:
            yield kind, number, content
            below = MESSAGES.get(kind, {}).get(number)
            if below is not None and len(content):
                if len(around) > MAX_DEPTH:
                    raise IndexError(number)
                around.append((below, _fields(content)))
                break
        else:
            around.pop()


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each field; raises IndexError for what is none."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        number, first = tag >> 3, at
        if not number or tag >> 32:  # protocol buffers end a message at the one, and lose the other's upper bits
            raise IndexError(at)
        match tag & 7:
            case 0:  # varint
                _, at = _varint(message, at)
            case 1:  # 64 bits
                at += 8
            case 2:  # bytes, or a message
                length, first = _varint(message, at)
                at = first + length
            case 5:  # 32 bits
                at += 4
            case _:
                raise IndexError(at)
        if at > end:
            raise IndexError(at)
        yield number, message[first:at]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number that stands there, and where it ends; raises IndexError for one without an end."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
    raise IndexError(at)
