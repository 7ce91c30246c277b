"""What the networks are trained to make small."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

PixelLoss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Each pixel's own loss [N,H,W], by the logits [N,H,W] and the truth [N,H,W] in {0, 1}."""

_DEFECTIVE, _EASY, _SCALE = 0.75, 2.0, 3.0
"""Of the focal loss: weight of defective pixels (others have the rest of 1), the power that quiets easy pixels, and the
weight of it all beside Dice."""


def detection_loss(
    logits: Tensor, picture: Tensor | None, truth: Tensor, known: Tensor, pixelwise: PixelLoss
) -> Tensor:
    """A loss of each pixel, plus soft Dice (Milletari et al. 2016), plus cross-entropy of the whole picture.

    logits, truth [N,H,W], truth in {0, 1};  picture [N]: the logit that there is a defect at all; None: not asked for
    known [N]: False where of a picture only its label is known, whose truth is then all 1
    The first teaches each pixel for itself; Dice, over the whole batch, keeps small defects from drowning.
    """
    label = truth.amax(dim=(1, 2))
    share = known.float()[:, None, None]
    each = (pixelwise(logits, truth) * share).mean()
    probability, truth = torch.sigmoid(logits) * share, truth * share
    dice = 1 - (2 * (probability * truth).sum() + 1) / (probability.sum() + truth.sum() + 1)
    pixels = each + 0.5 * dice
    return pixels if picture is None else pixels + 0.3 * functional.binary_cross_entropy_with_logits(picture, label)


def weighted_entropy(positive_weight: float) -> PixelLoss:
    """Binary cross-entropy in which a defective pixel counts `positive_weight` times."""

    def loss(logits: Tensor, truth: Tensor) -> Tensor:
        weight = torch.tensor(positive_weight, device=logits.device)
        return functional.binary_cross_entropy_with_logits(logits, truth, pos_weight=weight, reduction="none")

    return loss


def focal(logits: Tensor, truth: Tensor) -> Tensor:
    """Binary cross-entropy in which what is all but right hardly counts (Lin et al. 2017)."""
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    wrong = torch.abs(truth - torch.sigmoid(logits))
    return _SCALE * (truth * (2 * _DEFECTIVE - 1) + 1 - _DEFECTIVE) * wrong**_EASY * entropy


def repair_loss(drawn: Tensor, wanted: Tensor, hole: Tensor) -> Tensor:
    """Mean absolute plus twice the mean squared error inside the hole; pictures [N,C,H,W] in [0, 1], hole [N,1,H,W].

    Each picture counts alike: by the pixel, the largest holes, of which least can be known, would drown the rest.
    """
    return (hole_mean((drawn - wanted).abs(), hole) + 2 * hole_mean((drawn - wanted).square(), hole)).mean()


def hole_mean(error: Tensor, hole: Tensor) -> Tensor:
    """The mean [N] of `error` [N,C,H,W] over each picture's hole [N,1,H,W]."""
    pixels = hole.sum(dim=(1, 2, 3)) * error.shape[1]
    return (error * hole).sum(dim=(1, 2, 3)) / pixels.clamp(min=1)
