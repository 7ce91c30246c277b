"""What the networks are trained to make small."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def detection_loss(logits: Tensor, picture: Tensor, truth: Tensor, known: Tensor, positive_weight: float) -> Tensor:
    """Weighted binary cross-entropy plus soft Dice (Milletari et al. 2016), plus cross-entropy of the whole picture.

    logits, truth [N,H,W], truth in {0, 1};  picture [N]: the logit that there is a defect at all
    known [N]: False where of a picture only its label is known, whose truth is then all 1
    Cross-entropy teaches each pixel for itself; Dice, over the whole batch, keeps small defects from drowning.
    """
    label = truth.amax(dim=(1, 2))
    weight = torch.tensor(positive_weight, device=logits.device)
    each = functional.binary_cross_entropy_with_logits(logits, truth, pos_weight=weight, reduction="none")
    share = known.float()[:, None, None]
    entropy = (each * share).mean()
    probability, truth = torch.sigmoid(logits) * share, truth * share
    dice = 1 - (2 * (probability * truth).sum() + 1) / (probability.sum() + truth.sum() + 1)
    return entropy + 0.5 * dice + 0.3 * functional.binary_cross_entropy_with_logits(picture, label)


def repair_loss(drawn: Tensor, wanted: Tensor, hole: Tensor) -> Tensor:
    """Mean absolute plus twice the mean squared error inside the hole; pictures [N,C,H,W] in [0, 1], hole [N,1,H,W].

    Each picture counts alike: by the pixel, the largest holes, of which least can be known, would drown the rest.
    """
    return (hole_mean((drawn - wanted).abs(), hole) + 2 * hole_mean((drawn - wanted).square(), hole)).mean()


def hole_mean(error: Tensor, hole: Tensor) -> Tensor:
    """The mean [N] of `error` [N,C,H,W] over each picture's hole [N,1,H,W]."""
    pixels = hole.sum(dim=(1, 2, 3)) * error.shape[1]
    return (error * hole).sum(dim=(1, 2, 3)) / pixels.clamp(min=1)
