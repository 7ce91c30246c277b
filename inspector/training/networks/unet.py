"""A small U-Net from scratch: for pictures at their own resolution, where defects are a few pixels wide.

It works at half resolution: its first convolution steps by two, and its last layer hands out four values a pixel that
are shuffled into place (Shi et al. 2016), so that every output pixel is still decided for itself.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from inspector.training.networks.detector import Detector

WIDTHS = (16, 32, 64, 96)


class UNet(Detector):
    """A small U-Net (Ronneberger et al. 2015): [N,C,H,W] in [0, 1] -> defect logits [N,H,W]."""

    def __init__(self, channels: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.stem = _block(channels, widths[0], size=6, stride=2)
        self.first = _block(widths[0], widths[0])
        self.down = nn.ModuleList(
            nn.Sequential(_block(narrow, wide, stride=2), _block(wide, wide)) for narrow, wide in pairwise(widths)
        )
        self.up = nn.ModuleList(
            nn.Sequential(_block(narrow + wide, narrow), _block(narrow, narrow)) for narrow, wide in pairwise(widths)
        )
        self.head = nn.Sequential(nn.Conv2d(widths[0], 4, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, image: Tensor) -> Tensor:
        """Defect logits, one a pixel."""
        levels = [self.first(self.stem(image))]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = levels.pop()
        for up in reversed(self.up):
            x = up(torch.cat([levels.pop(), functional.interpolate(x, scale_factor=2.0, mode="nearest")], dim=1))
        logits: Tensor = self.head(x)[:, 0]
        return logits


def _block(channels: int, width: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, size, stride=stride, padding=(size - 1) // 2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )
