"""The plan of a canvas: everything that decides its bytes and must therefore agree when a canvas is continued.

Blocks (what is computed at once) lie on an absolute grid that belongs to the model and its scene's first row, never to
the canvas; so two canvases of one model, precision and memory budget share their blocks, wherever they lie. Shards (what
is written at once) are counted from the canvas's own corner, so that the array is exactly as large as asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from mediagen.core.geometry import Window
from mediagen.core.resample import Resample
from mediagen.core.styles import Precision
from mediagen.models._spec import CanvasModel

BAND = 8
"""Rows of shards that are painted column by column before the next ones, so that unaligned neighbours share blocks."""

SIDE_BY_SIDE = 1.6
"""How much faster two blocks side by side are than one after the other, cautiously; caches and memory are shared."""

CPU_SLACK = 1.03
"""Multiply-adds given away on a CPU for a smaller block: its layers stay in the caches, and fewer blocks mix styles."""

SMALL_ENOUGH = 512 * 512
"""Pixels below which a smaller block gains nothing: calls begin to cost more than what they compute."""

CHUNK = 256
SHARD_SIDES = (2048, 512)
WIDTHS = (2048, 1024, 512, 256, 128, 64)


@dataclass(frozen=True)
class BlockGrid:
    """Blocks of `width` x `height` pixels: block (0, 0) has its corner at (x, y) of the plane."""

    x: int
    y: int
    width: int
    height: int

    def block(self, bx: int, by: int) -> Window:
        """The pixels of one block."""
        return Window(self.x + bx * self.width, self.y + by * self.height, self.width, self.height)

    def over(self, window: Window) -> Iterator[tuple[int, int]]:
        """The blocks (bx, by) that `window` touches, row by row."""
        for by in range((window.y - self.y) // self.height, (window.bottom - 1 - self.y) // self.height + 1):
            for bx in range((window.x - self.x) // self.width, (window.right - 1 - self.x) // self.width + 1):
                yield bx, by

    def count(self, window: Window) -> int:
        """How many blocks `window` touches."""
        columns = (window.right - 1 - self.x) // self.width - (window.x - self.x) // self.width + 1
        rows = (window.bottom - 1 - self.y) // self.height - (window.y - self.y) // self.height + 1
        return columns * rows


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`shard` is (width, height) in pixels; `styles` is a style map as JSON (see canvas.styles)."""

    canvas: Window
    blocks: BlockGrid
    shard: tuple[int, int]
    chunk: int
    levels: int
    precision: Precision
    compiled: bool
    seed: int
    structure_seed: int | None
    styles: dict[str, Any]
    resample: tuple[Resample, ...] = ()

    @property
    def grid(self) -> tuple[int, int]:
        """Number of shards as (rows, columns)."""
        return -(-self.canvas.height // self.shard[1]), -(-self.canvas.width // self.shard[0])

    def shard_window(self, iy: int, ix: int) -> Window:
        """The pixels of a shard on the plane, cut by the canvas's end."""
        width, height = self.shard
        whole = Window(self.canvas.x + ix * width, self.canvas.y + iy * height, width, height)
        window = whole.meet(self.canvas)
        assert window is not None, f"there is no shard ({iy}, {ix})"
        return window

    def shards(self) -> Iterator[tuple[int, int]]:
        """All shards (iy, ix), in the order in which they are painted: bands of rows, each column by column."""
        rows, columns = self.grid
        for top in range(0, rows, BAND):
            for ix in range(columns):
                for iy in range(top, min(rows, top + BAND)):
                    yield iy, ix

    def blocks_kept(self) -> int:
        """How many finished blocks to keep at hand so that neighbouring shards do not compute them again."""
        sides = ((self.canvas.x - self.blocks.x) % self.blocks.width, self.shard[0] % self.blocks.width)
        tops = ((self.canvas.y - self.blocks.y) % self.blocks.height, self.shard[1] % self.blocks.height)
        if not any(sides + tops):
            return 0
        rows = min(self.grid[0], BAND)
        column = Window(self.canvas.x, self.canvas.y, self.shard[0], min(self.canvas.height, rows * self.shard[1]))
        return 2 * self.blocks.count(column)

    def to_json(self) -> dict[str, Any]:
        """Plain values; what was drawn anew is left out where nothing was."""
        record = asdict(self)
        return record if self.resample else {key: value for key, value in record.items() if key != "resample"}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Plan:
        """The plan that `to_json` wrote. Raises TypeError, KeyError or ValueError on anything else."""
        canvas, blocks = Window(**value["canvas"]), BlockGrid(**value["blocks"])
        anew = tuple(Resample(**rectangle) for rectangle in value.get("resample", ()))
        shard = tuple(value["shard"])
        return cls(**{**value, "canvas": canvas, "blocks": blocks, "shard": shard, "resample": anew})

    def over(self, canvas: Window, levels: int) -> Plan:
        """The same plan for another window of the plane."""
        return replace(self, canvas=canvas, levels=levels)


def grid_of(model: CanvasModel, width: int, height: int) -> BlockGrid:
    """Blocks of that size on the model's lattice, a row of them beginning with the scene's first row."""
    lattice, top = model.lattice, model.scene.y
    return BlockGrid(lattice.phase_x, top - (top - lattice.phase_y) % lattice.step, width, height)


def block_sizes(model: CanvasModel) -> Iterator[tuple[int, int]]:
    """Sizes (width, height) to choose from: the scene's height or an equal part of it, widths up to 2048."""
    step = model.lattice.step
    # The first block row begins at or above the scene's first row, and has to reach its last one.
    scene = model.scene.height + (model.scene.y - model.lattice.phase_y) % step
    heights = {_up(-(-scene // parts), step) for parts in (1, 2, 4, 8)}
    for height in sorted(heights, reverse=True):
        for width in sorted({_up(width, step) for width in WIDTHS}, reverse=True):
            yield width, height


def choose_block(model: CanvasModel, precision: Precision, memory: int, slack: float = 1.0) -> tuple[int, int] | None:
    """The size (width, height) that paints a scene fastest within `memory` bytes; None if none fits.

    It depends on the model, precision, memory and kind of device alone: not on the canvas, nor on the machine's cores, or
    else two canvases would not share blocks. A larger block computes less around what it keeps; two that fit side by
    side use two cores. Of those within `slack` of the best, the smallest is taken, down to SMALL_ENOUGH.
    """
    found: list[tuple[float, int, tuple[int, int]]] = []
    for width, height in block_sizes(model):
        window = grid_of(model, width, height).block(0, 0)
        fitting = memory // model.memory(window, precision)
        if fitting < 1:
            continue
        rows = -(-model.scene.height // height)
        waste = model.cost(window) / model.ideal_cost(window) * rows * height / model.scene.height
        found.append((waste if fitting < 2 else waste / SIDE_BY_SIDE, width * height, (width, height)))
    if not found:
        return None
    least, most, best = min(found)
    smaller = [(area, size) for s, area, size in found if s <= slack * least and SMALL_ENOUGH <= area < most]
    return min(smaller)[1] if smaller else best


def choose_shard(block: tuple[int, int], chunk: int) -> tuple[int, int]:
    """Shard size (width, height): whole blocks and about 2048 x 512 pixels where the chunk allows, else near that."""
    width, height = (side * max(1, round(most / side)) for side, most in zip(block, SHARD_SIDES, strict=True))
    return _up(width, chunk), _up(height, chunk)


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
