"""Sliced Wasserstein distance of small patches over a pyramid: a measure that needs no trained features.

After "Progressive Growing of GANs" (Karras et al. 2018), section 5: patches of 7 x 7, random unit directions; here the
patches are normalised by the real ones' mean and spread as a whole, so that a cast of colour counts.
Shapes: pictures (B, 3, H, W); patches (N, 3 * 7 * 7).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

PATCH = 7
SMALLEST = 16
DIRECTIONS = 256
PATCHES_PER_PICTURE = 64


def sliced_wasserstein(real: Tensor, fake: Tensor, rng: torch.Generator) -> float:
    """The mean distance over the levels of a Laplacian pyramid; 0 for equal sets of patches. Both (B, 3, H, W) alike.

    The patches' places and the directions are drawn from `rng` (on the CPU).
    """
    assert real.shape == fake.shape
    assert min(real.shape[2:]) >= PATCH
    distances = []
    for level_real, level_fake in zip(_pyramid(real.float().cpu()), _pyramid(fake.float().cpu()), strict=True):
        state = rng.get_state()
        patches = []
        for pictures in (level_real, level_fake):
            # The same places on both sides: position is part of what is compared, and equal sets measure zero.
            rng.set_state(state)
            patches.append(_patches(pictures, rng))
        distances.append(_distance(patches[0], patches[1], rng))
    return float(torch.stack(distances).mean())


def _pyramid(pictures: Tensor) -> list[Tensor]:
    """Differences between each size and the next smaller one, and the smallest size itself."""
    levels = []
    while min(pictures.shape[2:]) // 2 >= SMALLEST:
        small = functional.avg_pool2d(pictures, 2, ceil_mode=True)
        size = [pictures.shape[2], pictures.shape[3]]
        levels.append(pictures - functional.interpolate(small, size=size, mode="bilinear", align_corners=False))
        pictures = small
    return [*levels, pictures]


def _patches(pictures: Tensor, rng: torch.Generator) -> Tensor:
    """PATCHES_PER_PICTURE random patches of every picture, (B * PATCHES_PER_PICTURE, 3 * 49)."""
    batch, colours, height, width = pictures.shape
    count = batch * PATCHES_PER_PICTURE
    top = torch.randint(height - PATCH + 1, (count, 1, 1, 1), generator=rng)
    left = torch.randint(width - PATCH + 1, (count, 1, 1, 1), generator=rng)
    which = torch.arange(batch).repeat_interleave(PATCHES_PER_PICTURE).view(-1, 1, 1, 1)
    colour = torch.arange(colours).view(1, -1, 1, 1)
    rows, columns = torch.arange(PATCH).view(1, 1, -1, 1), torch.arange(PATCH).view(1, 1, 1, -1)
    return pictures[which, colour, top + rows, left + columns].reshape(count, -1)


def _distance(real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """Mean |difference| of the sorted projections onto random unit directions, in units of the real patches' spread."""
    directions = torch.randn(real.shape[1], DIRECTIONS, generator=rng)
    directions = directions / directions.norm(dim=0, keepdim=True)
    mean, spread = real.mean(), real.std() + 1e-8
    # Sorting is most of the work; NumPy sorts contiguous rows of float32 many times faster than torch on a CPU.
    projected = (directions.T @ ((patches - mean) / spread).T for patches in (real, fake))
    first, second = (torch.from_numpy(np.sort(values.numpy(), axis=1)) for values in projected)
    return (first - second).abs().mean()
