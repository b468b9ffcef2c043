"""The networks of DCGAN's shape that video models draw and judge with: kernel 4, stride 2 in space, 1 in time.

Layout: N frames or B clips, C channels, T frames, H, W; d codes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mediagen.nn.upsample import Mode, doubler, equal_phases


class FromCodes(nn.Module):
    """The first transposed convolution, of a 1 x 1 map: (N, d) -> (N, C, k, k), channels last. One matrix product."""

    def __init__(self, codes: int, channels: int, kernel: int):
        super().__init__()
        self.weight = nn.ConvTranspose2d(
            codes, channels, kernel, bias=False
        ).weight  # (d, C, k, k), and its first values
        self.shape = (kernel, kernel, channels)

    def forward(self, codes: Tensor) -> Tensor:
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)  # (d, k k C)
        return (codes @ weight).unflatten(1, self.shape).permute(0, 3, 1, 2)


def frame_generator(
    codes: int, channels: Sequence[int], kernel: int, leak: float, upsample: Mode = "deconv"
) -> nn.Sequential:
    """Codes (N, d) -> frames (N, 3, H, W) in [-1, 1], H = kernel * 2^len(channels): no biases, batch norm, tanh."""
    layers: list[nn.Module] = []
    inputs = codes
    for index, outputs in enumerate(channels):
        up = doubler(2, inputs, outputs, upsample, False) if index else FromCodes(inputs, outputs, kernel)
        layers += [up, nn.BatchNorm2d(outputs), nn.LeakyReLU(leak, inplace=True)]
        inputs = outputs
    network = nn.Sequential(*layers, doubler(2, inputs, 3, upsample, False), nn.Tanh())
    equal_phases(network)
    return network


def frame_encoder(codes: int, channels: Sequence[int], kernel: int) -> nn.Sequential:
    """A generator upside down: frames (N, 3, H, W) -> codes (N, d)."""
    layers: list[nn.Module] = []
    inputs = 3
    for outputs in channels:
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs)]
        layers += [nn.LeakyReLU(0.2, inplace=True)]
        inputs = outputs
    return nn.Sequential(*layers, nn.Conv2d(inputs, codes, kernel), nn.Flatten())


def critic_widths(channels: Sequence[int], *, video: bool, patch: bool) -> tuple[int, ...]:
    """Of all convolutions but the last, so that a full critic ends at 4 x 4 [the released code].

    `channels` are those of MoCoGAN's picture critic of patches and its full video critic: a full picture critic has one
    more, twice as wide, a video critic of patches one less.
    """
    if video:
        return tuple(channels[:-1] if patch else channels)
    return (*channels, *(() if patch else (2 * width for width in channels[-1:])))


class StridedCritic(nn.Module):
    """Frames (B, 3, H, W), or clips (B, 3, T, H, W) for `video`, -> logits (B, outputs, ...).

    64 pixels -> 32, 16, 8, 4; 16 frames -> 13, 10, 7, 4. A patch critic ends with one more such convolution and a map
    of logits, a full one with an unpadded convolution: 4 -> 1 everywhere. `channels` are as `critic_widths` says.
    `noise` is the sigma of normal noise before every convolution; the first is without batch norm unless `first_norm`.
    """

    def __init__(
        self, *, video: bool, channels: Sequence[int], outputs: int, patch: bool, noise: float = 0.0,
        first_norm: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.noise = noise
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        inputs = 3
        for index, width in enumerate(critic_widths(channels, video=video, patch=patch)):
            self.convolutions.append(_convolution(video, inputs, width))
            norm = nn.BatchNorm3d(width) if video else nn.BatchNorm2d(width)
            self.norms.append(norm if index or first_norm else nn.Identity())
            inputs = width
        self.last = _convolution(video, inputs, outputs, strided=patch)

    def forward(self, x: Tensor, rng: torch.Generator) -> Tensor:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.leaky_relu(norm(convolution(self.noisy(x, rng))), 0.2, inplace=True)
        logits: Tensor = self.last(self.noisy(x, rng))
        return logits

    def noisy(self, x: Tensor, rng: torch.Generator) -> Tensor:
        if self.noise == 0.0:
            return x
        # Drawn with the channels last, as x lies in memory: adding two layouts takes nine times as long.
        batch, channels, *places = x.shape
        drawn = torch.randn(batch, *places, channels, generator=rng, device=x.device, dtype=x.dtype)
        return torch.add(x, drawn.movedim(-1, 1), alpha=self.noise)


def _convolution(video: bool, inputs: int, outputs: int, strided: bool = True) -> nn.Module:
    if video:
        stride, padding = ((1, 2, 2), (0, 1, 1)) if strided else ((1, 1, 1), (0, 0, 0))
        return nn.Conv3d(inputs, outputs, 4, stride, padding, bias=False)
    return nn.Conv2d(inputs, outputs, 4, 2 if strided else 1, 1 if strided else 0, bias=False)
