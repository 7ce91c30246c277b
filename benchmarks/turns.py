"""One network in one runtime, in a process of its own: it runs so many frames whenever it is its turn."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import children
from inspector.inference import runtimes
from inspector.types import Precision


def main() -> None:
    """Answer each turn with the CPU and wall milliseconds of a frame; one thread, as every session of the daemon."""
    given = children.options()
    model = runtimes.load(Path(given["graph"]).read_bytes(), given["device"], Precision(given["precision"]))
    noise = np.random.default_rng(0)
    inputs: dict[str, NDArray[Any]] = {}
    for name, shape in model.inputs.items():
        sides = [side if isinstance(side, int) else 1 for side in shape]
        picture = noise.integers(0, 256, sides, dtype=np.uint8)
        # Ours take the camera's bytes; anomalib's floats from 0 to 1, which somebody has to make of them first.
        inputs[name] = picture if name == "image" else (picture / 255).astype(np.float32)
    model.run(**inputs)
    children.answer(provider=model.provider)
    for question in children.questions():
        frames = question["frames"]
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(frames):
            model.run(**inputs)
        children.answer(
            cpu=1e3 * (time.process_time() - cpu) / frames, wall=1e3 * (time.perf_counter() - wall) / frames
        )


if __name__ == "__main__":
    main()
