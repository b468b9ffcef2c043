"""The padding-free texture block of InfinityGAN (Figs. 18 and 19), and the arithmetic that says what each layer reads.

Every convolution is unpadded and every border that lacks a neighbour is clipped, so a value depends on its surroundings
alone and never on where a patch happens to end. Layout: B batch, C channels, H, W.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mediagen.core.geometry import Conv, Interval, Up, Window
from mediagen.nn.equalized import GAIN
from mediagen.nn.modulated import ModulatedConv2d


@dataclass(frozen=True)
class Step:
    """One layer along one axis: which positions it reads on its input's lattice, and which it makes on its own."""

    read: Interval
    out: Interval


def axis_plan(out: Interval, *, blocks: int, structure: Sequence[int], padding_free: bool = True) -> list[Step]:
    """Receptive-field arithmetic along one axis, from the pixels wanted back to the latent's cells, in layer order.

    First come the structure layers with the kernel sizes of `structure`, then two layers for each texture block.
    Without `padding_free`, no layer makes more than the pixels' own positions, so the next one finds zeros around them.
    """
    steps: list[Step] = []
    window, stride = out, 1
    for _ in range(blocks):
        conv = Step(Conv(3).reads(out), out)
        inner = conv.read if padding_free else out
        up = Step(Up().reads(Conv(3).reads(inner)), inner)
        steps[:0] = [up, conv]
        stride *= 2
        out = up.read if padding_free else Interval(window.start // stride, -(-window.stop // stride))
    for kernel in reversed(structure):
        steps.insert(0, Step(Conv(kernel).reads(out), out))
        out = steps[0].read
    return steps


def box(axes: tuple[Interval, Interval]) -> Window:
    """(rows, columns) as a window."""
    return Window.of(axes[1], axes[0])


def fit(x: Tensor, have: tuple[Interval, Interval], need: tuple[Interval, Interval]) -> Tensor:
    """Cuts x, which spans `have` (rows, columns), to `need`; zeros where it does not reach."""
    (rows, columns), (top, left) = need, have
    low = [rows.start - top.start, columns.start - left.start]
    high = [top.stop - rows.stop, left.stop - columns.stop]
    if min(low + high) < 0:
        return F.pad(x, (-low[1], -high[1], -low[0], -high[0]))
    return x[..., low[0] : low[0] + len(rows), low[1] : low[1] + len(columns)]


class Finish(nn.Module):
    """sqrt(2) LeakyReLU(x + strength * noise + bias), for x that already has the gain; noise only in textures."""

    def __init__(self, channels: int, noisy: bool):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.strength = nn.Parameter(torch.zeros(())) if noisy else None

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        # Bias and noise are broadcast one after the other: their sum would be a whole feature map in another layout,
        # ten times slower. In place where autograd allows: memory traffic is the larger part of painting.
        add = torch.Tensor.add if torch.is_grad_enabled() else torch.Tensor.add_
        x = add(x, (GAIN * self.bias).to(x.dtype)[:, None, None])
        if self.strength is not None and noise is not None:
            x = add(x, (GAIN * self.strength).to(x.dtype) * noise.to(x.dtype))
        return F.leaky_relu(x, 0.2, inplace=not torch.is_grad_enabled())


class TextureBlock(nn.Module):
    """StyledUpsampleConv, StyledConv and StyledSkip (Fig. 19): H -> 2H-1 -> 2H-3 -> 2H-5, and a 1x1 ToRGB."""

    def __init__(self, inputs: int, channels: int, latent: int, *, noisy: bool = True):
        super().__init__()
        self.up = ModulatedConv2d(inputs, channels, 3, latent, mode="up", gain=GAIN)
        self.up_finish = Finish(channels, noisy=noisy)
        self.conv = ModulatedConv2d(channels, channels, 3, latent, gain=GAIN)
        self.conv_finish = Finish(channels, noisy=noisy)
        self.rgb = ModulatedConv2d(channels, 3, 1, latent, demodulate=False)
        self.rgb_bias = nn.Parameter(torch.zeros(3))


def styled_layers(structure: nn.ModuleList, blocks: nn.ModuleList) -> list[tuple[ModulatedConv2d, bool]]:
    """Every modulated convolution in the order it is called, and whether it belongs to the structure."""
    texture = [layer for b in blocks if isinstance(b, TextureBlock) for layer in (b.up, b.conv, b.rgb)]
    first = [(layer, True) for layer in structure if isinstance(layer, ModulatedConv2d)]
    return first + [(layer, False) for layer in texture]


@dataclass(frozen=True)
class LayerCost:
    """Multiply-adds of one convolution: `spent` with its halo, `ideal` for the window's own positions alone."""

    name: str
    spent: int
    ideal: float


def layer_costs(
    structure: nn.ModuleList, blocks: nn.ModuleList, rows: Sequence[Step], columns: Sequence[Step], window: Window
) -> list[LayerCost]:
    """The cost of every structure and texture convolution for a window of pixels painted in one piece."""
    steps, stride, costs = list(zip(rows, columns, strict=True)), 2 ** len(blocks), []
    for i, (layer, (row, column)) in enumerate(zip(structure, steps, strict=False)):
        assert isinstance(layer, ModulatedConv2d)
        taps = layer.weight.numel()
        costs.append(LayerCost(f"structure.{i}", taps * len(row.out) * len(column.out), taps * window.area / stride**2))
    for i, block in enumerate(blocks):
        assert isinstance(block, TextureBlock)
        (row, column), (row2, column2) = steps[len(structure) + 2 * i : len(structure) + 2 * i + 2]
        # A transposed convolution spends its taps once per input position, a quarter of its outputs.
        taps, read = block.up.weight.numel(), len(row.read) * len(column.read)
        costs.append(LayerCost(f"blocks.{i}.up", taps * read, taps * window.area / stride**2))
        stride //= 2
        taps = block.conv.weight.numel() + block.rgb.weight.numel()
        costs.append(
            LayerCost(f"blocks.{i}.conv", taps * len(row2.out) * len(column2.out), taps * window.area / stride**2)
        )
    return costs
