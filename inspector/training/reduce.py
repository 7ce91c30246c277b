"""Turns a detector's ONNX graph into one that computes in fewer bits, from its first to its last convolution.

What follows the last convolution (distances, sigmoid, score) stays in fp32: it costs little, and the decision hangs
on it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from inspector.errors import BundleError
from inspector.types import Image

BETWEEN = frozenset({"Add", "AveragePool", "Clip", "Concat", "MaxPool", "Relu", "Resize"})
"""What may stand between two convolutions and can compute in integers too."""


def to_int8(model: bytes, pictures: Sequence[Image], first: int, last: int) -> bytes:
    """The graph with its convolutions in int8 but for the `first` and `last` so many.

    pictures: uint8 [H,W,C] as the detector takes them, to find each activation's range on. Static quantisation
    (Jacob et al. 2018): activations unsigned, weights signed with a scale for each channel.
    """
    graph = _named(model)
    chosen = between(graph, first, last)
    if not chosen:
        raise BundleError(f"nothing is left to compute in int8 between its first {first} and last {last} convolutions")
    with tempfile.TemporaryDirectory() as folder:
        prepared, result = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(graph, prepared, skip_optimization=True, skip_symbolic_shape=True)
        quantize_static(
            prepared, result, _Calibration(pictures), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_quantize=chosen,
            op_types_to_quantize=["Conv", *sorted(BETWEEN)],
        )  # fmt: skip
        return result.read_bytes()


def to_fp16(model: bytes) -> bytes:
    """The graph with its convolutions, and what stands between them, in IEEE 754 half precision."""
    graph = _named(model)
    chosen = set(between(graph, 0, 0))
    rest = [node.name for node in graph.graph.node if node.name not in chosen]
    reduced = convert_float_to_float16(graph, keep_io_types=True, op_block_list=[], node_block_list=rest)
    return reduced.SerializeToString()  # type: ignore[no-any-return]


def convolutions(model: bytes) -> int:
    """How many the graph has."""
    return sum(node.op_type == "Conv" for node in onnx.load_model_from_string(model).graph.node)


def between(model: onnx.ModelProto, first: int, last: int) -> list[str]:
    """Names of the convolutions but the `first` and `last` so many, and of what can only be reached between them."""
    nodes = list(model.graph.node)
    layers = [node for node in nodes if node.op_type == "Conv"]
    chosen = {node.name for node in layers[first : max(first, len(layers) - last)]}
    makers = {output: node for node in nodes for output in node.output}
    # Back from what each convolution reads; then its own activation, which becomes a part of it.
    waiting = [name for node in nodes if node.name in chosen for name in node.input]
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.op_type in BETWEEN and node.name not in chosen:
            chosen.add(node.name)
            waiting += node.input
    for node in nodes:
        if node.op_type in {"Clip", "Relu"} and node.input[0] in makers and makers[node.input[0]].name in chosen:
            chosen.add(node.name)
    return [node.name for node in nodes if node.name in chosen]


def _named(model: bytes) -> onnx.ModelProto:
    """The model, every node of it with a name of its own."""
    graph = onnx.load_model_from_string(model)
    for number, node in enumerate(graph.graph.node):
        node.name = f"{number}{node.name}"
    return graph


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Hands out one picture after the other."""

    def __init__(self, pictures: Sequence[Image]) -> None:
        self._left: Iterator[Image] = iter(pictures)

    def get_next(self) -> dict[str, Image] | None:
        picture = next(self._left, None)
        return None if picture is None else {"image": picture[None]}
