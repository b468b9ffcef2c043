"""Generative adversarial metric: two generators compared by whether each fools the other's critic.

Im, Kim, Jiang, Memisevic: "Generating Images with Recurrent Adversarial Networks", 2016; for critics without a natural
zero as TGAN does it (Saito et al. 2017, section 6.5): every critic gets the threshold that parts real from generated best.
Shapes: scores (N,), larger for what a critic takes for real.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One critic's scores of held-out real clips, of those by its own generator, and of those by the other one."""

    real: Tensor
    own: Tensor
    other: Tensor


@dataclass(frozen=True, kw_only=True)
class Contest:
    """`score` > 1: A's clips fool B's critic more often than B's fool A's. `fair` near 1: both know real clips as well.

    Infinite where one critic is never fooled and the other is; 1 where neither is.
    """

    score: float
    fair: float
    a_fools_b: float
    b_fools_a: float

    @property
    def winner(self) -> str:
        return "A" if self.score > 1 else "B" if self.score < 1 else "neither"


def threshold(real: Tensor, generated: Tensor) -> float:
    """The score between two neighbouring ones above which most real and fewest generated clips lie, each side weighing half."""
    scores, order = torch.cat([real, generated]).double().flatten().sort()
    is_real = (order < real.numel()).double()
    # Cutting before index i: real ones from i on are right, and generated ones before it.
    right = is_real.flip(0).cumsum(0).flip(0) / real.numel()
    right = right + ((1 - is_real).cumsum(0) - (1 - is_real)) / generated.numel()
    at = int(right.argmax())
    return float(scores[0]) - 1.0 if at == 0 else float(scores[at - 1] + scores[at]) / 2


def gam(a: Judged, b: Judged) -> Contest:
    """A against B. `a` are the scores of A's critic, for which B's generator is the other one, and the reverse."""
    at_a, at_b = threshold(a.real, a.own), threshold(b.real, b.own)
    a_fools_b, b_fools_a = _share(b.other > at_b), _share(a.other > at_a)
    missed_a, missed_b = _share(a.real <= at_a), _share(b.real <= at_b)
    return Contest(
        score=_ratio(a_fools_b, b_fools_a), fair=_ratio(missed_a, missed_b), a_fools_b=a_fools_b, b_fools_a=b_fools_a
    )


def _share(mask: Tensor) -> float:
    return float(mask.double().mean())


def _ratio(one: float, other: float) -> float:
    if other == 0:
        return 1.0 if one == 0 else math.inf
    return one / other
