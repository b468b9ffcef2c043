"""First values of weights, for networks whose papers name a distribution. They come from torch's global generator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

Weighted = nn.modules.conv._ConvNd | nn.Linear


@contextlib.contextmanager
def keyed(seed: int) -> Iterator[None]:
    """Inside, torch's global generator of the CPU starts from `seed`; afterwards it is as it was.

    Those of GPUs are left alone (`torch.manual_seed` would seed them too): weights are drawn on the CPU.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def he_normal(network: nn.Module) -> None:
    """N(0, 2 / fan in), biases 0 (He et al. 2015). A transposed convolution's fan in is out * prod(kernel), as torch has it."""
    for module in network.modules():
        if isinstance(module, Weighted):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def uniform(network: nn.Module, bound: float) -> None:
    """U(-bound, bound), biases 0."""
    for module in network.modules():
        if isinstance(module, Weighted):
            nn.init.uniform_(module.weight, -bound, bound)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def normal(network: nn.Module, deviation: float, scales: float = 0.0) -> None:
    """N(0, deviation^2), biases 0; batch norms' scales N(1, scales^2), shifts 0 (DCGAN's habit, with 0.02 and 0.02)."""
    for module in network.modules():
        if isinstance(module, Weighted):
            nn.init.normal_(module.weight, 0.0, deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.modules.batchnorm._BatchNorm) and module.weight is not None:
            nn.init.normal_(module.weight, 1.0, scales)
