"""Doubling a map's axes: the transposed convolutions of the papers, and what does not leave a checkerboard.

Odena, Dumoulin, Olah: "Deconvolution and Checkerboard Artifacts", Distill 2016. Kernel 4 with stride 2 covers every
output evenly, and may still learn a weight per output phase; nearest and convolve ties the phases. An axis may be time.

Layout: B, C, then 1 to 3 axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mediagen.nn.conv3d import Conv3d

Mode = Literal["deconv", "nearest", "linear", "blur", "shuffle"]
"""deconv: kernel 4, stride 2. nearest, linear: resize, then convolve by 3. blur: deconv, then [1, 2, 1] / 4 on every
axis, which is zero at the Nyquist frequency. shuffle: convolve by 3, then one channel per output phase (sub-pixel)."""

CONVOLUTION = {1: nn.Conv1d, 2: nn.Conv2d}
DECONVOLUTION = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def doubler(axes: int, inputs: int, outputs: int, mode: Mode = "deconv", bias: bool = True) -> nn.Module:
    """A layer (B, inputs, ...) -> (B, outputs, ...) that doubles each of `axes` axes; blur and deconv have equal parameters."""
    if mode == "deconv":
        layer: nn.Module = DECONVOLUTION[axes](inputs, outputs, 4, 2, 1, bias=bias)
        return layer
    if mode == "blur":
        blurred: nn.Module = BLURRED[axes](inputs, outputs, 4, 2, 1, bias=bias)
        return blurred
    if mode == "shuffle":
        return nn.Sequential(*_convolution(axes, inputs, outputs * 2**axes, bias), Shuffle(axes))
    return nn.Sequential(Resize(axes, mode), *_convolution(axes, inputs, outputs, bias))


def _convolution(axes: int, inputs: int, outputs: int, bias: bool) -> list[nn.Module]:
    """Kernel 3, the size kept. Zeros beyond a picture's border would darken it, so the border is repeated.

    Time keeps its zeros: a clip that begins as one frame has nothing else to tell one frame from the next.
    """
    if axes == 3:
        return [nn.ReplicationPad3d((1, 1, 1, 1, 0, 0)), Conv3d(inputs, outputs, 3, padding=(1, 0, 0), bias=bias)]
    return [CONVOLUTION[axes](inputs, outputs, 3, padding=1, bias=bias, padding_mode="replicate")]


class Resize(nn.Module):
    """Doubles by exact repetition, or linearly between the centres of the cells."""

    def __init__(self, axes: int, mode: Mode):
        super().__init__()
        self.mode = "nearest" if mode == "nearest" else LINEAR[axes]

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode=self.mode)


class Blur(nn.Module):
    """[1, 2, 1] / 4 along every axis, borders repeated."""

    def __init__(self, axes: int):
        super().__init__()
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        if (
            self.axes == 2 and x.shape[1] > 4
        ):  # [1, 1] / 2 twice: with many channels, pooling takes a fraction of the time
            return F.avg_pool2d(F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 2, 1), 2, 1)
        for axis in range(2, 2 + self.axes):
            size = x.shape[axis]
            middle = torch.arange(size, device=x.device)
            before, after = (x.index_select(axis, (middle + k).clamp(0, size - 1)) for k in (-1, 1))
            x = 0.5 * x + 0.25 * (before + after)
        return x


class _Blurs:
    """A deconvolution and its blur as one layer: what was trained without the blur fits, by its parameters' names too."""

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = super().forward(x)  # type: ignore[misc]
        return Blur(made.dim() - 2)(made)


BLURRED = {axes: type(f"Blurred{axes}d", (_Blurs, kind), {}) for axes, kind in DECONVOLUTION.items()}


class Shuffle(nn.Module):
    """(B, C * 2^axes, ...) -> (B, C, ...) doubled: each group of channels becomes the phases of one."""

    def __init__(self, axes: int):
        super().__init__()
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        axes, sizes = self.axes, x.shape[2:]
        x = x.unflatten(1, (-1, *[2] * axes))  # (B, C, 2, ..., n, ...)
        order = [0, 1] + [i for axis in range(axes) for i in (2 + axes + axis, 2 + axis)]
        return x.permute(order).reshape(x.shape[0], x.shape[1], *[2 * n for n in sizes])


@torch.no_grad()
def equal_phases(layer: nn.Module) -> None:
    """Makes the phases of every sub-pixel layer within `layer` start equal, as nearest and convolve is (ICNR)."""
    for module in layer.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for inner, following in zip(module, list(module)[1:], strict=False):
            if isinstance(following, Shuffle):
                assert isinstance(inner, nn.Conv1d | nn.Conv2d | nn.Conv3d)
                for parameter in inner.parameters():
                    groups = parameter.unflatten(0, (-1, 2**following.axes))
                    groups.copy_(groups[:, :1].expand_as(groups).clone())


def coverage(layers: Sequence[tuple[int, int]]) -> tuple[list[int], float]:
    """How many inputs write to each interior output of a stack of deconvolutions (kernel, stride), and most over least.

    One period of the counts along one axis; over d axes the ratio is taken to the power d. Infinite where there are holes.
    """
    period, counts = 1, [1]
    for kernel, stride in layers:
        period *= stride
        long = counts * (2 * (kernel // stride + 2))
        out = [0] * (len(long) * stride)
        for i, count in enumerate(long):
            for tap in range(kernel):
                if i * stride + tap < len(out):
                    out[i * stride + tap] += count
        start = math.ceil(kernel / period) * period
        counts = out[start : start + period]
    return counts, max(counts) / min(counts) if min(counts) else math.inf
