"""The architectures by name. A new one is one file here and one line below.

A detector is built for a number of channels and takes pictures [N,C,H,W] in [0, 1] to defect logits [N,H,W]. A
repairer takes pictures and holes [N,1,H,W] in {0, 1} to whole pictures [N,C,H,W].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from inspector.training.networks.gated import GatedUNet
from inspector.training.networks.unet import UNet

STRIDE = 16
"""Height and width of every network's input must be multiples of this."""

DETECTORS: Mapping[str, Callable[[int], nn.Module]] = {"unet": UNet}

REPAIRERS: Mapping[str, Callable[[int], nn.Module]] = {"gated": GatedUNet}
