"""Tiles: pieces of 256 x 256 pixels of the plane at some level, as PNG; and the few that are kept at hand.

Tile (level, i, j) covers the pixels [256 * 2**level * i, 256 * 2**level * (i + 1)) of the plane across, and the like down:
absolute positions, so a link to a place stays good. Level 0 is full size, and each level halves the one before.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from PIL import Image

from mediagen.core.geometry import PLANE_LIMIT, Window
from mediagen.io.png import PngWriter

TILE = 256
HIGHEST = 40
"""No plane has more levels than this; beyond, a tile would be as large as all of it."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A PNG, and whether it will always be this one."""

    data: bytes
    whole: bool


def tile_window(level: int, i: int, j: int) -> Window | None:
    """The pixels of the plane that a tile covers; None beyond the end of the plane."""
    side = TILE << level
    if level > HIGHEST or max(abs(i), abs(j)) * side > PLANE_LIMIT // 2:
        return None
    return Window(i * side, j * side, side, side)


def png(pixels: np.ndarray) -> bytes:
    """(h, w, 3) or, with transparency, (h, w, 4) uint8 as a PNG."""
    file = io.BytesIO()
    if pixels.shape[2] == 3:
        writer = PngWriter(file, pixels.shape[1], pixels.shape[0], {})
        writer.rows(pixels)
        writer.end()
    else:
        Image.fromarray(pixels, "RGBA").save(file, "PNG", compress_level=1)
    return file.getvalue()


def transparent() -> np.ndarray:
    """A tile with nothing on it yet."""
    return np.zeros((TILE, TILE, 4), np.uint8)


def lay(tile: np.ndarray, planar: np.ndarray, top: int, left: int) -> None:
    """Puts pixels (3 or 4, h, w) on a tile (256, 256, 4); what reaches beyond the tile is cut off."""
    y, x = max(0, top), max(0, left)
    part = planar[:, y - top : TILE - top, x - left : TILE - left].transpose(1, 2, 0)
    place = tile[y : y + part.shape[0], x : x + part.shape[1]]
    place[..., : part.shape[2]] = part
    if part.shape[2] == 3:
        place[..., 3] = 255


def opaque(tile: np.ndarray) -> np.ndarray:
    """The tile without its transparency where it has none."""
    return np.ascontiguousarray(tile[..., :3]) if bool((tile[..., 3] == 255).all()) else tile


Kept = TypeVar("Kept")


class Recent(Generic[Kept]):
    """The values used last, as many as fit into `limit` bytes; any thread may call."""

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self._kept: OrderedDict[Hashable, tuple[Kept, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Kept | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def keys(self) -> list[Hashable]:
        with self._lock:
            return list(self._kept)

    def put(self, key: Hashable, value: Kept, size: int) -> None:
        with self._lock:
            if key in self._kept:
                self.bytes -= self._kept.pop(key)[1]
            self._kept[key] = value, size
            self.bytes += size
            while self.bytes > self.limit and len(self._kept) > 1:
                self.bytes -= self._kept.popitem(last=False)[1][1]
