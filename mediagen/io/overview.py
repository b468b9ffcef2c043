"""A picture of a whole canvas for a person: a PNG, with a very wide (or tall) canvas folded into strips.

Strips follow each other like lines of text: left to right, then the next one below (for a tall canvas: top to bottom,
then the next one to the right). A canvas too long even for that is shown as excerpts at even distances.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mediagen.core.geometry import Window
from mediagen.io.files import storing, write_file
from mediagen.io.store import CanvasStore

LONG_SIDE = 4096
"""No side of an overview is longer, in pixels."""

_FOLD_FROM = 4.0  # Canvases at least this many times longer than wide are folded.
_SHAPE = 0.5  # A folded overview is about this many times as high as wide.
_THINNEST = 96  # Strips are no thinner than this, so that something can be seen in them.
_GAP = 8
_PAPER = (255, 255, 255)


@dataclass(frozen=True)
class Folding:
    """Strips of a canvas: `windows` counted from the array's corner, each drawn at `scale`, stacked down or across."""

    windows: tuple[Window, ...]
    scale: float
    down: bool

    def strip_size(self, window: Window) -> tuple[int, int]:
        """(width, height) of a strip in the overview."""
        return max(1, round(window.width * self.scale)), max(1, round(window.height * self.scale))


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


def write_overview(store: CanvasStore, path: str | Path) -> tuple[int, int]:
    """Writes the overview PNG of a canvas, with the canvas's provenance inside; returns its (width, height)."""
    base = store.levels[0]
    folding = fold(base.width, base.height)
    sizes = [folding.strip_size(window) for window in folding.windows]
    gaps = (len(sizes) - 1) * _GAP
    widths, heights = [w for w, _ in sizes], [h for _, h in sizes]
    whole = (max(widths), sum(heights) + gaps) if folding.down else (sum(widths) + gaps, max(heights))
    picture = Image.new("RGB", whole, _PAPER)
    at = 0
    for window, size in zip(folding.windows, sizes, strict=True):
        picture.paste(_strip(store, window, size), (0, at) if folding.down else (at, 0))
        at += (size[1] if folding.down else size[0]) + _GAP
    data = BytesIO()
    picture.save(data, "PNG", compress_level=3, pnginfo=_provenance(store, folding))
    with storing(Path(path)):
        write_file(Path(path), data.getvalue())
    return whole


def _strip(store: CanvasStore, window: Window, size: tuple[int, int]) -> Image.Image:
    """A window of level 0 drawn at `size`, from the smallest level that still has that many pixels."""
    level = 0
    while level + 1 < len(store.levels) and window.width >> (level + 1) >= size[0]:
        level += 1
    info, step = store.levels[level], 2**level
    x, y = min(window.x // step, info.width - 1), min(window.y // step, info.height - 1)
    right, bottom = min(-(-window.right // step), info.width), min(-(-window.bottom // step), info.height)
    pixels = store.read(level, x, y, max(1, right - x), max(1, bottom - y))
    return Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)


def _provenance(store: CanvasStore, folding: Folding) -> PngInfo:
    info = PngInfo()
    info.add_itxt("Software", "mediagen")
    info.add_itxt("mediagen", json.dumps(store.attributes, sort_keys=True))
    x, y = store.origin
    strips = [[window.x + x, window.y + y, window.width, window.height] for window in folding.windows]
    info.add_itxt("mediagen-strips", json.dumps(strips))
    return info
