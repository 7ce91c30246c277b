"""The repairer's second stage: what an adversary teaches, and that it is kept only where it pays."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch, which `make test-all` installs")
torch.set_num_threads(1)  # more only take turns on networks this small

from inspector.training.augment import Augmentation  # noqa: E402
from inspector.training.data import Sample  # noqa: E402
from inspector.training.fit_repairer import Windows  # noqa: E402
from inspector.training.fit_texture import Duel, Features, fit_texture, gain, improved  # noqa: E402
from inspector.training.loop import Plan  # noqa: E402
from inspector.training.networks.membrane import MembraneUNet  # noqa: E402
from inspector.training.networks.patch import PatchDiscriminator  # noqa: E402
from inspector.training.pictures import Pictures  # noqa: E402
from inspector.training.repair_batches import RepairBatches  # noqa: E402

pytestmark = pytest.mark.full


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def batches(tmp_path: Path) -> RepairBatches:
    """Grain of one direction, as of brushed metal."""
    rng = np.random.default_rng(0)
    for name in "ab":
        grain = cv2.blur(rng.normal(0, 90, (96, 96)), (9, 1))
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.clip(128 + grain, 0, 255).astype(np.uint8))
    samples = [Sample(tmp_path / f"{name}.png", "good") for name in "ab"]
    return RepairBatches(Pictures(samples, (16, 16), 1), (64,), 2, Augmentation())


def window(batches: RepairBatches) -> Windows:
    return Windows.of(*batches.draw(np.random.default_rng(1)), torch.device("cpu"))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_discriminator_judges_patches(channels: int) -> None:
    logits = PatchDiscriminator(channels)(torch.rand(2, channels, 64, 48), torch.zeros(2, 1, 64, 48))
    assert logits.shape == (2, 1, 16, 12)


def test_each_side_of_the_duel_learns_from_its_own_loss_alone(batches: RepairBatches) -> None:
    """The adversary is not told to please the repairer, nor the repairer to be found out."""
    shown, features = window(batches), Features(1)
    duel = Duel(MembraneUNet(1), 1).eval()  # spectral norms stand still
    duel.loss(shown, features).backward()
    complete = shown.wanted + (duel.repairer(shown.seen, shown.unknown) - shown.wanted) * shown.hole
    theirs = [parameter.grad.clone() for parameter in duel.adversary.parameters()]
    duel.zero_grad()
    real, fake = duel.adversary(shown.wanted, shown.hole), duel.adversary(complete.detach(), shown.hole)
    inside = torch.nn.functional.adaptive_max_pool2d(shown.hole, real.shape[-2:])
    hinge = torch.relu(1 - real) + torch.relu(1 + fake)
    ((hinge * inside).sum(dim=(1, 2, 3)) / inside.sum(dim=(1, 2, 3))).mean().backward()
    for ours, their in zip(duel.adversary.parameters(), theirs, strict=True):
        torch.testing.assert_close(ours.grad, their)
    assert all(parameter.grad is None for parameter in features.parameters())


def test_features_tell_grain_from_its_mean(batches: RepairBatches) -> None:
    shown, features = window(batches), Features(1)
    smooth = torch.full_like(shown.wanted, float(shown.wanted.mean()))
    assert float(features.distance(shown.wanted, shown.wanted, shown.hole).max()) == 0.0
    other = shown.wanted.flip(3)  # as grained, elsewhere
    near, far = (features.distance(picture, shown.wanted, shown.hole).mean() for picture in (other, smooth))
    assert 0 < float(near) < float(far)


def test_what_the_adversary_spoils_is_not_kept(batches: RepairBatches, tmp_path: Path) -> None:
    network = MembraneUNet(1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    wild = Plan(epochs=1, steps=3, batch=2, learning_rate=4.0, seed=0)
    network, figures = fit_texture(network, batches, batches, wild, tmp_path, resume=False)
    assert {"psnr", "distance", "grain", "before_psnr", "before_distance", "before_grain"} <= figures.keys()
    assert not improved(figures)
    assert gain(figures).startswith("adversary: not kept (feature distance ")
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name])
