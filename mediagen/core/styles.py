"""What a style map says: which style rules where on the plane. Pure functions of absolute position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from mediagen.core.geometry import Window

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Centre:
    """A style centre at pixel (x, y) of the plane. Its two latents are drawn at `index` of the fields of their seeds.

    `texture_seed` is the seed of the style that the texture reads; it equals `seed` unless textures are exchanged.
    """

    x: float
    y: float
    seed: int
    index: int = 0
    texture_seed: int | None = None


class StyleMap(Protocol):
    """Which style rules where on the plane. Pure functions of absolute position."""

    def centres(self, window: Window) -> list[Centre]:
        """The centres with any weight inside a window of pixels, in a fixed order."""
        ...

    def weights(self, window: Window, centres: Sequence[Centre], stride: int) -> np.ndarray:
        """Float32 weights (N, h, w) at the pixels stride*i of `window`, itself on the lattice of that stride.

        They sum to 1 over N; h is 1 where nothing changes from row to row.
        """
        ...
