"""What a generator that learnt from one picture is good for, beside canvases and films.

    vary         pictures like it, of any size and aspect
    harmonise    a collage whose parts take on the picture's style (model trained with task harmonisation)
    edit         a picture with parts moved about, made plausible (task editing)
    from_paint   a painting in flat colours, rendered as the photograph would be
    enlarge      more pixels with the picture's own detail (preset enlarging)

The last four put a picture where the coarsest noise would be; where pictures cross stages, and the coarsest was trained on
noise alone, into a later stage, which `entry` names. Pictures are uint8 (height, width, 3), masks (height, width) with
anything but 0 where something was changed. Tensors are (1, C, H, W) in [-1, 1].
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mediagen.core.geometry import Interval
from mediagen.errors import UsageError
from mediagen.nn.naive import EDIT_NOISE
from mediagen.nn.pyramid_generator import PyramidGenerator
from mediagen.nn.pyramid_painter import arrays, noise_of
from mediagen.nn.sheets import picture_tensor
from mediagen.nn.single_image import Axis, mirrored, resample

SOFT = 5.0
"""Standard deviation in pixels with which a mask's edge is blurred [the released code]."""

HARMONISE_REACH, EDIT_REACH = 7, 20
"""Pixels by which a mask is grown before that."""


def vary(model: PyramidGenerator, *, height: int | None = None, width: int | None = None, seed: int = 0) -> np.ndarray:
    """A picture like the photograph, at its size or another: noise decides the rest. Raises UsageError."""
    high, wide = (side or own for side, own in zip((height, width), model.frame_size, strict=True))
    return _made(model, high, wide, None, seed)


def harmonise(
    model: PyramidGenerator,
    picture: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    seed: int = 0,
    entry: int | None = None,
) -> np.ndarray:
    """The collage in one style; with a mask, only what was pasted and a soft edge around it are redrawn."""
    return _composed(picture, _redrawn(model, picture, seed, entry=entry), mask, HARMONISE_REACH)


def edit(
    model: PyramidGenerator,
    picture: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    seed: int = 0,
    entry: int | None = None,
) -> np.ndarray:
    """The edited picture without its seams; with a mask, the rest stays as it is."""
    return _composed(picture, _redrawn(model, picture, seed, noise=EDIT_NOISE, entry=entry), mask, EDIT_REACH)


def from_paint(
    model: PyramidGenerator, painting: np.ndarray, *, colours: int = 0, seed: int = 0, entry: int | None = None
) -> np.ndarray:
    """A painting as a photograph; `colours` above 0 first brings it to so many of its own colours (SinGAN takes 5)."""
    return _redrawn(model, quantised(painting, colours) if colours else painting, seed, entry=entry)


def enlarge(model: PyramidGenerator, picture: np.ndarray, factor: float = 4.0, *, seed: int = 0) -> np.ndarray:
    """`factor` times the size, by going from a coarser stage to the finest as often as that takes. Raises UsageError."""
    rows, columns = model.axes()
    step = max(axis.sizes[-1] / axis.sizes[0] for axis in (rows, columns))
    if factor <= 1 or step <= 1:
        raise UsageError("a picture is enlarged by more than 1, with a model of at least two sizes (preset enlarging)")
    height, width = picture.shape[:2]
    times = max(1, round(math.log(factor) / math.log(step)))
    for n in range(1, times + 1):
        share = factor ** (n / times)
        picture = _made(model, round(height * share), round(width * share), picture, seed)
    return picture


def quantised(picture: np.ndarray, colours: int, rounds: int = 20) -> np.ndarray:
    """Every pixel in the nearest of `colours` colours, found by k-means from evenly spaced pixels by brightness."""
    pixels = torch.from_numpy(picture.reshape(-1, 3).astype(np.float32))
    order = pixels.sum(1).argsort(stable=True)
    centres = pixels[order[torch.linspace(0, len(order) - 1, 2 * colours + 1).long()[1::2]]]
    for _ in range(rounds):
        nearest = torch.cdist(pixels, centres).argmin(1)
        members = F.one_hot(nearest, colours).float()
        centres = torch.where(
            members.sum(0)[:, None] > 0, members.T @ pixels / members.sum(0).clamp_min(1)[:, None], centres
        )
    chosen = centres[torch.cdist(pixels, centres).argmin(1)].round().clamp(0, 255)
    return chosen.numpy().astype(np.uint8).reshape(picture.shape)


def softened(mask: np.ndarray, reach: int) -> Tensor:
    """The mask grown by a disk of `reach` pixels and blurred: float32 (H, W) in [0, 1]."""
    shape = torch.arange(-reach, reach + 1)
    disk = (shape[:, None] ** 2 + shape[None] ** 2 <= reach**2).float()
    there = torch.from_numpy((mask != 0).astype(np.float32))[None, None]
    grown = (F.conv2d(there, disk[None, None], padding=reach) > 0).float()
    taps = torch.arange(-3 * round(SOFT), 3 * round(SOFT) + 1).float()
    bell = torch.exp(-(taps**2) / (2 * SOFT**2))
    bell = (bell / bell.sum()).view(1, 1, 1, -1)
    half = len(taps) // 2
    blurred = F.conv2d(F.pad(grown, (half, half, half, half), mode="replicate"), bell)
    soft = F.conv2d(blurred, bell.mT)[0, 0]
    return soft / soft.max().clamp_min(1e-6)


def _redrawn(
    model: PyramidGenerator, picture: np.ndarray, seed: int, noise: float = 0.0, entry: int | None = None
) -> np.ndarray:
    if entry is None:
        entry = 1 if model.config.stagewise and model.config.task == "generation" and model.stage > 0 else 0
    if not 0 <= entry <= (model.stage if model.config.stagewise else 0):
        most = model.stage if model.config.stagewise else 0
        raise UsageError(f"a picture enters this model at a stage from 0 to {most}, not {entry}")
    return _made(model, picture.shape[0], picture.shape[1], picture, seed, noise, entry)


@torch.no_grad()
def _made(
    model: PyramidGenerator,
    height: int,
    width: int,
    picture: np.ndarray | None,
    seed: int,
    noise: float = 0.0,
    entry: int = 0,
) -> np.ndarray:
    """A picture of that size; `picture`, of any size, takes the place of the coarsest noise, `noise` of which is added.

    At an `entry` above 0 it is what the stage before would have made, and no noise is added, as in MIL's released code.
    """
    if min(height, width) < 2:
        raise UsageError(f"a picture of {width} x {height} px is too small to make")
    axes = model.resized(height, width)
    plan = model.plan((Interval(0, height), Interval(0, width)), axes=axes)
    fields, device = model.noise(plan, entry), next(model.parameters()).device
    z = noise_of(fields, seed, device)
    if picture is not None:
        given = picture_tensor(picture).to(device)
        small = mirrored(
            _brought(given, axes, (height, width), max(0, entry - 1)), fields[0].window.rows, fields[0].window.columns
        )
        z = [small, *(torch.zeros_like(x) for x in z[1:])] if entry else [small + noise * z[0], *z[1:]]
    return arrays(model(z, plan, entry=entry))[0]


def _brought(picture: Tensor, axes: tuple[Axis, Axis], size: tuple[int, int], stage: int = 0) -> Tensor:
    """A picture of any size on the coarsest lattice, or that of `stage`, of a picture of `size`, ends on ends."""
    matrices = []
    for axis, have, want in zip(axes, picture.shape[2:], size, strict=True):
        p, q = (axis.grid[stage] - 1), (axis.grid[-1] - 1)
        count = (want - 1) * p // q + 1
        grid = (count, have)
        matrices.append(Axis(grid, True, grid).shrinking(0) if count != have else np.eye(have, dtype=np.float32))
    return resample(picture, *matrices).clamp(-1, 1)


def _composed(before: np.ndarray, after: np.ndarray, mask: np.ndarray | None, reach: int) -> np.ndarray:
    if mask is None:
        return after
    if mask.shape[:2] != before.shape[:2]:
        raise UsageError(
            f"the mask is {mask.shape[1]} x {mask.shape[0]} px, the picture {before.shape[1]} x {before.shape[0]}"
        )
    share = softened(mask if mask.ndim == 2 else mask.max(2), reach).numpy()[..., None]
    mixed: np.ndarray = np.rint((1 - share) * before + share * after).astype(np.uint8)
    return mixed
