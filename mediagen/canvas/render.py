"""From blocks to windows: a block's random fields are drawn by position, the model paints it, windows are put together.

Pictures are uint8 (height, width, 3).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from queue import SimpleQueue
from typing import Any, Self

import numpy as np
import torch

from mediagen.canvas.memory import as_bytes
from mediagen.canvas.plan import BlockGrid, grid_of
from mediagen.canvas.setup import MEMORY, as_model, as_window, block_of, lanes, resampled, styles_of
from mediagen.core.geometry import Window
from mediagen.core.resample import Resample, local_field
from mediagen.core.seeds import random_field
from mediagen.core.styles import Precision, StyleMap
from mediagen.execute.heap import steady_heap
from mediagen.machine import device_of
from mediagen.models._spec import CanvasModel, Painter

Index = tuple[int, int]

LANE_THREADS = 1
"""Threads of torch in a lane on a CPU: more are slower, and would make the bits depend on their number."""


def draw_fields(
    model: CanvasModel,
    window: Window,
    seed: int,
    structure_seed: int | None = None,
    resample: Sequence[Resample] = (),
) -> list[np.ndarray]:
    """Every random tensor that `window` needs; `structure_seed` and `resample` replace the seed of the local latents z_l."""
    local, cell = seed if structure_seed is None else structure_seed, getattr(model, "cell", None)
    return [
        local_field(local, field.channels, field.window, resample, cell)
        if field.name == "z_l"
        else random_field(seed, field.name, field.channels, field.window)
        for field in model.fields(window)
    ]


class BlockSource:
    """Finished blocks. Use as a context; `window` is for one caller's thread at a time.

    Blocks are painted in `len(painters)` lanes side by side; another thread draws the random fields of the next ones. On
    the CPU a lane is a single thread of torch: that is faster than sharing each layer between cores, and a block's bits
    then do not depend on how many cores there are, for torch picks some kernels by the number of its threads.
    `keep` finished blocks stay at hand for windows to come; those that `known` has need not be painted.
    """

    def __init__(
        self,
        model: CanvasModel,
        painters: Sequence[Painter],
        blocks: BlockGrid,
        *,
        seed: int,
        structure_seed: int | None = None,
        resample: Sequence[Resample] = (),
        keep: int = 0,
        known: Callable[[Index], np.ndarray | None] = lambda index: None,
    ) -> None:
        self.model, self.blocks, self.keep, self.known = model, blocks, keep, known
        self.seed, self.structure_seed, self.resample = seed, structure_seed, resample
        self.painted = self.found = 0
        self.ahead = len(painters) + 1
        self._idle: SimpleQueue[Painter] = SimpleQueue()
        for painter in painters:
            self._idle.put(painter)
        self._started: dict[Index, Future[tuple[np.ndarray, bool]]] = {}
        self._finished: OrderedDict[Index, np.ndarray] = OrderedDict()
        self._threads = torch.get_num_threads()
        self._lane = threading.local()
        self._lanes = ThreadPoolExecutor(len(painters), "mediagen-lane", initializer=self._enter_lane)
        self._drawing = ThreadPoolExecutor(1, "mediagen-draw")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._started.clear()
        self._lanes.shutdown(cancel_futures=True)
        self._drawing.shutdown(cancel_futures=True)
        torch.set_num_threads(self._threads)

    def window(self, window: Window, then: Sequence[Window] = ()) -> np.ndarray:
        """A window's pixels. `then`: what will be asked for next; its blocks are begun as soon as lanes are free."""
        out = np.empty((window.height, window.width, 3), np.uint8)
        coming = chain(*(self.blocks.over(w) for w in (window, *then)))
        for index in self.blocks.over(window):
            self._begin(coming)
            block, whole = self._block(index), self.blocks.block(*index)
            part = whole.meet(window)
            assert part is not None
            out[part.within(window)] = block[part.within(whole)]
        return out

    def _begin(self, coming: Iterator[Index]) -> None:
        while len(self._started) < self.ahead:
            index = next(coming, None)
            if index is None:
                return
            if index not in self._finished:
                self._start(index)

    def _start(self, index: Index) -> None:
        if index not in self._started:
            prepared = self._drawing.submit(self._prepare, index)
            self._started[index] = self._lanes.submit(self._paint, self.blocks.block(*index), prepared)

    def _block(self, index: Index) -> np.ndarray:
        if index in self._finished:
            self._finished.move_to_end(index)
            return self._finished[index]
        self._start(index)
        block, found = self._started.pop(index).result()
        self.found += found
        self.painted += not found
        self._finished[index] = block
        while len(self._finished) > self.keep:
            self._finished.popitem(last=False)
        return block

    def _enter_lane(self) -> None:
        torch.set_num_threads(LANE_THREADS)
        self._lane.painter = self._idle.get()  # for good: what it keeps then lies beside what it computes

    def _prepare(self, index: Index) -> np.ndarray | list[np.ndarray]:
        """The block itself where it is known, else its random fields."""
        block, window = self.known(index), self.blocks.block(*index)
        if block is not None:
            return block
        return draw_fields(self.model, window, self.seed, self.structure_seed, self.resample)

    def _paint(self, window: Window, prepared: Future[np.ndarray | list[np.ndarray]]) -> tuple[np.ndarray, bool]:
        """A block, and whether it was known."""
        painter: Painter = self._lane.painter
        at_hand = prepared.result()
        if isinstance(at_hand, np.ndarray):
            return at_hand, True
        return painter.paint([window], [at_hand])[0], False


@steady_heap()
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
    resample: Sequence[Resample] = (),
    precision: Precision = "fp32",
    device: str | None = None,
    memory: str | int = MEMORY,
    block: tuple[int, int] | None = None,
    compiled: bool = False,
) -> np.ndarray:
    """A window of the plane as uint8 (height, width, 3): the same pixels that `paint` puts there.

    `model` is a loaded model, or a checkpoint's name or file; the window defaults to the rows of the model's scene.
    `styles` is a style map (mediagen.canvas.styles); without one, a style per `style_every` pixels is drawn from the
    seed; `resample` are rectangles whose local structure is drawn anew. Raises UsageError.
    """
    network = as_model(model)
    window = as_window(network, x, y, width, height)
    chosen = styles or styles_of(seed, style_every, style_blend, None, texture_seed)
    where = device_of(device)
    grid = grid_of(network, *block_of(network, precision, memory, block, where))
    count = lanes(network, grid.block(0, 0), precision, where, as_bytes(memory))
    painters = [network.painter(chosen, device=where, precision=precision, compiled=compiled) for _ in range(count)]
    anew = resampled(network, resample)
    with BlockSource(network, painters, grid, seed=seed, structure_seed=structure_seed, resample=anew) as source:
        return source.window(window)
