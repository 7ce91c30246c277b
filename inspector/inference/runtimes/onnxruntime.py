"""ONNX Runtime: one API, several exclusive builds of it (CPU, GPU, OpenVINO).

Asked for a provider that does not work, ONNX Runtime runs on the CPU and says so in a log line at most. Here the
session's real providers are compared with the wish, and a difference is an error.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inspector.errors import ConfigError, DeviceError, ModelError
from inspector.extras import remedy
from inspector.inference.runtimes.options import PROVIDERS, providers
from inspector.types import Precision

if TYPE_CHECKING:
    import onnxruntime as ort

EXTRAS = {"onnxruntime": "cpu", "onnxruntime-gpu": "gpu", "onnxruntime-openvino": "openvino"}
"""The builds that share the module `onnxruntime`, and our extra that brings each."""

OPENCV_BUILDS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)


def check_installation() -> str:
    """The one ONNX Runtime build that is installed; raises ConfigError for none, or for several.

    pip sees no conflict between the builds of ONNX Runtime, nor between those of OpenCV: the one installed last wins,
    and removing one breaks the others.
    """
    builds = _installed(tuple(EXTRAS))
    if not builds:
        raise ConfigError(f"no ONNX Runtime is installed; {remedy('cpu')}, or gpu instead of cpu where there is a GPU")
    for found, kind in ((builds, "ONNX Runtime"), (_installed(OPENCV_BUILDS), "OpenCV")):
        if len(found) > 1:
            raise ConfigError(
                f"{' and '.join(found)} are installed together and overwrite each other; "
                f"pip uninstall {' '.join(found)}, then install one build of {kind} alone"
            )
    return builds[0]


def _installed(names: tuple[str, ...]) -> list[str]:
    """Asked for by name, since to read what all packages say of themselves takes half of the daemon's start."""
    return [name for name in names if any(found.name for found in importlib.metadata.distributions(name=name))]


def built_for() -> frozenset[str]:
    """The kinds of devices that the installed build can be asked for, whether or not they work on this machine."""
    import onnxruntime as ort

    available = set(ort.get_available_providers())
    return frozenset(kind for kind, provider in PROVIDERS.items() if provider in available)


def load(model: bytes, device: str, precision: Precision = Precision.FP32, cache: Path | None = None) -> OrtModel:
    """Open a session for `model` on `device`; raises DeviceError, ModelError."""
    return OrtModel(_session(model, device, precision, cache), PROVIDERS[device.partition(":")[0]], device)


class OrtModel:
    """An ONNX Runtime session that really runs on the wished provider."""

    def __init__(self, session: ort.InferenceSession, wish: str, device: str) -> None:
        self.provider: str = session.get_providers()[0]
        if self.provider != wish:
            raise DeviceError(
                f"device {device!r} was asked for, but ONNX Runtime would run on {self.provider}; "
                f"see its messages above for the missing library, or set device = 'auto' or 'cpu'"
            )
        self._session = session
        self._errors = _error_types()
        self.inputs: dict[str, tuple[Any, ...]] = {node.name: tuple(node.shape) for node in session.get_inputs()}
        self.outputs: tuple[str, ...] = tuple(node.name for node in session.get_outputs())

    def run(self, **inputs: NDArray[np.uint8]) -> list[NDArray[Any]]:
        """Run one batch; raises ModelError."""
        try:
            results: list[NDArray[Any]] = self._session.run(None, inputs)
        except self._errors as error:
            raise ModelError(f"ONNX Runtime failed on {self.provider}: {error}") from error
        return results


def _session(model: bytes, device: str, precision: Precision, cache: Path | None) -> ort.InferenceSession:
    build = check_installation()
    import onnxruntime as ort

    kind = device.partition(":")[0]
    provider = PROVIDERS[kind]
    if provider not in ort.get_available_providers():
        raise DeviceError(
            f"this build of ONNX Runtime has no {provider}; set device = 'auto' or 'cpu', or "
            f"{remedy('openvino' if kind == 'openvino' else 'gpu', instead_of=build)}"
        )
    options = ort.SessionOptions()
    # One thread a session and one session a core: workers in parallel beat threads inside a session once the
    # cores are busy, and spinning threads steal from the readers.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if kind in ("cuda", "tensorrt"):
        ort.preload_dlls()  # CUDA and cuDNN as installed by pip beside the GPU build, if they are
    if kind == "openvino":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        return ort.InferenceSession(model, options, providers=providers(device, precision, cache))
    except _error_types() as error:
        if "fallback to CPU EP has been explicitly disabled" in str(error):
            raise DeviceError(
                f"device {device!r} was asked for, but {provider} cannot run all of the model; "
                f"set device = 'auto' or 'cpu'"
            ) from error
        raise ModelError(f"ONNX Runtime cannot load the model on {provider}: {error}") from error


def _error_types() -> tuple[type[Exception], ...]:
    """ONNX Runtime's exceptions have no common base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError)
