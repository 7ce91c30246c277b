"""The plumbing alone: everything but the work. A model that answers at once stands for a fast GPU.

It is a real bundle, loaded, proven and run like any other. Its detector looks at no pixel and finds nothing; its map
has the model's size, as one copied back from a GPU would have, and the judge reads it like any other.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper

from benchmarks import accounting, preloaded, scrape
from benchmarks.accounting import Load, Tally
from benchmarks.material import HEIGHT, WIDTH, Material

BATCH = 16
MODEL_SIZE = (320, 240)
SIZES = {"640x480, resized to 320x240": (WIDTH, HEIGHT), "320x240, copied": MODEL_SIZE}
"""Width and height of the cameras' pictures: what a line has, and what leaves nothing but the plumbing."""


@dataclass(frozen=True, slots=True)
class Run:
    """load: of the daemon, its frames counted where they arrive;  complete: whether every verdict arrived once"""

    load: Load
    complete: bool


def measure(given: Material) -> dict[str, Run]:
    """Each size in turn, in daemons of their own."""
    bundle = given.folder / "instant"
    if not bundle.exists():
        write_bundle(bundle, *MODEL_SIZE)
    return {name: _measure(given, bundle, size) for name, size in SIZES.items()}


def _measure(given: Material, bundle: Path, size: tuple[int, int]) -> Run:
    with preloaded.running(bundle, given.clips, size, workers=1, max_batch=BATCH) as line:
        time.sleep(given.plan.warm_up)
        receiver = line.daemon.receiver
        load = accounting.watch(line.daemon.pid, lambda: Tally(receiver.ask()["verdicts"], 0), given.plan.window / 2)
        scrape.judged(line.daemon.http)  # raises where the verdicts that came are no work done
        account, received = line.stop()
    arrived = received["verdicts"] == received["distinct"] == account.captured
    return Run(load, arrived and account.balances and not received["missing"])


def write_bundle(folder: Path, width: int, height: int) -> None:
    """A bundle that says of every picture, without a look, that it is good."""
    (folder / "golden").mkdir(parents=True)
    detector = _detector(width, height)
    (folder / "detector.onnx").write_bytes(detector)
    cv2.imwrite(str(folder / "golden" / "good.png"), np.zeros((height, width, 3), np.uint8))
    (folder / "bundle.toml").write_text(
        f"""format = 1
name = "instant"
version = "1"
description = "answers at once"
licence = "Apache-2.0"
[input]
height = {height}
width = {width}
channels = 3
[decision]
threshold = 0.5
min_area = 1
chosen = "there is nothing to choose"
[files]
detector = "{hashlib.sha256(detector).hexdigest()}"
[[golden]]
picture = "good.png"
verdict = "ok"
score = 0.0
"""
    )


def _detector(width: int, height: int) -> bytes:
    """image uint8 [n,H,W,3] -> score 0 [n] and map 0 [n,H,W], by shape alone."""
    nodes = [
        helper.make_node("Shape", ["image"], ["n"], start=0, end=1),
        helper.make_node("Shape", ["image"], ["nhw"], start=0, end=3),
        helper.make_node("ConstantOfShape", ["n"], ["score"]),
        helper.make_node("ConstantOfShape", ["nhw"], ["map"]),
    ]
    graph = helper.make_graph(
        nodes,
        "instant",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", height, width, 3])],
        [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", height, width]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
