"""A generator of pictures like one photograph: stages of convolutions on a pyramid of sizes, each with noise of its own.

Which network it is, a configuration says: ConSinGAN's (features cross stages, one head and one tail) or SinGAN's (pictures
do, each stage has its own). It paints a plane without end along unbounded axes (CanvasModel), and films a walk of its
noise (StreamModel). Layout: B batch, C channels, H, W; stage 0 is the coarsest.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from mediagen.core.clips import ClipRequest
from mediagen.core.geometry import Field, Interval, Lattice, Window
from mediagen.core.styles import Precision, StyleMap
from mediagen.errors import UsageError
from mediagen.nn.noise_walk import Walk, begin_walk, walk_on
from mediagen.nn.padding_free import box, fit
from mediagen.nn.pyramid_painter import PyramidPainter
from mediagen.nn.single_image import Axis, Box, Plan, axes_of, grown, stack, with_rows

LONGEST = 2**16
"""Pixels a side of a trained picture may have."""


class PyramidGenerator(nn.Module):
    """All stages; those that training has not begun take no part (their amplitudes are negative)."""

    sizes: Tensor
    amplitudes: Tensor

    def __init__(self, config: Any):
        super().__init__()
        c, own, style = config.channels, config.stagewise, {"slope": config.slope, "norm": config.norm}
        heads = config.stages if own else 1
        self.config = config
        self.heads = nn.ModuleList(stack([3 + config.waves, c], **style) for _ in range(heads))
        self.blocks = nn.ModuleList(stack([c, c, c, c], **style) for _ in range(config.stages))
        self.tails = nn.ModuleList(nn.Conv2d(c, 3, 3) for _ in range(heads))
        self.register_buffer("sizes", torch.zeros(config.stages, 2, dtype=torch.int64))
        self.register_buffer("amplitudes", torch.full((config.stages,), -1.0))

    @property
    def stage(self) -> int:
        """The finest stage that training has begun; -1 before all training."""
        return int((self.amplitudes >= 0).sum()) - 1

    def axes(self) -> tuple[Axis, Axis]:
        """(rows, columns) of the pyramid that was trained."""
        pairs: list[list[int]] = self.sizes.tolist()
        if self.stage < 0 or not all(2 <= side <= LONGEST for pair in pairs for side in pair):
            raise UsageError("this generator has not been trained, or its sizes are damaged; train it first")
        return axes_of(pairs, self.config.unbounded, linear=self.config.upsampling == "linear")

    def resized(self, height: int, width: int) -> tuple[Axis, Axis]:
        """The pyramid for a picture of another size: a bounded axis is stretched at every stage, ends on ends."""

        def stretched(axis: Axis, side: int) -> Axis:
            if not axis.bounded:
                return axis
            sizes = (*(max(2, size * side // axis.sizes[-1]) for size in axis.sizes[:-1]), side)
            return Axis(sizes, True, sizes, axis.linear)

        rows, columns = self.axes()
        return stretched(rows, height), stretched(columns, width)

    def plan(self, out: Box, stage: int | None = None, axes: tuple[Axis, Axis] | None = None) -> Plan:
        """What all stages up to `stage` (the finest) compute for the pixels `out`."""
        reach, tail = (5, 0) if self.config.stagewise else (3, 1)
        return Plan.of(axes or self.axes(), self.stage if stage is None else stage, out, reach=reach, tail=tail)

    def noise(self, plan: Plan, entry: int = 0) -> list[Field]:
        """The noise of each stage that has any; z_l is the coarsest, which decides the layout.

        With an `entry`, z_l stands for the picture that the stage before it would have made.
        """
        own, silent = self.config.stagewise, self.amplitudes.tolist()
        first = plan.made(entry - 1) if entry else plan.known(0) if own else plan.seed()
        found = [Field("z_l", 3, box(first))]
        deep = 3 if own else self.config.channels
        noisy = plan.taken if self.config.noise_beyond else plan.known
        return found + [Field(f"z_{n}", deep, box(noisy(n))) for n in range(max(1, entry), len(plan)) if silent[n]]

    def forward(self, z: Sequence[Tensor], plan: Plan, trained: int = 0, entry: int = 0) -> Tensor:
        """The picture (B, 3, h, w) of `plan.out` from `noise(plan)`; stages before `trained` get no gradient.

        Something else than noise may take the place of z[0]. Where pictures cross stages, it may enter at a later one:
        from `noise(plan, entry)`, whose first is then the picture that stage `entry` enlarges.
        """

        def told(x: Tensor, rows: Interval, n: int) -> Tensor:
            return with_rows(x, self.config.waves, rows, plan.axes[0].sizes[n])

        coming, amplitudes, learning = iter(z), self.amplitudes.tolist(), torch.is_grad_enabled()
        x = next(coming)
        for n in range(entry, len(plan)):
            block, known, taken, made = self.blocks[n], plan.known(n), plan.taken(n), plan.made(n)
            where = taken if n and self.config.noise_beyond else known
            with torch.set_grad_enabled(learning and n >= trained):
                below = plan.up(x, n) if n else None
                if below is not None:
                    x = fit(below, known, where)
                    x = x + amplitudes[n] * next(coming).to(below.dtype) if amplitudes[n] else x
                if self.config.stagewise:
                    x = self.heads[n](fit(told(x, where[0], n), where, taken))
                    x = torch.tanh(self.tails[n](block(x)))
                elif n == 0:
                    seed, around = plan.seed(), (grown(known[0], 1), grown(known[1], 1))
                    x = self.heads[0](fit(told(x, seed[0], 0), seed, around))
                    x = block(fit(x, known, taken))
                else:
                    x = block(fit(x, known, taken))
                x = x if below is None else x + fit(below, known, made)
        if self.config.stagewise:
            return x
        out = plan.out
        return torch.tanh(self.tails[0](fit(x, plan.made(len(plan) - 1), (grown(out[0], 1), grown(out[1], 1)))))

    # The CanvasModel contract: the plane of an unbounded axis; a bounded one has the trained picture's rows.

    @property
    def lattice(self) -> Lattice:
        return Lattice(self.axes()[1].period(self.stage))

    @property
    def cell(self) -> tuple[Fraction, Fraction]:
        """Pixels (x, y) from one position of the coarsest noise to the next."""
        rows, columns = (Fraction(axis.grid[self.stage] - 1, axis.grid[0] - 1) for axis in self.axes())
        return columns, rows

    @property
    def scene(self) -> Window:
        rows, columns = (axis.sizes[self.stage] for axis in self.axes())
        return Window(0, 0, columns, rows)

    @property
    def rows(self) -> Interval | None:
        """The rows there are; None where the plane has no end."""
        return self.scene.rows if self.axes()[0].bounded else None

    def painted(self, window: Window) -> Plan | None:
        """What painting takes of the model; None for a window beyond a bounded axis."""
        rows, columns = (
            a.inside(self.stage, o) for a, o in zip(self.axes(), (window.rows, window.columns), strict=True)
        )
        return self.plan((rows, columns)) if len(rows) and len(columns) else None

    def fields(self, window: Window) -> list[Field]:
        plan = self.painted(window)
        return self.noise(plan) if plan else []

    def cost(self, window: Window) -> int:
        plan = self.painted(window)
        return plan.cost(self.config.channels, heads=self.config.stagewise) if plan else 0

    def ideal_cost(self, window: Window) -> float:
        """Every pixel's own convolutions; those of coarser stages are shared by several pixels."""
        c, own = self.config.channels, self.config.stagewise
        ends = 27 * c * 2
        height, width = self.sizes[self.stage].tolist()
        share = [h * w / (height * width) for h, w in self.sizes[: self.stage + 1].tolist()]
        return window.area * (27 * c * c * sum(share) + ends * (sum(share) if own else 1.0))

    def memory(self, window: Window, precision: Precision) -> int:
        """Bytes at once: the weights, the noise of two windows, and some maps of the finest stage."""
        size, c = 4 if precision == "fp32" else 2, self.config.channels
        return int(8 * sum(p.numel() for p in self.parameters()) + window.area * c * (4.5 * size + 12))

    def painter(
        self, styles: StyleMap, *, device: torch.device, precision: Precision, compiled: bool = False
    ) -> PyramidPainter:
        """Styles play no part: there is one, the photograph's."""
        return PyramidPainter(self, device=device, precision=precision, compiled=compiled)

    # The StreamModel contract: a walk of the noise (mediagen.nn.noise_walk).

    fps = 10.0
    clip_frames = 100
    categories = 0
    abilities: frozenset[str] = frozenset()

    @property
    def frame_size(self) -> tuple[int, int]:
        return self.scene.height, self.scene.width

    def start(self, request: ClipRequest) -> Walk:
        return begin_walk(self, request)

    def skip(self, state: Walk, count: int) -> Walk:
        return walk_on(self, state, count)

    @torch.no_grad()
    def step(self, state: Walk, count: int) -> tuple[Walk, Tensor]:
        plan, frames = self.plan((self.scene.rows, self.scene.columns)), []
        for _ in range(count):
            frames.append(self(state.now, plan))
            state = walk_on(self, state, 1)
        return state, torch.cat(frames)
