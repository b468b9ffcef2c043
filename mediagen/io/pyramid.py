"""The smaller levels of a canvas, made from the bottom up while it is painted.

A shard of level l + 1 shows up to 2 x 2 shards of level l, its children, and is made as soon as all of them are whole.
The files themselves say what is whole, so memory does not grow with the canvas, any order of completion gives the same
bytes, and a restart needs nothing but `catch_up`. A few halved shards are kept at hand, which saves reading them back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

import numpy as np

from mediagen.io.halve import halve as halve
from mediagen.io.store import CanvasStore

Shard = tuple[int, int, int]
"""(level, iy, ix)"""

HALVED_KEPT = 16
"""Halved shards kept at hand: with 2048 x 512 pixels a shard, 13 MB at most."""


class Pyramid:
    """Keeps the levels above 0 of one store up to date. One process at a time should do this for a canvas."""

    def __init__(self, store: CanvasStore) -> None:
        self.store = store
        self._halved: OrderedDict[Shard, np.ndarray] = OrderedDict()

    def done(self, level: int, iy: int, ix: int, planar: np.ndarray | None = None) -> list[Shard]:
        """To be called after a shard has been written: makes every ancestor that became possible, and returns them.

        `planar` (3, h, w) is that shard's picture, where the caller has it.
        """
        made: list[Shard] = []
        if planar is not None:
            self._keep((level, iy, ix), planar)
        while level + 1 < len(self.store.levels):
            level, iy, ix = level + 1, iy // 2, ix // 2
            if not self._can_make(level, iy, ix):
                break
            self._make(level, iy, ix)
            made.append((level, iy, ix))
        return made

    def catch_up(self, should_stop: Callable[[], bool] = lambda: False) -> list[Shard]:
        """Makes every missing shard above level 0 whose children are whole: what a resumed run does first or last."""
        made: list[Shard] = []
        for level in range(1, len(self.store.levels)):
            for iy, ix in self.store.missing(level):
                if should_stop():
                    return made
                if self._children_whole(level, iy, ix):
                    self._make(level, iy, ix)
                    made.append((level, iy, ix))
        return made

    def is_complete(self) -> bool:
        """Whether every shard of every level is whole."""
        return all(next(self.store.missing(level), None) is None for level in range(len(self.store.levels)))

    def _can_make(self, level: int, iy: int, ix: int) -> bool:
        # A parent that is whole already was made from the same pixels: same seed, same plan.
        return not self.store.shard_is_whole(level, iy, ix) and self._children_whole(level, iy, ix)

    def _children_whole(self, level: int, iy: int, ix: int) -> bool:
        return all(self.store.shard_is_whole(*child) for child in self._children(level, iy, ix))

    def _children(self, level: int, iy: int, ix: int) -> Iterator[Shard]:
        rows, columns = self.store.grid(level - 1)
        for child_y in range(2 * iy, min(2 * iy + 2, rows)):
            for child_x in range(2 * ix, min(2 * ix + 2, columns)):
                yield level - 1, child_y, child_x

    def _make(self, level: int, iy: int, ix: int) -> None:
        parent = self.store.shard_window(level, iy, ix)
        planar = np.empty((3, parent.height, parent.width), np.uint8)
        for child in self._children(level, iy, ix):
            window = self.store.shard_window(*child)
            part = self._halved.pop(child, None)
            if part is None:
                part = halve(self.store.read_planar(child[0], window))
            y, x = window.y // 2 - parent.y, window.x // 2 - parent.x
            planar[:, y : y + part.shape[1], x : x + part.shape[2]] = part
        self.store.write_planar(level, iy, ix, planar)
        self._keep((level, iy, ix), planar)

    def _keep(self, shard: Shard, planar: np.ndarray) -> None:
        if shard[0] + 1 < len(self.store.levels):
            self._halved[shard] = halve(planar)
        while len(self._halved) > HALVED_KEPT:
            self._halved.popitem(last=False)
