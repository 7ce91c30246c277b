"""A U-Net that compares a frame with its registered reference picture.

Beside the two pictures it is shown by how much a pixel of one is brighter or darker than all of the other's around it:
differences that no shift of a pixel or two, and no ragged edge, can explain. (Grey-scale morphology, as in Borgefors'
and later inspection of boards; here only the network's first features.)
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from inspector.training.networks.detector import Detector
from inspector.training.networks.unet import WIDTHS, UNet

TOLERANCES = (1, 2)
"""Pixels around a pixel within which the other picture may explain it."""


class PairedUNet(Detector):
    """[N,2C,H,W] in [0, 1], the reference picture's channels behind the frame's -> defect logits [N,H,W]."""

    def __init__(self, channels: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.channels = channels
        self.network = UNet(channels * (2 + 2 * len(TOLERANCES)), widths)

    def forward(self, pair: Tensor) -> Tensor:
        """Defect logits, one a pixel."""
        frame, reference = pair[:, : self.channels], pair[:, self.channels :]
        features = [frame, reference]
        for tolerance in TOLERANCES:
            features.append(functional.relu(frame - _highest(reference, tolerance)))
            features.append(functional.relu(-_highest(-reference, tolerance) - frame))
        logits: Tensor = self.network(torch.cat(features, dim=1))
        return logits


def _highest(image: Tensor, radius: int) -> Tensor:
    """The highest value within `radius` of each pixel."""
    return functional.max_pool2d(image, 2 * radius + 1, stride=1, padding=radius)
