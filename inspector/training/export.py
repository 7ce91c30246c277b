"""Turns trained networks into the bundle's two ONNX graphs, which take and give the camera's bytes.

Everything that surrounds a network is inside its graph: scaling to [0, 1], the folded threshold and the frame's score
in the detector; blanking, rounding and compositing in the repairer.
"""

from __future__ import annotations

import logging
import math
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from inspector.errors import BundleError
from inspector.inference import runtimes
from inspector.training.networks import STRIDE

Free: TypeAlias = Mapping[str, Mapping[int, str]]

OPSET = 17
PARITY = 1e-4
"""Largest difference that a graph's probabilities may have from its network's."""


class DetectorGraph(nn.Module):
    """image uint8 [N,H,W,C] -> score float32 [N], map float32 [N,H,W]; `threshold` has become 0.5."""

    def __init__(self, network: nn.Module, threshold: float) -> None:
        super().__init__()
        self.network = network
        self.shift = math.log(threshold / (1 - threshold))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The score is the highest mean of 3x3 pixels: one hot pixel does not make a defect."""
        logits = self.network(image.permute(0, 3, 1, 2).float() / 255)
        probability = torch.sigmoid(logits - self.shift)
        # Added up, for OpenVINO takes five times as long to pool a single channel.
        rows = probability[:, :-2] + probability[:, 1:-1] + probability[:, 2:]
        sums = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
        return sums.amax(dim=(1, 2)) / 9, probability


class ComparingDetectorGraph(DetectorGraph):
    """image, reference uint8 [N,H,W,C] -> as `DetectorGraph`."""

    def forward(self, image: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """The reference's channels go behind the image's."""
        return super().forward(torch.cat([image, reference], dim=3))


class RepairerGraph(nn.Module):
    """image uint8 [N,H,W,C], mask uint8 [N,H,W] -> repaired uint8 [N,H,W,C], the same outside the mask."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Fill where the mask is not 0."""
        return self.repaired(image, image, mask)

    def repaired(self, shown: Tensor, image: Tensor, mask: Tensor) -> Tensor:
        """`image` with what the network draws in the hole when it is `shown` that [N,H,W,C or 2C]."""
        drawn = self.network(shown.permute(0, 3, 1, 2).float() / 255, (mask > 0).float()[:, None])
        filled = (drawn.clamp(0, 1) * 255).round().permute(0, 2, 3, 1)
        return torch.where(mask[..., None] > 0, filled, image.float()).to(torch.uint8)


class GuidedRepairerGraph(RepairerGraph):
    """image uint8 [N,H,W,C], mask uint8 [N,H,W], reference uint8 [N,H,W,C] -> as `RepairerGraph`."""

    def forward(self, image: Tensor, mask: Tensor, reference: Tensor) -> Tensor:  # type: ignore[override]
        """The reference's channels go behind the image's."""
        return self.repaired(torch.cat([image, reference], dim=3), image, mask)


def export_detector(
    network: nn.Module, threshold: float, size: tuple[int, int], channels: int, reference: bool = False
) -> bytes:
    """The detector as ONNX for pictures of `size` (height, width), any number at once.

    reference: the network compares, and the graph takes a second picture
    """
    graph = (ComparingDetectorGraph if reference else DetectorGraph)(network, threshold).eval()
    names = ["image", "reference"] if reference else ["image"]
    pictures = {name: _noise((2, *size, channels), seed) for seed, name in enumerate(names)}
    free = {name: {0: "N"} for name in (*names, "score", "map")}
    model = _export(graph, tuple(pictures.values()), names, ["score", "map"], free)
    _check_parity(graph, model, pictures, PARITY)
    return model


def export_repairer(network: nn.Module, channels: int, reference: bool = False) -> bytes:
    """The repairer as ONNX for any number of pictures of any size that is a multiple of 16.

    reference: the network is guided, and the graph takes a second picture
    """
    graph = (GuidedRepairerGraph if reference else RepairerGraph)(network).eval()
    names = ["image", "mask", "reference"] if reference else ["image", "mask"]
    free = {name: {0: "N", 1: "H", 2: "W"} for name in (*names, "repaired")}

    def sample(height: int, width: int) -> dict[str, Tensor]:
        image, mask = _hole_sample(height, width, channels)
        pictures = {"image": image, "mask": mask, "reference": _noise((2, height, width, channels), seed=1)}
        return {name: pictures[name] for name in names}

    model = _export(graph, tuple(sample(64, 96).values()), names, ["repaired"], free)
    for height, width in ((64, 96), (128, 128), (4 * STRIDE, 2 * STRIDE)):
        _check_parity(graph, model, sample(height, width), 1.0)
    return model


def _export(
    graph: nn.Module,
    sample: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    free: Free,
) -> bytes:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        # The TorchScript exporter is deprecated, yet the only one that folds batch norms and keeps dimensions free
        # without a second package; the parity check below is what we rely on.
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            graph, sample, path, input_names=inputs, output_names=outputs, dynamic_axes=free,
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        return path.read_bytes()


def _check_parity(graph: nn.Module, model: bytes, sample: dict[str, Tensor], tolerance: float) -> None:
    with torch.inference_mode():
        expected = graph(*sample.values())
    expected = expected if isinstance(expected, tuple) else (expected,)
    found = runtimes.load(model, "cpu").run(**{name: value.numpy() for name, value in sample.items()})
    for ours, theirs in zip(expected, found, strict=True):
        difference = float(np.abs(ours.numpy().astype(np.float64) - theirs.astype(np.float64)).max())
        if difference > tolerance:
            raise BundleError(
                f"the exported graph differs from the trained network by {difference:.2g} (allowed: {tolerance:.2g}); "
                "this version of torch or onnxruntime exports wrongly: install another one"
            )


def _noise(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def _hole_sample(height: int, width: int, channels: int) -> tuple[Tensor, Tensor]:
    mask = torch.zeros((2, height, width), dtype=torch.uint8)
    mask[:, height // 4 : height // 2, width // 4 : width // 2] = 255
    return _noise((2, height, width, channels)), mask
