"""Pictures as a user's collage may look: what a single-image generator for harmonisation or editing is trained on.

After ConSinGAN (Hinz et al. 2021, section 3 and Fig. 2), with the released code's probabilities. Pictures are
(1, 3, H, W) in [-1, 1] and stay as they are; what is returned is new.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Change = Callable[[Tensor, torch.Generator], Tensor]

LARGE, SMALL = (30, 60), (15, 30)
"""Sides in pixels of one hole, and of each of two, in a picture of `OF` px on its shorter side."""

OF = 120

EDIT_NOISE = 0.1
"""Share of noise that is added to a picture with parts moved about, in training and afterwards."""


def cut_out(picture: Tensor, rng: torch.Generator) -> Tensor:
    """Colours changed one time in four, and one or two holes of a random colour nine times in ten."""
    if _chance(0.25, rng):
        picture = CHANGES[_below(len(CHANGES), rng)](picture, rng)
    if not _chance(0.9, rng):
        return picture
    picture, scale = picture.clone(), min(picture.shape[2:]) / OF
    count, sides = (1, LARGE) if _chance(0.5, rng) else (2, SMALL)
    for _ in range(count):
        high, wide = (max(1, round((sides[0] + _below(sides[1] - sides[0] + 1, rng)) * scale)) for _ in range(2))
        top, left = _below(picture.shape[2] - high + 1, rng), _below(picture.shape[3] - wide + 1, rng)
        colour = torch.rand(3, generator=rng) * 2 - 1
        picture[:, :, top : top + high, left : left + wide] = colour.to(picture)[:, None, None]
    return picture


def shuffle_rectangles(picture: Tensor, rng: torch.Generator) -> Tensor:
    """One to five random rectangles moved elsewhere: what an edited picture looks like."""
    moved = picture.clone()
    height, width = picture.shape[2:]
    for _ in range(1 + _below(5, rng)):
        high, wide = (max(1, side // 10 + _below(max(1, side // 4), rng)) for side in (height, width))
        (y, x), (top, left) = ((_below(height - high + 1, rng), _below(width - wide + 1, rng)) for _ in range(2))
        moved[:, :, top : top + high, left : left + wide] = picture[:, :, y : y + high, x : x + wide]
    return moved


def _noisy(picture: Tensor, rng: torch.Generator) -> Tensor:
    noise = torch.randn(picture.shape, generator=rng).to(picture)
    return (picture + 0.3 * float(torch.rand((), generator=rng)) * noise).clamp(-1, 1)


def _toned(picture: Tensor, rng: torch.Generator) -> Tensor:
    """Negative, or grey with a brown cast."""
    if _chance(0.5, rng):
        return -picture
    grey = picture.mean(1, keepdim=True)
    return (grey + torch.tensor([0.15, 0.0, -0.15]).to(picture)[:, None, None]).clamp(-1, 1)


def _channels(picture: Tensor, rng: torch.Generator) -> Tensor:
    """One colour left out, or the three exchanged."""
    if _chance(0.5, rng):
        kept = picture.clone()
        kept[:, _below(3, rng)] = -1.0
        return kept
    return picture[:, torch.randperm(3, generator=rng).to(picture.device)]


def _shifted(picture: Tensor, rng: torch.Generator) -> Tensor:
    """Hue turned about the grey axis, saturation and brightness changed."""
    angle, saturation = (float(v) for v in torch.rand(2, generator=rng) * torch.tensor([6.2832, 1.5]))
    grey = picture.mean(1, keepdim=True)
    colour = picture - grey
    turned = colour.roll(1, 1) - colour.roll(-1, 1)
    rotated = colour * torch.cos(torch.tensor(angle)) + turned * torch.sin(torch.tensor(angle)) / 3**0.5
    bright = float(torch.rand((), generator=rng)) * 0.4 - 0.2
    return (grey + bright + saturation * rotated).clamp(-1, 1)


CHANGES: tuple[Change, ...] = (_noisy, _toned, _channels, _shifted)


def _chance(share: float, rng: torch.Generator) -> bool:
    return float(torch.rand((), generator=rng)) < share


def _below(count: int, rng: torch.Generator) -> int:
    return int(torch.randint(max(1, count), (), generator=rng))
