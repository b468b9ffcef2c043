"""What a camera flies over: a canvas that is stored, or the plane itself, painted as it comes into view.

Windows are counted in pixels of a level from `anchor`, a place on the plane; level k + 1 halves level k. Pictures are planar
(3, h, w) uint8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from mediagen.canvas.render import BlockSource
from mediagen.core.geometry import Window
from mediagen.errors import StoreError
from mediagen.export.pixels import Picture, how_to_finish
from mediagen.io.halve import halved
from mediagen.io.store import CanvasStore

PLANE_LEVELS = 12
FAR = 2**60


class Scenery(Protocol):
    anchor: tuple[int, int]
    levels: int

    def bounds(self, level: int) -> Window:
        """The pixels that there are."""
        ...

    def read(self, level: int, window: Window, then: Sequence[tuple[int, Window]]) -> np.ndarray:
        """A window inside the bounds; `then` are the (level, window) that will be asked for next."""
        ...


class CanvasScenery:
    """A stored canvas and its pyramid."""

    def __init__(self, store: CanvasStore) -> None:
        self.store, self.anchor, self.levels = store, store.origin, len(store.levels)
        self._pictures = [Picture(store, level.index, self.bounds(level.index)) for level in store.levels]
        self._looked_at: dict[int, set[tuple[int, int]]] = {}

    def bounds(self, level: int) -> Window:
        return Window(0, 0, self.store.levels[level].width, self.store.levels[level].height)

    def read(self, level: int, window: Window, then: Sequence[tuple[int, Window]] = ()) -> np.ndarray:
        return self._pictures[level].read(0, window)

    def check(self, level: int, window: Window) -> None:
        """Raises StoreError where a window is not painted."""
        shards = set(self.store.shards_under(level, window))
        known = self._looked_at.get(level, set())
        for shard in sorted(shards - known):
            if not self.store.shard_is_whole(level, *shard):
                lacking = self.store.shard_window(level, *shard)
                x, y = lacking.x * 2**level + self.anchor[0], lacking.y * 2**level + self.anchor[1]
                raise StoreError(
                    f"{self.store.path.name} is not painted yet where the camera flies, near x = {x}, y = {y}; "
                    f"finish it with `{how_to_finish(self.store)}`"
                )
        self._looked_at[level] = shards


class PlaneScenery:
    """The plane of a model; `reach` is what of it may be asked for."""

    levels = PLANE_LEVELS

    def __init__(self, source: BlockSource, anchor: tuple[int, int], reach: Window) -> None:
        assert all(place % 2**PLANE_LEVELS == 0 for place in anchor), "levels are halved on one lattice everywhere"
        self.source, self.anchor, self.reach = source, anchor, reach

    def bounds(self, level: int) -> Window:
        return bounds_on_plane(self.reach, self.anchor, level)

    def read(self, level: int, window: Window, then: Sequence[tuple[int, Window]]) -> np.ndarray:
        pixels = self.source.window(self._below(level, window), [self._below(*one) for one in then])
        return halved(np.ascontiguousarray(pixels.transpose(2, 0, 1)), level)

    def _below(self, level: int, window: Window) -> Window:
        """The pixels of the plane under a window of a level."""
        step, (x, y) = 2**level, self.anchor
        return Window(window.x * step + x, window.y * step + y, window.width * step, window.height * step)


def bounds_on_plane(reach: Window, anchor: tuple[int, int], level: int) -> Window:
    """The pixels of a level, counted from the anchor, that lie in a window of the plane as a whole."""
    step = 2**level
    left, top = (-(-(place - start) // step) for place, start in zip((reach.x, reach.y), anchor, strict=True))
    right, bottom = ((place - start) // step for place, start in zip((reach.right, reach.bottom), anchor, strict=True))
    # Counted from an anchor far out, an end of the plane would lie beyond what windows can say.
    left, top, right, bottom = max(left, -FAR), max(top, -FAR), min(right, FAR), min(bottom, FAR)
    return Window(left, top, right - left, bottom - top)


def anchor_near(x: int, y: int) -> tuple[int, int]:
    """An anchor near a place of the plane, on the lattice of every level."""
    step = 2**PLANE_LEVELS
    return x // step * step, y // step * step
