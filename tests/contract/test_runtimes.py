"""One contract for every device that this machine has: right numbers, free batch size, an honest provider."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from inspector.errors import DeviceError, ModelError
from inspector.inference import runtimes
from inspector.inference.runtimes.onnxruntime import PROVIDERS
from tests.bundles import detector

WANTED = ["cpu", "cuda:0", "tensorrt:0", "openvino:cpu"]


@pytest.fixture(params=WANTED)
def device(request: pytest.FixtureRequest) -> str:
    if PROVIDERS[request.param.partition(":")[0]] not in onnxruntime.get_available_providers():
        pytest.skip(f"{request.param}: the installed build of ONNX Runtime does not have it")
    try:
        runtimes.load(detector(8, 8, 1), request.param)
    except DeviceError as error:
        pytest.skip(f"{request.param}: {error}")
    return str(request.param)


def test_numbers_are_right_for_every_batch_size(device: str) -> None:
    model = runtimes.load(detector(8, 10, 3), device)
    random = np.random.default_rng(1)
    for size in (1, 2, 7):
        images = random.integers(0, 256, (size, 8, 10, 3), dtype=np.uint8)
        scores, maps = model.run(image=images)
        assert maps.dtype == np.float32
        np.testing.assert_allclose(maps, images.max(axis=3) / 255, atol=1e-3)
        np.testing.assert_allclose(scores, images.max(axis=(1, 2, 3)) / 255, atol=1e-3)


def test_says_what_it_runs_on(device: str) -> None:
    assert runtimes.load(detector(8, 8, 1), device).provider == PROVIDERS[device.partition(":")[0]]


def test_names_inputs_and_outputs(device: str) -> None:
    model = runtimes.load(detector(8, 10, 3), device)
    assert model.inputs["image"][1:] == (8, 10, 3)
    assert model.outputs == ("score", "map")


def test_a_wrong_input_is_a_model_error(device: str) -> None:
    with pytest.raises(ModelError, match="ONNX Runtime failed"):
        runtimes.load(detector(8, 8, 1), device).run(image=np.zeros((1, 8, 9, 1), np.uint8))


def test_bytes_that_are_no_model_are_a_model_error(device: str) -> None:
    with pytest.raises(ModelError, match="cannot load"):
        runtimes.load(b"no model", device)


@pytest.mark.parametrize("wish", [device for device in WANTED if device != "cpu"])
def test_a_device_that_does_not_work_is_refused_and_never_replaced_by_the_cpu(wish: str) -> None:
    try:
        model = runtimes.load(detector(8, 8, 1), wish)
    except DeviceError as error:
        assert "'auto' or 'cpu'" in str(error)  # noqa: PT017 - either outcome is right, depending on the machine
    else:
        assert model.provider == PROVIDERS[wish.partition(":")[0]]


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(DeviceError, match="'tpu:0' is not known"):
        runtimes.load(detector(8, 8, 1), "tpu:0")


def test_auto_takes_something_that_works_and_says_why() -> None:
    device, why = runtimes.resolve("auto", detector(8, 8, 1))
    assert runtimes.load(detector(8, 8, 1), device).provider == PROVIDERS[device.partition(":")[0]]
    assert repr(device) in why


def test_a_device_by_name_is_taken_at_its_word() -> None:
    assert runtimes.resolve("cuda:0", b"")[0] == "cuda:0"
