"""Losses of a Wasserstein GAN (Arjovsky et al. 2017). Scores are unbounded reals of any shape; results are float32 scalars."""

from __future__ import annotations

from torch import Tensor


def critic_wasserstein(real: Tensor, fake: Tensor) -> Tensor:
    """E D(G(z)) - E D(x): minus the estimate of the earth mover's distance (TGAN, Eq. 2). The two may differ in shape."""
    return fake.float().mean() - real.float().mean()


def generator_wasserstein(fake: Tensor) -> Tensor:
    """-E D(G(z))."""
    return -fake.float().mean()
