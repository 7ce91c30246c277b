"""What the networks are trained to make small."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def detection_loss(logits: Tensor, truth: Tensor, positive_weight: float) -> Tensor:
    """Weighted binary cross-entropy plus soft Dice (Milletari et al. 2016); both [N,H,W], truth in {0, 1}.

    Cross-entropy teaches each pixel for itself; Dice, over the whole batch, keeps small defects from drowning.
    """
    weight = torch.tensor(positive_weight, device=logits.device)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, pos_weight=weight)
    probability = torch.sigmoid(logits)
    overlap = 2 * (probability * truth).sum()
    dice = 1 - (overlap + 1) / (probability.sum() + truth.sum() + 1)
    return entropy + 0.5 * dice


def repair_loss(drawn: Tensor, wanted: Tensor, hole: Tensor) -> Tensor:
    """Mean absolute plus twice the mean squared error inside the hole; pictures [N,C,H,W] in [0, 1], hole [N,1,H,W].

    Each picture counts alike: by the pixel, the largest holes, of which least can be known, would drown the rest.
    """
    return (hole_mean((drawn - wanted).abs(), hole) + 2 * hole_mean((drawn - wanted).square(), hole)).mean()


def hole_mean(error: Tensor, hole: Tensor) -> Tensor:
    """The mean [N] of `error` [N,C,H,W] over each picture's hole [N,1,H,W]."""
    pixels = hole.sum(dim=(1, 2, 3)) * error.shape[1]
    return (error * hole).sum(dim=(1, 2, 3)) / pixels.clamp(min=1)
