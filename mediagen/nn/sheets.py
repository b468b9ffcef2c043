"""Numbers in [-1, 1] as bytes and back, and clips (B, 3, T, H, W) laid out to be looked at: contact sheets and grids."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def contact_sheet(clips: Tensor) -> np.ndarray:
    """One row a clip, one column a frame: (B * H, T * W, 3) uint8."""
    batch, _, frames, height, width = clips.shape
    shown: np.ndarray = to_bytes(clips).permute(0, 3, 2, 4, 1).cpu().numpy()
    return shown.reshape(batch * height, frames * width, 3)


def clip_grid(clips: Tensor, columns: int) -> np.ndarray:
    """All clips at once, row by row, as one clip: (T, rows * H, columns * W, 3) uint8."""
    batch, _, frames, height, width = clips.shape
    assert batch % columns == 0, "the last row of a grid must be full"
    tiled = to_bytes(clips).unflatten(0, (batch // columns, columns)).permute(3, 0, 4, 1, 5, 2)
    shown: np.ndarray = tiled.cpu().numpy()
    return shown.reshape(frames, batch // columns * height, columns * width, 3)


def to_bytes(values: Tensor) -> Tensor:
    """[-1, 1] -> uint8, the nearest level, halves upwards; what lies beyond is clipped."""
    return values.detach().float().mul(127.5).add_(128).clamp_(0, 255).to(torch.uint8)


def from_bytes(values: Tensor) -> Tensor:
    """uint8 -> [-1, 1], float32."""
    return values.float() / 127.5 - 1


def picture_tensor(picture: np.ndarray) -> Tensor:
    """A picture (height, width, 3) uint8 as a batch of one, (1, 3, H, W) in [-1, 1]."""
    return from_bytes(torch.tensor(np.ascontiguousarray(picture)).permute(2, 0, 1)[None])


def remember(kept: Tensor, pictures: Tensor) -> None:
    """Puts pictures (B, 3, H, W) before what `kept` (n, 3, H, W) uint8 holds, in place; the last ones fall out."""
    kept.copy_(torch.cat([to_bytes(pictures[: len(kept)]), kept])[: len(kept)])


def recall(kept: Tensor, count: int, rng: torch.Generator | None = None) -> Tensor:
    """Of the pictures that were kept, `count` drawn with `rng`, or the latest, over and over where they are fewer.

    (count, 3, H, W) in [-1, 1].
    """
    latest = torch.arange(count, device=kept.device) % len(kept)
    which = latest if rng is None else torch.randint(len(kept), (count,), generator=rng, device=kept.device)
    return from_bytes(kept[which])
