"""Convolutions whose weights another network emits, one set for each picture of a batch.

Layout: B batch, E embedding, O outputs, C inputs, H, W.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Weights = list[tuple[Tensor, Tensor]]
"""Of each layer: weights (B, O, C, 3, 3) and biases (B, O)."""

TANH_GAIN = 5.0 / 3.0


def leaky_gain(slope: float) -> float:
    """What keeps the size of a signal that passes a LeakyReLU."""
    return math.sqrt(2.0 / (1.0 + slope**2))


class Projection(nn.Module):
    """Linear heads, two for each 3 x 3 convolution between `widths`: its weights and its biases.

    At the start an embedding of unit size gives numbers of unit size. Weights are then multiplied by gain / sqrt(9 C),
    biases by 1 / sqrt(C), so that what the convolutions make has unit size too.
    """

    def __init__(self, embedding: int, widths: Sequence[int], gains: Sequence[float]):
        super().__init__()
        self.shapes = list(itertools.pairwise(widths))
        self.gains = list(gains)
        assert len(self.gains) == len(self.shapes)
        self.weights = nn.ModuleList(nn.Linear(embedding, o * c * 9) for c, o in self.shapes)
        self.biases = nn.ModuleList(nn.Linear(embedding, o) for _, o in self.shapes)
        for head in (*self.weights, *self.biases):
            nn.init.normal_(head.weight, 0.0, 1.0 / math.sqrt(embedding))
            nn.init.zeros_(head.bias)

    @property
    def emitted(self) -> int:
        """Numbers that one embedding becomes."""
        return sum(o * c * 9 + o for c, o in self.shapes)

    def forward(self, embedding: Tensor) -> Weights:
        """The weights for embeddings (B, E), in float32."""
        found: Weights = []
        with torch.autocast(embedding.device.type, enabled=False):
            e = embedding.float()
            for (c, o), gain, weight, bias in zip(self.shapes, self.gains, self.weights, self.biases, strict=True):
                scaled = weight(e).view(-1, o, c, 3, 3) * (gain / math.sqrt(9 * c))
                found.append((scaled, bias(e) / math.sqrt(c)))
        return found


def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Valid convolutions of x (B, C, H, W), each picture with its own weights: one grouped convolution."""
    batch, channels, height, width = x.shape
    joined = x.reshape(1, batch * channels, height, width)
    made = F.conv2d(joined, weight.flatten(0, 1).to(x.dtype), bias.flatten().to(x.dtype), groups=batch)
    return made.view(batch, -1, height - 2, width - 2)


def convolve_all(x: Tensor, weights: Weights, slope: float) -> Tensor:
    """One convolution after the other, LeakyReLU between them."""
    for i, (weight, bias) in enumerate(weights):
        x = convolve(F.leaky_relu(x, slope) if i else x, weight, bias)
    return x
