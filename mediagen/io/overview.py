"""A picture of a whole canvas for a person: a PNG, with a very wide (or tall) canvas folded into strips.

Strips follow each other like lines of text: left to right, then the next one below (for a tall canvas: top to bottom,
then the next one to the right). A canvas too long even for that is shown as excerpts at even distances.

The picture is drawn and compressed band by band, from the top down, as soon as the pixels of a band are in the store. So
a wide canvas's picture comes about while it is painted, and no picture is ever held as a whole. The bands are the same
whenever they are drawn, and so are the bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from mediagen.core.geometry import Window
from mediagen.io.files import new_file, storing
from mediagen.io.png import PngWriter
from mediagen.io.store import CanvasStore

LONG_SIDE = 4096
"""No side of an overview is longer, in pixels."""

_FOLD_FROM = 4.0  # Canvases at least this many times longer than wide are folded.
_SHAPE = 0.5  # A folded overview is about this many times as high as wide.
_THINNEST = 96  # Strips are no thinner than this, so that something can be seen in them.
_GAP = 8
_PAPER = 255  # what shows between strips
_BAND = 256  # Rows of the picture that are drawn at once.
_LANCZOS = 3  # How many pixels of the smaller picture its filter reaches to each side.


def overview_path(path: Path) -> Path:
    """Where the picture of a canvas is put: pano.zarr -> pano.png."""
    return path.with_name(f"{path.stem if path.suffix == '.zarr' else path.name}.png")


@dataclass(frozen=True)
class Folding:
    """Strips of a canvas: `windows` counted from the array's corner, each drawn at `scale`, stacked down or across."""

    windows: tuple[Window, ...]
    scale: float
    down: bool

    def strip_size(self, window: Window) -> tuple[int, int]:
        """(width, height) of a strip in the overview."""
        return max(1, round(window.width * self.scale)), max(1, round(window.height * self.scale))

    def strips(self) -> Iterator[tuple[Window, Window]]:
        """(a window of the canvas, where it is drawn in the picture)."""
        at = 0
        for window in self.windows:
            width, height = self.strip_size(window)
            yield window, Window(0, at, width, height) if self.down else Window(at, 0, width, height)
            at += (height if self.down else width) + _GAP

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the picture."""
        places = [place for _, place in self.strips()]
        return max(place.right for place in places), max(place.bottom for place in places)


def fold(width: int, height: int, long_side: int = LONG_SIDE) -> Folding:
    """How a canvas of this size is shown within `long_side` x `long_side` pixels; never enlarged."""
    down = width >= height
    length, thickness = (width, height) if down else (height, width)
    if length / thickness < _FOLD_FROM:
        return Folding((Window(0, 0, width, height),), min(1.0, long_side / length), down)
    count = max(1, round(math.sqrt(length * _SHAPE / thickness)))
    # As long as it fits, the strips cover everything; beyond that they stay legible and leave parts out.
    most = max(1, (long_side + _GAP) // (_THINNEST + _GAP))
    piece = -(-length // count)
    if count > most:
        count, piece = most, min(length, thickness * long_side // min(_THINNEST, thickness))
    count = min(count, -(-length // piece))
    scale = min(1.0, long_side / piece, (long_side - (count - 1) * _GAP) / (count * thickness))
    last = length - piece
    starts = [i * piece if count * piece >= length else i * last // (count - 1) for i in range(count)]
    spans = [(start, min(piece, length - start)) for start in starts]
    windows = [Window(s, 0, n, thickness) if down else Window(0, s, thickness, n) for s, n in spans]
    return Folding(tuple(windows), scale, down)


def draw_overview(store: CanvasStore, path: Path, patient: bool = True) -> Generator[None, None, None]:
    """Draws the picture of a canvas to `path`, with the canvas's provenance inside, as far as the canvas is there.

    Yields whenever the next band has to wait for more of the canvas; the file appears when it is exhausted. Not `patient`,
    it never yields, and what is missing is black. Raises StoreError.
    """
    folding = fold(store.levels[0].width, store.levels[0].height)
    width, height = folding.size
    with storing(path), new_file(path) as file:
        picture = PngWriter(file, width, height, _texts(store, folding))
        for top, bottom in _bands(folding):
            pieces = list(_pieces(store, folding, top, bottom))
            while patient and not all(piece.is_painted(store) for piece in pieces):
                yield
            rows = np.full((bottom - top, width, 3), _PAPER, np.uint8)
            for piece in pieces:
                piece.draw(store, rows[:, piece.place.x : piece.place.right])
            picture.rows(rows)
        picture.end()


def write_overview(store: CanvasStore, path: str | Path) -> tuple[int, int]:
    """`draw_overview` at once; returns the picture's (width, height)."""
    for _ in draw_overview(store, Path(path), patient=False):
        pass
    return fold(store.levels[0].width, store.levels[0].height).size


@dataclass(frozen=True)
class _Piece:
    """The rows of a strip that one band shows: `place` in the picture, drawn from `source`, a window of a level.

    The pixels wanted lie `offset` rows into the source and are `rows` (a fraction) rows high; the rest is for the filter.
    """

    level: int
    source: Window
    offset: float
    rows: float
    place: Window

    def is_painted(self, store: CanvasStore) -> bool:
        """Whether all shards under the source are whole."""
        return all(store.shard_is_whole(self.level, *shard) for shard in store.shards_under(self.level, self.source))

    def draw(self, store: CanvasStore, out: np.ndarray) -> None:
        """Into `out` (place.height, place.width, 3)."""
        box = (0, self.offset, self.source.width, self.offset + self.rows)
        for i, colour in enumerate(store.read_planar(self.level, self.source)):
            size = self.place.width, self.place.height
            out[:, :, i] = Image.fromarray(colour).resize(size, Image.Resampling.LANCZOS, box)


def _bands(folding: Folding) -> Iterator[tuple[int, int]]:
    """The rows [top, bottom) of the picture that are drawn together, from the top down; none crosses a strip's end."""
    places = [place for _, place in folding.strips()]
    ends = sorted({0, *(place.y for place in places), *(place.bottom for place in places)})
    for start, end in pairwise(ends):
        for top in range(start, end, _BAND):
            yield top, min(end, top + _BAND)


def _pieces(store: CanvasStore, folding: Folding, top: int, bottom: int) -> Iterator[_Piece]:
    """What the band [top, bottom) of the picture shows, from the smallest level that has as many pixels as a strip."""
    for window, strip in folding.strips():
        if strip.y >= bottom or strip.bottom <= top:
            continue
        level = 0
        while level + 1 < len(store.levels) and window.width >> (level + 1) >= strip.width:
            level += 1
        info, step = store.levels[level], 2**level
        x, y = min(window.x // step, info.width - 1), min(window.y // step, info.height - 1)
        right, end = min(-(-window.right // step), info.width), min(-(-window.bottom // step), info.height)
        ratio = max(1, end - y) / strip.height
        first, last = (top - strip.y) * ratio, (bottom - strip.y) * ratio
        reach = math.ceil(_LANCZOS * max(1.0, ratio)) + 1
        low, high = max(0, math.floor(first) - reach), min(max(1, end - y), math.ceil(last) + reach)
        yield _Piece(
            level=level,
            source=Window(x, y + low, max(1, right - x), high - low),
            offset=first - low,
            rows=min(last, float(high)) - first,
            place=Window(strip.x, top, strip.width, bottom - top),
        )


def _texts(store: CanvasStore, folding: Folding) -> dict[str, str]:
    x, y = store.origin
    strips = [[window.x + x, window.y + y, window.width, window.height] for window in folding.windows]
    record = json.dumps(store.attributes, sort_keys=True)
    return {"Software": "mediagen", "mediagen": record, "mediagen-strips": json.dumps(strips)}
