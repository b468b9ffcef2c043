"""Other pictures made of a few: mirrored, cut closer, in other colours. Pictures are (B, 3, H, W) in [-1, 1]."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

CLOSER, TURN, TONE = 0.35, 1.0, 0.4
"""Largest share of a side that is cut away, angle of the hue in radians, and change of tone."""


def varied(pictures: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Each picture changed at random, as far as `strength` in [0, 1] says; half of them are mirrored. `rng` is on the CPU."""
    return torch.stack([_varied(picture, strength, rng) for picture in pictures])


def _varied(picture: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    flip, zoom, top, left, turn, *tone = torch.rand(8, generator=rng).tolist()
    x = picture.flip(2) if flip < 0.5 else picture
    height, width = x.shape[1:]
    share = 1.0 - CLOSER * strength * zoom
    rows, columns = max(2, round(height * share)), max(2, round(width * share))
    y, z = int(top * (height - rows + 1)), int(left * (width - columns + 1))
    x = x[None, :, y : y + rows, z : z + columns]
    if (rows, columns) != (height, width):
        x = F.interpolate(x, (height, width), mode="bicubic")
    return _toned(x[0], (2 * turn - 1) * TURN * strength, [TONE * strength * (2 * t - 1) for t in tone])


def _toned(x: Tensor, angle: float, tone: list[float]) -> Tensor:
    """Hue turned about the grey axis; saturation, contrast and brightness changed by the shares `tone`."""
    grey = x.mean(0, keepdim=True)
    colour = x - grey
    across = (colour.roll(1, 0) - colour.roll(-1, 0)) / math.sqrt(3.0)
    x = grey + (1 + tone[0]) * (math.cos(angle) * colour + math.sin(angle) * across)
    level = x.mean()
    return ((x - level) * (1 + tone[1]) + level + tone[2] / 2).clamp(-1, 1)
