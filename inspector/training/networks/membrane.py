"""A U-Net that draws on a membrane: fills holes.

It works at half resolution, as the detector of `unet` does.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (16, 32, 64, 96)
"""Channels at 1/2, 1/4, 1/8 and 1/16 of the window's size."""

COARSEST = (5,) * 6 + (3,) * 24
"""Sizes of the means, one a step, that draw what was spread tight at 1/16 of the window's size: far, then fine."""

TIGHTENED = (16, 12, 8, 4)
"""Steps at 1/8, 1/4, 1/2 and the whole of the window's size."""


class MembraneUNet(nn.Module):
    """Fills holes: [N,C,H,W] in [0, 1] and hole [N,1,H,W] in {0, 1} -> [N,C,H,W], complete.

    A pyramid first spreads the surroundings into the hole (push-pull, Gortler et al. 1996); a U-Net (Ronneberger et al.
    2015) then draws what belongs there on top. For the grain that nothing near a hole's middle tells, it is shown that
    of another place in the window. Batch norms make it learn several times faster, and cost nothing in the exported
    graph. Gated convolutions (Yu et al. 2019) keep what is unknown apart from what is known; here nothing is unknown
    any more, and on pictures where little can be drawn at first their gates were seen to close for good.
    extra: channels of what else it may be shown, beside the picture
    """

    def __init__(self, channels: int, extra: int = 0, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.stem = _Layer(channels + extra + 2, widths[0], size=6, stride=2)
        self.down = nn.ModuleList(
            nn.Sequential(_Layer(narrow, wide, stride=2), _Layer(wide, wide)) for narrow, wide in pairwise(widths)
        )
        self.middle = nn.Sequential(*(_Residual(widths[-1], dilation) for dilation in (1, 2, 4)))
        self.up = nn.ModuleList(_Layer(narrow + wide, narrow) for narrow, wide in pairwise(widths))
        self.last = _Layer(widths[0], widths[0])
        self.head = nn.Sequential(nn.Conv2d(widths[0], 4 * channels, 3, padding=1), nn.PixelShuffle(2))
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)  # at first nothing is drawn on top

    def forward(self, image: Tensor, hole: Tensor, *extra: Tensor) -> Tensor:
        """The whole picture anew; only what lies in the hole is meant to be used."""
        return self.drawn_on(push_pull(image * (1 - hole), 1 - hole), hole, *extra)

    def drawn_on(self, filled: Tensor, hole: Tensor, *extra: Tensor) -> Tensor:
        """`filled` [N,C,H,W], whose hole has a first guess in it, with what is missing there drawn on top."""
        levels = [self.stem(torch.cat([filled, *extra, grain_from_elsewhere(filled, hole), hole], dim=1))]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = self.middle(levels.pop())
        for up in reversed(self.up):
            x = up(torch.cat([levels.pop(), functional.interpolate(x, scale_factor=2.0, mode="nearest")], dim=1))
        drawn: Tensor = filled + self.head(self.last(x))
        return drawn


class _Layer(nn.Sequential):
    """A convolution, its norm, and a leaky ReLU."""

    def __init__(self, channels: int, width: int, size: int = 3, stride: int = 1, dilation: int = 1) -> None:
        padding = dilation * (size - 1) // 2
        super().__init__(
            nn.Conv2d(channels, width, size, stride, padding, dilation, bias=False),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
        )


class _Residual(nn.Module):
    """Two convolutions, added to what came in; at first they add nothing."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.first = _Layer(width, width, dilation=dilation)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = x + self.norm(self.second(self.first(x)))
        return added


def push_pull(known: Tensor, weight: Tensor) -> Tensor:
    """Spread what is known into what is not, coarse to fine, as smoothly as a membrane.

    known: [N,C,H,W], 0 where unknown;  weight: [N,1,H,W], 1 where known;  H and W are multiples of 16.
    Known pixels come back as they were. At the coarsest level what is unknown takes the mean of its neighbours, twice
    over (normalised convolution, Knutsson and Westin 1993), and where they are unknown too that of the picture. There
    and at each finer level it is then drawn tight by Jacobi's steps for Laplace's equation, as in a multigrid: that
    alone fills a smooth surface as well as OpenCV's inpainters do.
    """
    pyramid = [(known, weight)]
    for _ in TIGHTENED:
        pyramid.append(tuple(functional.avg_pool2d(part, 2) for part in pyramid[-1]))  # type: ignore[arg-type]
    known, weight = pyramid.pop()
    mean = known.mean(dim=(2, 3), keepdim=True) / (weight.mean(dim=(2, 3), keepdim=True) + 1e-4)
    near, cover = known, weight
    for _ in range(2):
        near, cover = _mean_around(near, 3), _mean_around(cover, 3)
    spread = known + (1 - weight) * (near + 1e-3 * mean) / (cover + 1e-3)
    for size in COARSEST:
        spread = known + (1 - weight) * _mean_around(spread, size)
    for (known, weight), steps in zip(reversed(pyramid), TIGHTENED, strict=True):
        spread = functional.interpolate(spread, scale_factor=2.0, mode="bilinear", align_corners=False)
        spread = known + (1 - weight) * spread
        for _ in range(steps):
            spread = known + (1 - weight) * _mean_around(spread, 3)
    return spread


def _mean_around(image: Tensor, size: int) -> Tensor:
    """The mean of `size` x `size` pixels around each, of those that the picture has."""
    return functional.avg_pool2d(image, size, stride=1, padding=size // 2, count_include_pad=False)


def grain_from_elsewhere(image: Tensor, hole: Tensor) -> Tensor:
    """The grain [N,1,H,W] of `image` [N,C,H,W], its quarters exchanged crosswise; 0 where it came from the hole.

    Grain is what differs from the mean of the 5x5 pixels around.
    """
    grey = image.mean(dim=1, keepdim=True)
    grain = (grey - _mean_around(grey, 5)) * (1 - hole)
    for dim in (2, 3):
        half = grain.shape[dim] // 2
        grain = torch.cat([grain.narrow(dim, half, half), grain.narrow(dim, 0, half)], dim=dim)
    return grain
