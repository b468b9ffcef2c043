"""Trainings that go through a pyramid stage by stage: whose turn it is and how long, the rates, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mediagen.errors import UsageError

FALLEN = 0.1
"""Share of its rate that an optimiser has late in a stage."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The stages of `trains`, one after the other, so many `iterations` each; the last value serves the stages beyond.

    Late in each, from the share `decay_from` (0 to 1) of its iterations on, the rates are low; the last goes on so for
    `polish` more.
    """

    trains: range
    iterations: tuple[int, ...]
    decay_from: float
    polish: int = 0

    def lasts(self, stage: int) -> int:
        """Iterations of a stage."""
        return self.iterations[min(stage, len(self.iterations) - 1)]

    @property
    def total(self) -> int:
        """Iterations of all stages."""
        return sum(self.lasts(stage) for stage in self.trains) + self.polish

    def at(self, iteration: int) -> tuple[int, bool]:
        """The stage of an iteration, and whether its rates have fallen. Beyond the total the last stage goes on."""
        begun = 0
        for stage in self.trains[:-1]:
            if iteration < begun + self.lasts(stage):
                return stage, iteration - begun >= self.decay_from * self.lasts(stage)
            begun += self.lasts(stage)
        last = self.trains[-1]
        return last, iteration - begun >= self.decay_from * self.lasts(last)


def adam(groups: Sequence[tuple[list[nn.Parameter], float]], betas: tuple[float, float]) -> torch.optim.Adam:
    """Adam with a rate a group, which `set_rates` lowers late in a stage."""
    return torch.optim.Adam(
        [{"params": params, "lr": rate, "initial_lr": rate} for params, rate in groups], betas=betas, fused=True
    )


def set_rates(optimizer: torch.optim.Optimizer, fallen: bool) -> None:
    """Gives every group its own rate, or the share of it that is left late in a stage."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * (FALLEN if fallen else 1.0)


def check(config: Any, rules: Iterable[tuple[object, str]]) -> None:
    """Raises UsageError by the first rule (sound, what is told else) that is broken: the model's, then those of all."""
    for sound, told in (
        *rules,
        (config.iterations and min(config.iterations) >= 1, "iterations must be at least 1 a stage"),
        (not config.waves or config.unbounded != "xy", "rows have no number on a plane without bounds: waves=0"),
        (0 <= config.mirror < 12, "mirror is at most 11 rows"),
        (not config.mirror or config.unbounded != "xy", "a plane without bounds has no ends to mirror: mirror=0"),
        (not any(0 < side < 12 for side in config.window), "a window needs at least 12 px a side"),
    ):
        if not sound:
            raise UsageError(told)
