"""Exponential moving averages of networks, by half-life in pictures or clips."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

WARM_UP = 0.05
"""Early on the half-life is at most this share of the pictures seen, so that the first weights are soon forgotten."""


class Averages:
    """Averaged copies of the networks called `names`: in eval mode, without gradients."""

    def __init__(self, networks: Mapping[str, nn.Module], names: Sequence[str], half_life: float) -> None:
        self.half_life = half_life
        self.networks = {name: copy.deepcopy(networks[name]).eval().requires_grad_(False) for name in names}
        pairs = [(self.networks[name], networks[name]) for name in names]
        # Listed once: walking a network's modules at every iteration would cost more than the averaging itself.
        self._kept: list[Tensor] = [p for average, _ in pairs for p in average.parameters()]
        self._moved: list[Tensor] = [p for _, network in pairs for p in network.parameters()]
        self._buffers: list[tuple[Tensor, Tensor]] = []
        for average, network in pairs:
            for (name, kept), moved in zip(average.named_buffers(), network.buffers(), strict=True):
                # Batch norm's statistics belong to the weights they were taken with, so they are averaged alike.
                if name.endswith(("running_mean", "running_var")):
                    self._kept.append(kept)
                    self._moved.append(moved)
                else:
                    self._buffers.append((kept, moved))

    @torch.no_grad()
    def update(self, batch: int, seen: int) -> None:
        """Moves the averages after a step on `batch` examples, when `seen` were seen in all; other buffers are copied."""
        half_life = min(self.half_life, WARM_UP * seen)
        weight = 1.0 - 0.5 ** (batch / max(half_life, 1e-8))
        if self._kept:
            torch._foreach_lerp_(self._kept, self._moved, weight)
        for kept, moved in self._buffers:
            kept.copy_(moved)
