"""What each of ONNX Runtime's providers is told, by kind of device and precision (pure).

Keys and values are those of the providers' own documentation, onnxruntime.ai/docs/execution-providers. Those for CUDA
and TensorRT have not been run on a GPU by this project.
"""

from __future__ import annotations

import json
from pathlib import Path

from inspector.types import Precision

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}

OPENVINO_HINTS = {Precision.FP32: "f32", Precision.BF16: "bf16", Precision.FP16: "f16", Precision.INT8: "bf16"}
"""What OpenVINO rounds a graph's floating-point part to; an int8 graph brings its own integers.

In bf16 what an int8 graph leaves in floating point takes half of the time, and costs nothing beside the integers'
rounding. Where a processor has no bf16, OpenVINO computes in f32.
"""


def providers(device: str, precision: Precision, cache: Path | None) -> list[tuple[str, dict[str, str]]]:
    """The providers to list for `device`, the wished one first, each with its options.

    Others stay listed after a GPU, since shape arithmetic of a few nodes belongs on the CPU and what TensorRT cannot
    do on CUDA; that the whole session fell back is told by its first provider. OpenVINO takes all of a graph or none.
    """
    kind, _, index = device.partition(":")
    chain = {"cuda": ("cuda", "cpu"), "tensorrt": ("tensorrt", "cuda", "cpu")}.get(kind, (kind,))
    return [(PROVIDERS[link], _options(link, index, precision, cache)) for link in chain]


def _options(kind: str, index: str, precision: Precision, cache: Path | None) -> dict[str, str]:
    if kind == "cuda":
        return _cuda(index, precision)
    if kind == "tensorrt":
        return _tensorrt(index, precision, cache)
    if kind == "openvino":
        return _openvino(index.upper() or "CPU", precision)
    return {}


def _cuda(index: str, precision: Precision) -> dict[str, str]:
    return {
        "device_id": index or "0",
        # The default, EXHAUSTIVE, tries every algorithm anew for each size of batch: seconds, in the midst of a shift.
        "cudnn_conv_algo_search": "HEURISTIC",
        # TensorFloat-32 rounds to 10 bits: not what fp32 means.
        "use_tf32": "0" if precision is Precision.FP32 else "1",
    }


def _tensorrt(index: str, precision: Precision, cache: Path | None) -> dict[str, str]:
    options = {"device_id": index or "0", "trt_fp16_enable": _flag(precision is Precision.FP16)}
    if cache is not None:  # building an engine takes minutes, reading it back seconds
        kept = {
            "trt_engine_cache_enable": _flag(True),
            "trt_engine_cache_path": str(cache),
            "trt_timing_cache_enable": _flag(True),
            "trt_timing_cache_path": str(cache),
        }
        options |= kept
    return options


def _openvino(device_type: str, precision: Precision) -> dict[str, str]:
    config = {"INFERENCE_PRECISION_HINT": OPENVINO_HINTS[precision]}
    if device_type != "CPU":
        return {"device_type": device_type, "load_config": json.dumps({device_type: config})}
    # Several sessions pinned to the same cores would queue behind each other; and one thread each, as on any CPU.
    config["ENABLE_CPU_PINNING"] = "NO"
    return {"device_type": "CPU", "num_of_threads": "1", "load_config": json.dumps({"CPU": config})}


def _flag(value: bool) -> str:
    return "1" if value else "0"
