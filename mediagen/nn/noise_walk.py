"""Animation of a generator that learnt from one picture: its noise walks around a place that it never leaves for long.

    z^0 = z_fix;  z^1 = 0.99 z_fix + 0.01 u^0;  z^{t+1} = a z_fix + (1 - a) (z^t + b (z^t - z^{t-1}) + (1 - b) u^t)

as SinGAN has it, a = 0.1. u^t is a function of (seed, stage, t) alone, so frame t is the same whatever was filmed before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mediagen.core.clips import ClipRequest
from mediagen.core.geometry import Field
from mediagen.core.seeds import random_field

HOME = 0.1
"""a: how strongly the noise is drawn back to where it started."""

FIRST = 0.01
"""Share of u^0 in the first step."""


@dataclass(frozen=True)
class Walk:
    """The noise at frame `frame` and the one before, per stage; stages below the walk's first stay at `home`."""

    seed: int
    frame: int
    fields: tuple[Field, ...]
    home: list[Tensor]
    now: list[Tensor]
    before: list[Tensor]


def begin_walk(model: Any, request: ClipRequest) -> Walk:
    """Frame 0. A model that was trained for animation starts at its photograph; others at the picture of the seed."""
    scene = model.scene
    fields = tuple(model.noise(model.plan((scene.rows, scene.columns))))
    place = next(model.parameters())
    seed = request.seed if model.config.home is None else model.config.home
    home = [_drawn(seed, field.name, field, place) for field in fields]
    return Walk(request.seed, 0, fields, home, home, home)


def walk_on(model: Any, walk: Walk, count: int) -> Walk:
    """The walk `count` frames later."""
    first, momentum = model.config.walk_from, model.config.momentum
    place = next(model.parameters())
    for frame in range(walk.frame, walk.frame + count):
        now = list(walk.home)
        for n, field in enumerate(walk.fields[first:], start=first):
            u = _drawn(walk.seed, f"walk/{frame}/{field.name}", field, place)
            z, last, home = walk.now[n], walk.before[n], walk.home[n]
            if frame == 0:
                now[n] = (1 - FIRST) * home + FIRST * u
            else:
                now[n] = HOME * home + (1 - HOME) * (z + momentum * (z - last) + (1 - momentum) * u)
        walk = Walk(walk.seed, frame + 1, walk.fields, walk.home, now, walk.now)
    return walk


def _drawn(seed: int, name: str, field: Field, place: Tensor) -> Tensor:
    drawn = torch.from_numpy(random_field(seed, name, field.channels, field.window))[None]
    return drawn.to(place.device).contiguous(memory_format=torch.channels_last)
