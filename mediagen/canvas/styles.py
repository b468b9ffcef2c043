"""Which style rules where on the plane: one everywhere, one a stretch, or one around each of any centres.

All weights come from counting integers (how many of a filter's taps belong to a centre, divided by how many taps there
are), so a position's weights have the same bits in whatever window they are asked for. Implementations of
mediagen.core.styles.StyleMap; weights are float32 (N, h, w), with h = 1 where rows do not differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mediagen.core.geometry import Interval, Window
from mediagen.core.styles import Centre, StyleMap
from mediagen.errors import UsageError

STYLE_EVERY = 4096
"""Default width in pixels of a stretch of the plane under one style."""

BLEND = 127
"""Default side in pixels of the mean filter around centres at places of one's own (InfinityGAN, section 4.3)."""

FINEST_TAPS = 255
"""A mean filter with more taps a side than this is evaluated on a coarser lattice; see `CentreStyle.spacing`."""


@dataclass(frozen=True)
class UniformStyle:
    """One style on the whole plane."""

    seed: int
    texture_seed: int | None = None

    def centres(self, window: Window) -> list[Centre]:
        return [Centre(0.0, 0.0, self.seed, texture_seed=self.texture_seed)]

    def weights(self, window: Window, centres: Sequence[Centre], stride: int) -> np.ndarray:
        return np.ones((len(centres), 1, window.width), np.float32)


@dataclass(frozen=True)
class StretchStyle:
    """A style per stretch of `every` columns: stretch k is [k*every, (k+1)*every), its latents are drawn at index k.

    The one-hot map is smoothed by a mean filter of `blend` columns (made odd): linear ramps around the borders.
    """

    seed: int
    every: int
    blend: int
    texture_seed: int | None = None

    def __post_init__(self) -> None:
        if self.every < 1 or not 0 <= self.blend <= self.every:
            raise UsageError(
                f"styles that change every {self.every} px over {self.blend} px: "
                "the change may take 0 px up to the whole stretch, and a stretch is at least 1 px"
            )

    @property
    def reach(self) -> int:
        """Taps of the filter on each side of a pixel."""
        return max(0, self.blend - 1) // 2

    def centres(self, window: Window) -> list[Centre]:
        first = (window.x - self.reach) // self.every
        last = (window.right - 1 + self.reach) // self.every
        return [Centre((k + 0.5) * self.every, 0.0, self.seed, k, self.texture_seed) for k in range(first, last + 1)]

    def weights(self, window: Window, centres: Sequence[Centre], stride: int) -> np.ndarray:
        taps = 2 * self.reach + 1
        start = stride * np.arange(window.x, window.right, dtype=np.int64) - self.reach
        counts = np.zeros((len(centres), 1, window.width), np.int64)
        for n, centre in enumerate(centres):
            left = np.maximum(start, centre.index * self.every)
            right = np.minimum(start + taps, (centre.index + 1) * self.every)
            counts[n, 0] = np.maximum(right - left, 0)
        assert (counts.sum(axis=0) == taps).all(), f"centres are missing for the weights of {window} at stride {stride}"
        return counts.astype(np.float32) / np.float32(taps)


@dataclass(frozen=True)
class CentreStyle:
    """Centres anywhere: every pixel belongs to its nearest one (squared L2, the first on a tie), then a mean filter.

    The filter is `blend` x `blend` pixels (made odd). Above 255 pixels its taps are thinned out to an absolute lattice
    of 2, 4, 8 ... pixels, so that about 255 a side remain; the taps of a pixel are the lattice's points within reach.
    """

    points: tuple[Centre, ...]
    blend: int = BLEND

    def __post_init__(self) -> None:
        if not self.points:
            raise UsageError("a style map needs at least one centre")
        if self.blend < 0:
            raise UsageError(f"the mean filter of a style map cannot be {self.blend} px wide")

    @property
    def reach(self) -> int:
        return max(0, self.blend - 1) // 2

    @property
    def spacing(self) -> int:
        """Distance in pixels between two taps of the filter."""
        spacing = 1
        while self.blend > FINEST_TAPS * spacing:
            spacing *= 2
        return spacing

    def centres(self, window: Window) -> list[Centre]:
        columns, rows = self._taps(window.columns, 1), self._taps(window.rows, 1)
        owners = self._owners(columns, rows)
        return [self.points[i] for i in np.unique(owners)]

    def near(self, window: Window) -> list[Centre]:
        """All that can have any weight inside a window of pixels, and perhaps some more: quicker than `centres`."""
        ends = [
            self.spacing * np.array([taps.start, taps.stop - 1], dtype=np.int64)
            for taps in (self._taps(window.columns, 1), self._taps(window.rows, 1))
        ]
        return [self.points[i] for i in self._candidates(*ends)]

    def weights(self, window: Window, centres: Sequence[Centre], stride: int) -> np.ndarray:
        columns, rows = self._taps(window.columns, stride), self._taps(window.rows, stride)
        owners = self._owners(columns, rows)
        x0, x1 = self._spans(window.columns, columns, stride)
        y0, y1 = self._spans(window.rows, rows, stride)
        counts = np.empty((len(centres), window.height, window.width), np.int32)
        for n, centre in enumerate(centres):
            belongs = owners == self.points.index(centre)
            down = np.zeros((belongs.shape[0] + 1, belongs.shape[1]), np.int32)
            np.cumsum(belongs, axis=0, out=down[1:])
            across = np.zeros((window.height, belongs.shape[1] + 1), np.int32)
            np.cumsum(down[_cut(y1)] - down[_cut(y0)], axis=1, out=across[:, 1:])
            np.subtract(across[:, _cut(x1)], across[:, _cut(x0)], out=counts[n])
        taps = ((y1 - y0)[:, None] * (x1 - x0)[None]).astype(np.int32)
        assert (counts.sum(axis=0) == taps).all(), f"centres are missing for the weights of {window} at stride {stride}"
        return counts.astype(np.float32) / taps.astype(np.float32)

    def _taps(self, positions: Interval, stride: int) -> Interval:
        """Lattice points (in units of the spacing) within reach of the pixels stride * positions."""
        low, high = stride * positions.start - self.reach, stride * (positions.stop - 1) + self.reach
        return Interval(-(-low // self.spacing), high // self.spacing + 1)

    def _spans(self, positions: Interval, taps: Interval, stride: int) -> tuple[np.ndarray, np.ndarray]:
        """For each position, its range [first, last) of taps, counted from the first of `taps`."""
        pixel = stride * np.arange(positions.start, positions.stop, dtype=np.int64)
        first = -((self.reach - pixel) // self.spacing) - taps.start
        return first, (pixel + self.reach) // self.spacing + 1 - taps.start

    def _owners(self, columns: Interval, rows: Interval) -> np.ndarray:
        """Index of the nearest centre at every lattice point of the box: (len(rows), len(columns))."""
        x = self.spacing * np.arange(columns.start, columns.stop, dtype=np.int64)
        y = self.spacing * np.arange(rows.start, rows.stop, dtype=np.int64)
        near = self._candidates(x, y)
        best = np.full((len(y), len(x)), np.inf)
        owners = np.zeros((len(y), len(x)), np.int32)
        for i in near:
            d = _distance(y, self.points[i].y)[:, None] ** 2 + _distance(x, self.points[i].x)[None] ** 2
            np.copyto(owners, i, where=d < best)
            np.minimum(best, d, out=best)
        return owners

    def _candidates(self, x: np.ndarray, y: np.ndarray) -> list[int]:
        """Centres that may be nearest somewhere in the box, in their own order; a few too many do no harm."""
        cx, cy = np.array([(p.x, p.y) for p in self.points]).T
        reaches = [
            (np.maximum(np.maximum(a[0] - c, c - a[-1]), 0.0), np.maximum(np.abs(a[0] - c), np.abs(a[-1] - c)))
            for a, c in ((x.astype(np.float64), cx), (y.astype(np.float64), cy))
        ]
        nearest = np.hypot(reaches[0][0], reaches[1][0])
        farthest = np.hypot(reaches[0][1], reaches[1][1])
        # A hair of slack, because these distances are rounded and the exact ones decide.
        return [int(i) for i in np.flatnonzero(nearest <= farthest.min() * (1 + 1e-9) + 1.0)]


def _cut(indices: np.ndarray) -> slice | np.ndarray:
    """The same selection as a slice where the indices are evenly spaced, which spares a copy by index."""
    steps = np.diff(indices)
    step = int(steps[0]) if len(steps) else 1
    if step > 0 and bool((steps == step).all()):
        return slice(int(indices[0]), int(indices[-1]) + 1, step)
    return indices


def _distance(positions: np.ndarray, centre: float) -> np.ndarray:
    """positions - centre as float64, subtracting whole pixels as integers so that far places lose nothing."""
    whole = int(np.floor(centre))
    return (positions - whole).astype(np.float64) - (centre - whole)


def to_json(styles: StyleMap) -> dict[str, Any]:
    """A style map as plain JSON, for the store's record; `from_json` turns it back."""
    kind = {UniformStyle: "uniform", StretchStyle: "stretch", CentreStyle: "centres"}.get(type(styles))
    assert kind is not None, f"{type(styles).__name__} cannot be recorded"
    if isinstance(styles, CentreStyle):
        return {"kind": kind, "blend": styles.blend, "points": [asdict(point) for point in styles.points]}
    return {"kind": kind, **asdict(styles)}  # type: ignore[call-overload]


def from_json(value: dict[str, Any]) -> StyleMap:
    fields = {key: v for key, v in value.items() if key != "kind"}
    if value["kind"] == "centres":
        return CentreStyle(tuple(Centre(**point) for point in fields["points"]), fields["blend"])
    return UniformStyle(**fields) if value["kind"] == "uniform" else StretchStyle(**fields)


def with_textures(styles: CentreStyle, texture_seed: int | None) -> CentreStyle:
    """The same centres, their textures drawn from another seed."""
    return replace(styles, points=tuple(replace(point, texture_seed=texture_seed) for point in styles.points))


def ruling(styles: StyleMap, window: Window) -> Any:
    """All that `styles` decides inside a window of pixels, as JSON: windows of which this is equal are styled equally.

    It may tell apart what is the same, never the other way round. Where one style rules alone it is the style itself.
    """
    near = styles.near(window) if isinstance(styles, CentreStyle) else styles.centres(window)
    who = [[c.seed, c.index, c.seed if c.texture_seed is None else c.texture_seed] for c in near]
    if len(near) == 1:
        return who
    if isinstance(styles, StretchStyle):
        return {"every": styles.every, "reach": styles.reach, "who": who}
    assert isinstance(styles, CentreStyle), f"{type(styles).__name__} has one style"
    return {"blend": styles.blend, "who": who, "where": [[c.x, c.y] for c in near]}
