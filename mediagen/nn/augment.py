"""DiffAugment (Zhao et al. 2020): the same differentiable changes on real and fake pictures, before the discriminator.

Pictures are (B, 3, H, W) in [-1, 1]. Only changes that leave the vertical position of things alone are offered, because
the discriminators here are asked where a patch lies: colour, a horizontal shift, and a cut-out square.
"""

from __future__ import annotations

import torch
from torch import Tensor


def colour(x: Tensor, rng: torch.Generator, strength: float = 1.0) -> Tensor:
    """Brightness +-0.5, saturation 0..2 and contrast 0.5..1.5, each times `strength`."""
    b, s, c = (torch.rand(3, x.shape[0], 1, 1, 1, generator=rng, device=x.device) - 0.5) * strength
    x = x + b
    grey = x.mean(dim=1, keepdim=True)
    x = (x - grey) * (1 + 2 * s) + grey
    level = x.mean(dim=(1, 2, 3), keepdim=True)
    return (x - level) * (1 + c) + level


def shift(x: Tensor, rng: torch.Generator, ratio: float = 0.125) -> Tensor:
    """Moves every picture sideways by up to `ratio` of its width; what comes in is 0, mid-grey."""
    width = x.shape[3]
    reach = max(1, int(width * ratio))
    move = torch.randint(-reach, reach + 1, (x.shape[0], 1), generator=rng, device=x.device)
    column = torch.arange(width, device=x.device)[None] + move
    inside = (column >= 0) & (column < width)
    index = column.clamp(0, width - 1)[:, None, None, :].expand(-1, x.shape[1], x.shape[2], -1)
    return x.gather(3, index) * inside[:, None, None, :]


def cutout(x: Tensor, rng: torch.Generator, ratio: float = 0.4) -> Tensor:
    """Zeroes one square of `ratio` of the side, centred anywhere."""
    height, width = x.shape[2:]
    centre = torch.rand(2, x.shape[0], 1, generator=rng, device=x.device)
    rows = (torch.arange(height, device=x.device)[None] - centre[0] * height).abs() < ratio * height / 2
    columns = (torch.arange(width, device=x.device)[None] - centre[1] * width).abs() < ratio * width / 2
    return x * ~(rows[:, None, :, None] & columns[:, None, None, :])


def augment(x: Tensor, rng: torch.Generator) -> Tensor:
    """All three, in DiffAugment's order."""
    return cutout(shift(colour(x, rng), rng), rng)
