"""What all detectors have in common."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

HOTTEST = 4
"""Places of 3x3 pixels that speak for a picture: no more than the smallest defects have."""


class Detector(nn.Module):
    """Called with pictures [N,C,H,W] in [0, 1] it gives defect logits [N,H,W], one a pixel."""

    def answers(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """What is trained: the pixels' logits [N,H,W], and a logit [N] for each picture as a whole."""
        logits = self(image)
        return logits, hottest(logits)


def hottest(logits: Tensor) -> Tensor:
    """A picture's logit [N] by its pixels' [N,H,W]: the mean of its highest places of 3x3 pixels."""
    places = functional.avg_pool2d(logits[:, None], 3, stride=2).flatten(1)
    return places.topk(min(HOTTEST, places.shape[1]), dim=1).values.mean(dim=1)
