"""What runs a model: one protocol, one file a runtime, one table from the kind of device to its loader.

A device is written `kind` or `kind:index`: `cpu`, `cuda:0`, `tensorrt:0`, `openvino:cpu`. `auto` is the best that
really works on this machine, by trying.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inspector.errors import DeviceError
from inspector.inference.runtimes import onnxruntime


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


LOADERS: Mapping[str, Callable[[bytes, str], Model]] = {
    "cpu": onnxruntime.load,
    "cuda": onnxruntime.load,
    "tensorrt": onnxruntime.load,
    "openvino": onnxruntime.load,
}

# TensorRT is left out: building its engine takes minutes, which nobody expects of a default.
BEST_FIRST = ("cuda:0", "openvino:cpu", "cpu")


def load(model: bytes, device: str) -> Model:
    """Load an ONNX model onto `device`. Raises DeviceError where it would really run elsewhere."""
    kind = device.partition(":")[0]
    if kind not in LOADERS:
        raise DeviceError(f"device {device!r} is not known; use auto or one of {', '.join(LOADERS)}, with :index")
    return LOADERS[kind](model, device)


def resolve(device: str, model: bytes) -> tuple[str, str]:
    """The device that `device` means here, and a sentence that says why.

    `auto` tries the best first by loading `model`; anything else is taken at its word. Raises DeviceError.
    """
    if device != "auto":
        return device, f"device {device!r} was asked for"
    refused = []
    for candidate in BEST_FIRST:
        try:
            load(model, candidate)
        except DeviceError as error:
            refused.append(f"not {candidate}: {str(error).partition(';')[0]}")  # the remedy is for who asked for it
        else:
            why = "; ".join(refused) if refused else "it is the best there is"
            return candidate, f"device 'auto' took {candidate!r} ({why})"
    raise DeviceError("no device works: " + "; ".join(refused))
