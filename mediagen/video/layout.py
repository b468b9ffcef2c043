"""Tiles of frames laid out as one picture, enlarged: (T, 3, h, w) uint8 -> (T, H, W, 3) uint8."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

GAP_COLOUR = 48
"""A dark grey, which tells tiles apart on a black ground too."""


def laid_out(tiles: Sequence[Tensor], grid: tuple[int, int], scale: int) -> np.ndarray:
    """Tiles row by row, each enlarged (bicubic) on its own, with thin gaps."""
    rows, columns = grid
    large = [_enlarged(tile, scale).permute(0, 2, 3, 1) for tile in tiles]
    count, height, width, _ = large[0].shape
    if len(large) == 1:
        return large[0].contiguous().numpy()
    gap = gap_of(scale)
    whole = torch.full(
        (count, rows * (height + gap) - gap, columns * (width + gap) - gap, 3), GAP_COLOUR, dtype=torch.uint8
    )
    for i, tile in enumerate(large):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        whole[:, top : top + height, left : left + width] = tile
    return whole.numpy()


def gap_of(scale: int) -> int:
    """Pixels between two tiles: even, so that colours coded at half the size do not bleed."""
    return 2 * max(1, scale // 2)


def laid_out_size(frame_size: tuple[int, int], grid: tuple[int, int], scale: int) -> tuple[int, int]:
    """(height, width) of what `laid_out` makes of frames of (height, width)."""
    gap = gap_of(scale)
    height, width = (count * (scale * side + gap) - gap for count, side in zip(grid, frame_size, strict=True))
    return height, width


def _enlarged(frames: Tensor, scale: int) -> Tensor:
    if scale == 1:
        return frames
    plain = frames.contiguous(memory_format=torch.channels_last)
    return F.interpolate(plain, scale_factor=float(scale), mode="bicubic", antialias=True)
