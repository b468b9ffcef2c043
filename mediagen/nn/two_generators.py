"""TGAN's two generators: 1-D transposed convolutions over time, and 2-D ones for every frame (Saito et al. 2017, Table 1).

Layout: B clips, T frames, d codes, C channels, H, W; K classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mediagen.nn.initial import he_normal
from mediagen.nn.upsample import Mode, doubler


class TimeDeconvolutions(nn.Module):
    """G_0: (B, inputs) -> (B, T, outputs) in [-1, 1], T = 2^len(channels), all frames at once.

    `shift` False leaves the batch norms without beta.
    """

    def __init__(self, inputs: int, channels: Sequence[int], outputs: int, *, shift: bool = True):
        super().__init__()
        layers: list[nn.Module] = []
        geometry = (1, 1, 0)
        for width in channels:
            norm = nn.BatchNorm1d(width)
            if not shift:
                norm.bias = None  # type: ignore[assignment]
            layers += [nn.ConvTranspose1d(inputs, width, *geometry), norm, nn.ReLU(inplace=True)]
            inputs, geometry = width, (4, 2, 1)
        self.layers = nn.Sequential(*layers, nn.ConvTranspose1d(inputs, outputs, *geometry), nn.Tanh())
        he_normal(self)

    def forward(self, start: Tensor) -> Tensor:
        path: Tensor = self.layers(start[:, :, None])
        return path.transpose(1, 2)


class Branch(nn.Module):
    """One input of G_1: linear -> batch norm over all units -> ReLU -> (N, corner, 4, 4) -> its share of layer 1.

    A deconvolution of concatenated maps is the sum of their deconvolutions: taken apart, what is the same in all frames of
    a clip is computed once a clip.
    """

    def __init__(self, inputs: int, corner: int, outputs: int, mode: Mode):
        super().__init__()
        self.linear = nn.Linear(inputs, corner * 16, bias=False)  # no bias, as released
        self.norm = nn.BatchNorm1d(corner * 16)
        self.up = doubler(2, corner, outputs, mode, bias=False)

    def forward(self, code: Tensor) -> Tensor:
        made: Tensor = self.up(self.corner(code).contiguous(memory_format=torch.channels_last))
        return made

    def corner(self, code: Tensor) -> Tensor:
        """The map (N, corner, 4, 4) that Table 1 concatenates with the other inputs' maps."""
        return self.norm(self.linear(code)).relu().unflatten(1, (-1, 4, 4))


class FrameGenerator(nn.Module):
    """G_1: fast codes (B, T, d), slow codes (B, d') and classes (B,) -> frames (B * T, colours, H, W) in [-1, 1].

    H = 4 * 2^len(channels). `slow` 0 leaves the slow codes out, `classes` 0 the classes.
    """

    def __init__(
        self, fast: int, slow: int, classes: int, *, corner: int, channels: Sequence[int], colours: int, mode: Mode
    ):
        super().__init__()
        self.classes = classes
        self.fast = Branch(fast, corner, channels[0], mode)
        self.slow = Branch(slow, corner, channels[0], mode) if slow else None
        self.category = Branch(classes, corner, channels[0], mode) if classes else None
        layers: list[nn.Module] = [nn.BatchNorm2d(channels[0]), nn.ReLU(inplace=True)]
        for inputs, outputs in itertools.pairwise(channels):
            layers += [doubler(2, inputs, outputs, mode, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(channels[-1], colours, 3, 1, 1), nn.Tanh())

    def forward(self, slow: Tensor, fast: Tensor, labels: Tensor) -> Tensor:
        count = fast.shape[1]
        x = self.fast(fast.flatten(0, 1))
        if self.slow is not None:
            x = x + self.slow(slow).repeat_interleave(count, dim=0)
        if self.category is not None:
            x = x + self.category(F.one_hot(labels, self.classes).to(slow.dtype)).repeat_interleave(count, dim=0)
        frames: Tensor = self.layers(x)
        return frames
