"""Fits what `Discover` has beside its decoder: the distances, and the blend of all heads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from inspector.training.fit_detector import as_input
from inspector.training.networks.discover import COMPARED, Discover, smoothed
from inspector.training.pictures import Pictures

MOST = 512
"""Normal pictures whose features are held in memory at once, about 0.3 MB each."""


@torch.inference_mode()
def fit_distances(network: Discover, pictures: Pictures) -> None:
    """Show the distance heads the normal pictures, or an even spread of `MOST` of them."""
    network.eval()
    found = [[smoothed(network.trunk(image)[level]) for level in COMPARED] for image in _normal(pictures)]
    network.fit([torch.cat(level) for level in zip(*found, strict=True)])


@torch.inference_mode()
def blend(network: Discover, pictures: Pictures) -> None:
    """Measure all heads on normal pictures that none has seen, and blend them."""
    network.eval()
    logits = torch.cat([network.heads(image).flatten(1) for image in _normal(pictures)], dim=1)
    network.blend(logits.mean(dim=1), logits.std(dim=1))


def _normal(pictures: Pictures) -> Iterator[Tensor]:
    indices = [i for i, sample in enumerate(pictures.samples) if sample.good]
    for index in indices[:: -(-len(indices) // MOST)]:
        image, _, _ = pictures.fitted(index)
        yield as_input(image[np.newaxis], torch.device("cpu"))
