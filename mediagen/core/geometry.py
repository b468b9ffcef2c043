"""Windows on the unbounded plane, and the interval arithmetic that derives what a layer must read.

Every tensor lives on its own integer lattice, and lattices are aligned at zero: after an upsampling by two, index 0
stays index 0 and index i becomes 2i. With this convention no layer needs an offset. Python integers carry the positions,
so 10**12 is as exact as 0; the plane proper is limited to signed 64 bits, because seeds are keyed by 64-bit words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PLANE_LIMIT = 2**62
"""Coordinates must stay below this magnitude, so that a window plus its halo fits in signed 64 bits."""


@dataclass(frozen=True, order=True)
class Interval:
    """Half-open range [start, stop) of positions along one axis."""

    start: int
    stop: int

    def __len__(self) -> int:
        return max(0, self.stop - self.start)

    def within(self, other: Interval) -> slice:
        """The slice that cuts this interval out of an array that spans `other`."""
        assert other.start <= self.start, f"{self} is not inside {other}"
        assert self.stop <= other.stop, f"{self} is not inside {other}"
        return slice(self.start - other.start, self.stop - other.start)

    def meet(self, other: Interval) -> Interval:
        """The intersection; empty when the two do not overlap."""
        start = max(self.start, other.start)
        return Interval(start, max(start, min(self.stop, other.stop)))

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that contains both."""
        return Interval(min(self.start, other.start), max(self.stop, other.stop))


@dataclass(frozen=True)
class Window:
    """An integer box on a lattice: x grows to the right, y grows downward. Width and height are at least 1."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a window needs a width and a height of at least 1, got {self.width} x {self.height}")
        if max(abs(self.x), abs(self.y), abs(self.right), abs(self.bottom)) > PLANE_LIMIT:
            raise ValueError(f"the plane ends at +-2**62, and {self} reaches beyond it")

    @classmethod
    def of(cls, columns: Interval, rows: Interval) -> Window:
        return cls(columns.start, rows.start, len(columns), len(rows))

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height

    @property
    def columns(self) -> Interval:
        return Interval(self.x, self.right)

    @property
    def rows(self) -> Interval:
        return Interval(self.y, self.bottom)

    @property
    def area(self) -> int:
        return self.width * self.height

    def meet(self, other: Window) -> Window | None:
        """The intersection, or None when the two do not overlap."""
        columns, rows = self.columns.meet(other.columns), self.rows.meet(other.rows)
        return Window.of(columns, rows) if len(columns) and len(rows) else None

    def contains(self, other: Window) -> bool:
        return self.meet(other) == other

    def within(self, other: Window) -> tuple[slice, slice]:
        """The (rows, columns) slices that cut this window out of an array that spans `other`."""
        return self.rows.within(other.rows), self.columns.within(other.columns)

    def tiles(self, width: int, height: int) -> Iterator[tuple[int, int]]:
        """(row, column) of all boxes of that size, laid side by side from (0, 0), that this window touches."""
        for iy in range(self.y // height, (self.bottom - 1) // height + 1):
            for ix in range(self.x // width, (self.right - 1) // width + 1):
                yield iy, ix


@dataclass(frozen=True)
class Conv:
    """An unpadded convolution with an odd kernel, centred: output i reads inputs i - k//2 .. i + k//2."""

    kernel: int

    def reads(self, out: Interval) -> Interval:
        half = self.kernel // 2
        return Interval(out.start - half, out.stop + half)


@dataclass(frozen=True)
class Up:
    """Upsampling by two with a centred 3-tap transposed convolution: output o reads inputs i with |o - 2i| <= 1.

    Transposed convolution of stride 2 makes 2H+1 values out of H; the outermost one on each side lacks a neighbour and
    is clipped, which leaves 2H-1 values at the positions 2*start .. 2*(stop-1).
    """

    def reads(self, out: Interval) -> Interval:
        # The first i with 2i >= start - 1, and the last with 2i <= (stop - 1) + 1.
        return Interval(out.start // 2, out.stop // 2 + 1)

    def makes(self, read: Interval) -> Interval:
        """The positions for which every contribution is at hand when `read` is given."""
        return Interval(2 * read.start, 2 * (read.stop - 1) + 1)


Layer = Conv | Up


def receptive_field(layers: Sequence[Layer], out: Interval) -> Interval:
    """The input positions that `layers`, applied in order, read to make `out`."""
    for layer in reversed(layers):
        out = layer.reads(out)
    return out


@dataclass(frozen=True)
class Field:
    """What a window needs of one random tensor: `window` on the tensor's own lattice, `channels` deep, N(0, 1)."""

    name: str
    channels: int
    window: Window


@dataclass(frozen=True)
class Lattice:
    """The positions at which a model allows blocks to start: phase + k * step along each axis.

    Blocks whose corner lies on the lattice and whose size is a multiple of the step have the same shape in every layer,
    which makes a pixel's arithmetic, and therefore its bits, independent of the window that was asked for.
    """

    step: int
    phase_x: int = 0
    phase_y: int = 0
