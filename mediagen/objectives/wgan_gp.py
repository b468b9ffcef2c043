"""WGAN-GP (Gulrajani et al. 2017): the gradient penalty of a Wasserstein critic (wasserstein.py), in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

EPSILON = 1e-12
"""Under the root of a squared norm: its slope at zero would be infinite."""


def mixed(real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """eps x + (1 - eps) G(z), eps ~ U[0, 1] per sample; detached, and asking for gradients."""
    shape = (len(real), *(1,) * (real.dim() - 1))
    eps = torch.rand(shape, generator=rng, device=real.device)
    return torch.lerp(fake.detach().float(), real.detach().float(), eps).requires_grad_(True)


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    rng: torch.Generator,
    *,
    over: Literal["sample", "channels"] = "sample",
    one_sided: bool = False,
) -> Tensor:
    """E (||grad D(x^)||_2 - 1)^2 between paired real and fake samples (B, ...), for any critic without batch norm.

    The norm is over everything but the batch, as published; `over` "channels" takes it at each position, as SinGAN and
    its successors do. `one_sided` leaves norms below 1 alone.
    """
    assert real.shape == fake.shape
    x = mixed(real, fake, rng)
    (slope,) = torch.autograd.grad(critic(x).float().sum(), x, create_graph=True)
    squares = slope.float().square()
    norms = ((squares.sum(1) if over == "channels" else squares.flatten(1).sum(1)) + EPSILON).sqrt()
    apart = (norms - 1).clamp_min(0) if one_sided else norms - 1
    return apart.square().mean()


def flatness(critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """E ||grad D(x)||_2^2 at each position of real samples (Meta Internal Learning, Eq. 14)."""
    x = real.detach().float().requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(x).float().sum(), x, create_graph=True)
    return slope.float().square().sum(1).mean()
