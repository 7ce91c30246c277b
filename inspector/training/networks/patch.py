"""A discriminator that judges patches: does what fills the hole look like the rest, wherever it came from?"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

WIDTHS = (32, 64, 96)


class PatchDiscriminator(nn.Module):
    """Pictures [N,C,H,W] in [0, 1] and holes [N,1,H,W] in {0, 1} -> logits [N,1,H/4,W/4], above 0 for real patches.

    As in pix2pix (Isola et al. 2017), with spectral norms (Miyato et al. 2018) so that it cannot run away, and shown
    the hole (free-form inpainting, Yu et al. 2019).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second, third = WIDTHS
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv2d(channels + 1, first, 4, 2, 1)), nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(first, second, 4, 2, 1)), nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(second, third, 3, 1, 1)), nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(third, 1, 3, 1, 1)),
        )  # fmt: skip

    def forward(self, image: Tensor, hole: Tensor) -> Tensor:
        """How real each patch looks."""
        logits: Tensor = self.layers(torch.cat([2 * image - 1, hole], dim=1))
        return logits
