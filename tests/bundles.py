"""A tiny honest bundle: a pixel is as defective as it is bright, and the repairer fills holes with mid grey.

Made of real ONNX graphs by hand, so that everything around a model can be tested without training one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from inspector.inference.channels import suffix, write

FILL = 128


def detector(height: int, width: int, channels: int) -> bytes:
    """image uint8 [N,H,W,C] -> score = brightest pixel, map = brightest channel, both / 255."""
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "white"], ["unit"]),
        helper.make_node("ReduceMax", ["unit", "channel"], ["map"], keepdims=0),
        helper.make_node("ReduceMax", ["map", "pixels"], ["score"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", height, width, channels])],
        _scores(height, width),
        [
            helper.make_tensor("white", TensorProto.FLOAT, [], [255.0]),
            helper.make_tensor("channel", TensorProto.INT64, [1], [3]),
            helper.make_tensor("pixels", TensorProto.INT64, [2], [1, 2]),
        ],
    )
    return _model(graph)


def convolutional(height: int, width: int, channels: int) -> bytes:
    """The same of grey pictures, by six convolutions that pass on the mean of what they read: something to round."""
    widths = (channels, 4, 4, 4, 4, 4, 1)
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "white"], ["x0"]),
    ]
    weights = []
    for i, (narrow, wide) in enumerate(pairwise(widths)):
        kernel = np.zeros((wide, narrow, 3, 3), np.float32)
        kernel[:, :, 1, 1] = 1 / narrow
        weights.append(numpy_helper.from_array(kernel, f"w{i}"))
        nodes.append(helper.make_node("Conv", [f"x{i}", f"w{i}"], [f"y{i}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"y{i}"], [f"x{i + 1}"]))
    nodes += [
        helper.make_node("Squeeze", [f"x{len(widths) - 1}", "plane"], ["map"]),
        helper.make_node("ReduceMax", ["map", "pixels"], ["score"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", height, width, channels])],
        _scores(height, width),
        [
            helper.make_tensor("white", TensorProto.FLOAT, [], [255.0]),
            helper.make_tensor("plane", TensorProto.INT64, [1], [1]),
            helper.make_tensor("pixels", TensorProto.INT64, [2], [1, 2]),
            *weights,
        ],
    )
    return _model(graph)


def comparing_detector(height: int, width: int, channels: int) -> bytes:
    """image, reference uint8 [N,H,W,C] -> map = how far the most different channel is apart / 255, score = its peak."""
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["reference"], ["wanted"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["float", "wanted"], ["difference"]),
        helper.make_node("Abs", ["difference"], ["apart"]),
        helper.make_node("Div", ["apart", "white"], ["unit"]),
        helper.make_node("ReduceMax", ["unit", "channel"], ["map"], keepdims=0),
        helper.make_node("ReduceMax", ["map", "pixels"], ["score"], keepdims=0),
    ]
    shape = ["n", height, width, channels]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info(name, TensorProto.UINT8, shape) for name in ("image", "reference")],
        _scores(height, width),
        [
            helper.make_tensor("white", TensorProto.FLOAT, [], [255.0]),
            helper.make_tensor("channel", TensorProto.INT64, [1], [3]),
            helper.make_tensor("pixels", TensorProto.INT64, [2], [1, 2]),
        ],
    )
    return _model(graph)


def _scores(height: int, width: int) -> list[onnx.ValueInfoProto]:
    """What every detector gives."""
    return [
        helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"]),
        helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", height, width]),
    ]


def repairer(channels: int, reference: bool = False) -> bytes:
    """image uint8 [N,H,W,C], mask uint8 [N,H,W] -> repaired: FILL where the mask is not 0.

    reference: a further input, which shows where the mask is not 0
    """
    nodes = [
        helper.make_node("Cast", ["mask"], ["flag"], to=TensorProto.BOOL),
        helper.make_node("Unsqueeze", ["flag", "last"], ["hole"]),
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Where", ["hole", "wanted" if reference else "fill", "float"], ["filled"]),
        helper.make_node("Cast", ["filled"], ["repaired"], to=TensorProto.UINT8),
    ]
    if reference:
        nodes.insert(0, helper.make_node("Cast", ["reference"], ["wanted"], to=TensorProto.FLOAT))
    shape = ["n", "h", "w", channels]
    inputs = {"image": shape, "mask": shape[:3]} | ({"reference": shape} if reference else {})
    graph = helper.make_graph(
        nodes,
        "repairer",
        [helper.make_tensor_value_info(name, TensorProto.UINT8, dimensions) for name, dimensions in inputs.items()],
        [helper.make_tensor_value_info("repaired", TensorProto.UINT8, shape)],
        [
            helper.make_tensor("last", TensorProto.INT64, [1], [3]),
            helper.make_tensor("fill", TensorProto.FLOAT, [], [float(FILL)]),
        ],
    )
    return _model(graph)


def make_bundle(
    folder: Path,
    height: int = 48,
    width: int = 64,
    channels: int = 1,
    threshold: float = 0.7,
    repairs: bool = True,
    reference: bool = False,
    modalities: str = "",
    graph: Callable[[int, int, int], bytes] | None = None,
) -> Path:
    """Write a complete bundle into `folder`; the golden pictures are a dark one and one with a bright square.

    modalities: their names and channels, as a table of TOML has them
    reference: it compares, with a black picture here, so that all scores are the same
    """
    (folder / "golden").mkdir(parents=True)
    graph = graph or (comparing_detector if reference else detector)
    models = {"detector": graph(height, width, channels)}
    if repairs:
        models["repairer"] = repairer(channels, reference)
    for name, content in models.items():
        (folder / f"{name}.onnx").write_bytes(content)
    good = picture(height, width, channels)
    bad = picture(height, width, channels, square=(8, 8, 6, 6))
    mask = np.zeros((height, width), np.uint8)
    mask[8:14, 8:14] = 255
    end = suffix(channels)
    beside = f'reference = "black{end}"' if reference else ""
    pictures = {f"good{end}": good, f"bad{end}": bad, "bad_mask.png": mask[:, :, np.newaxis]}
    for name, image in (pictures | {f"black{end}": np.zeros_like(good)}).items():
        write(folder / "golden" / name, image)
    sums = "".join(f'{name} = "{hashlib.sha256(content).hexdigest()}"\n' for name, content in models.items())
    (folder / "bundle.toml").write_text(
        f"""format = 1
name = "bright"
version = "1"
description = "bright pixels are defects"
licence = "Apache-2.0"
[input]
height = {height}
width = {width}
channels = {channels}
modalities = {{ {modalities} }}
reference = {str(reference).lower()}
[decision]
threshold = {threshold}
min_area = 4
chosen = "by hand"
{"[repair]" if repairs else ""}
{"windows = [32, 48]" if repairs else ""}
[files]
{sums}
[[golden]]
picture = "good{end}"
verdict = "ok"
score = {60 / 255}
{beside}
[[golden]]
picture = "bad{end}"
verdict = "ng"
score = {250 / 255}
mask = "bad_mask.png"
{beside}
"""
    )
    return folder


def picture(
    height: int = 48, width: int = 64, channels: int = 1, square: tuple[int, int, int, int] | None = None
) -> np.ndarray:
    """A dark picture (60), with a bright square (250) at x, y, w, h if wished: the defect."""
    image = np.full((height, width, channels), 60, np.uint8)
    if square is not None:
        x, y, w, h = square
        image[y : y + h, x : x + w] = 250
    return image


def masked_pictures() -> list[tuple[np.ndarray, np.ndarray]]:
    """Dark pictures of the tiny bundle's size, every second one with a bright square, and their masks."""
    pairs = []
    for number in range(12):
        square = (4 * number, 2 * number, 6, 6) if number % 2 else None
        image = picture(square=square)
        pairs.append((image, np.where(image[:, :, 0] > 200, 255, 0).astype(np.uint8)))
    return pairs


def _model(graph: onnx.GraphProto) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()
