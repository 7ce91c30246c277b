"""A U-Net of gated convolutions: fills holes.

It works at half resolution, as the detector of `unet` does.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (16, 32, 64)


class GatedUNet(nn.Module):
    """Fills holes: [N,C,H,W] in [0, 1] and hole [N,1,H,W] in {0, 1} -> [N,C,H,W], complete.

    A pyramid first spreads the surroundings into the hole (push-pull, Gortler et al. 1996); a U-Net of gated
    convolutions (Yu et al. 2019) then draws what belongs there on top.
    """

    def __init__(self, channels: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.stem = _Gated(channels + 1, widths[0], size=6, stride=2)
        self.down = nn.ModuleList(
            nn.Sequential(_Gated(narrow, wide, stride=2), _Gated(wide, wide)) for narrow, wide in pairwise(widths)
        )
        self.middle = nn.Sequential(*(_Gated(widths[-1], widths[-1], dilation=step) for step in (2, 4)))
        self.up = nn.ModuleList(_Gated(narrow + wide, narrow) for narrow, wide in pairwise(widths))
        self.last = _Gated(widths[0], widths[0])
        self.head = nn.Sequential(nn.Conv2d(widths[0], 4 * channels, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, image: Tensor, hole: Tensor) -> Tensor:
        """The whole picture anew; only what lies in the hole is meant to be used."""
        spread = push_pull(image * (1 - hole), 1 - hole)
        levels = [self.stem(torch.cat([spread, hole], dim=1))]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = self.middle(levels.pop())
        for up in reversed(self.up):
            x = up(torch.cat([levels.pop(), functional.interpolate(x, scale_factor=2.0, mode="nearest")], dim=1))
        drawn: Tensor = spread + self.head(self.last(x))
        return drawn


class _Gated(nn.Module):
    """A convolution whose every output is let through by a second one."""

    def __init__(self, channels: int, width: int, size: int = 3, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (size - 1) // 2
        self.feature = nn.Conv2d(channels, width, size, stride, padding, dilation)
        self.gate = nn.Conv2d(channels, width, size, stride, padding, dilation)

    def forward(self, x: Tensor) -> Tensor:
        # Leaky: without a batch norm to bring them back, plain ReLUs were seen to die, one layer to its last channel.
        gated: Tensor = functional.leaky_relu(self.feature(x), 0.2) * torch.sigmoid(self.gate(x))
        return gated


def push_pull(known: Tensor, weight: Tensor, levels: int = 4) -> Tensor:
    """Spread what is known into what is not, coarse to fine.

    known: [N,C,H,W], 0 where unknown;  weight: [N,1,H,W], 1 where known;  H and W are multiples of 2**levels.
    Known pixels come back as they were. At the coarsest level what is unknown takes the mean of its neighbours, twice
    over (normalised convolution, Knutsson and Westin 1993), and where they are unknown too that of the picture.
    """
    pyramid = [(known, weight)]
    for _ in range(levels):
        pyramid.append(tuple(functional.avg_pool2d(part, 2) for part in pyramid[-1]))  # type: ignore[arg-type]
    known, weight = pyramid.pop()
    mean = known.mean(dim=(2, 3), keepdim=True) / (weight.mean(dim=(2, 3), keepdim=True) + 1e-4)
    near, cover = known, weight
    for _ in range(2):
        near, cover = (functional.avg_pool2d(part, 3, stride=1, padding=1) for part in (near, cover))
    spread = known + (1 - weight) * (near + 1e-3 * mean) / (cover + 1e-3)
    for known, weight in reversed(pyramid):
        spread = functional.interpolate(spread, scale_factor=2.0, mode="bilinear", align_corners=False)
        spread = known + (1 - weight) * spread
    return spread
