"""The networks, their losses, and that an exported graph is the network that was trained."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch, which `make test-all` installs")
torch.set_num_threads(1)  # more only take turns on networks this small

from inspector.errors import BundleError  # noqa: E402
from inspector.inference.runtimes import onnxruntime  # noqa: E402
from inspector.training import export  # noqa: E402
from inspector.training.losses import detection_loss, hole_mean, repair_loss  # noqa: E402
from inspector.training.networks.gated import GatedUNet, push_pull  # noqa: E402
from inspector.training.networks.unet import UNet  # noqa: E402

pytestmark = pytest.mark.full

SIZE = (48, 64)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def picture(channels: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *SIZE, channels), dtype=np.uint8)


def a_hole(count: int = 2) -> np.ndarray:
    mask = np.zeros((count, *SIZE), np.uint8)
    mask[:, 10:30, 20:45] = 255
    return mask


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(16, 16), (48, 64), (64, 32)])
def test_each_pixel_gets_its_answer(channels: int, size: tuple[int, int]) -> None:
    image = torch.rand(2, channels, *size)
    assert UNet(channels).eval()(image).shape == (2, *size)
    assert GatedUNet(channels).eval()(image, torch.zeros(2, 1, *size)).shape == (2, channels, *size)


def test_push_pull_keeps_what_is_known_and_fills_the_rest_from_its_surroundings() -> None:
    image = torch.full((1, 1, 64, 64), 0.2)
    image[:, :, :, 32:] = 0.8
    known = torch.ones(1, 1, 64, 64)
    known[:, :, 8:24, 8:24] = 0
    known[:, :, 8:24, 40:56] = 0
    spread = push_pull(image * known, known)
    assert torch.equal(spread[known > 0], image[known > 0])
    assert torch.allclose(spread[:, :, 8:24, 8:24], torch.tensor(0.2), atol=0.05)
    assert torch.allclose(spread[:, :, 8:24, 40:56], torch.tensor(0.8), atol=0.05)


def test_push_pull_stays_within_bounds_where_nothing_is_known() -> None:
    spread = push_pull(torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 32, 32))
    assert torch.isfinite(spread).all()
    assert spread.abs().max() <= 1


def test_the_detection_loss_falls_from_wrong_over_unsure_to_right() -> None:
    truth = torch.zeros(1, 8, 8)
    truth[:, 2:4, 2:4] = 1
    right, unsure, wrong = (float(detection_loss(sign * (2 * truth - 1), truth, 3.0)) for sign in (9.0, 0.0, -9.0))
    assert 0 <= right < 0.01 < unsure < wrong


def test_the_repair_loss_looks_into_the_hole_alone_and_at_each_picture_alike() -> None:
    wanted = torch.zeros(2, 1, 8, 8)
    hole = torch.zeros(2, 1, 8, 8)
    hole[0, :, :1, :1] = 1  # one pixel
    hole[1] = 1  # all of them
    outside = torch.where(hole > 0, 0.0, 1.0)
    assert float(repair_loss(outside, wanted, hole)) == 0.0
    small = torch.stack([torch.full((1, 8, 8), 0.5), torch.zeros(1, 8, 8)])
    large = small.flip(0)
    assert float(repair_loss(small, wanted, hole)) == pytest.approx(float(repair_loss(large, wanted, hole)))
    assert hole_mean(small, hole).tolist() == [0.5, 0.0]
    assert float(hole_mean(wanted, torch.zeros_like(hole)).sum()) == 0.0


@pytest.mark.parametrize("channels", [1, 3])
def test_the_detectors_graph_is_the_network_with_its_threshold_at_a_half(channels: int) -> None:
    network = UNet(channels).eval()
    image = picture(channels)
    with torch.inference_mode():
        logits = network(torch.from_numpy(image).permute(0, 3, 1, 2).float() / 255)
    threshold = float(torch.sigmoid(logits).quantile(0.9))
    model = onnxruntime.load(export.export_detector(network, threshold, SIZE, channels), "cpu")
    scores, maps = model.run(image=image)
    assert (scores.shape, maps.shape) == ((2,), (2, *SIZE))
    assert (scores.dtype, maps.dtype) == (np.float32, np.float32)
    above = torch.sigmoid(logits).numpy() > threshold
    clear = np.abs(torch.sigmoid(logits).numpy() - threshold) > 1e-4
    np.testing.assert_array_equal((maps > 0.5)[clear], above[clear])
    means = [max(m[y : y + 3, x : x + 3].mean() for y in range(SIZE[0] - 2) for x in range(SIZE[1] - 2)) for m in maps]
    np.testing.assert_allclose(scores, means, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_repairers_graph_touches_nothing_outside_the_mask(channels: int) -> None:
    model = onnxruntime.load(export.export_repairer(GatedUNet(channels).eval(), channels), "cpu")
    image, mask = picture(channels), a_hole()
    (repaired,) = model.run(image=image, mask=mask)
    assert (repaired.shape, repaired.dtype) == (image.shape, np.uint8)
    np.testing.assert_array_equal(repaired[mask == 0], image[mask == 0])
    other = np.where(mask[..., None] > 0, 255 - image, image)
    (blanked,) = model.run(image=other, mask=mask)  # what the mask covers is never seen
    np.testing.assert_array_equal(blanked, repaired)


def test_a_graph_that_differs_from_its_network_is_refused() -> None:
    model = export.export_detector(UNet(1).eval(), 0.5, SIZE, 1)
    other = export.DetectorGraph(UNet(1).eval(), 0.5).eval()
    with pytest.raises(BundleError, match="differs from the trained network"):
        export._check_parity(other, model, {"image": torch.from_numpy(picture(1))}, export.PARITY)
