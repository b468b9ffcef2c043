"""How a canvas is cut into levels and shards, and the OME-Zarr 0.5 (NGFF) metadata that says so. Numbers only.

Level 0 holds the pixels; level l + 1 halves level l, rounding sizes up. All levels share one shard size, except that a
level smaller than a shard has one cut down to the next multiple of the chunk, so that no padding is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mediagen.core.geometry import Window

SMALLEST_LEVEL = 1024
"""A pyramid ends at the first level whose sides are both at most this many pixels."""

_COLOURS = (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"))


@dataclass(frozen=True, kw_only=True)
class Level:
    """One resolution of the pyramid; every size in pixels of this level."""

    index: int
    width: int
    height: int
    shard_width: int
    shard_height: int
    chunk: int

    @property
    def grid(self) -> tuple[int, int]:
        """Number of shards as (rows, columns)."""
        return -(-self.height // self.shard_height), -(-self.width // self.shard_width)

    @property
    def chunks_per_shard(self) -> int:
        return (self.shard_height // self.chunk) * (self.shard_width // self.chunk)

    def shard_window(self, iy: int, ix: int) -> Window:
        """The pixels of one shard, counted from the array's corner and cut by the array's end."""
        rows, columns = self.grid
        inside = 0 <= iy < rows and 0 <= ix < columns
        assert inside, f"shard ({iy}, {ix}) is outside a grid of {rows} x {columns}"
        x, y = ix * self.shard_width, iy * self.shard_height
        return Window(x, y, min(self.shard_width, self.width - x), min(self.shard_height, self.height - y))


def level_count(width: int, height: int) -> int:
    """How many levels a canvas has by default."""
    count = 1
    while max(width, height) > SMALLEST_LEVEL:
        width, height, count = -(-width // 2), -(-height // 2), count + 1
    return count


def make_levels(width: int, height: int, shard: tuple[int, int], chunk: int, count: int) -> tuple[Level, ...]:
    """The levels of a canvas; `shard` is (width, height), both multiples of the even `chunk`."""
    shard_width, shard_height = shard
    assert chunk % 2 == 0, f"the chunk must be even, got {chunk}"
    assert (shard_width % chunk, shard_height % chunk) == (0, 0), f"shard {shard} is no multiple of {chunk}"
    levels = []
    for index in range(count):
        if index > 0:
            width, height = -(-width // 2), -(-height // 2)
            shard_width, shard_height = min(shard_width, _up(width, chunk)), min(shard_height, _up(height, chunk))
        level = Level(
            index=index, width=width, height=height, shard_width=shard_width, shard_height=shard_height, chunk=chunk
        )
        levels.append(level)
    return tuple(levels)


def ngff(origin: tuple[int, int], count: int) -> dict[str, Any]:
    """The `ome` attribute: axes c, y, x; each level's scale, and the world position of its first pixel's centre."""
    datasets = []
    for index in range(count):
        # Level 0 stays an integer: JSON integers are exact at any size, and the origin is read back from here.
        shift: float = (2**index - 1) / 2 if index else 0
        scale, translation = [1, 2**index, 2**index], [0, origin[1] + shift, origin[0] + shift]
        steps = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": translation}]
        datasets.append({"path": str(index), "coordinateTransformations": steps})
    axes = [{"name": "c", "type": "channel"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    window = {"min": 0, "start": 0, "end": 255, "max": 255}
    channels = [{"label": label, "color": colour, "active": True, "window": window} for label, colour in _COLOURS]
    return {
        "version": "0.5",
        "multiscales": [{"name": "canvas", "axes": axes, "datasets": datasets, "type": "mean of 2x2"}],
        "omero": {"channels": channels, "rdefs": {"model": "color"}},
    }


def read_origin(ome: dict[str, Any]) -> tuple[int, int]:
    """World (x, y) of the first pixel, from the metadata that `ngff` made."""
    steps = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    (_, y, x) = next(step["translation"] for step in steps if step["type"] == "translation")
    return int(x), int(y)


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
