"""Tiles of a canvas on disk, finished or still being painted, from its pyramid."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path
from time import monotonic

import numpy as np

from mediagen.core.geometry import Window
from mediagen.errors import StoreError
from mediagen.io.halve import halve
from mediagen.io.store import CanvasStore
from mediagen.view.tiles import TILE, Recent, Tile, lay, opaque, png, tile_window, transparent

log = logging.getLogger("mediagen.view")

FALL_BACK = 3
"""Levels that are looked down where a level's own shard is not there yet, while a canvas is being painted."""

LOOK_EVERY = 1.0
"""Seconds between two counts of what a growing canvas has."""

TILE_BYTES, CHUNK_BYTES = 64 * 10**6, 32 * 10**6


class StoredCanvas:
    """One canvas as it was opened; tiles are made in `readers`, and kept, as far as they fit into some megabytes."""

    def __init__(self, path: Path, readers: Executor) -> None:
        """Raises StoreError."""
        self.stamp = stamp(path)
        self.store = CanvasStore.open(path)
        self.area = self.store.area
        self.version = hashlib.blake2b(repr((self.stamp, self.store.attributes)).encode(), digest_size=8).hexdigest()
        self._readers = readers
        self._tiles: Recent[Tile] = Recent(TILE_BYTES)
        self._chunks: Recent[np.ndarray] = Recent(CHUNK_BYTES)
        self._counted, self._whole, self._count = -LOOK_EVERY, False, 0
        self._sound: set[tuple[int, int, int]] = set()

    @property
    def cached_bytes(self) -> int:
        return self._tiles.bytes + self._chunks.bytes

    async def tile(self, level: int, i: int, j: int) -> Tile | None:
        """A tile; None outside the canvas."""
        if level >= len(self.store.levels):
            return None
        window = tile_window(level, i, j)
        if window is None or window.meet(self.area) is None:
            return None
        found = self._tiles.get((level, i, j))
        if found is None:
            found = await asyncio.get_running_loop().run_in_executor(self._readers, self._make, level, window)
            if found.whole:
                self._tiles.put((level, i, j), found, len(found.data) + 200)
        return found

    def state(self) -> tuple[bool, int]:
        """Whether every shard is there, and how many are."""
        if not self._whole and monotonic() - self._counted > LOOK_EVERY:
            shards = [
                (n, iy, ix)
                for n, level in enumerate(self.store.levels)
                for iy in range(level.grid[0])
                for ix in range(level.grid[1])
            ]
            self._count = sum(self._there(*shard) for shard in shards)
            self._whole, self._counted = self._count == len(shards), monotonic()
        return self._whole, self._count

    def _make(self, level: int, window: Window) -> Tile:
        tile = transparent()
        # Where the canvas's corner lies between two pixels of this level, all of the level moves by less than one.
        x, y = (window.x - self.area.x) >> level, (window.y - self.area.y) >> level
        wanted = Window(x, y, TILE, TILE).meet(self._bounds(level))
        if wanted is None:
            return Tile(data=png(tile), whole=True)
        planar, whole = self._pixels(level, wanted, FALL_BACK)
        lay(tile, planar, wanted.y - y, wanted.x - x)
        return Tile(data=png(opaque(tile)), whole=whole)

    def _pixels(self, level: int, wanted: Window, fall_back: int) -> tuple[np.ndarray, bool]:
        """`wanted` of a level as (4, h, w), transparent where nothing is, and whether all of it is there for good."""
        out, whole, side = np.zeros((4, wanted.height, wanted.width), np.uint8), True, self.store.levels[level].chunk
        for cy, cx in wanted.tiles(side, side):
            square = Window(cx * side, cy * side, side, side)
            part = square.meet(wanted)
            assert part is not None
            chunk, place = self._chunk(level, cy, cx), part.within(wanted)
            if chunk is not None:
                out[(slice(3), *place)] = chunk[(slice(None), *part.within(square))]
                out[(3, *place)] = 255
                continue
            whole = False
            if level and fall_back:
                below = Window(2 * part.x, 2 * part.y, 2 * part.width, 2 * part.height).meet(self._bounds(level - 1))
                assert below is not None
                out[(slice(None), *place)] = halve(self._pixels(level - 1, below, fall_back - 1)[0])
        return out, whole

    def _chunk(self, level: int, cy: int, cx: int) -> np.ndarray | None:
        """One chunk (3, side, side), or None where it is not there or damaged."""
        found = self._chunks.get((level, cy, cx))
        if found is None:
            try:
                found = self.store.read_chunk(level, cy, cx)
            except StoreError as error:
                log.warning("%s", error)
            if found is not None:
                self._chunks.put((level, cy, cx), found, found.nbytes)
        return found

    def _bounds(self, level: int) -> Window:
        return Window(0, 0, self.store.levels[level].width, self.store.levels[level].height)

    def _there(self, level: int, iy: int, ix: int) -> bool:
        """Whether a shard is whole; once it is, it stays so."""
        key = (level, iy, ix)
        if key not in self._sound and self.store.shard_is_whole(level, iy, ix):
            self._sound.add(key)
        return key in self._sound


def stamp(path: Path) -> tuple[int, ...]:
    """Another one for another canvas at the same place."""
    with suppress(OSError):
        found = (path / "zarr.json").stat()
        return found.st_ino, found.st_mtime_ns, found.st_size
    return ()
