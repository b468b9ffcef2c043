"""Clips straight out of 3-D transposed convolutions, with no part of their own for time (TGAN's baseline).

Layout: B clips, D codes, C channels, T frames, H, W.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mediagen.nn.upsample import Mode, doubler


class VolumeGenerator(nn.Module):
    """Codes (B, D) -> clips (B, colours, T, H, W) in [-1, 1]: linear, then a doubling of all axes per entry of `channels`."""

    def __init__(self, codes: int, channels: Sequence[int], corner: tuple[int, int, int], colours: int, mode: Mode):
        super().__init__()
        self.corner = (channels[0], *corner)
        self.linear = nn.Linear(codes, math.prod(self.corner))
        layers: list[nn.Module] = [nn.BatchNorm3d(channels[0]), nn.ReLU(inplace=True)]
        for inputs, outputs in itertools.pairwise(channels):
            layers += [doubler(3, inputs, outputs, mode), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, doubler(3, channels[-1], colours, mode), nn.Tanh())

    def forward(self, codes: Tensor) -> Tensor:
        x = self.linear(codes).unflatten(1, self.corner)
        clips: Tensor = self.layers(x.contiguous(memory_format=torch.channels_last_3d))
        return clips
