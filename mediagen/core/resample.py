"""Rectangles of the plane whose local structure is drawn anew, while all around stays as it was.

InfinityGAN's regional resampling: inside a rectangle the local latents z_l come from a seed of its own. They are still drawn
by absolute position, so any two windows agree, and only pixels whose surroundings hold such a position change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from fractions import Fraction

import numpy as np

from mediagen.core.geometry import Window
from mediagen.core.seeds import random_field

Cell = tuple[Fraction | int, Fraction | int]
"""Pixels (x, y) from one position of z_l to the next; position 0 lies at pixel 0."""


@dataclass(frozen=True)
class Resample:
    """The pixels [x, x + width) x [y, y + height) and the seed of the local latents there."""

    x: int
    y: int
    width: int
    height: int
    seed: int

    def cells(self, cell: Cell) -> Window:
        """The positions of z_l that lie nearest to any of its pixels: at least one, however small it is."""
        window = Window(self.x, self.y, self.width, self.height)
        (left, right), (top, bottom) = (
            (_nearest(span.start, size), _nearest(span.stop - 1, size))
            for span, size in zip((window.columns, window.rows), cell, strict=True)
        )
        return Window(left, top, right - left + 1, bottom - top + 1)


def touching(resample: Sequence[Resample], cell: Cell | None, field: Window) -> list[tuple[int, ...]]:
    """(x, y, width, height, seed) of what is drawn anew inside the window `field` of z_l, in the order of drawing."""
    found = []
    for rectangle in resample:
        assert cell is not None, "this model has no local latents to draw anew"
        part = rectangle.cells(cell).meet(field)
        if part is not None:
            found.append((*astuple(part), rectangle.seed))
    return found


def local_field(
    seed: int, channels: int, field: Window, resample: Sequence[Resample] = (), cell: Cell | None = None
) -> np.ndarray:
    """z_l inside the window `field` of its own lattice: float32 (channels, height, width). Later rectangles win."""
    drawn = random_field(seed, "z_l", channels, field)
    for x, y, width, height, own in touching(resample, cell, field):
        part = Window(x, y, width, height)
        rows, columns = part.within(field)
        drawn[:, rows, columns] = random_field(own, "z_l", channels, part)
    return drawn


def _nearest(pixel: int, size: Fraction | int) -> int:
    return math.floor(Fraction(pixel) / size + Fraction(1, 2))
