"""Finds what normal pictures never showed: two heads on one pretrained trunk, which stays as it is.

One head measures how far a place's features lie from those that this place had in normal pictures (PaDiM, Defard et
al. 2021). The other is a decoder trained on synthetic defects (DRAEM, Zavrtanik et al. 2021; here on pretrained
features). The first knows what is unusual, the second where a defect's border runs; the mean of both is taken, each in
units of its own spread over normal pictures.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from inspector.training.networks.detector import Detector
from inspector.training.networks.lite0 import WIDTHS, Lite0
from inspector.training.networks.segmenter import Decoder

DECODER = (16, 32, 64)
"""The decoder's channels, finest first."""

CELL = 8
"""Pixels a side that one distance stands for."""

_FEATURES = WIDTHS[2] + WIDTHS[3]
BLOCK = 2
"""Places a side that share a covariance: one for each place is no better and four times as large."""

_SHARED = 0.1
"""Share that the covariance of all places has in each block's: a block alone sees too little."""

_FLOOR = 0.01
"""Variance added in every direction, as a share of the feature's: directions that hardly vary are mostly noise."""

_FARTHEST = 20.0
"""Spreads beyond which a difference says no more."""

_CLIP = 12.0
"""Logits beyond this say no more: as probabilities they cannot be told from certainty."""


class Discover(Detector):
    """Takes pictures of one size; where on them a place is matters."""

    centre: Tensor
    spread: Tensor

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.trunk = Lite0(channels, levels=4)
        self.trunk.requires_grad_(False)
        self.decoder = Decoder(WIDTHS[:4], DECODER)
        self.distance = Distance((size[0] // CELL, size[1] // CELL))
        self.register_buffer("centre", torch.zeros(2))
        self.register_buffer("spread", torch.ones(2))
        self.blended = False

    def train(self, mode: bool = True) -> Discover:
        """The trunk's statistics are never trained."""
        super().train(mode)
        self.trunk.eval()
        return self

    def forward(self, image: Tensor) -> Tensor:
        """Both heads' logits, blended; until `blend` was called the decoder's alone."""
        if not self.blended:
            decoded: Tensor = self.decoder(self.trunk(image))
            return decoded
        both = (self.heads(image) - self.centre[:, None, None, None]) / self.spread[:, None, None, None]
        return both.mean(dim=0).clamp(-_CLIP, _CLIP)

    def heads(self, image: Tensor) -> Tensor:
        """The decoder's logits and the distances, [2,N,H,W]."""
        levels = self.trunk(image)
        strange = self.distance(features(levels))
        distance = strange.square().mean(dim=1, keepdim=True).sqrt()
        return torch.stack([self.decoder(levels), enlarge(distance, CELL)[:, 0]])

    def blend(self, centre: Tensor, spread: Tensor) -> None:
        """From now on both heads count, in units of the `spread` [2] that they have about the `centre` [2]."""
        self.centre.copy_(centre)
        self.spread.copy_(spread)
        self.blended = True


class Distance(nn.Module):
    """How unusual features are at their place.

    A place has its own mean; blocks of `BLOCK` by `BLOCK` places share a covariance, drawn towards that of all.
    """

    mean: Tensor
    whiten: Tensor

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        blocks = (size[0] // BLOCK) * (size[1] // BLOCK)
        self.register_buffer("mean", torch.zeros(1, _FEATURES, *size))
        self.register_buffer("whiten", torch.eye(_FEATURES, dtype=torch.half).repeat(blocks, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Features [N,D,h,w] -> differences from the place's mean, decorrelated, in units of their spread there."""
        n, d, h, w = features.shape
        rows, columns = h // BLOCK, w // BLOCK
        white = self._by_block(features - self.mean) @ self.whiten.float()
        white = white.reshape(rows, columns, n, BLOCK, BLOCK, d).permute(2, 5, 0, 3, 1, 4)
        return white.reshape(n, d, h, w).abs().clamp(max=_FARTHEST)

    def fit(self, normal: Tensor) -> None:
        """Learn from the features [N,D,h,w] of normal pictures."""
        self.mean.copy_(normal.mean(dim=0, keepdim=True))
        rest = self._by_block(normal - self.mean)
        covariances = rest.transpose(1, 2) @ rest / rest.shape[1]
        shared = covariances.mean(dim=0)
        spread = shared.diagonal().clamp(min=1e-6)
        covariances = (1 - _SHARED) * covariances + _SHARED * shared + _FLOOR * torch.diag(spread)
        inverse = torch.linalg.cholesky(covariances).inverse()
        self.whiten.copy_(inverse.transpose(1, 2))

    def _by_block(self, features: Tensor) -> Tensor:
        """[N,D,h,w] -> [blocks, N * places, D]."""
        n, d, h, w = features.shape
        rows, columns = h // BLOCK, w // BLOCK
        split = features.reshape(n, d, rows, BLOCK, columns, BLOCK).permute(2, 4, 0, 3, 5, 1)
        return split.reshape(rows * columns, n * BLOCK * BLOCK, d)


def features(levels: list[Tensor]) -> Tensor:
    """The middle and the coarse level of the trunk, smoothed and joined at the middle one's resolution."""
    middle, coarse = (functional.avg_pool2d(_framed(level), 3, stride=1) for level in levels[2:4])
    return torch.cat([middle, enlarge(coarse, 2)], dim=1)


def enlarge(x: Tensor, times: int) -> Tensor:
    """`x` [N,C,h,w] at `times` its size, where element i lies at pixel times * (i + 1) - 1, as the trunk has it."""
    height, width = x.shape[2] * times, x.shape[3] * times
    large = functional.interpolate(_framed(x), scale_factor=float(times), mode="bilinear", align_corners=False)
    start = times - times // 2
    return large[:, :, start : start + height, start : start + width]


def _framed(x: Tensor) -> Tensor:
    return functional.pad(x, (1, 1, 1, 1), mode="replicate")
