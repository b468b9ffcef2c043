"""A canvas as one BigTIFF: deflated tiles, and a pyramid in SubIFDs, as libvips, QuPath, OpenSlide's kin and GIS programs read.

Each tile is read, filtered and deflated by one of several threads while this one writes those before it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mediagen.core.geometry import Window
from mediagen.errors import UsageError
from mediagen.export.ahead import cores, in_order
from mediagen.export.pixels import Picture
from mediagen.io.layout import level_count

TILE = 256
_SMALLER = 1  # NewSubfileType of a reduced picture
_PREDICTED = 2  # horizontal differences


def check_installed() -> None:
    """Raises UsageError without the extra."""
    try:
        import tifffile  # noqa: F401
    except ImportError:
        raise UsageError("TIFFs need one more package: pip install tifffile") from None


def tile_side(picture: Picture) -> int:
    """The canvas's own chunk where a TIFF can have such tiles: then each tile is one chunk."""
    chunk = picture.store.levels[0].chunk
    return chunk if chunk % 16 == 0 and 128 <= chunk <= 1024 else TILE


def tiles_of(picture: Picture) -> int:
    """How many tiles all levels have."""
    return sum(1 for k in range(levels_of(picture)) for _ in _tiles(picture, k))


def levels_of(picture: Picture) -> int:
    return level_count(*picture.size())


def write_tiff(
    path: Path, picture: Picture, provenance: Mapping[str, Any], told: Callable[[int], None], threads: int | None = None
) -> None:
    """All levels; `told` hears how many pixels of the picture have been written since. Raises OSError, StoreError."""
    from tifffile import TiffWriter

    from mediagen import __version__

    side, count = tile_side(picture), levels_of(picture)
    with TiffWriter(path, bigtiff=True, byteorder="<") as file:
        for k in range(count):
            width, height = picture.size(k)
            file.write(
                _told(_encoded(picture, k, threads or cores()), side * side, told),
                shape=(height, width, 3),
                dtype="uint8",
                tile=(side, side),
                photometric="rgb",
                compression="zlib",
                predictor=True,
                subifds=count - 1 if k == 0 else None,
                subfiletype=_SMALLER if k else 0,
                description=json.dumps(provenance, sort_keys=True) if k == 0 else None,
                software=f"mediagen {__version__}",
                metadata=None,
            )


def _tiles(picture: Picture, k: int) -> Iterator[Window]:
    """The tiles of a level row by row, cut by its end."""
    (width, height), side = picture.size(k), tile_side(picture)
    for y in range(0, height, side):
        for x in range(0, width, side):
            yield Window(x, y, min(side, width - x), min(side, height - y))


def _encoded(picture: Picture, k: int, threads: int) -> Iterator[bytes]:
    side = tile_side(picture)
    return in_order(lambda tile: deflated(picture.read(k, tile), side), _tiles(picture, k), threads)


def deflated(planar: np.ndarray, side: int) -> bytes:
    """A tile (3, h, w), filled up with black to `side` x `side`, as horizontal differences under deflate.

    Run lengths and Huffman codes alone make painted pictures no larger than a search for repetitions, in a quarter of the
    time.
    """
    _, height, width = planar.shape
    out = np.zeros((side, side, 3), np.uint8)
    for i, colour in enumerate(planar):
        out[:height, 0, i] = colour[:, 0]
        np.subtract(colour[:, 1:], colour[:, :-1], out=out[:height, 1:width, i])
        if width < side:
            out[:height, width, i] = -colour[:, -1]
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    return packer.compress(out.data) + packer.flush()


def _told(tiles: Iterator[bytes], pixels: int, told: Callable[[int], None]) -> Iterator[bytes]:
    for tile in tiles:
        yield tile
        told(pixels)
