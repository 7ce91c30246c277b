"""One contract for every device that this machine has, in every precision: right numbers, an honest provider.

`make test` runs it with the plain build of ONNX Runtime, `make test-all` also with the one for OpenVINO.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from inspector.errors import DeviceError, ModelError
from inspector.inference import engine, runtimes
from inspector.inference.bundle import load
from inspector.inference.runtimes.options import PROVIDERS
from inspector.types import Precision
from tests.bundles import convolutional, detector, masked_pictures
from tests.daemon import Process, configure

WANTED = ["cpu", "cuda:0", "tensorrt:0", "openvino:cpu"]
IN_BITS = [(device, precision) for device in WANTED for precision in runtimes.precisions(device)]
MODELS = Path(__file__).parents[2] / "models"


def present(device: str) -> str:
    """The device, or a skip with the reason."""
    if PROVIDERS[device.partition(":")[0]] not in onnxruntime.get_available_providers():
        pytest.skip(f"{device}: the installed build of ONNX Runtime does not have it")
    try:
        runtimes.load(detector(8, 8, 1), device)
    except DeviceError as error:
        pytest.skip(f"{device}: {error}")
    return device


@pytest.fixture(params=WANTED)
def device(request: pytest.FixtureRequest) -> str:
    return present(request.param)


@pytest.fixture(params=IN_BITS, ids="-".join)
def in_bits(request: pytest.FixtureRequest, reduced: Path) -> tuple[str, Precision]:
    """A device and a precision that it really computes in."""
    device, precision = request.param
    present(device)
    try:
        engine.settle(load(reduced), device, precision)
    except DeviceError as error:
        pytest.skip(f"{device} in {precision}: {error}")  # a processor may lack bf16
    return device, precision


def test_numbers_are_right_for_every_batch_size(device: str) -> None:
    model = runtimes.load(detector(8, 10, 3), device)
    random = np.random.default_rng(1)
    for size in (1, 2, 7):
        images = random.integers(0, 256, (size, 8, 10, 3), dtype=np.uint8)
        scores, maps = model.run(image=images)
        assert maps.dtype == np.float32
        np.testing.assert_allclose(maps, images.max(axis=3) / 255, atol=1e-3)
        np.testing.assert_allclose(scores, images.max(axis=(1, 2, 3)) / 255, atol=1e-3)


def test_fp32_is_fp32(device: str) -> None:
    images = np.random.default_rng(1).integers(0, 256, (1, 16, 20, 1), dtype=np.uint8)
    _, maps = runtimes.load(convolutional(16, 20, 1), device).run(image=images)
    np.testing.assert_allclose(maps, images[:, :, :, 0] / 255, atol=1e-6)


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
    device, why = runtimes.resolve("auto", [detector(8, 8, 1)])
    assert runtimes.load(detector(8, 8, 1), device).provider == PROVIDERS[device.partition(":")[0]]
    assert repr(device) in why


def test_a_device_by_name_is_taken_at_its_word() -> None:
    assert runtimes.resolve("cuda:0", [b""])[0] == "cuda:0"


# ---- precisions


def test_a_bundle_proves_itself_in_every_precision(in_bits: tuple[str, Precision], reduced: Path) -> None:
    device, precision = in_bits
    running = engine.start(load(reduced), device, 2, precision)
    assert running.tag.precision == precision
    assert running.tag.provider == PROVIDERS[device.partition(":")[0]]


def test_fewer_bits_are_fewer_bits(in_bits: tuple[str, Precision], reduced: Path) -> None:
    device, precision = in_bits
    bundle = load(reduced)
    own = bundle.detector if runtimes.rounds(device, precision) else bundle.variants.get(precision, bundle.detector)
    full, wished = runtimes.load(bundle.detector, device), runtimes.load(own, device, precision)
    assert runtimes.differ(full, wished) == (precision is not Precision.FP32)


def test_auto_takes_the_fastest_precision_that_works(device: str, bright: Path, reduced: Path) -> None:
    precision, why = engine.settle(load(reduced), device, "auto")
    assert precision in runtimes.precisions(device)
    assert f"took '{precision}'" in why
    without, why = engine.settle(load(bright), device, "auto")
    assert without is not Precision.INT8
    assert (
        Precision.INT8 not in runtimes.precisions(device)
        or "not int8: bundle 'bright' has no detector.int8.onnx" in why
    )


@pytest.mark.parametrize("name", ["simulated-line", "pcb"])
def test_what_ships_proves_itself_in_every_precision_that_it_has(name: str, device: str) -> None:
    bundle = load(MODELS / name)
    for precision in runtimes.precisions(device):
        if runtimes.rounds(device, precision) or precision in {Precision.FP32, *bundle.variants}:
            assert engine.start(bundle, device, 1, precision).tag.precision == precision


def test_the_daemon_judges_in_it_and_says_so(in_bits: tuple[str, Precision], reduced: Path, tmp_path: Path) -> None:
    device, precision = in_bits
    (tmp_path / "pictures").mkdir()
    for number, (image, _) in enumerate(masked_pictures()):
        cv2.imwrite(str(tmp_path / "pictures" / f"{number:02}.png"), image)
    more = f'[workers]\ndevice = "{device}"\nprecision = "{precision}"\ncount = 2\n'
    config = configure(tmp_path / "c.toml", reduced, f"folder:{tmp_path / 'pictures'}", more=more)
    with Process(config) as daemon:
        assert daemon.wait() == 0
    assert "12 frames: 6 ok, 6 ng, 0 unknown" in daemon.log[-1]["message"]
    said = "\n".join(line["message"] for line in daemon.log)
    assert f"2 worker(s) on {PROVIDERS[device.partition(':')[0]]} in {precision}" in said
