"""Finds what normal pictures never showed: heads on one pretrained trunk, which stays as it is.

Two of them measure how far a place's features lie from those that this place had in normal pictures (PaDiM, Defard et
al. 2021), one for each of two levels. The third is a decoder trained on synthetic defects (DRAEM, Zavrtanik et al.
2021; here on pretrained features). The distances know what is unusual, the decoder where a defect's border runs; the
mean of all is taken, each in units of its own spread over normal pictures.
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

COMPARED = {2: 2, 3: 1}
"""The trunk's levels that are compared, and of each how many places a side share a covariance."""

_SHARED = 0.1
"""Share that the covariance of all places has in each block's: a block alone sees too little."""

_FLOOR = 0.01
"""Variance added in every direction, as a share of the feature's: directions that hardly vary are mostly noise."""

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
        self.distances = nn.ModuleList(
            Distance(WIDTHS[level], (size[0] >> level + 1, size[1] >> level + 1), block)
            for level, block in COMPARED.items()
        )
        self.register_buffer("centre", torch.zeros(1 + len(COMPARED)))
        self.register_buffer("spread", torch.ones(1 + len(COMPARED)))
        self.blended = False

    def forward(self, image: Tensor) -> Tensor:
        """The blend of all heads; until `blend` was called the decoder's logits alone."""
        if not self.blended:
            decoded: Tensor = self.decoder(self.trunk(image))
            return decoded
        heads = (self.heads(image) - self.centre[:, None, None, None]) / self.spread[:, None, None, None]
        return heads.mean(dim=0).clamp(-_CLIP, _CLIP)

    def heads(self, image: Tensor) -> Tensor:
        """The decoder's logits and each level's distances, [3,N,H,W]."""
        levels = self.trunk(image)
        distances = [
            enlarge(distance(smoothed(levels[level])), 2 << level)[:, 0]
            for level, distance in zip(COMPARED, self.distances, strict=True)
        ]
        return torch.stack([self.decoder(levels), *distances])

    def fit(self, levels: list[Tensor]) -> None:
        """Learn from the trunk's levels over all normal pictures, only those of `COMPARED`, smoothed."""
        for level, distance in zip(levels, self.distances, strict=True):
            distance.fit(level)  # type: ignore[operator]

    def blend(self, centre: Tensor, spread: Tensor) -> None:
        """From now on all heads count, in units of the `spread` [3] that they have about the `centre` [3]."""
        self.centre.copy_(centre)
        self.spread.copy_(spread)
        self.blended = True


class Distance(nn.Module):
    """How unusual features are at their place: [N,D,h,w] -> [N,1,h,w], 1 on average over normal pictures.

    A place has its own mean; blocks of `block` by `block` places share a covariance, drawn towards that of all.
    """

    mean: Tensor
    whiten: Tensor

    def __init__(self, width: int, size: tuple[int, int], block: int) -> None:
        super().__init__()
        self.block = block
        blocks = (size[0] // block) * (size[1] // block)
        self.register_buffer("mean", torch.zeros(1, width, *size))
        self.register_buffer("whiten", torch.eye(width, dtype=torch.half).repeat(blocks, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Root mean square of the decorrelated differences from the place's mean (Mahalanobis distance)."""
        n, _, h, w = features.shape
        white = self._by_block(features - self.mean) @ self.whiten.float()
        distance = white.square().mean(dim=2).sqrt()
        side = self.block
        places = distance.reshape(h // side, w // side, n, side, side).permute(2, 0, 3, 1, 4)
        return places.reshape(n, 1, h, w)

    def fit(self, normal: Tensor) -> None:
        """Learn from the features [N,D,h,w] of normal pictures."""
        self.mean.copy_(normal.mean(dim=0, keepdim=True))
        rest = self._by_block(normal - self.mean)
        covariances = rest.transpose(1, 2) @ rest / rest.shape[1]
        shared = covariances.mean(dim=0)
        floor = _FLOOR * torch.diag(shared.diagonal().clamp(min=1e-6))
        inverse = torch.linalg.cholesky((1 - _SHARED) * covariances + _SHARED * shared + floor).inverse()
        self.whiten.copy_(inverse.transpose(1, 2))

    def _by_block(self, features: Tensor) -> Tensor:
        """[N,D,h,w] -> [blocks, N * places, D]."""
        n, d, h, w = features.shape
        side = self.block
        split = features.reshape(n, d, h // side, side, w // side, side).permute(2, 4, 0, 3, 5, 1)
        return split.reshape((h // side) * (w // side), n * side * side, d)


def smoothed(level: Tensor) -> Tensor:
    """Each place's features, averaged with its neighbours'."""
    return functional.avg_pool2d(_framed(level), 3, stride=1)


def enlarge(x: Tensor, times: int) -> Tensor:
    """`x` [N,C,h,w] at `times` its size, where element i lies at pixel times * (i + 1) - 1, as the trunk has it."""
    height, width = x.shape[2] * times, x.shape[3] * times
    large = functional.interpolate(_framed(x), scale_factor=float(times), mode="bilinear", align_corners=False)
    start = times - times // 2
    return large[:, :, start : start + height, start : start + width]


def _framed(x: Tensor) -> Tensor:
    return functional.pad(x, (1, 1, 1, 1), mode="replicate")
