"""Gradient penalties and regularisers of adversarial training."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def r1(logits: Tensor, real: Tensor) -> Tensor:
    """(1/2) E ||grad_x D(x)||^2 on real pictures (Mescheder et al. 2018); `real` (B, ...) must require gradients."""
    (gradient,) = torch.autograd.grad(logits.float().sum(), real, create_graph=True)
    return gradient.float().square().flatten(1).sum(1).mean() / 2


def path_lengths(pictures: Tensor, styles: Tensor, rng: torch.Generator) -> Tensor:
    """||J_w^T y|| per sample (StyleGAN2, Eq. 4): y is normal noise over sqrt(H W); `styles` (B, L, D) for L layers.

    The squared norm is summed over D and averaged over the layers, as StyleGAN2's code does.
    """
    height, width = pictures.shape[2:]
    noise = torch.randn(pictures.shape, generator=rng, device=pictures.device) / math.sqrt(height * width)
    (gradient,) = torch.autograd.grad((pictures.float() * noise).sum(), styles, create_graph=True)
    return gradient.float().square().sum(2).mean(1).sqrt()


def path_length(lengths: Tensor, average: Tensor, decay: float = 0.99) -> Tensor:
    """E (||J_w^T y|| - a)^2; `average` is a, the running mean of the lengths, moved in place before it is used."""
    average.lerp_(lengths.detach().mean(), 1 - decay)
    return (lengths - average).square().mean()


def mode_seeking(latents: tuple[Tensor, Tensor], outputs: tuple[Tensor, Tensor], epsilon: float = 1e-5) -> Tensor:
    """||z_1 - z_2||_1 / ||G(z_1) - G(z_2)||_1 as means (InfinityGAN, Eq. 2): large when outputs collapse."""
    apart = (latents[0] - latents[1]).float().abs().flatten(1).mean(1)
    made = (outputs[0] - outputs[1]).float().abs().flatten(1).mean(1)
    return (apart / (made + epsilon)).mean()


def zero_centred(logits: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    """sum_l sum_i ||grad_{x_l,i} sum D||^2 on real inputs of several critics (TGANv2, Eq. 10, without lambda).

    Summed over clips and critics, not averaged, and without the factor 1/2: it grows with the batch. `inputs`, each
    (B, ...), must require gradients; `logits` may be of any shape.
    """
    gradients = torch.autograd.grad(logits.float().sum(), list(inputs), create_graph=True)
    return torch.stack([gradient.float().square().sum() for gradient in gradients]).sum()
