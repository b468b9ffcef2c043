"""The unbounded plane of a model, painted where somebody looks, by the engine that paints canvases: the same bytes."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np
import torch

from mediagen.canvas import styles as style_maps
from mediagen.canvas.cache import BlockCache, Index, Scene, Setting, block_name, place_of
from mediagen.canvas.render import LANE_THREADS, draw_fields
from mediagen.core.geometry import Interval, Window
from mediagen.core.styles import Precision
from mediagen.errors import StoreError
from mediagen.io.halve import halved
from mediagen.models._spec import Painter
from mediagen.view.jobs import Jobs
from mediagen.view.scene import Look
from mediagen.view.tiles import Recent, Tile, lay, opaque, png, tile_window, transparent

log = logging.getLogger("mediagen.view")

LEVELS, PAINT_LEVELS = 9, 3
"""Levels of a plane; those that are painted for the looking. A tile of a higher one takes too long."""

MIP = 4
"""The level at which all blocks that were met are kept at hand, for views from far above."""

MOST_BLOCKS = 4096
"""Blocks that may wait to be painted."""

BLOCK_BYTES, MIP_BYTES = 128 * 10**6, 48 * 10**6
PAINTERS = 3
"""Style maps for which a lane keeps a painter ready."""

UNWRITTEN = 16
"""Painted blocks that may wait to be written."""

Made = TypeVar("Made")


class Lane:
    """What a painting thread keeps: painters of the scenes seen last."""

    def __init__(self, setting: Setting, device: torch.device) -> None:
        torch.set_num_threads(LANE_THREADS)
        self.setting, self.device = setting, device
        self._painters: OrderedDict[str, Painter] = OrderedDict()

    def paint(self, scene: Scene, index: Index) -> np.ndarray:
        """One block (height, width, 3)."""
        model, window = self.setting.model, self.setting.blocks.block(*index)
        fields = draw_fields(model, window, scene.seed, scene.structure_seed, scene.resample)
        return self._painter(scene).paint([window], [fields])[0]

    def _painter(self, scene: Scene) -> Painter:
        key = repr(style_maps.to_json(scene.styles))
        if key not in self._painters:
            precision: Precision = self.setting.record["precision"]
            self._painters[key] = self.setting.model.painter(scene.styles, device=self.device, precision=precision)
        self._painters.move_to_end(key)
        while len(self._painters) > PAINTERS:
            self._painters.popitem(last=False)
        return self._painters[key]


class Plane:
    """Blocks of one setting: from memory, from the cache, or painted. Close it to end its threads."""

    def __init__(self, setting: Setting, device: torch.device, lanes: int, cache: BlockCache | None) -> None:
        self.setting, self.cache = setting, cache
        self.rows: Interval | None = getattr(setting.model, "rows", None)
        self._blocks: Recent[np.ndarray] = Recent(BLOCK_BYTES)
        self._mips: Recent[np.ndarray] = Recent(MIP_BYTES)
        self._names: Recent[str] = Recent(10**7)
        self._unwritten = threading.BoundedSemaphore(UNWRITTEN)
        self._writer = ThreadPoolExecutor(1, "mediagen-cache")
        self._readers = ThreadPoolExecutor(3, "mediagen-tiles")
        self.jobs: Jobs[Lane] = Jobs(lanes, lambda: Lane(setting, device), MOST_BLOCKS)

    def close(self) -> None:
        self.jobs.close()
        self._readers.shutdown(cancel_futures=True)
        self._writer.shutdown()

    @property
    def cached_bytes(self) -> int:
        return self.cache.files.bytes if self.cache else self._blocks.bytes

    async def tile(self, look: Look, level: int, i: int, j: int) -> Tile | None:
        """A tile; None where there is no plane. Raises Full."""
        window = tile_window(level, i, j)
        if window is None or level >= LEVELS:
            return None
        known = window if self.rows is None else _cut(window, self.rows)
        if known is None:
            return None
        if level > PAINT_LEVELS:
            return Tile(data=await self._run(self._overview, look, level, window), whole=False)
        finish = partial(_picture, known=known, window=window, level=level)
        return Tile(data=await self.window(look, known, finish), whole=True)

    async def window(self, look: Look, window: Window, finish: Callable[[np.ndarray], Made], urgency: int = 0) -> Made:
        """What `finish` makes of a window's pixels (height, width, 3), painted where they are not known. Raises Full.

        `finish` runs in one of a few threads, so that few windows are in memory, however many are asked for.
        """
        indices = list(self.setting.blocks.over(window))
        while True:
            made, missing = await self._run(self._compose, look, window, indices, finish)
            if not missing:
                return cast(Made, made)
            await self._painted(look, missing, urgency)

    def begin(self, look: Look, window: Window) -> None:
        """Paints a window that somebody will look at soon, unless others ask for something meanwhile."""
        middle = window.x + window.width // 2, window.y + window.height // 2

        def distance(index: Index) -> int:
            block = self.setting.blocks.block(*index)
            return abs(block.x + block.width // 2 - middle[0]) + abs(block.y + block.height // 2 - middle[1])

        # The one that is asked for last is painted first.
        for index in sorted(self.setting.blocks.over(window), key=distance, reverse=True):
            if self._block(look, index) is None:
                self.jobs.ask(self._name(look, index), self._work(look, index), urgency=-1)

    async def _painted(self, look: Look, indices: Sequence[Index], urgency: int) -> None:
        """Returns when all these blocks have been painted."""
        futures = []
        try:
            for index in indices:
                futures.append(self.jobs.ask(self._name(look, index), self._work(look, index), urgency))
            await asyncio.gather(*map(asyncio.wrap_future, futures))
        finally:
            for future in futures:
                future.cancel()

    def _work(self, look: Look, index: Index) -> Callable[[Lane], int]:
        def paint(lane: Lane) -> int:
            name = self._name(look, index)
            if self._blocks.get(name) is not None:
                return 0
            block = lane.paint(look.scene, index)
            self._keep(index, name, block)
            if self.cache is not None:
                self._unwritten.acquire()
                self._writer.submit(self._write, self.cache, look, index, block)
            return self.setting.blocks.block(*index).area

        return paint

    def _write(self, cache: BlockCache, look: Look, index: Index, block: np.ndarray) -> None:
        try:
            cache.write(look.scene, index, block)
        except StoreError as error:
            if self.cache is not None:
                log.warning("%s; blocks are kept in memory alone from now on", error)
            self.cache = None
        finally:
            self._unwritten.release()

    def _name(self, look: Look, index: Index) -> str:
        name = self._names.get((look.name, index))
        if name is None:
            name = block_name(self.setting, look.scene, index)
            self._names.put((look.name, index), name, 300)
        return name

    def _keep(self, index: Index, name: str, block: np.ndarray) -> None:
        self._blocks.put(name, block, block.nbytes)
        known = self._known_part(index)
        if known is not None and self._mips.get(name) is None:
            inside = block[known.within(self.setting.blocks.block(*index))]
            mip = halved(np.ascontiguousarray(inside.transpose(2, 0, 1)), MIP)
            self._mips.put(name, mip, mip.nbytes)

    def _known_part(self, index: Index) -> Window | None:
        """A block without what lies beyond the plane's rows."""
        block = self.setting.blocks.block(*index)
        return block if self.rows is None else _cut(block, self.rows)

    def _block(self, look: Look, index: Index) -> np.ndarray | None:
        """A block that is at hand or in the cache."""
        name = self._name(look, index)
        block = self._blocks.get(name)
        if block is None and self.cache is not None:
            block = self.cache.read(look.scene, index)
            if block is not None:
                self._keep(index, name, block)
        return block

    def _compose(
        self, look: Look, window: Window, indices: Sequence[Index], finish: Callable[[np.ndarray], Made]
    ) -> tuple[Made | None, list[Index]]:
        """What `finish` makes of the window's pixels, or the blocks that are not known yet."""
        blocks = {index: self._block(look, index) for index in indices}
        missing = [index for index, block in blocks.items() if block is None]
        if missing:
            return None, missing
        out = np.empty((window.height, window.width, 3), np.uint8)
        for index, block in blocks.items():
            whole = self.setting.blocks.block(*index)
            part = whole.meet(window)
            assert part is not None
            assert block is not None
            out[part.within(window)] = block[part.within(whole)]
        return finish(out), []

    def _overview(self, look: Look, level: int, window: Window) -> bytes:
        """A tile from far above: whatever blocks of this scene are known."""
        tile, names = transparent(), self._known()
        for index in {place_of(name) for name in names}:
            block = self._known_part(index)
            name = self._name(look, index) if block is not None and block.meet(window) else ""
            mip = self._mip(look, index, name) if name in names else None
            if block is not None and mip is not None:
                small = halved(mip, level - MIP)
                lay(tile, small, (block.y - window.y) >> level, (block.x - window.x) >> level)
        return png(opaque(tile))

    def _mip(self, look: Look, index: Index, name: str) -> np.ndarray | None:
        if self._mips.get(name) is None:
            self._block(look, index)
        return self._mips.get(name)

    def _known(self) -> set[str]:
        at_hand = {str(name) for name in self._mips.keys()}  # noqa: SIM118
        return at_hand | set(self.cache.files.names(self.setting.name)) if self.cache else at_hand

    async def _run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, *arguments)


def _cut(window: Window, rows: Interval) -> Window | None:
    part = window.rows.meet(rows)
    return Window.of(window.columns, part) if len(part) else None


def _picture(pixels: np.ndarray, known: Window, window: Window, level: int) -> bytes:
    """A window's pixels, which lie at `known` in the tile's `window`, as a tile of that level."""
    planar = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    top = known.y - window.y
    above = top % (1 << level)  # rows of a pair that begins beyond the plane's first row
    if above:
        planar = np.pad(planar, ((0, 0), (above, 0), (0, 0)), mode="edge")
    tile = transparent()
    lay(tile, halved(planar, level), top >> level, 0)
    return png(opaque(tile))
