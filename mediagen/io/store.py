"""A canvas on disk: an OME-Zarr 0.5 group (Zarr v3, sharded, zstd) that readers of that format open as it is.

Positions are counted from the array's own corner; `origin` is where that corner lies on the plane. The shard is the
unit of writing: a shard's file is whole or absent, is written by nobody but us, and says by itself whether it is whole,
so a canvas needs no list of what has been done. Pictures are (H, W, 3) uint8 at this boundary, planar (3, H, W) inside.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import zarr

from mediagen.core.geometry import Window
from mediagen.errors import StoreError
from mediagen.io import shards
from mediagen.io.files import make_folder, remove_partials, storing, sync_folder, sync_tree, write_file
from mediagen.io.layout import Level, level_count, make_levels, ngff, read_origin
from mediagen.io.place import is_canvas as is_canvas
from mediagen.io.place import local, lock, refuse_taken, remove_siblings, sibling
from mediagen.io.place import probe as probe
from mediagen.io.place import remove_canvas as remove_canvas

Mode = Literal["r", "r+"]


class CanvasStore:
    """One canvas; open it with `create` or `open`. Threads may share it, and processes open their own."""

    def __init__(self, path: Path, mode: Mode, group: zarr.Group) -> None:
        attributes: dict[str, Any] = dict(group.attrs.asdict())
        self.path = path
        self.mode = mode
        self.attributes: dict[str, Any] = attributes["mediagen"]
        self.origin = read_origin(attributes["ome"])
        self._arrays = [_array(group, data["path"]) for data in attributes["ome"]["multiscales"][0]["datasets"]]
        self.levels = _layout(self._arrays)

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        width: int,
        height: int,
        shard: tuple[int, int],
        origin: tuple[int, int],
        attributes: dict[str, Any],
        chunk: int = 256,
        levels: int | None = None,
        overwrite: bool = False,
    ) -> Self:
        """A new canvas of `width` x `height` pixels whose corner is at `origin` (x, y); `shard` is (width, height).

        `attributes` is JSON. The folder appears in one step, so a killed creation leaves no half canvas. Raises
        StoreError when the path is taken; with `overwrite`, only when what is there is no canvas of ours.
        """
        target = local(path)
        count = level_count(width, height) if levels is None else levels
        layout = make_levels(width, height, shard, chunk, count)
        refuse_taken(target, overwrite)
        with storing(target):
            _quiet_zarr()
            make_folder(target.parent)
            remove_siblings(target)
            draft = sibling(target, "creating")
            try:
                _write_metadata(draft, layout, {"ome": ngff(origin, count), "mediagen": attributes})
                sync_tree(draft)
            except OSError:
                remove_siblings(target)
                raise
            if target.exists():
                target.rename(sibling(target, "removing"))
            draft.rename(target)
            sync_folder(target.parent)
            remove_siblings(target)
        return cls.open(target, "r+")

    @classmethod
    def open(cls, path: str | Path, mode: Mode = "r") -> Self:
        """A canvas that exists. Raises StoreError when there is none, it is not ours, or its metadata is damaged."""
        target = local(path)
        if not target.exists():
            raise StoreError(f"{target}: there is no canvas here")
        if not is_canvas(target):
            raise StoreError(f"{target}: this is not a canvas made by mediagen")
        _quiet_zarr()
        try:
            group = zarr.open_group(target, mode="r", zarr_format=3, use_consolidated=False)
            return cls(target, mode, group)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError, OSError) as error:
            raise StoreError(f"{target}: the canvas's metadata is damaged ({type(error).__name__}: {error})") from error

    @property
    def area(self) -> Window:
        """The canvas on the plane."""
        return Window(*self.origin, self.levels[0].width, self.levels[0].height)

    def grid(self, level: int = 0) -> tuple[int, int]:
        """Number of shards of a level as (rows, columns)."""
        return self.levels[level].grid

    def shard_window(self, level: int, iy: int, ix: int) -> Window:
        """A shard's pixels, counted from the array's corner in pixels of its level."""
        return self.levels[level].shard_window(iy, ix)

    def shard_path(self, level: int, iy: int, ix: int) -> Path:
        """The file of one shard, there or not."""
        return self.path / str(level) / "c" / "0" / str(iy) / str(ix)

    def shard_is_whole(self, level: int, iy: int, ix: int) -> bool:
        """Whether a shard has been written completely: a look at its footer, not at its pixels."""
        with storing(self.path):
            return shards.is_whole(self.shard_path(level, iy, ix), self.levels[level].chunks_per_shard)

    def missing(self, level: int = 0) -> Iterator[tuple[int, int]]:
        """The shards (iy, ix) of a level that are still to be written, row by row."""
        rows, columns = self.grid(level)
        for iy in range(rows):
            for ix in range(columns):
                if not self.shard_is_whole(level, iy, ix):
                    yield iy, ix

    def write_shard(self, level: int, iy: int, ix: int, pixels: np.ndarray) -> int:
        """Writes (h, w, 3) uint8 as a whole shard, durably; returns the bytes on disk. Raises StoreError.

        Any thread may call this. The same pixels always give the same bytes, black ones too.
        """
        assert pixels.shape[2:] == (3,), f"a picture is (h, w, 3), got {pixels.shape}"
        return self.write_planar(level, iy, ix, np.ascontiguousarray(pixels.transpose(2, 0, 1)))

    def write_planar(self, level: int, iy: int, ix: int, planar: np.ndarray) -> int:
        """`write_shard` for a planar picture (3, h, w)."""
        assert self.mode == "r+", "this canvas was opened for reading"
        window = self.shard_window(level, iy, ix)
        assert planar.shape == (3, window.height, window.width), f"{planar.shape} does not fill {window}"
        assert planar.dtype == np.uint8, planar.dtype
        data = shards.encode(self.levels[level], planar)
        file = self.shard_path(level, iy, ix)
        with storing(self.path):
            make_folder(file.parent)
            write_file(file, data)
        return len(data)

    def read(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        """The pixels (height, width, 3) from (x, y) of a level's array on; black where nothing was painted yet."""
        return np.ascontiguousarray(self.read_planar(level, Window(x, y, width, height)).transpose(1, 2, 0))

    def read_shard(self, level: int, iy: int, ix: int) -> np.ndarray:
        """One shard's pixels (h, w, 3)."""
        return np.ascontiguousarray(self.read_planar(level, self.shard_window(level, iy, ix)).transpose(1, 2, 0))

    def read_planar(self, level: int, window: Window) -> np.ndarray:
        """`read` as a planar picture (3, h, w). Raises StoreError where the stored bytes are damaged."""
        bounds = Window(0, 0, self.levels[level].width, self.levels[level].height)
        assert bounds.contains(window), f"{window} is outside level {level}, which is {bounds}"
        try:
            return np.asarray(self._arrays[level][:, window.y : window.bottom, window.x : window.right])
        except (OSError, ValueError, RuntimeError) as error:
            where = f"level {level}, pixels {window.x}..{window.right} x {window.y}..{window.bottom}"
            raise StoreError(f"{self.path}: {where} cannot be read: {error}; paint it again with --resume") from error

    def shards_under(self, level: int, window: Window) -> Iterator[tuple[int, int]]:
        """The shards (iy, ix) of a level that `window`, counted from its first pixel, touches."""
        return window.tiles(self.levels[level].shard_width, self.levels[level].shard_height)

    def read_chunk(self, level: int, cy: int, cx: int) -> np.ndarray | None:
        """One chunk (3, side, side) of a level, decoded by the thread that asks; None where its shard is not whole.

        What lies beyond the array's end is zero. Raises StoreError.
        """
        info = self.levels[level]
        down, across = info.shard_height // info.chunk, info.shard_width // info.chunk
        iy, ix = cy // down, cx // across
        try:
            return shards.read_chunk(self.shard_path(level, iy, ix), info, cy % down, cx % across)
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{self.path}: shard {level}/{iy}/{ix} cannot be read: {error}; paint it again with --resume"
            ) from error

    def remove_orphans(self) -> int:
        """Deletes what killed processes left in and beside the store; returns how many. No writer may be alive."""
        with storing(self.path):
            return remove_partials(self.path) + remove_siblings(self.path)

    @contextmanager
    def only_writer(self) -> Iterator[None]:
        """Holds the canvas against other painting processes; the system lets go of it when this process dies."""
        with storing(self.path):
            handle = os.open(self.path, os.O_RDONLY)
        try:
            lock(handle, self.path)
            yield
        finally:
            os.close(handle)


def _write_metadata(draft: Path, layout: tuple[Level, ...], attributes: dict[str, Any]) -> None:
    group = zarr.create_group(draft, zarr_format=3, attributes=attributes)
    for level in layout:
        group.create_array(str(level.index), shape=(3, level.height, level.width), **shards.array_options(level))


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    array = group[name]
    if not isinstance(array, zarr.Array) or array.shards is None:
        raise ValueError(f"{name} is no sharded array")
    return array


def _layout(arrays: list[zarr.Array[Any]]) -> tuple[Level, ...]:
    """The levels as they are stored, which must be those that `make_levels` gives."""
    _, height, width = arrays[0].shape
    _, shard_height, shard_width = arrays[0].shards or ()
    levels = make_levels(width, height, (shard_width, shard_height), arrays[0].chunks[1], len(arrays))
    for level, array in zip(levels, arrays, strict=True):
        shape, shard = (3, level.height, level.width), (3, level.shard_height, level.shard_width)
        if array.shape != shape or array.shards != shard or array.dtype != np.uint8:
            raise ValueError(f"level {level.index} is {array.shape} in shards of {array.shards}")
    return levels


def _quiet_zarr() -> None:
    """Keeps zarr's own threads few: reading and encoding run beside the painting, not instead of it."""
    zarr.config.set({"async.concurrency": 2, "threading.max_workers": 2})
