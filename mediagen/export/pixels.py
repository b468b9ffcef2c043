"""The pixels of a window of a stored canvas, at one of its levels and at every smaller one, for any number of threads.

Chunks are decoded by the thread that asks, without zarr between: an exporter's threads each read, decode and encode a tile.
Pictures are planar (3, h, w) uint8 here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from threading import RLock

import numpy as np

from mediagen.core.geometry import Window
from mediagen.core.provenance import command_line
from mediagen.errors import UsageError
from mediagen.io.halve import halve
from mediagen.io.store import CanvasStore

CACHE = 2**24
"""Bytes of decoded chunks that are kept at hand, for tiles that share their edges."""
SMALL, AT_ONCE = 2**20, 2**15
"""Pixels of a level that is made as a whole, and of a window that is halved in one go."""


class Picture:
    """The window `part` of level `base` of a canvas, counted from that level's first pixel, and its own pyramid.

    Level k of the picture is 2**k times smaller, its sides rounded up. It is read from the canvas's pyramid where that has
    it: where the window's corner lies on that level's lattice and its shards are whole. Elsewhere it is halved from below.
    """

    def __init__(self, store: CanvasStore, base: int, part: Window) -> None:
        self.store, self.base, self.part = store, base, part
        kept = max(1, CACHE // (3 * store.levels[0].chunk ** 2))
        self._chunk = lru_cache(kept)(store.read_chunk)
        self._whole = lru_cache(2)(self._make_whole)
        self._one_at_a_time = RLock()

    def size(self, k: int = 0) -> tuple[int, int]:
        """(width, height) of level k."""
        return -(-self.part.width // 2**k), -(-self.part.height // 2**k)

    def read(self, k: int, window: Window) -> np.ndarray:
        """A window of level k, counted from the picture's corner: planar (3, h, w). Black where nothing is painted."""
        if k == 0:
            return self._stored(self.base, self._shifted(window, self.part.x, self.part.y))
        step, level = 2**k, self.base + k
        if level < len(self.store.levels) and not (self.part.x % step or self.part.y % step):
            there = self._shifted(window, self.part.x // step, self.part.y // step)
            if all(self.store.shard_is_whole(level, *shard) for shard in self.store.shards_under(level, there)):
                return self._stored(level, there)
        if self._is_small(k):
            with self._one_at_a_time:
                return self._whole(k)[:, window.y : window.bottom, window.x : window.right]
        return self._halved(k, window)

    def _is_small(self, k: int) -> bool:
        width, height = self.size(k)
        return width * height <= SMALL

    def _make_whole(self, k: int) -> np.ndarray:
        """All of a small level: what lies above it is made from it, not from the canvas again."""
        whole = Window(0, 0, *self.size(k))
        return halve(self._whole(k - 1)) if k > 1 and self._is_small(k - 1) else self._halved(k, whole)

    def _halved(self, k: int, window: Window) -> np.ndarray:
        """Level k from level k - 1, large windows a quarter at a time: however deep this goes, little is held at once."""
        width, height = self.size(k - 1)
        out = np.empty((3, window.height, window.width), np.uint8)
        split = _two if window.area > AT_ONCE else _one
        for top, bottom in split(window.height):
            for left, right in split(window.width):
                x, y = 2 * (window.x + left), 2 * (window.y + top)
                below = Window(x, y, min(2 * (right - left), width - x), min(2 * (bottom - top), height - y))
                out[:, top:bottom, left:right] = halve(self.read(k - 1, below))
        return out

    def _stored(self, level: int, window: Window) -> np.ndarray:
        info = self.store.levels[level]
        side = info.chunk
        out = np.empty((3, window.height, window.width), np.uint8)
        for cy, cx in window.tiles(side, side):
            chunk = self._chunk(level, cy, cx)
            whole = Window(cx * side, cy * side, side, side)
            part = whole.meet(window)
            assert part is not None
            out[:, *part.within(window)] = 0 if chunk is None else chunk[:, *part.within(whole)]
        return out

    @staticmethod
    def _shifted(window: Window, x: int, y: int) -> Window:
        return Window(window.x + x, window.y + y, window.width, window.height)


def _one(length: int) -> Iterator[tuple[int, int]]:
    yield 0, length


def _two(length: int) -> Iterator[tuple[int, int]]:
    if length > 1:
        yield 0, length // 2
    yield length // 2, length


@dataclass(frozen=True, kw_only=True)
class WindowWish:
    """A window in pixels of the plane, to be seen 2**level times smaller; None is the canvas's own edge."""

    x: int | None = None
    y: int | None = None
    width: int | None = None
    height: int | None = None
    level: int = 0


def window_of(store: CanvasStore, wish: WindowWish) -> Window:
    """The window that is asked for, on the plane. Raises UsageError where the canvas does not have it."""
    whole = store.area
    x, y = (whole.x if wish.x is None else wish.x), (whole.y if wish.y is None else wish.y)
    width = whole.right - x if wish.width is None else wish.width
    height = whole.bottom - y if wish.height is None else wish.height
    inside = whole.x <= x < whole.right and whole.y <= y < whole.bottom
    for name, side in (("width", width), ("height", height)):
        if inside and side < 1:
            raise UsageError(f"--{name} is at least 1 px, not {side}")
    if not inside or x + width > whole.right or y + height > whole.bottom:
        raise UsageError(
            f"{store.path.name} shows x = {whole.x} to {whole.right} and y = {whole.y} to {whole.bottom}; "
            f"{max(width, 0)} x {max(height, 0)} px from x = {x}, y = {y} are not inside"
        )
    if not 0 <= wish.level < len(store.levels):
        raise UsageError(f"{store.path.name} has the levels 0 (full size) to {len(store.levels) - 1}, not {wish.level}")
    return Window(x, y, width, height)


def picture_of(store: CanvasStore, window: Window, level: int) -> Picture:
    """A window of the plane at a level, widened to whole pixels of it."""
    step = 2**level
    x, y = (window.x - store.origin[0]) // step, (window.y - store.origin[1]) // step
    right, bottom = -(-(window.right - store.origin[0]) // step), -(-(window.bottom - store.origin[1]) // step)
    return Picture(store, level, Window(x, y, right - x, bottom - y))


def unpainted(store: CanvasStore, window: Window) -> tuple[int, int]:
    """How many of the shards under a window of the plane are missing at full size, and how many there are."""
    part = Window(window.x - store.origin[0], window.y - store.origin[1], window.width, window.height)
    count = missing = 0
    for shard in store.shards_under(0, part):
        count += 1
        missing += not store.shard_is_whole(0, *shard)
    return missing, count


def how_to_finish(store: CanvasStore) -> str:
    """The command that paints what a canvas lacks."""
    name = store.attributes.get("model", {}).get("name", "infinitygan")
    options = {"resume": True, "model": None if name == "infinitygan" else name}
    return command_line("canvas", options, store.path.name)
