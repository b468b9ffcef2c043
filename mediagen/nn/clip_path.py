"""Clips that are made in one piece from a finite path of codes: which codes their frames are drawn from, at any pace.

Layout: B clips, T frames, d codes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mediagen.nn.playback import normal_rows


def clip_length(frames: int, rate: float) -> int:
    """Frames of output that a clip of `frames` frames makes at `rate` of its frames per frame of output; at least 1."""
    return max(1, round(frames / abs(rate)))


def between(path: Tensor, rate: float, count: int) -> Tensor:
    """The codes (B, count, d) at the times 0, rate, 2 rate ... of a path (B, T, d); back from its end for a rate < 0.

    Linear between two frames; after the last one the path stands still. At whole times they are the path's own, bit for bit.
    """
    last = path.shape[1] - 1
    times = [min(k * abs(rate), last) for k in range(count)]
    times = [last - t for t in times] if rate < 0 else times
    below = torch.tensor([int(t) for t in times], device=path.device)
    part = torch.tensor([t - int(t) for t in times], dtype=path.dtype, device=path.device)
    return torch.lerp(path[:, below], path[:, (below + 1).clamp_max(last)], part[:, None])


def uniform_row(seed: int, name: str, channels: int, number: int) -> Tensor:
    """U(-1, 1) numbers (1, channels) of position `number`, float32 on the CPU: erf(n / sqrt 2) of normal n."""
    return torch.special.erf(normal_rows(seed, name, channels, number, 1, torch.empty(0)) / math.sqrt(2))
