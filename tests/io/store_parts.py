from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from mediagen.io.store import CanvasStore


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture (h, w, 3) with smooth parts and noisy ones."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    smooth = np.stack([rows * 3 + columns, columns * 2, rows + seed * 31], -1) % 256
    return np.where(columns[..., None] % 64 < 32, smooth, rng.integers(0, 256, (height, width, 3))).astype(np.uint8)


def make_store(path: Path, width: int, height: int, **more: Any) -> CanvasStore:
    options: dict[str, Any] = {"shard": (128, 64), "chunk": 32, "origin": (-1000, -32), "attributes": {"seed": 7}}
    return CanvasStore.create(path, width=width, height=height, **(options | more))


def fill(store: CanvasStore, whole: np.ndarray) -> None:
    rows, columns = store.grid(0)
    for shard in product(range(rows), range(columns)):
        store.write_shard(0, *shard, cut(store, whole, shard))


def cut(store: CanvasStore, whole: np.ndarray, shard: tuple[int, int]) -> np.ndarray:
    """The pixels of one shard (iy, ix) of level 0."""
    window = store.shard_window(0, *shard)
    return whole[window.y : window.bottom, window.x : window.right]


def hashes(root: Path) -> dict[str, bytes]:
    """Every file below `root` and its content."""
    return {str(file.relative_to(root)): file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()}
