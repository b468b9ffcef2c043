"""StyleGAN2's mapping network and residual discriminator (Karras et al. 2020), at any input size.

Layout: B batch, C channels, H, W, Z latent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mediagen.nn.equalized import EqualConv2d, EqualLinear
from mediagen.nn.resample import CUBIC, blur


class Mapping(nn.Module):
    """f: z -> w, `layers` fully connected layers at a hundredth of the learning rate; z is first scaled to unit RMS."""

    def __init__(self, latent: int, layers: int):
        super().__init__()
        self.layers = nn.ModuleList(
            EqualLinear(latent, latent, lr_multiplier=0.01, activate=True) for _ in range(layers)
        )

    def forward(self, z: Tensor) -> Tensor:
        w = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
        for layer in self.layers:
            w = layer(w)
        return w


def minibatch_stddev(x: Tensor, group: int = 4) -> Tensor:
    """Appends one channel: the mean over features of the standard deviation within groups of the batch."""
    batch, _, height, width = x.shape
    group = math.gcd(batch, group)
    y = x.float().view(group, -1, *x.shape[1:])
    deviation = (y.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3), keepdim=True)
    return torch.cat([x, deviation.to(x.dtype).repeat(group, 1, height, width)], dim=1)


class DownBlock(nn.Module):
    """Residual block: conv 3x3, blur + conv 3x3 of stride 2; skip: blur + conv 1x1 of stride 2; sum / sqrt(2)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.first = EqualConv2d(inputs, inputs, 3, padding=1, activate=True)
        self.second = EqualConv2d(inputs, outputs, 3, stride=2, activate=True)
        self.skip = EqualConv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(blur(self.first(x), CUBIC, padding=2))
        # Filtering at stride 2 keeps only the positions that a 1x1 convolution of stride 2 would read.
        return (y + self.skip(blur(x, CUBIC, padding=1, stride=2))) * (1 / math.sqrt(2))


def down_size(size: int) -> int:
    """What a DownBlock makes of `size` pixels: 101 -> 50 -> 25 -> 12 -> 6 -> 3."""
    return (size + 4 - 3 - 3) // 2 + 1


class ResidualDiscriminator(nn.Module):
    """Pictures (B, 3, size, size) -> features (B, C): residual blocks, minibatch statistics, one last convolution.

    `channels` runs from the full resolution downward, one more than there are blocks. Blocks are numbered from the
    bottom, so that a discriminator of larger pictures carries the names of a smaller one's blocks.
    """

    def __init__(self, size: int, channels: Sequence[int]):
        super().__init__()
        self.count = len(channels) - 1
        self.from_rgb = EqualConv2d(3, channels[0], 1, activate=True)
        self.blocks = nn.ModuleDict(
            {str(self.count - 1 - i): DownBlock(channels[i], channels[i + 1]) for i in range(self.count)}
        )
        for _ in range(self.count):
            size = down_size(size)
        self.last = EqualConv2d(channels[-1] + 1, channels[-1], 3, padding=1, activate=True)
        self.features = channels[-1] * size * size

    def forward(self, x: Tensor) -> Tensor:
        x = self.from_rgb(x)
        for i in reversed(range(self.count)):
            x = self.blocks[str(i)](x)
        return self.last(minibatch_stddev(x)).flatten(1)


class Head(nn.Module):
    """Linear, LeakyReLU, Linear: features (B, C) -> (B, outputs)."""

    def __init__(self, features: int, hidden: int, outputs: int):
        super().__init__()
        self.hidden = EqualLinear(features, hidden, activate=True)
        self.out = EqualLinear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.hidden(x))


class TwoHeadedDiscriminator(nn.Module):
    """Pictures (B, 3, size, size) -> realness (B, 1) and predicted position (B, 1), float32 (InfinityGAN, 3.4)."""

    def __init__(self, size: int, channels: Sequence[int], hidden: int):
        super().__init__()
        self.trunk = ResidualDiscriminator(size, channels)
        self.realness = Head(self.trunk.features, hidden, 1)
        self.position = Head(self.trunk.features, hidden, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(x.contiguous(memory_format=torch.channels_last))
        return self.realness(features).float(), self.position(features).float()


def mix_styles(w: Tensor, other: Tensor, slots: int, probability: float, rng: torch.Generator) -> Tensor:
    """Style mixing: w (B, D) up to a random slot and `other` from there on, with `probability`; (B, slots, D)."""
    batch, device = len(w), w.device
    crossover = torch.randint(1, slots, (batch, 1), generator=rng, device=device)
    crossover[torch.rand(batch, 1, generator=rng, device=device) >= probability] = slots
    first = torch.arange(slots, device=device)[None] < crossover
    return torch.where(first[:, :, None], w[:, None], other[:, None])


def lazy_adam(network: nn.Module, rate: float, every: int) -> torch.optim.Optimizer:
    """Adam(0, 0.99) over what is trained, corrected for the extra step of a regulariser run every n iterations.

    StyleGAN2, appendix B: rate * k and beta ** k with k = n / (n + 1); n = 0 for none.
    """
    k = every / (every + 1) if every else 1.0
    trained = [p for p in network.parameters() if p.requires_grad]
    return torch.optim.Adam(trained, lr=rate * k, betas=(0.0, 0.99**k), eps=1e-8, fused=True)
