"""How often each class was met in training: what a class is drawn from where none is asked for."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from mediagen.core.clips import ClipRequest
from mediagen.nn.clip_path import uniform_row


class ClassPrior(nn.Module):
    """A count per class, kept with the network that it belongs to. Before anything was met all classes are alike."""

    met: Tensor

    def __init__(self, classes: int):
        super().__init__()
        self.register_buffer("met", torch.zeros(classes, dtype=torch.float64))

    @torch.no_grad()
    def meet(self, labels: Tensor) -> None:
        """Counts a batch's classes (B,)."""
        if len(self.met):
            self.met += torch.bincount(labels, minlength=len(self.met))

    def weights(self) -> Tensor:
        """(classes,), float64, not all 0; (1,) where there are no classes."""
        if not len(self.met):
            return self.met.new_ones(1)
        return self.met if self.met.sum() > 0 else torch.ones_like(self.met)

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """Classes (count,); all 0 where there are none."""
        return torch.multinomial(self.weights(), count, replacement=True, generator=rng)

    def decide(self, request: ClipRequest, number: int) -> ClipRequest:
        """The request with a class: where it asks for none, one drawn by its seed and the clip's number."""
        if request.categories or not len(self.met):
            return request
        ends = self.weights().cumsum(0)
        share = (1 + uniform_row(request.seed, "category", 1, number).item()) / 2
        found = int(torch.searchsorted(ends, share * float(ends[-1]), right=True))
        return replace(request, categories=(min(found, len(self.met) - 1),))
