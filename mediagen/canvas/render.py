"""From blocks to windows: the fields of a block are drawn by position, the model paints it, and windows are put together.

Pictures are uint8 (height, width, 3).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import Any, Self

import numpy as np

from mediagen.canvas.plan import BlockGrid, grid_of
from mediagen.canvas.setup import MEMORY, as_model, as_window, block_of, device_of, styles_of
from mediagen.core.geometry import Window
from mediagen.core.seeds import random_field
from mediagen.models._spec import CanvasModel, Painter, Precision, StyleMap

Index = tuple[int, int]


def draw_fields(model: CanvasModel, window: Window, seed: int, structure_seed: int | None = None) -> list[np.ndarray]:
    """Every random tensor that `window` needs; `structure_seed` replaces the seed of the local latents z_l."""
    local = seed if structure_seed is None else structure_seed
    return [
        random_field(local if field.name == "z_l" else seed, field.name, field.channels, field.window)
        for field in model.fields(window)
    ]


class BlockSource:
    """Finished blocks, one thread drawing the random fields of the next ones while the caller's thread paints.

    `keep` finished blocks stay at hand for windows to come; `batch` blocks are painted in one call. Use as a context.
    """

    def __init__(
        self,
        model: CanvasModel,
        painter: Painter,
        blocks: BlockGrid,
        *,
        seed: int,
        structure_seed: int | None = None,
        keep: int = 0,
        batch: int = 1,
    ) -> None:
        self.model, self.painter, self.blocks = model, painter, blocks
        self.seed, self.structure_seed = seed, structure_seed
        self.keep, self.batch = keep, batch
        self.painted = 0
        self._finished: OrderedDict[Index, np.ndarray] = OrderedDict()
        self._drawn: dict[Index, Future[list[np.ndarray]]] = {}
        self._drawer = ThreadPoolExecutor(1, thread_name_prefix="mediagen-draw")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._drawn.clear()
        self._drawer.shutdown(cancel_futures=True)

    def block(self, bx: int, by: int) -> np.ndarray:
        """One block's pixels."""
        return self._paint([(bx, by)], [])[0]

    def window(self, window: Window, then: Sequence[Window] = ()) -> np.ndarray:
        """A window's pixels. `then`: what will be asked for next, so that its fields can be drawn meanwhile."""
        out = np.empty((window.height, window.width, 3), np.uint8)
        indices = self.blocks.over(window)
        later = [index for w in then for index in self.blocks.over(w)]
        group = list(islice(indices, self.batch))
        while group:
            after = list(islice(indices, self.batch))
            for index, pixels in zip(group, self._paint(group, [*after, *later]), strict=True):
                whole = self.blocks.block(*index)
                part = whole.meet(window)
                assert part is not None
                out[part.within(window)] = pixels[part.within(whole)]
            group = after
        return out

    def _paint(self, group: list[Index], later: list[Index]) -> list[np.ndarray]:
        """The pixels of `group`; the fields of the first blocks of `later` that need some are drawn in the meantime."""
        missing = [index for index in group if index not in self._finished]
        drawn = [self._fields(index) for index in missing]
        waiting = [future.result() for future in drawn]
        for index in missing:
            del self._drawn[index]
        for index in [i for i in later if i not in self._finished and i not in group][: self.batch]:
            self._fields(index)
        fresh: dict[Index, np.ndarray] = {}
        if missing:
            pixels = self.painter.paint([self.blocks.block(*index) for index in missing], waiting)
            fresh = dict(zip(missing, pixels, strict=True))
            self.painted += len(missing)
        ready = [fresh[index] if index in fresh else self._finished[index] for index in group]
        for index, block in zip(group, ready, strict=True):
            self._finished[index] = block
            self._finished.move_to_end(index)
        while len(self._finished) > self.keep:
            self._finished.popitem(last=False)
        return ready

    def _fields(self, index: Index) -> Future[list[np.ndarray]]:
        if index not in self._drawn:
            window = self.blocks.block(*index)
            self._drawn[index] = self._drawer.submit(draw_fields, self.model, window, self.seed, self.structure_seed)
        return self._drawn[index]


def render(
    model: Any,
    *,
    x: int = 0,
    y: int | None = None,
    width: int,
    height: int | None = None,
    seed: int = 0,
    styles: StyleMap | None = None,
    style_every: int | None = None,
    style_blend: int | None = None,
    structure_seed: int | None = None,
    texture_seed: int | None = None,
    precision: Precision = "fp32",
    device: str | None = None,
    memory: str | int = MEMORY,
    block: tuple[int, int] | None = None,
    compiled: bool = False,
) -> np.ndarray:
    """A window of the plane as uint8 (height, width, 3): the same pixels that `paint` puts there.

    `model` is a loaded model, or a checkpoint's name or file; the window defaults to the rows of the model's scene.
    `styles` is a style map (mediagen.canvas.styles); without one, a style per `style_every` pixels is drawn from the seed.
    Raises UsageError.
    """
    network = as_model(model)
    window = as_window(network, x, y, width, height)
    chosen = styles or styles_of(seed, style_every, style_blend, None, texture_seed)
    size = block_of(network, precision, memory, block)
    painter = network.painter(chosen, device=device_of(device), precision=precision, compiled=compiled)
    grid = grid_of(network, *size)
    with BlockSource(network, painter, grid, seed=seed, structure_seed=structure_seed) as source:
        return source.window(window)


def batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of up to `size` items."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
