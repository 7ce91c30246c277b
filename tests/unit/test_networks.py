"""The networks, their losses, and that an exported graph is the network that was trained."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="needs torch, which `make test-all` installs")
torch.set_num_threads(1)  # more only take turns on networks this small

from inspector.errors import BundleError  # noqa: E402
from inspector.inference.runtimes import onnxruntime  # noqa: E402
from inspector.training import export  # noqa: E402
from inspector.training.losses import detection_loss, focal, hole_mean, repair_loss, weighted_entropy  # noqa: E402
from inspector.training.networks import DETECTORS  # noqa: E402
from inspector.training.networks.detector import hottest  # noqa: E402
from inspector.training.networks.discover import COMPARED, Discover, enlarge, smoothed  # noqa: E402
from inspector.training.networks.guided import GuidedUNet  # noqa: E402
from inspector.training.networks.lite0 import Lite0  # noqa: E402
from inspector.training.networks.membrane import MembraneUNet, grain_from_elsewhere, push_pull  # noqa: E402
from inspector.training.networks.paired import PairedUNet  # noqa: E402
from inspector.training.networks.segmenter import Segmenter, doubled  # noqa: E402
from inspector.training.networks.unet import UNet  # noqa: E402

pytestmark = pytest.mark.full

SIZE = (48, 64)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def picture(channels: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *SIZE, channels), dtype=np.uint8)


def drawing(network: MembraneUNet) -> MembraneUNet:
    """The network as if it had learned something: fresh, it draws nothing on top of what it spreads."""
    torch.nn.init.normal_(network.head[0].weight, std=0.1)
    return network.eval()


def a_hole(count: int = 2) -> np.ndarray:
    mask = np.zeros((count, *SIZE), np.uint8)
    mask[:, 10:30, 20:45] = 255
    return mask


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("size", [(16, 16), (48, 64), (64, 32)])
def test_each_pixel_gets_its_answer(channels: int, size: tuple[int, int]) -> None:
    image = torch.rand(2, channels, *size)
    for architecture in DETECTORS.values():
        assert architecture.build(channels, size).eval()(image).shape == (2, *size)
    assert MembraneUNet(channels).eval()(image, torch.zeros(2, 1, *size)).shape == (2, channels, *size)
    pair = torch.rand(2, 2 * channels, *size)
    assert PairedUNet(channels).eval()(pair).shape == (2, *size)
    assert GuidedUNet(channels).eval()(pair, torch.zeros(2, 1, *size)).shape == (2, channels, *size)


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


def test_push_pull_bridges_a_wide_hole_as_a_membrane_does() -> None:
    ramp = torch.linspace(0.1, 0.9, 128).expand(1, 1, 128, 128)
    known = torch.ones(1, 1, 128, 128)
    known[:, :, 16:112, 16:112] = 0
    assert torch.allclose(push_pull(ramp * known, known), ramp, atol=0.03)
    fresh = MembraneUNet(1).eval()
    torch.testing.assert_close(fresh(ramp, 1 - known), push_pull(ramp * known, known))


def test_push_pull_stays_within_bounds_where_nothing_is_known() -> None:
    spread = push_pull(torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 32, 32))
    assert torch.isfinite(spread).all()
    assert spread.abs().max() <= 1


def test_a_repairer_may_be_shown_more_than_the_picture_with_its_hole() -> None:
    image, hole, more = torch.rand(2, 3, 32, 48), torch.zeros(2, 1, 32, 48), torch.rand(2, 4, 32, 48)
    hole[:, :, 8:24, 8:24] = 1
    network = drawing(MembraneUNet(3, extra=4))
    drawn = network(image, hole, more)
    assert drawn.shape == image.shape
    assert not torch.equal(network(image, hole, 1 - more), drawn)


def test_grain_comes_from_elsewhere_and_never_from_the_hole() -> None:
    image = torch.full((1, 3, 32, 64), 0.5)
    image[:, :, 4, 6] = 1.0
    image[:, :, 20, 50] = 1.0
    hole = torch.zeros(1, 1, 32, 64)
    hole[:, :, 16:24, 44:56] = 1
    grain = grain_from_elsewhere(image, hole)
    assert grain.shape == (1, 1, 32, 64)
    assert float(grain[0, 0, 20, 38]) == pytest.approx(0.5 * 24 / 25)  # half the height and width away
    assert float(grain[0, 0, 4, 18]) == 0.0  # what was in the hole
    assert float(grain[0, 0, 10:, 50:].abs().max()) == 0.0


def test_the_detection_loss_falls_from_wrong_over_unsure_to_right() -> None:
    truth = torch.zeros(1, 16, 16)
    truth[:, 2:10, 2:10] = 1
    right, unsure, wrong = (loss_of(sign * (2 * truth - 1), truth) for sign in (9.0, 0.0, -9.0))
    assert 0 <= right < 0.01 < unsure < wrong


def loss_of(logits: torch.Tensor, truth: torch.Tensor, known: bool = True) -> float:
    return float(detection_loss(logits, hottest(logits), truth, torch.tensor([known]), weighted_entropy(3.0)))


def test_without_a_pictures_logit_the_pixels_alone_count() -> None:
    truth, logits, known = torch.zeros(1, 16, 16), torch.zeros(1, 16, 16), torch.tensor([True])
    pixels = float(detection_loss(logits, None, truth, known, weighted_entropy(3.0)))
    assert loss_of(logits, truth) == pytest.approx(pixels + 0.3 * np.log(2))


def test_focal_loss_is_cross_entropy_where_wrong_and_next_to_nothing_where_nearly_right() -> None:
    truth, wrong, nearly = torch.tensor([1.0, 0.0]), torch.tensor([-9.0, 9.0]), torch.tensor([2.0, -2.0])
    torch.testing.assert_close(focal(wrong, truth), 3 * 9 * torch.tensor([0.75, 0.25]), rtol=1e-3, atol=0)
    assert (focal(nearly, truth) < 0.05 * weighted_entropy(1.0)(nearly, truth)).all()


def test_where_only_the_label_is_known_any_place_may_be_the_defect() -> None:
    truth = torch.ones(1, 64, 64)
    nowhere = torch.full((1, 64, 64), -9.0)
    here, there = nowhere.clone(), nowhere.clone()
    here[:, 4:16, 4:16] = 9.0
    there[:, 40:52, 40:52] = 9.0
    assert loss_of(here, truth, known=False) == loss_of(there, truth, known=False) < 0.01
    assert loss_of(nowhere, truth, known=False) > 1
    assert loss_of(here, truth) > loss_of(here, truth, known=False)


def test_a_pictures_logit_is_that_of_its_hottest_places() -> None:
    logits = torch.zeros(2, 32, 32)
    logits[1, 8:24, 8:24] = 5.0
    assert hottest(logits).tolist() == [0.0, 5.0]


def test_the_trunk_takes_a_grey_picture_as_a_colour_picture_without_colour() -> None:
    grey = torch.rand(1, 1, 64, 64)
    for ours, theirs in zip(Lite0(1).eval()(grey), Lite0(3).eval()(grey.expand(-1, 3, -1, -1)), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize("part", ["_expand_conv", "_depthwise_conv", "_project_conv"])
def test_a_norm_within_a_convolution_is_the_norm_after_it(part: str) -> None:
    block = Lite0(1).eval().blocks[1]  # its depthwise convolution steps by two
    convolution = getattr(block, part)
    norm = {"_expand_conv": block._bn0, "_depthwise_conv": block._bn1, "_project_conv": block._bn2}[part]
    x = torch.rand(2, convolution.in_channels, 8, 8)
    padded = torch.nn.functional.pad(x, (0, 1, 0, 1)) if convolution.stride[0] > 1 else x
    weight, stride, padding = convolution.weight, convolution.stride, convolution.padding
    apart = norm(torch.nn.functional.conv2d(padded, weight, None, stride, padding, groups=convolution.groups))
    slopes = []
    for normed in (convolution(x, norm), apart):
        torch.testing.assert_close(normed, apart)
        block.zero_grad()
        normed.square().sum().backward()
        slopes.append([norm.weight.grad, norm.bias.grad, weight.grad])
    torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-4)


def test_enlarging_puts_each_element_where_the_trunk_looks() -> None:
    x = torch.zeros(1, 1, 8, 8)
    x[..., 3, 5] = 1.0
    large = enlarge(x, 8)[0, 0]
    assert large.shape == (64, 64)
    rows, columns = torch.nonzero(large == large.max(), as_tuple=True)
    assert abs(float(rows.float().mean()) - (8 * 4 - 1)) <= 0.5
    assert abs(float(columns.float().mean()) - (8 * 6 - 1)) <= 0.5


def test_discover_finds_what_no_normal_picture_showed() -> None:
    rng = torch.Generator().manual_seed(3)
    ground = torch.rand(1, 1, 64, 96, generator=rng)
    normal = (ground + 0.05 * torch.randn(12, 1, 64, 96, generator=rng)).clamp(0, 1)
    network = Discover(1, (64, 96)).eval()
    with torch.inference_mode():
        network.fit([smoothed(network.trunk(normal[:8])[level]) for level in COMPARED])
        logits = network.heads(normal[8:]).flatten(1)
        network.blend(logits.mean(dim=1), logits.std(dim=1))
        strange = normal[8:9].clone()
        strange[..., 16:32, 40:56] = 0.5
        usual, odd = network(normal[8:9])[0], network(strange)[0]
    assert float(odd[16:32, 40:56].mean()) > float(odd[:, :24].mean()) + 2
    assert float(odd.max()) > float(usual.max())


def test_a_frozen_trunk_stays_as_it_came() -> None:
    for name in ("discover", "segmenter"):
        network = DETECTORS[name].build(1, (32, 32)).train()
        before = {key: value.clone() for key, value in network.trunk.state_dict().items() if "running" in key}
        network(torch.rand(4, 1, 32, 32)).sum().backward()
        assert all(torch.equal(value, network.trunk.state_dict()[key]) for key, value in before.items())
        assert network.trunk.stem.weight.grad is None


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


@pytest.mark.parametrize("size", [(64, 96), (48, 80)])
def test_a_graph_on_the_trunk_stays_in_the_runtimes_own_layout(size: tuple[int, int]) -> None:
    """What would leave it: uneven padding as a node of its own, and resizing to a size that is computed."""
    model = onnx.load_model_from_string(export.export_detector(Segmenter(1).eval(), 0.5, size, 1))
    assert {"Pad", "Shape"} & {node.op_type for node in model.graph.node} == set()
    steps = {tuple(one.ints) for node in model.graph.node for one in node.attribute if one.name == "pads"}
    assert (0, 0, 1, 1) in steps


def test_levels_are_doubled_to_the_size_of_the_finer_one() -> None:
    for length, finer in ((1, 1), (1, 2), (4, 7), (4, 8), (8, 15)):
        x, level = torch.rand(1, 2, length, length), torch.empty(1, 1, finer, finer)
        to_size = torch.nn.functional.interpolate(x, size=(finer, finer), mode="nearest")
        assert torch.equal(doubled(x, level), to_size)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_repairers_graph_touches_nothing_outside_the_mask(channels: int) -> None:
    model = onnxruntime.load(export.export_repairer(drawing(MembraneUNet(channels)), channels), "cpu")
    image, mask = picture(channels), a_hole()
    (repaired,) = model.run(image=image, mask=mask)
    assert (repaired.shape, repaired.dtype) == (image.shape, np.uint8)
    np.testing.assert_array_equal(repaired[mask == 0], image[mask == 0])
    other = np.where(mask[..., None] > 0, 255 - image, image)
    (blanked,) = model.run(image=other, mask=mask)  # what the mask covers is never seen
    np.testing.assert_array_equal(blanked, repaired)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_graph_of_a_detector_that_compares_takes_both_pictures(channels: int) -> None:
    network = PairedUNet(channels).eval()
    image, reference = picture(channels), picture(channels)[::-1].copy()
    model = onnxruntime.load(export.export_detector(network, 0.5, SIZE, channels, reference=True), "cpu")
    assert set(model.inputs) == {"image", "reference"}
    _, maps = model.run(image=image, reference=reference)
    pair = np.concatenate([image, reference], axis=3)
    with torch.inference_mode():
        expected = torch.sigmoid(network(torch.from_numpy(pair).permute(0, 3, 1, 2).float() / 255))
    np.testing.assert_allclose(maps, expected.numpy(), atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_untrained_guided_repairer_shows_the_reference_in_the_hole(channels: int) -> None:
    model = onnxruntime.load(export.export_repairer(GuidedUNet(channels).eval(), channels, reference=True), "cpu")
    image, reference, mask = picture(channels), picture(channels)[::-1].copy(), a_hole()
    (repaired,) = model.run(image=image, mask=mask, reference=reference)
    np.testing.assert_array_equal(repaired, np.where(mask[..., None] > 0, reference, image))


def test_a_guided_repairer_never_sees_what_the_hole_covers() -> None:
    network = GuidedUNet(1).eval()
    torch.nn.init.normal_(network.head[0].weight)  # type: ignore[arg-type]
    pair, hole = torch.rand(1, 2, 32, 32), torch.zeros(1, 1, 32, 32)
    hole[:, :, 8:20, 8:20] = 1
    other = pair.clone()
    other[:, :1] = torch.where(hole > 0, 1 - pair[:, :1], pair[:, :1])
    with torch.inference_mode():
        assert torch.equal(network(pair, hole), network(other, hole))
        assert not torch.equal(network(pair, hole)[hole > 0], pair[:, 1:][hole > 0])


def test_a_shift_of_two_pixels_is_no_feature_of_the_comparison() -> None:
    frame = (torch.rand(1, 1, 48, 48) > 0.5).float()
    frame = torch.nn.functional.interpolate(frame, scale_factor=4.0)  # blocks of 4 pixels
    seen: list[torch.Tensor] = []
    network = PairedUNet(1).eval()
    network.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.cat([frame, frame.roll((1, -2), dims=(2, 3))], dim=1))
    assert float(seen[0][:, 2:4].max()) == 1.0  # a tolerance of one pixel does not explain it all
    assert float(seen[0][:, 4:, 4:-4, 4:-4].max()) == 0.0  # one of two does


def test_a_graph_that_differs_from_its_network_is_refused() -> None:
    model = export.export_detector(UNet(1).eval(), 0.5, SIZE, 1)
    other = export.DetectorGraph(UNet(1).eval(), 0.5).eval()
    with pytest.raises(BundleError, match="differs from the trained network"):
        export._check_parity(other, model, {"image": torch.from_numpy(picture(1))}, export.PARITY)
