"""What runtimes are told, and what becomes of a wish for a precision."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from inspector.errors import BundleError, DeviceError, ModelError
from inspector.inference import engine, runtimes
from inspector.inference.bundle import Tolerance, load
from inspector.inference.runtimes.options import providers
from inspector.judging import prepare
from inspector.settings import Settings
from inspector.types import Precision
from tests.bundles import make_bundle

CACHE = Path("/var/cache/inspector")


def test_a_cpu_is_told_nothing() -> None:
    assert providers("cpu", Precision.INT8, CACHE) == [("CPUExecutionProvider", {})]


@pytest.mark.parametrize(("precision", "hint"), [("fp32", "f32"), ("bf16", "bf16"), ("int8", "bf16")])
def test_openvino_is_told_what_to_round_to(precision: str, hint: str) -> None:
    ((name, options),) = providers("openvino:cpu", Precision(precision), None)
    assert name == "OpenVINOExecutionProvider"
    assert json.loads(options.pop("load_config")) == {
        "CPU": {"INFERENCE_PRECISION_HINT": hint, "ENABLE_CPU_PINNING": "NO"}
    }
    assert options == {"device_type": "CPU", "num_of_threads": "1"}


def test_an_openvino_gpu_is_told_of_itself() -> None:
    ((_, options),) = providers("openvino:gpu", Precision.FP16, None)
    assert json.loads(options.pop("load_config")) == {"GPU": {"INFERENCE_PRECISION_HINT": "f16"}}
    assert options == {"device_type": "GPU"}


def test_cuda_keeps_to_fp32_where_that_was_asked_for() -> None:
    (cuda, full), (cpu, _) = providers("cuda:1", Precision.FP32, None)
    assert (cuda, cpu) == ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert (full["device_id"], full["use_tf32"]) == ("1", "0")
    assert providers("cuda:1", Precision.FP16, None)[0][1]["use_tf32"] == "1"


def test_tensorrt_keeps_its_engines_where_it_is_told() -> None:
    chain = providers("tensorrt:0", Precision.FP16, CACHE)
    assert [name for name, _ in chain] == [
        "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider",
    ]  # fmt: skip
    options = chain[0][1]
    assert options["trt_fp16_enable"] == "1"
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(CACHE)
    assert providers("tensorrt:0", Precision.FP32, None)[0][1] == {"device_id": "0", "trt_fp16_enable": "0"}


def test_fewer_bits_may_stray_further() -> None:
    tolerance = Tolerance(score=0.01, iou=0.97)
    assert (tolerance.at(Precision.FP32).score, tolerance.at(Precision.FP32).iou) == (0.01, 0.97)
    for precision in (Precision.BF16, Precision.FP16, Precision.INT8):
        bounds = tolerance.at(precision)
        assert bounds.score > 0.01
        assert bounds.iou < 0.97


def test_the_bounds_are_those_of_the_precision_that_runs(reduced: Path) -> None:
    bundle = load(reduced)
    strict = Tolerance.model_validate({"int8": {"score": 0.0, "iou": 1.0}})
    card = bundle.card.model_copy(update={"tolerance": strict})
    changed = type(bundle)(bundle.folder, card, bundle.sha256, bundle.detector, bundle.repairer, bundle.variants)
    engine.start(changed, "cpu", 1, Precision.FP32)
    with pytest.raises(BundleError, match=r"in int8: score .* \(tolerance 0.0\)"):
        engine.start(changed, "cpu", 1, Precision.INT8)


def test_a_precision_that_a_device_has_not_is_refused(reduced: Path) -> None:
    with pytest.raises(DeviceError, match="'bf16' was asked for, which 'cpu' does not compute in; use int8, fp32 or"):
        engine.settle(load(reduced), "cpu", "bf16")


def test_int8_of_a_bundle_without_it_is_refused(bright: Path) -> None:
    with pytest.raises(BundleError, match=r"no detector.int8.onnx; make it with `inspector quantise`"):
        engine.settle(load(bright), "cpu", "int8")


def test_auto_takes_int8_where_the_bundle_has_it(bright: Path, reduced: Path) -> None:
    assert engine.settle(load(reduced), "cpu", "auto") == (
        Precision.INT8,
        "precision 'auto' took 'int8' (it is the fastest there is)",
    )
    precision, why = engine.settle(load(bright), "cpu", "auto")
    assert precision is Precision.FP32
    assert why == "precision 'auto' took 'fp32' (not int8: bundle 'bright' has no detector.int8.onnx)"


def one_camera(bundle: Path, **workers: object) -> Settings:
    camera = {"name": "cam1", "source": "sim://line", "bundle": bundle}
    return Settings(camera=[camera], workers={"count": 1, **workers})


def test_auto_that_gets_the_best_there_is_fell_back_to_nothing(reduced: Path) -> None:
    judging = prepare(one_camera(reduced, precision="auto"))
    name = load(reduced).card.name
    assert judging.fallbacks == {(name, "device"): False, (name, "precision"): False}


def test_auto_that_finds_a_gpu_build_without_a_gpu_fell_back(bright: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes.onnxruntime, "built_for", lambda: frozenset({"cpu", "cuda"}))
    assert prepare(one_camera(bright)).fallbacks["bright", "device"]
    device = runtimes.resolve("auto", load(bright).networks)[0]
    assert not prepare(one_camera(bright, device=device)).fallbacks["bright", "device"]


def test_auto_passes_over_a_runtime_that_cannot_load_the_model(monkeypatch: pytest.MonkeyPatch, bright: Path) -> None:
    def forbidden(*_: object) -> runtimes.Model:
        raise ModelError("ONNX Runtime cannot load the model on OpenVINOExecutionProvider: can't protect")

    monkeypatch.setattr(runtimes, "LOADERS", {**runtimes.LOADERS, "openvino": forbidden})
    device, why = runtimes.resolve("auto", load(bright).networks)
    assert device in ("cuda:0", "cpu")
    assert device == "cuda:0" or "not openvino:cpu: ONNX Runtime cannot load" in why
    with pytest.raises(ModelError):
        runtimes.load(load(bright).detector, "openvino:cpu")


@pytest.mark.parametrize("lacking", ["detector", "repairer"])
def test_auto_passes_over_a_device_that_takes_only_some_cameras_models(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lacking: str
) -> None:
    one, other = make_bundle(tmp_path / "one", repairs=False), make_bundle(tmp_path / "other", height=32, width=32)
    refused = getattr(load(other), lacking)

    def particular(model: bytes, device: str, precision: Precision, cache: Path | None) -> runtimes.Model:
        if model == refused:
            raise DeviceError(f"device {device!r} was asked for, but it cannot run all of the model; use another")
        return runtimes.onnxruntime.load(model, "cpu", precision, cache)

    monkeypatch.setattr(runtimes, "LOADERS", {"cpu": runtimes.onnxruntime.load, "openvino": particular})
    monkeypatch.setattr(runtimes.onnxruntime, "built_for", lambda: frozenset({"cpu", "openvino"}))
    assert prepare(one_camera(one)).workshop.device == "openvino:cpu"
    cameras = [{"name": path.name, "source": "sim://line", "bundle": path} for path in (one, other)]
    judging = prepare(Settings(camera=cameras, workers={"count": 1}))
    assert judging.workshop.device == "cpu"
    assert len(judging.teams) == 2
    assert judging.fallbacks[load(one).card.name, "device"]


def test_auto_passes_over_a_precision_whose_model_cannot_be_loaded(
    monkeypatch: pytest.MonkeyPatch, reduced: Path
) -> None:
    bundle = load(reduced)

    def picky(model: bytes, *rest: Any) -> runtimes.Model:
        if model == bundle.variants[Precision.INT8]:
            raise ModelError("ONNX Runtime cannot load the model on CPUExecutionProvider: no such operator")
        return runtimes.onnxruntime.load(model, *rest)

    monkeypatch.setattr(runtimes, "LOADERS", {"cpu": picky})
    precision, why = engine.settle(bundle, "cpu", "auto")
    assert precision is Precision.FP32
    assert "not int8: bundle 'bright'" in why
    assert "ONNX Runtime cannot load the model on CPUExecutionProvider: no such operator" in why


@pytest.fixture
def strict(reduced: Path, tmp_path: Path) -> Path:
    """`reduced` with a tolerance that its int8 detector does not meet."""
    strict = tmp_path / "strict"
    shutil.copytree(reduced, strict)
    card = strict / "bundle.toml"
    text, found = re.subn(
        r"(?s)\[tolerance\.int8\].*?(?=\n\[|\Z)", "[tolerance.int8]\nscore = 0.0\niou = 1.0\n", card.read_text()
    )
    assert found == 1
    card.write_text(text)
    return strict


def test_auto_that_may_not_take_int8_fell_back(strict: Path) -> None:
    name = load(strict).card.name
    assert prepare(one_camera(strict, device="cpu", precision="auto")).fallbacks[name, "precision"]
    assert not prepare(one_camera(strict, device="cpu", precision="fp32")).fallbacks[name, "precision"]


def test_a_bundle_that_fell_back_is_not_hidden_by_another_of_its_name(strict: Path, reduced: Path) -> None:
    bundles = {"cam1": strict, "cam2": reduced}
    cameras = [{"name": name, "source": "sim://line", "bundle": bundle} for name, bundle in bundles.items()]
    judging = prepare(Settings(camera=cameras, workers={"count": 1, "device": "cpu", "precision": "auto"}))
    assert [team.tag.precision for team in judging.teams.values()] == [Precision.FP32, Precision.INT8]
    assert judging.fallbacks[load(strict).card.name, "precision"]


def test_two_loads_of_one_precision_do_not_differ(reduced: Path) -> None:
    bundle = load(reduced)
    first, second, int8 = (
        runtimes.load(model, "cpu") for model in (bundle.detector, bundle.detector, bundle.variants[Precision.INT8])
    )
    assert not runtimes.differ(first, second)
    assert runtimes.differ(first, int8)
