"""The architectures by name. A new one is one file here and one entry below.

A detector is built for a number of channels and a size (height, width), and takes pictures [N,C,H,W] in [0, 1] to
defect logits [N,H,W]; one that compares takes pairs [N,2C,H,W], a reference behind each frame. A repairer takes
pictures and holes [N,1,H,W] in {0, 1} to whole pictures [N,C,H,W]; one that is guided takes pairs, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from torch import nn

from inspector.training.networks.detector import Detector
from inspector.training.networks.discover import Discover
from inspector.training.networks.guided import GuidedUNet
from inspector.training.networks.membrane import MembraneUNet
from inspector.training.networks.paired import PairedUNet
from inspector.training.networks.segmenter import Segmenter
from inspector.training.networks.unet import UNet

STRIDE = 16
"""Height and width of every network's input must be multiples of this."""

LARGE = 640 * 640
"""Pixels of an input that small defects and small differences are found in: about 75 ms of one core a frame; the usual
256x256 take 12."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A detector and how it wants to be trained.

    whole: it is shown whole pictures, which tell it where it looks, and whether there is a defect at all counts, too;
        else small views, pixel by pixel: a young network's hottest places are wrong, and to heat them leads it astray
    pixels: of its input, at most, where no size is given
    steps: batches that it sees where no epochs are given
    trunk_rate: the pretrained trunk's share of the learning rate
    focal: what it has learned hardly counts any more (`losses.focal`), for what starts out knowing much
    """

    build: Callable[[int, tuple[int, int]], Detector]
    whole: bool
    pixels: int = 256 * 256
    steps: int = 500
    trunk_rate: float = 1.0
    focal: bool = False


_SEGMENTER = Architecture(lambda channels, size: Segmenter(channels), whole=True, trunk_rate=0.2, focal=True)

DETECTORS: Mapping[str, Architecture] = {
    "discover": Architecture(Discover, whole=True),
    "segmenter": _SEGMENTER,
    "closeup": replace(_SEGMENTER, whole=False, pixels=LARGE, steps=1500),
    "unet": Architecture(lambda channels, size: UNet(channels), whole=False, pixels=LARGE, steps=1500),
}

COMPARERS: Mapping[str, Architecture] = {
    "paired": Architecture(lambda channels, size: PairedUNet(channels), whole=False, pixels=LARGE)
}

REPAIRERS: Mapping[str, Callable[[int], nn.Module]] = {"membrane": MembraneUNet}

GUIDED: Mapping[str, Callable[[int], nn.Module]] = {"guided": GuidedUNet}
