"""A U-Net (Ronneberger et al. 2015) whose way down is EfficientNet-Lite0's pretrained trunk.

The way up is of depthwise-separable convolutions and ends at half resolution, where four values a pixel are shuffled
into place (Shi et al. 2016): every output pixel is decided for itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from inspector.training.networks.detector import Detector
from inspector.training.networks.lite0 import WIDTHS, Lite0

DECODER = (16, 32, 48, 96)
"""Channels on the way up, finest first."""

_FROZEN = 3
"""Blocks of the trunk that are not trained: edges and corners look alike everywhere."""


class Segmenter(Detector):
    """A head for the picture as a whole, on the trunk's coarsest level, helps to train it and is then dropped."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.trunk = Lite0(channels, levels=5)
        self.decoder = Decoder(WIDTHS, DECODER)
        self.picture = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * WIDTHS[-1], 1))
        for part in (self.trunk.stem, self.trunk.stem_norm, *self.trunk.blocks[:_FROZEN]):
            part.requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        """Defect logits, one a pixel."""
        logits: Tensor = self.decoder(self.trunk(image))
        return logits

    def answers(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The pixels' logits [N,H,W] by the decoder, and the picture's [N] by its head."""
        levels = self.trunk(image)
        coarse = levels[-1].flatten(2)
        picture = self.picture(torch.cat([coarse.mean(dim=2), coarse.amax(dim=2)], dim=1))[:, 0]
        return self.decoder(levels), picture


class Decoder(nn.Module):
    """Levels, finest (half resolution) first -> logits [N,H,W]."""

    def __init__(self, levels: tuple[int, ...], widths: tuple[int, ...]) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.Conv2d(level, width, 1, bias=False), nn.BatchNorm2d(width))
            for level, width in zip(levels, (*widths, widths[-1]), strict=True)
        )
        wider = (*widths[1:], widths[-1])
        self.join = nn.ModuleList(_separable(width + wide, width) for width, wide in zip(widths, wider, strict=True))
        self.head = nn.Sequential(_separable(widths[0], widths[0]), nn.Conv2d(widths[0], 4, 1), nn.PixelShuffle(2))

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Join from the coarsest level to the finest."""
        x = functional.relu(self.lateral[-1](levels[-1]))
        for index in reversed(range(len(self.join))):
            level = functional.relu(self.lateral[index](levels[index]))
            x = self.join[index](torch.cat([level, doubled(x, level)], dim=1))
        logits: Tensor = self.head(x)[:, 0]
        return logits


def doubled(x: Tensor, level: Tensor) -> Tensor:
    """Each element of [N,C,H,W] twice in each direction, and an odd last one once, for it to be as large as `level`.

    By a factor: ONNX Runtime would not do it in its own layout, were it to a size.
    """
    height, width = (int(length) for length in level.shape[2:])
    large = functional.interpolate(x, scale_factor=2.0, mode="nearest")
    return large if large.shape[2:] == (height, width) else large[:, :, :height, :width]


def _separable(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.Conv2d(channels, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )
