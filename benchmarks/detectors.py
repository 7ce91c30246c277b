"""Detectors in every runtime and precision, and anomalib's PatchCore: `python -m benchmarks.detectors --help`.

CPU milliseconds of one frame, one thread, batches of one. The networks take turns of a few frames, so that whatever
else the machine does hits all of them alike; ratios are of one round, and the median over the rounds is shown.

Caveats. The pictures are noise: none of the networks does less work on another picture. The int8 graphs of a size that
is not the bundle's are made here, to be timed and not to be used. PatchCore's weights and memory are random. It gets
its pictures as floats, and making them is not counted; our graphs take bytes, and theirs is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import onnx

from benchmarks import ending, report
from benchmarks.children import Child
from inspector.inference import bundle as bundles
from inspector.inference.bundle import Bundle
from inspector.inference.fit import fitted
from inspector.simulation import Line
from inspector.training.quantise import left_in_fp32
from inspector.training.reduce import to_int8
from inspector.types import Precision

MODELS = Path(__file__).parent.parent / "models"
SIDE = 256
"""At this size, which others publish theirs at, whatever size a bundle is for."""
FRAMES = 8
"""In one turn."""
BASE = "cpu fp32"
RIVAL = "anomalib PatchCore, cpu fp32"


@dataclass(frozen=True, slots=True)
class Contestant:
    """name: with its runtime and precision;  python: the interpreter of its environment"""

    name: str
    graph: Path
    python: Path
    device: str
    precision: str


def main() -> int:
    """Measure and print; what cannot be measured is said."""
    ending.by_signals()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detectors", description=__doc__)
    parser.add_argument("--bundle", type=Path, action="append", help="bundles to time (those that ship)")
    parser.add_argument("--openvino", type=Path, metavar="PYTHON", help="of an environment with inspector[openvino]")
    parser.add_argument("--anomalib", type=Path, metavar="PYTHON", help="of an environment with anomalib")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="turns of each (15)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write all figures there as JSON")
    options = parser.parse_args()
    print(report.machine(), flush=True)
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="inspector-bench-") as folder:
        for path in options.bundle or sorted(card.parent for card in MODELS.glob("*/bundle.toml")):
            bundle = bundles.load(path)
            own = bundle.card.input.shape[:2]
            for size in dict.fromkeys([(SIDE, SIDE), own]):
                contestants = list(field(bundle, size, Path(folder), options.openvino, options.anomalib))
                title = f"{bundle.card.name} at {size[1]}x{size[0]}"
                found[title] = compare(contestants, options.rounds)
                print("\n".join(lines(title, found[title])), flush=True)
    if options.out is not None:
        options.out.write_text(json.dumps({"machine": report.machine(), "cpu_ms": found}, indent=1))
    return 0


def field(
    bundle: Bundle, size: tuple[int, int], folder: Path, openvino: Path | None, anomalib: Path | None
) -> Iterator[Contestant]:
    """Who takes part at `size` (height, width); their graphs are written to `folder`."""
    here = Path(sys.executable)
    graphs = {"fp32": folder / "fp32.onnx", "int8": folder / "int8.onnx"}
    graphs["fp32"].write_bytes(at_size(bundle.detector, *size))
    graphs["int8"].write_bytes(int8_at_size(bundle, size))
    for precision, graph in graphs.items():
        yield Contestant(f"cpu {precision}", graph, here, "cpu", precision)
    if openvino is None:
        print("no --openvino: without it", file=sys.stderr)
    else:
        for precision in ("fp32", "bf16", "int8"):
            graph = graphs.get(precision, graphs["fp32"])
            yield Contestant(f"openvino {precision}", graph, openvino, "openvino:cpu", precision)
    if anomalib is None:
        print("no --anomalib: without it", file=sys.stderr)
    elif size == (SIDE, SIDE):
        rival = folder / "patchcore.onnx"
        if not rival.exists():
            script = Path(__file__).with_name("patchcore.py")
            subprocess.run([anomalib, script, rival, str(SIDE)], check=True, stdout=sys.stderr)
        yield Contestant(RIVAL, rival, here, "cpu", "fp32")


def at_size(model: bytes, height: int, width: int) -> bytes:
    """The detector's graph for pictures of its own size, or of another whose sides are multiples of 32.

    A network of convolutions does not mind; what cut an odd level to its size goes, since no level is odd any more.
    """
    graph = onnx.load_model_from_string(model)
    _, *own, _ = (one.dim_value for one in graph.graph.input[0].type.tensor_type.shape.dim)
    if own == [height, width]:
        return model
    doubled = {node.output[0] for node in graph.graph.node if node.op_type == "Resize"}
    cuts = {n.output[0]: n.input[0] for n in graph.graph.node if n.op_type == "Slice" and n.input[0] in doubled}
    for node in graph.graph.node:
        node.input[:] = [cuts.get(name, name) for name in node.input]
    for value in (*graph.graph.input, *graph.graph.output):
        dimensions = value.type.tensor_type.shape.dim
        if len(dimensions) >= 3:
            dimensions[1].dim_value, dimensions[2].dim_value = height, width
    del graph.graph.value_info[:]
    return bytes(graph.SerializeToString())


def int8_at_size(bundle: Bundle, size: tuple[int, int]) -> bytes:
    """The bundle's own int8 detector at its own size; else one made as `inspector quantise` would first try it."""
    height, width, channels = bundle.card.input.shape
    if size == (height, width) and Precision.INT8 in bundle.variants:
        return bundle.variants[Precision.INT8]
    line = Line(11)
    pictures = [fitted(line.part(number).image, (*size, channels)) for number in range(8)]
    return to_int8(at_size(bundle.detector, *size), pictures, *left_in_fp32(bundle.detector)[0])


def compare(contestants: list[Contestant], rounds: int) -> dict[str, list[float]]:
    """CPU milliseconds a frame of each contestant, in each round."""
    with ExitStack() as stack:
        running = {}
        for one in contestants:
            given = {"graph": one.graph, "device": one.device, "precision": one.precision}
            child = stack.enter_context(Child("turns", interpreter=one.python, **given))
            child.answer()
            running[one.name] = child
        times: dict[str, list[float]] = {name: [] for name in running}
        for _ in range(rounds):
            for name, child in running.items():
                times[name].append(child.ask(frames=FRAMES)["cpu"])
    return times


def lines(title: str, times: dict[str, list[float]]) -> Iterator[str]:
    """The figures of one bundle at one size."""
    yield f"\n{title:36}CPU ms/frame   cpu fp32 = 1   PatchCore = 1"
    for name, each in times.items():
        ratios = "".join(
            f"{ratio(each, times[other]):15.2f}" if other in times else f"{'-':>15}" for other in (BASE, RIVAL)
        )
        yield f"  {name:34}{median(each):12.2f}{ratios}"


def ratio(each: list[float], other: list[float]) -> float:
    """The median over the rounds of one's time by the other's in the same round."""
    return median(a / b for a, b in zip(each, other, strict=True))


if __name__ == "__main__":
    raise SystemExit(main())
