"""Adversarial losses. Logits are (B, 1); every function returns a scalar in float32."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def discriminator_logistic(real: Tensor, fake: Tensor) -> Tensor:
    """softplus(-D(x)) + softplus(D(G(z))) (Goodfellow et al. 2014, written with softplus)."""
    return F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()


def generator_nonsaturating(fake: Tensor) -> Tensor:
    """softplus(-D(G(z)))."""
    return F.softplus(-fake.float()).mean()
