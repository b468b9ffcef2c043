"""Layers with an equalised learning rate (Karras et al., "Progressive Growing of GANs", section 4.1).

Weights are N(0, 1) and scaled by 1/sqrt(fan_in) at run time, so that every weight moves at the same relative speed
under Adam. Layout: B batch, C channels, H, W.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GAIN = math.sqrt(2.0)
"""Keeps the variance through LeakyReLU(0.2); since that is homogeneous, weights and bias carry the gain at no cost."""


class EqualLinear(nn.Module):
    """y = act(x W^T * scale + bias); `lr_multiplier` slows a layer down (0.01 in StyleGAN2's mapping network)."""

    def __init__(
        self, inputs: int, outputs: int, *, bias: float = 0.0, lr_multiplier: float = 1.0, activate: bool = False
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.full((outputs,), bias / lr_multiplier))
        self.gain = GAIN if activate else 1.0
        self.scale = lr_multiplier / math.sqrt(inputs)
        self.lr_multiplier = lr_multiplier
        self.activate = activate

    def reset(self, rng: torch.Generator) -> None:
        self.weight.data.normal_(generator=rng).div_(self.lr_multiplier)

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight * (self.scale * self.gain), self.bias * (self.lr_multiplier * self.gain))
        return F.leaky_relu(y, 0.2) if self.activate else y


class EqualConv2d(nn.Module):
    """A convolution, optionally followed by sqrt(2) * LeakyReLU; `padding` in pixels."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        activate: bool = False,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain = GAIN if activate else 1.0
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.stride, self.padding, self.activate = stride, padding, activate

    def reset(self, rng: torch.Generator) -> None:
        self.weight.data.normal_(generator=rng)

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias * self.gain
        y = F.conv2d(x, self.weight * (self.scale * self.gain), bias, stride=self.stride, padding=self.padding)
        return F.leaky_relu(y, 0.2) if self.activate else y


def initialise(network: nn.Module, rng: torch.Generator) -> None:
    """Draws every weight that has a `reset(rng)` from an explicit generator, in the order of the modules."""
    for module in network.modules():
        reset = getattr(module, "reset", None)
        if callable(reset):
            reset(rng)
