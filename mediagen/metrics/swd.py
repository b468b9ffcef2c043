"""Sliced Wasserstein distance of small patches over a pyramid: a measure that needs no trained features.

After "Progressive Growing of GANs" (Karras et al. 2018), section 5: patches of 7 x 7, random unit directions; here the
patches are normalised by the real ones' mean and spread as a whole, so that a cast of colour counts.
Clips are cut into patches of 7 x 7 pixels in 4 frames, and measured twice: as they are, and by how they change.
Shapes: pictures (B, 3, H, W), patches (N, 3 * 7 * 7); clips (B, 3, T, H, W), patches (N, 3, 4, 7 * 7).
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
FRAMES = 4
PATCHES_PER_CLIP = 48
CLIP_DIRECTIONS = 128


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


def clip_sliced_wasserstein(real: Tensor, fake: Tensor, rng: torch.Generator) -> float:
    """The mean over the levels of a spatial pyramid of how far patches and their changes lie apart; 0 for equal sets.

    Both (B, 3, T, H, W) alike. Level l's patches take every 2^l-th frame (as far as a clip reaches), so that large things
    are followed for longer. The changes count half, in units of the real ones: what stands still, or moves at random,
    measures badly however good its pictures are. Places and directions are drawn from `rng` (on the CPU).
    """
    assert real.shape == fake.shape
    assert min(real.shape[3:]) >= PATCH
    frames, distances = min(FRAMES, real.shape[2]), []
    for level, (ours, theirs) in enumerate(zip(_clip_pyramid(real), _clip_pyramid(fake), strict=True)):
        stride = max(1, min(2**level, (real.shape[2] - 1) // max(1, frames - 1)))
        state, patches = rng.get_state(), []
        for clips in (ours, theirs):
            rng.set_state(state)  # the same places on both sides, as for pictures
            patches.append(_clip_patches(clips, frames, stride, rng))
        views = [[cut.flatten(1) for cut in patches]]
        if frames > 1:
            views.append([cut.diff(dim=2).flatten(1) for cut in patches])
        distances.append(torch.stack([_distance(a, b, rng, CLIP_DIRECTIONS) for a, b in views]).mean())
    return float(torch.stack(distances).mean())


def _clip_pyramid(clips: Tensor) -> list[Tensor]:
    """The Laplacian pyramid of every frame: levels (B, 3, T, h, w)."""
    batch, _, frames = clips.shape[:3]
    levels = _pyramid(clips.float().cpu().transpose(1, 2).flatten(0, 1))
    return [level.unflatten(0, (batch, frames)).transpose(1, 2) for level in levels]


def _clip_patches(clips: Tensor, frames: int, stride: int, rng: torch.Generator) -> Tensor:
    """PATCHES_PER_CLIP random patches of every clip, (B * PATCHES_PER_CLIP, 3, frames, 49)."""
    batch, colours, length, height, width = clips.shape
    count = batch * PATCHES_PER_CLIP
    shape = (count, 1, 1, 1, 1)
    begin = torch.randint(length - (frames - 1) * stride, shape, generator=rng)
    top = torch.randint(height - PATCH + 1, shape, generator=rng)
    left = torch.randint(width - PATCH + 1, shape, generator=rng)
    which = torch.arange(batch).repeat_interleave(PATCHES_PER_CLIP).view(shape)
    colour, time = torch.arange(colours).view(1, -1, 1, 1, 1), torch.arange(frames).view(1, 1, -1, 1, 1) * stride
    rows, columns = torch.arange(PATCH).view(1, 1, 1, -1, 1), torch.arange(PATCH).view(1, 1, 1, 1, -1)
    return clips[which, colour, begin + time, top + rows, left + columns].flatten(3)


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


def _distance(real: Tensor, fake: Tensor, rng: torch.Generator, directions: int = DIRECTIONS) -> Tensor:
    """Mean |difference| of the sorted projections onto random unit directions, in units of the real patches' spread."""
    units = torch.randn(real.shape[1], directions, generator=rng)
    units = units / units.norm(dim=0, keepdim=True)
    mean, spread = real.mean(), real.std() + 1e-8
    # Sorting is most of the work; NumPy sorts contiguous rows of float32 many times faster than torch on a CPU.
    projected = (units.T @ ((patches - mean) / spread).T for patches in (real, fake))
    first, second = (torch.from_numpy(np.sort(values.numpy(), axis=1)) for values in projected)
    return (first - second).abs().mean()
