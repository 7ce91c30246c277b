"""What runs a model: one protocol, one file a runtime, one table from the kind of device to its loader.

A device is written `kind` or `kind:index`: `cpu`, `cuda:0`, `tensorrt:0`, `openvino:cpu`. `auto` is the best that
really works on this machine, by trying.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inspector.errors import DeviceError, ModelError
from inspector.inference.runtimes import onnxruntime
from inspector.types import Precision


class Model(Protocol):
    """A loaded model; used by one thread."""

    @property
    def provider(self) -> str:
        """What it really runs on, in the runtime's own words."""
        ...

    @property
    def inputs(self) -> Mapping[str, tuple[Any, ...]]:
        """Each input's shape by name; a free dimension is a string or None."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs' names in order."""
        ...

    def run(self, **inputs: NDArray[np.uint8]) -> list[NDArray[Any]]:
        """Run one batch; the outputs in the model's order. Raises ModelError."""
        ...


LOADERS: Mapping[str, Callable[[bytes, str, Precision, Path | None], Model]] = {
    "cpu": onnxruntime.load,
    "cuda": onnxruntime.load,
    "tensorrt": onnxruntime.load,
    "openvino": onnxruntime.load,
}

# TensorRT is left out: building its engine takes minutes, which nobody expects of a default.
BEST_FIRST = ("cuda:0", "openvino:cpu", "cpu")

PRECISIONS: Mapping[str, tuple[Precision, ...]] = {
    "cpu": (Precision.INT8, Precision.FP32),
    "cuda": (Precision.FP16, Precision.FP32),
    "tensorrt": (Precision.FP16, Precision.FP32),
    "openvino:cpu": (Precision.INT8, Precision.BF16, Precision.FP32),
    "openvino:gpu": (Precision.INT8, Precision.FP16, Precision.FP32),
    "openvino:npu": (Precision.INT8, Precision.FP16, Precision.FP32),
}
"""What each kind of device can compute with, fastest first. Our int8 files have unsigned activations: the fast way on
a CPU (measured: signed ones take twice as long), and one that TensorRT does not take."""


def precisions(device: str) -> tuple[Precision, ...]:
    """What `device` can compute with, fastest first."""
    return PRECISIONS.get(device) or PRECISIONS.get(device.partition(":")[0], (Precision.FP32,))


def rounds(device: str, precision: Precision) -> bool:
    """Whether the runtime of `device` rounds an fp32 model to `precision` by itself, when it is told to."""
    return device.startswith(("openvino", "tensorrt")) and precision in (Precision.BF16, Precision.FP16)


def load(model: bytes, device: str, precision: Precision = Precision.FP32, cache: Path | None = None) -> Model:
    """Load an ONNX model onto `device`. Raises DeviceError where it would really run elsewhere.

    precision: what the runtime is asked to round to, where it `rounds`; else what the model is made in
    cache: a folder where a runtime may keep what it compiled
    """
    kind = device.partition(":")[0]
    if kind not in LOADERS:
        raise DeviceError(f"device {device!r} is not known; use auto or one of {', '.join(LOADERS)}, with :index")
    return LOADERS[kind](model, device, precision, cache)


def differ(a: Model, b: Model) -> bool:
    """Whether two loads of one model give different numbers for noise, be it in the last bit.

    A runtime that ignores a wish for fewer bits gives the very numbers of fp32, and no other sign: OpenVINO's provider
    tells nobody its options, and takes a hint that it cannot follow in silence.
    """
    noise = np.random.default_rng(0)
    inputs = {
        name: noise.integers(0, 256, [side if isinstance(side, int) else 1 for side in shape], dtype=np.uint8)
        for name, shape in a.inputs.items()
    }
    return any(not np.array_equal(x, y) for x, y in zip(a.run(**inputs), b.run(**inputs), strict=True))


def best_installed() -> str:
    """The best device that the installed runtime was built for, whether or not it works on this machine."""
    built = onnxruntime.built_for()
    return next((device for device in BEST_FIRST if device.partition(":")[0] in built), BEST_FIRST[-1])


def resolve(device: str, models: Sequence[bytes]) -> tuple[str, str]:
    """The device that `device` means here, and a sentence that says why.

    `auto` tries the best first by loading each of `models`, and takes the last where no other works: who loads them
    there is told why that cannot be. Anything else is taken at its word.
    """
    if device != "auto":
        return device, f"device {device!r} was asked for"
    refused = []
    *better, last = BEST_FIRST
    for candidate in better:
        try:
            for model in models:
                load(model, candidate)
        except (DeviceError, ModelError) as error:  # ModelError: a runtime that is there and may not do what it must
            refused.append(f"not {candidate}: {str(error).partition(';')[0]}")  # the remedy is for who asked for it
        else:
            why = "; ".join(refused) if refused else "it is the best there is"
            return candidate, f"device 'auto' took {candidate!r} ({why})"
    return last, f"device 'auto' took {last!r} ({'; '.join(refused)})"
