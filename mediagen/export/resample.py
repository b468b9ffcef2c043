"""A view of a picture at any place and scale, between pixels too: Lanczos filters whose strength does not depend on the place.

The filter makes a smooth surface out of the pixels, fixed to the plane; a frame is that surface looked at through a lattice
of points. As long as the surface holds nothing finer than the lattice can show, motion is motion alone: nothing flickers or
shimmers. A Lanczos filter of three lobes leaves a little too much, so it is drawn out by a fifth: what changes from place to
place is then at most 1 % of a pattern of 2.5 pixels, where a cubic filter's share is 28 %.

Layout: a sheet is (3, w, h) float32, columns first, so that both passes read whole rows of memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Colours = Literal["rgb", "yuv"]
"""What a frame is made of: bytes (H, W, 3), or BT.709 luma and two quarter-size chroma planes as coders want them."""

LOBES = 3
STRETCH = 1.2

# BT.709 in studio range, as H.273 writes it: from RGB 0..255 to Y 16..235 and Cb, Cr 16..240.
_LUMA = np.array([0.2126, 0.7152, 0.0722])
_MATRIX = np.stack(
    [219 * _LUMA, 224 * (np.array([0, 0, 1]) - _LUMA) / 1.8556, 224 * (np.array([1, 0, 0]) - _LUMA) / 1.5748]
)
_OFFSET = (16.0, 128.0, 128.0)


@dataclass(frozen=True)
class View:
    """What a frame shows, in pixels of one level: its left and top edge, and how many of them a pixel of the frame is."""

    left: float
    top: float
    step: float


@dataclass(frozen=True)
class Taps:
    """For each output position, the sheet's rows to read and their weights: both (n, taps)."""

    rows: Tensor
    weights: Tensor


def reach(step: float, colours: Colours) -> int:
    """Pixels beyond the edge of a view that its filters may read."""
    return int(np.ceil(LOBES * _scale(step if colours == "rgb" else 2 * step))) + 1


@lru_cache(16)
def taps_of(
    start: float, step: float, count: int, corner: int, size: int, *, first: float = 0.5, stride: int = 1
) -> Taps:
    """Filters for points at start + (first + stride * i) * step, on an axis whose `size` pixels begin at `corner`.

    Beyond its ends the axis's last pixel is repeated. A point's weights do not depend on where the sheet begins.
    """
    scale = _scale(stride * step)
    whole = int(np.floor(start))
    at = (start - whole) + (first + stride * np.arange(count)) * step
    lowest = np.ceil(at - 0.5 - LOBES * scale).astype(np.int64)
    pixels = lowest[:, None] + np.arange(int(2 * LOBES * scale) + 1)
    distance = (pixels + 0.5 - at[:, None]) / scale
    near = torch.from_numpy(distance.astype(np.float32)).clamp_(-LOBES, LOBES)
    weights = torch.sinc(near) * torch.sinc(near / LOBES)
    weights /= weights.sum(dim=1, keepdim=True)
    return Taps(torch.from_numpy(np.clip(pixels + (whole - corner), 0, size - 1)), weights)


def sheet_of(planar: np.ndarray, colours: Colours) -> Tensor:
    """A picture (3, h, w) uint8 of any strides as a sheet."""
    rgb = torch.from_numpy(planar).transpose(1, 2).contiguous().float()
    if colours == "rgb":
        return rgb
    mixed = torch.empty_like(rgb)
    for out, shares, offset in zip(mixed, (_MATRIX / 255).tolist(), _OFFSET, strict=True):
        torch.mul(rgb[0], shares[0], out=out)
        out.add_(rgb[1], alpha=shares[1]).add_(rgb[2], alpha=shares[2]).add_(offset)
    return mixed


def planes(sheet: Tensor, corner: tuple[int, int], view: View, size: tuple[int, int], colours: Colours) -> list[Tensor]:
    """The three planes of a frame of `size` (W, H), as float32 (h, w); `corner` (x, y) is the sheet's first pixel."""
    (width, height), (_, across, down) = size, sheet.shape
    x = taps_of(view.left, view.step, width, corner[0], across)
    y = taps_of(view.top, view.step, height, corner[1], down)
    if colours == "rgb":
        return [_through(plane, x, y) for plane in sheet]
    # Chroma lies on every other column, and between two rows, as H.264 and its successors take for granted.
    half_x = taps_of(view.left, view.step, width // 2, corner[0], across, first=0.5, stride=2)
    half_y = taps_of(view.top, view.step, height // 2, corner[1], down, first=1.0, stride=2)
    return [_through(sheet[0], x, y), *(_through(plane, half_x, half_y) for plane in sheet[1:])]


def frame_shape(size: tuple[int, int], colours: Colours) -> tuple[int, ...]:
    """A frame's bytes as an array: (H, W, 3), or (H * 3 / 2, W) with luma first (I420)."""
    width, height = size
    return (height, width, 3) if colours == "rgb" else (height * 3 // 2, width)


def rounded(parts: list[Tensor]) -> list[Tensor]:
    """Planes as bytes. The planes given are used up."""
    return [part.add_(0.5).clamp_(0.0, 255.5).to(torch.uint8) for part in parts]


def put(parts: list[Tensor], shift: int, out: np.ndarray, colours: Colours) -> None:
    """The frame that begins `shift` columns into planes at least as wide, into `out` of `frame_shape`."""
    if colours == "rgb":
        width = out.shape[1]
        for i, part in enumerate(parts):
            out[:, :, i] = part[:, shift : shift + width].numpy()
        return
    flat, at, width = torch.from_numpy(out).view(-1), 0, out.shape[1]
    for part, by in zip(parts, (1, 2, 2), strict=True):
        seen = part[:, shift // by : (shift + width) // by]
        flat[at : at + seen.numel()].view(seen.shape).copy_(seen)
        at += seen.numel()


def _through(plane: Tensor, x: Taps, y: Taps) -> Tensor:
    """A plane (w, h) of a sheet, filtered along x, then along y: (n_y, n_x)."""
    low, high = int(y.rows[0, 0]), int(y.rows[-1, -1]) + 1
    if plane.shape[1] > 1.2 * (high - low):
        plane, y = plane[:, low:high].contiguous(), Taps(y.rows - low, y.weights)
    columns = F.embedding_bag(x.rows, plane, per_sample_weights=x.weights, mode="sum")
    return F.embedding_bag(y.rows, columns.t().contiguous(), per_sample_weights=y.weights, mode="sum")


def _scale(step: float) -> float:
    """How far the filter is drawn out where two points are `step` pixels apart."""
    return max(1.0, STRETCH * step)
