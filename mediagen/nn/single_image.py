"""Parts of generators that learn from one picture: the pyramid of sizes, exact resampling, blocks of valid convolutions.

Every stage has a lattice of its own. Index 0 of a stage lies on index 0 of the stage before, and the last index of the
trained picture on its last one: position x of stage n reads stage n - 1 at x * p / q with p / q = (w_{n-1} - 1) / (w_n - 1),
in whole numbers, so that 10**12 is as exact as 0. Nothing is padded along an unbounded axis; a bounded one ends at 0 and
at the picture's extent, and what lies beyond is zero at the input of a block (resampling repeats its last position).

Layout: B batch, C channels, H, W; stage 0 is the coarsest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from mediagen.core.geometry import Interval

SHARPNESS = -0.75
"""The cubic kernel's parameter in the upsampling between stages: that of the framework ConSinGAN is written in."""

ANTIALIASED = -0.5
"""The cubic kernel's parameter where pictures are made smaller (Keys 1981), as picture tools have it."""


def stage_sizes(side: int, shorter: int, shortest: int, stages: int, *, geometric: bool = False) -> tuple[int, ...]:
    """Sizes of one side at every stage, coarsest first (ConSinGAN, Eq. 3); `shorter` is the picture's shorter side.

    size_n = side * r^(((N-1) / ln N) ln(N-n) + 1), N = stages - 1, with r such that the coarsest shorter side is
    `shortest`; `geometric` takes SinGAN's r^(N-n) instead.
    """
    last = stages - 1
    ratio = min(1.0, shortest / shorter)
    if last < 1 or ratio == 1.0:
        return (side,) * stages
    powers = [(last - n) / last for n in range(last)]  # of r^N, the whole ratio
    if last > 1 and not geometric:
        powers = [((last - 1) / math.log(last) * math.log(last - n) + 1) / last for n in range(last)]
    return (*(math.ceil(side * ratio**power - 1e-6) for power in powers), side)


def pyramid_sizes(
    height: int,
    width: int,
    shortest: int,
    stages: int,
    *,
    measured: int | None = None,
    geometric: bool = False,
    shared: bool = False,
) -> list[tuple[int, ...]]:
    """Sizes (rows, columns) of every stage; with `shared`, both axes have the spacing of the longer one.

    `shortest` is what the coarsest stage has of the side `measured`: the shorter one, if none is said.
    """
    sides, of = (height, width), measured or min(height, width)
    if not shared:
        return [stage_sizes(side, of, shortest, stages, geometric=geometric) for side in sides]
    longer = stage_sizes(max(sides), of, shortest, stages, geometric=geometric)
    return [tuple((side - 1) * (n - 1) // (longer[-1] - 1) + 1 for n in longer) for side in sides]


@dataclass(frozen=True)
class Step:
    """One stage along one axis: what its block takes, how much of that exists, and what it makes."""

    taken: Interval
    known: Interval
    made: Interval


@dataclass(frozen=True)
class Axis:
    """One axis of a pyramid: the trained picture's size at every stage, coarsest first.

    `grid` are the sizes whose ends lie on each other, when they are another axis's: both then share one ratio.
    Upsampling is cubic, or `linear` between the two nearest positions.
    """

    sizes: tuple[int, ...]
    bounded: bool
    grid: tuple[int, ...]
    linear: bool = False

    def inside(self, stage: int, span: Interval) -> Interval:
        """What of a span exists."""
        return span.meet(Interval(0, self.sizes[stage])) if self.bounded else span

    def ratio(self, stage: int) -> tuple[int, int]:
        """p / q: positions of stage - 1 per position of stage."""
        p, q = self.grid[stage - 1] - 1, self.grid[stage] - 1
        common = math.gcd(p, q)
        return p // common, q // common

    def period(self, stage: int) -> int:
        """Positions of `stage` after which every coarser lattice falls on whole positions again."""
        steps = [size - 1 for size in self.grid[: stage + 1]]
        return steps[-1] // math.gcd(*steps)

    def reads(self, stage: int, out: Interval) -> Interval:
        """Positions of stage - 1 that upsampling to `out` reads: four per position, or two."""
        p, q = self.ratio(stage)
        beside = 0 if self.linear else 1
        return self.inside(stage - 1, Interval(out.start * p // q - beside, (out.stop - 1) * p // q + 2 + beside))

    def upsampling(self, stage: int, out: Interval, read: Interval) -> np.ndarray:
        """The upsampling from `read` of stage - 1 to `out` as a float32 matrix (len(out), len(read))."""
        p, q = self.ratio(stage)
        # Moved to the origin, so that equal windows anywhere share one matrix.
        moved = out.start // q
        last = self.sizes[stage - 1] - 1 - moved * p if self.bounded else None
        first = -moved * p if self.bounded else None
        start, source = out.start - moved * q, read.start - moved * p
        return _upsampling(p, q, start, len(out), source, len(read), first, last, self.linear)

    def shrinking(self, stage: int) -> np.ndarray:
        """Antialiased resampling of the picture to a coarser stage as a float32 matrix (size there, finest size)."""
        step = (self.grid[-1] - 1) / (self.grid[stage] - 1)
        return _shrinking(self.sizes[-1], self.sizes[stage], step)

    def steps(self, stage: int, out: Interval, *, reach: int, tail: int) -> list[Step]:
        """What stages 0 .. stage compute for the positions `out` of the last; blocks reach `reach`, the end `tail`."""
        made = self.inside(stage, grown(out, tail))
        found: list[Step] = []
        for k in range(stage, -1, -1):
            taken = grown(made, reach)
            found.append(Step(taken, self.inside(k, taken), made))
            if k:
                made = self.reads(k, found[-1].known)
        return found[::-1]


Box = tuple[Interval, Interval]
"""(rows, columns)."""


def axes_of(
    sizes: Sequence[Sequence[int]], unbounded: Literal["none", "x", "xy"], *, linear: bool = False
) -> tuple[Axis, Axis]:
    """(rows, columns) of a pyramid whose stages have `sizes`, each (rows, columns)."""
    rows, columns = zip(*sizes, strict=True)
    longer = rows if rows[-1] > columns[-1] else columns
    both = unbounded == "xy"
    return (
        Axis(rows, not both, longer if both else rows, linear),
        Axis(columns, unbounded == "none", longer if both else columns, linear),
    )


@dataclass(frozen=True)
class Plan:
    """What stages 0 .. n compute for the window `out` of stage n."""

    axes: tuple[Axis, Axis]
    rows: list[Step]
    columns: list[Step]
    out: Box

    @classmethod
    def of(cls, axes: tuple[Axis, Axis], stage: int, out: Box, *, reach: int, tail: int) -> Plan:
        rows, columns = (axis.steps(stage, o, reach=reach, tail=tail) for axis, o in zip(axes, out, strict=True))
        return cls(axes, rows, columns, out)

    def __len__(self) -> int:
        return len(self.rows)

    def taken(self, n: int) -> Box:
        return self.rows[n].taken, self.columns[n].taken

    def known(self, n: int) -> Box:
        return self.rows[n].known, self.columns[n].known

    def made(self, n: int) -> Box:
        return self.rows[n].made, self.columns[n].made

    def seed(self) -> Box:
        """What stage 0 is made from, when a 3 x 3 convolution comes before its block."""
        return self.axes[0].inside(0, grown(self.rows[0].known, 1)), self.axes[1].inside(
            0, grown(self.columns[0].known, 1)
        )

    def cost(self, channels: int, *, heads: bool) -> int:
        """Multiply-adds: the blocks' three convolutions, the upsampling, and head and tail, once or at every stage."""
        total, last = 0, len(self) - 1
        for n in range(len(self)):
            rows, columns = self.taken(n)
            # Sides after so many convolutions: with heads the first is the head's, and the tail's comes last.
            area = [(len(rows) - 2 * i) * (len(columns) - 2 * i) for i in range(6)]
            total += 9 * channels * channels * sum(area[2:5] if heads else area[1:4])
            if heads:
                total += 27 * channels * (area[1] + area[5])
            elif n in (0, last):
                total += 27 * channels * area[0] * (2 if last == 0 else 1)
            if n:
                (h, w), (high, wide) = (tuple(map(len, b)) for b in (self.made(n - 1), self.known(n)))
                total += (3 if heads else channels) * (h * wide * w + high * wide * h)
        return total

    def up(self, x: Tensor, n: int) -> Tensor:
        """What stage n - 1 made, on the lattice of stage n where that is known."""
        matrices = (
            axis.upsampling(n, known, made)
            for axis, known, made in zip(self.axes, self.known(n), self.made(n - 1), strict=True)
        )
        return resample(x, *matrices)


def grown(span: Interval, by: int) -> Interval:
    """The span and `by` more positions on either side."""
    return Interval(span.start - by, span.stop + by)


def cubic(distance: np.ndarray, sharpness: float) -> np.ndarray:
    """Keys' cubic convolution kernel: a = `sharpness`, support 2."""
    x, a = np.abs(distance), sharpness
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


@lru_cache(maxsize=512)
def _upsampling(
    p: int, q: int, start: int, count: int, read: int, width: int, first: int | None, last: int | None, linear: bool
) -> np.ndarray:
    matrix = np.zeros((count, width))
    at = np.arange(start, start + count) * p
    for tap in range(2) if linear else range(-1, 3):
        distance = (at % q) / q - tap
        weight = 1 - np.abs(distance) if linear else cubic(distance, SHARPNESS)
        # Beyond a bounded axis the last position stands in, as in the framework's own upsampling.
        source = np.clip(at // q + tap, first, last) if first is not None else at // q + tap
        np.add.at(matrix, (np.arange(count), source - read), weight)
    return matrix.astype(np.float32)


@lru_cache(maxsize=64)
def _shrinking(size: int, smaller: int, step: float) -> np.ndarray:
    """Antialiased cubic resampling of `size` positions to every `step`-th: float32 (smaller, size)."""
    stretch = max(1.0, step)
    reach = math.ceil(2 * stretch)
    taps = np.arange(-reach, reach + 1)
    at = np.arange(smaller) * step
    near = np.rint(at).astype(int)[:, None] + taps
    weight = cubic((near - at[:, None]) / stretch, ANTIALIASED)
    matrix = np.zeros((smaller, size))
    np.add.at(matrix, (np.arange(smaller)[:, None], np.clip(near, 0, size - 1)), weight)
    return (matrix / matrix.sum(1, keepdims=True)).astype(np.float32)


def resample(x: Tensor, rows: np.ndarray, columns: np.ndarray) -> Tensor:
    """x (B, C, H, W) -> (B, C, h, w) by the matrices (h, H) and (w, W)."""
    batch, channels, height, _ = x.shape
    down, across = (torch.from_numpy(m).to(x.device, x.dtype) for m in (rows, columns))
    # Channels last: a row is then a matrix (W, C), and so is a column of whole rows.
    x = torch.matmul(across, x.permute(0, 2, 3, 1))
    x = torch.matmul(down, x.reshape(batch, height, -1))
    return x.view(batch, len(rows), len(columns), channels).permute(0, 3, 1, 2)


def shrunk(pictures: Tensor, axes: tuple[Axis, Axis], stage: int) -> Tensor:
    """Pictures (B, 3, H, W) of the finest stage on a coarser one's lattice, in [-1, 1]."""
    if stage == len(axes[0].sizes) - 1:
        return pictures
    return resample(pictures, axes[0].shrinking(stage), axes[1].shrinking(stage)).clamp(-1, 1)


def mirrored(x: Tensor, rows: Interval, columns: Interval) -> Tensor:
    """The window of a picture x (B, C, H, W) that is continued by its mirror images on all sides."""

    def index(span: Interval, size: int) -> Tensor:
        there = torch.arange(span.start, span.stop, device=x.device) % max(1, 2 * size - 2)
        return torch.where(there < size, there, 2 * size - 2 - there)

    return x[:, :, index(rows, x.shape[2])[:, None], index(columns, x.shape[3])]


def with_rows(x: Tensor, count: int, rows: Interval, height: int) -> Tensor:
    """x (B, C, H, W) with `count` channels more: cos(pi k y / height), k = 1 .. count, at the middle y of each of `rows`."""
    if not count:
        return x
    y = (torch.arange(rows.start, rows.stop, dtype=torch.float64) + 0.5) / height
    k = torch.arange(1, count + 1, dtype=torch.float64)
    cosines = torch.cos(math.pi * k[:, None] * y).to(x.device, x.dtype)
    return torch.cat([x, cosines[None, :, :, None].expand(len(x), -1, -1, x.shape[3])], 1)


def with_ends(x: Tensor, count: int, rows: Interval, height: int) -> Tensor:
    """x (B, C, H, W) with `count` mirrored rows more where its `rows` touch an end of a picture of `height`.

    A critic without padding sees the outermost row in one patch only, all others in as many as a patch has rows.
    """
    if not count:
        return x
    above = [x[:, :, 1 : count + 1].flip(2)] if rows.start == 0 else []
    below = [x[:, :, -count - 1 : -1].flip(2)] if rows.stop == height else []
    return torch.cat([*above, x, *below], 2)


def seen(x: Tensor, cosines: int, ends: int, rows: Interval, height: int) -> Tensor:
    """What a critic is shown of a window: its rows told by `cosines`, and `ends` mirrored rows at the picture's ends."""
    return with_ends(with_rows(x, cosines, rows, height), ends, rows, height)


def place(extent: int, most: int, rng: torch.Generator) -> Interval:
    """A random window of at most `most` positions (0: all) of [0, extent); one in three touches an end.

    A window drawn evenly would hardly ever show the first and last positions.
    """
    if not 0 < most < extent:
        return Interval(0, extent)
    spare = extent - most
    margin = spare // 4 + 1
    start = int(torch.randint(-margin, spare + margin + 1, (), generator=rng))
    start = min(spare, max(0, start))
    return Interval(start, start + most)


def shifted(length: int, period: int, rng: torch.Generator) -> Interval:
    """A window of an unbounded axis: where it starts matters only within a period of the pyramid's lattices."""
    start = int(torch.randint(period, (), generator=rng))
    return Interval(start, start + length)


def stack(widths: Sequence[int], *, slope: float, norm: bool = False, last: bool = True) -> nn.Sequential:
    """Valid 3 x 3 convolutions between the widths, each with [batch norm and] LeakyReLU; without on the `last` if False."""
    layers: list[nn.Module] = []
    for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        layers.append(nn.Conv2d(inputs, outputs, 3))
        if last or i < len(widths) - 2:
            layers += [nn.BatchNorm2d(outputs)] if norm else []
            layers.append(nn.LeakyReLU(slope, inplace=True))
    return nn.Sequential(*layers)


def initialise(network: nn.Module) -> None:
    """Weights N(0, 0.02) for convolutions, N(1, 0.02) for batch norms, as the released code has them."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
