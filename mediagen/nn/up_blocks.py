"""Residual up blocks and renderers, applied frame by frame: TGANv2's image generator (section 4.1, Fig. 3).

Layout: B clips, C channels, T frames, H, W; N = B T frames folded into one axis, clip by clip.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mediagen.nn.conditional_norm import BatchNorm
from mediagen.nn.residual3d import glorot


class UpBlock(nn.Module):
    """Up(C): BN, ReLU, unpool, conv, BN, ReLU, conv; beside it unpool and a 1 x 1 convolution. Twice the size.

    The unpooled picture itself is never made: `unpooled_convolution`, and 1 x 1 convolutions commute with unpooling.
    """

    def __init__(self, inputs: int, outputs: int, categories: int):
        super().__init__()
        self.norm1, self.norm2 = BatchNorm(inputs, categories), BatchNorm(outputs, categories)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)
        for layer in (self.conv1, self.conv2):
            glorot(layer, math.sqrt(2))
        glorot(self.shortcut)

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, 2 H, 2 W); `labels` (N,)."""
        beside = unpool(self.shortcut(x))
        x = unpooled_convolution(F.relu(self.norm1(x, labels)), self.conv1.weight, self.conv1.bias)
        return self.conv2(F.relu(self.norm2(x, labels))) + beside


class Render(nn.Module):
    """g^R: BN, ReLU, conv to RGB, tanh."""

    def __init__(self, inputs: int, categories: int):
        super().__init__()
        self.norm = BatchNorm(inputs, categories)
        self.conv = nn.Conv2d(inputs, 3, 3, padding=1)
        glorot(self.conv)

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        return torch.tanh(self.conv(F.relu(self.norm(x, labels))))


def unpool(x: Tensor) -> Tensor:
    """Every pixel twice along both axes."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def unpooled_convolution(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """conv3x3(unpool(x)), zero padded, as one transposed convolution: 4 products a pixel and channel instead of 9.

    A 3 x 3 kernel over pairs of equal pixels is a 4 x 4 kernel of stride 2: w convolved with a 2 x 2 of ones.
    """
    wide = F.pad(weight, (1, 1, 1, 1))
    wide = wide[:, :, 1:] + wide[:, :, :-1]
    wide = wide[:, :, :, 1:] + wide[:, :, :, :-1]
    return F.conv_transpose2d(x, wide.transpose(0, 1).flip(2, 3), bias, stride=2, padding=1)


def folded(maps: Tensor) -> Tensor:
    """(B, T, C, H, W) -> (B T, C, H, W), clip by clip, channels last in memory."""
    return maps.flatten(0, 1).contiguous(memory_format=torch.channels_last)


def unfolded(frames: Tensor, batch: int) -> Tensor:
    """(B T, C, H, W) -> (B, C, T, H, W)."""
    return frames.unflatten(0, (batch, -1)).transpose(1, 2)
