"""Batch normalisation whose scale and shift belong to a class (conditional batch norm; de Vries et al. 2017).

Layout: N pictures, C channels, K classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm(nn.Module):
    """BN over pictures (N, C, H, W); with `classes` K > 0 scale and shift are looked up by `labels` (N,).

    Statistics are those of the batch in training and the running ones in eval mode. The running ones are float32 and
    move in place. eps and momentum as in the authors' Chainer.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, classes: int = 0, eps: float = 2e-5, momentum: float = 0.1):
        super().__init__()
        self.classes, self.eps, self.momentum = classes, eps, momentum
        self.scale = nn.Parameter(torch.ones(max(1, classes), channels))
        self.shift = nn.Parameter(torch.zeros(max(1, classes), channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Normalises; `labels` (N,) int64 where there are classes."""
        common = (self.running_mean, self.running_var)
        if not self.classes:
            return F.batch_norm(x, *common, self.scale[0], self.shift[0], self.training, self.momentum, self.eps)
        assert labels is not None, "a conditional norm needs labels"
        x = F.batch_norm(x, *common, None, None, self.training, self.momentum, self.eps)
        scale, shift = (t[labels].to(x.dtype)[:, :, None, None] for t in (self.scale, self.shift))
        return torch.addcmul(shift, x, scale)
