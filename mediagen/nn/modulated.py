"""Modulated convolutions (StyleGAN2, Eqs. 1-3) in three forms that compute the same thing.

s is the style: one scale per input channel, (B, C) for one style per sample, or (B, C, H|1, W) where the style varies
in space (InfinityGAN, Fig. 33). d is the demodulation: one factor per output channel.
Layout: B batch, C input and O output channels, H, W, K kernel.

- `modulated_reference`: a weight per sample and a grouped convolution, as published. Slow; the tests' oracle.
- `modulate`, convolve with the shared weight, multiply by `demodulation`: the training form, and the only one that
  allows a style that varies in space.
- `fold`: the style multiplied into the weight once. The rendering form wherever one style rules a whole block.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mediagen.nn.equalized import EqualLinear

EPSILON = 1e-8


def modulated_reference(x: Tensor, weight: Tensor, s: Tensor, *, demodulate: bool = True) -> Tensor:
    """Eqs. 1-3 to the letter: x (B, C, H, W), weight (O, C, K, K), s (B, C); unpadded."""
    batch, channels, height, width = x.shape
    w = weight[None] * s[:, None, :, None, None]
    if demodulate:
        w = w * torch.rsqrt(w.square().sum(dim=(2, 3, 4), keepdim=True) + EPSILON)
    y = F.conv2d(x.reshape(1, batch * channels, height, width), w.flatten(0, 1), groups=batch)
    return y.view(batch, weight.shape[0], *y.shape[2:])


def tap_power(weight: Tensor) -> Tensor:
    """sum_k w_oik^2 (O, C), float32."""
    return weight.float().square().sum(dim=(2, 3))


def demodulation_of(power: Tensor, s: Tensor) -> Tensor:
    """1/sqrt(sum_i power_oi s_i^2): (B, O) for s (B, C), and (B, O, H|1, W) for s (B, C, H|1, W)."""
    squared = s.float().square()
    total = squared @ power.t() if s.ndim == 2 else F.conv2d(squared, power[:, :, None, None])
    return torch.rsqrt(total + EPSILON)


def demodulation(weight: Tensor, s: Tensor) -> Tensor:
    """d_o = 1/sqrt(sum_ik (w_oik s_i)^2), one factor per output channel; shapes as in `demodulation_of`."""
    return demodulation_of(tap_power(weight), s)


def fold(weight: Tensor, s: Tensor, *, demodulate: bool = True) -> Tensor:
    """The weight (O, C, K, K) with one style s (C,) multiplied in, for any number of plain convolutions."""
    w = weight * s[None, :, None, None]
    if demodulate:
        w = w * torch.rsqrt(w.square().sum(dim=(1, 2, 3), keepdim=True) + EPSILON)
    return w


class ModulatedConv2d(nn.Module):
    """A modulated convolution without any padding; the style is an affine of a latent (bias 1: s starts near 1).

    mode "same" keeps the resolution (H -> H-K+1); mode "up" is a transposed convolution of stride 2 whose outermost
    values, which lack a neighbour, are clipped (H -> 2H-1). `gain` multiplies the output: the following
    activation's gain costs nothing here.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        latent: int,
        *,
        mode: Literal["same", "up"] = "same",
        demodulate: bool = True,
        gain: float = 1.0,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        self.affine = EqualLinear(latent, inputs, bias=1.0)
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.mode, self.demodulate, self.gain = mode, demodulate, gain

    def reset(self, rng: torch.Generator) -> None:
        self.weight.data.normal_(generator=rng)

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        """The bare convolution of this mode with a ready weight (O, C, K, K)."""
        if self.mode == "same":
            return F.conv2d(x, weight)
        return F.conv_transpose2d(x, weight.transpose(0, 1), stride=2, padding=1)

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """x (B, C, H, W) and the latent (B, D) -> features, demodulated if so built."""
        s = self.affine(latent)
        weight = self.weight * self.scale
        y = self.convolve(x * s.to(x.dtype)[:, :, None, None], weight)
        factor = self.gain * demodulation(weight, s) if self.demodulate else None
        return y if factor is None else y * factor.to(y.dtype)[:, :, None, None]

    def folded(self, s: Tensor) -> Tensor:
        """The weight for one style s (C,), ready for `convolve`."""
        return self.gain * fold(self.weight * self.scale, s, demodulate=self.demodulate)
