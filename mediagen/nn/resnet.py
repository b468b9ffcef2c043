"""Residual networks that make one vector out of a picture (He et al. 2016), trained from scratch.

Layout: pictures (B, 3, H, W), embeddings (B, E).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["batch", "group"]

GROUPS = 8


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, which is a 1 x 1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(_norm(outputs, norm) for _ in range(2))
        self.short = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.short.extend([nn.Conv2d(inputs, outputs, 1, stride, bias=False), _norm(outputs, norm)])

    def forward(self, x: Tensor) -> Tensor:
        made = self.norms[1](self.second(F.relu(self.norms[0](self.first(x)))))
        return F.relu(made + self.short(x))


class ResNet(nn.Module):
    """`depths` blocks of `width`, 2, 4, 8 ... times as many channels, each group of half the size; (3, 4, 6, 3) is ResNet-34.

    The pooled features, which cannot be negative, pass through one more linear layer, so the embedding can. With `cells`,
    features are pooled in each of cells x cells parts of the picture, and the mean colours of those are told as they are.
    """

    def __init__(
        self,
        embedding: int,
        *,
        width: int = 64,
        depths: Sequence[int] = (3, 4, 6, 3),
        norm: Norm = "batch",
        cells: int = 0,
    ):
        super().__init__()
        self.cells = cells
        widths = [width * 2**i for i in range(len(depths))]
        self.stem = nn.Sequential(nn.Conv2d(3, width, 7, 2, 3, bias=False), _norm(width, norm), nn.ReLU())
        self.blocks = nn.Sequential()
        for (inputs, outputs), depth in zip(itertools.pairwise([width, *widths]), depths, strict=True):
            for i in range(depth):
                stride = 2 if i == 0 and outputs != width else 1
                self.blocks.append(Block(outputs if i else inputs, outputs, stride, norm))
        self.last = nn.Linear(widths[-1] * max(1, cells) ** 2, embedding)
        self.colours = nn.Linear(3 * cells**2, embedding, bias=False) if cells else None
        self._initialise()

    def _initialise(self) -> None:
        """He et al.'s normal weights; the last layer's keep the size of what it gets."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.last.bias)
        for linear in (self.last, self.colours):
            if linear is not None:
                nn.init.normal_(linear.weight, 0.0, 1.0 / math.sqrt(linear.in_features))

    def forward(self, pictures: Tensor) -> Tensor:
        x = F.max_pool2d(self.stem(pictures), 3, 2, 1)
        embedding: Tensor = self.last(F.adaptive_avg_pool2d(self.blocks(x), max(1, self.cells)).flatten(1))
        if self.colours is None:
            return embedding
        means: Tensor = self.colours(F.adaptive_avg_pool2d(pictures, self.cells).flatten(1))
        return embedding + means


def embedder(config: Any) -> ResNet:
    """The network that a configuration describes."""
    return ResNet(config.embedding, width=config.width, depths=config.depths, norm=config.norm, cells=config.cells)


def seen_whole(pictures: Tensor, side: int) -> Tensor:
    """Pictures (B, 3, H, W) squeezed into a square, whatever their shape: what an embedder is shown."""
    with torch.autocast(pictures.device.type, enabled=False):
        return F.interpolate(pictures.float(), (side, side), mode="bilinear", antialias=True)


def _norm(channels: int, norm: Norm) -> nn.Module:
    """Batch norm; group norm does not depend on what else is in a batch, for small ones."""
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.GroupNorm(GROUPS, channels)
