"""Small stored canvases of a known picture, made without any model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mediagen.io.pyramid import Pyramid
from mediagen.io.store import CanvasStore


def scene(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A smooth picture with some grain, (height, width, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 17 + c) * 60 + np.cos(y / 11 - c) * 40 + 128 for c in range(3)]
    return np.clip(np.stack(waves, axis=-1) + rng.normal(0, 4, (height, width, 1)), 0, 255).astype(np.uint8)


def stored(
    path: Path, picture: np.ndarray, *, origin: tuple[int, int] = (-40, -24), shard: tuple[int, int] = (512, 256),
    chunk: int = 128, leave_out: tuple[tuple[int, int], ...] = (),
) -> CanvasStore:  # fmt: skip
    """A canvas with that picture, its pyramid complete but for what shards are left out."""
    height, width, _ = picture.shape
    store = CanvasStore.create(
        path, width=width, height=height, shard=shard, chunk=chunk, origin=origin,
        attributes={"kind": "canvas", "model": {"name": "infinitygan"}, "command": "mediagen canvas --width 9"},
    )  # fmt: skip
    rows, columns = store.grid()
    for iy in range(rows):
        for ix in range(columns):
            if (iy, ix) not in leave_out:
                window = store.shard_window(0, iy, ix)
                part = picture[window.y : window.bottom, window.x : window.right]
                store.write_shard(0, iy, ix, np.ascontiguousarray(part))
    Pyramid(store).catch_up()
    return store


def halved(picture: np.ndarray, times: int) -> np.ndarray:
    """A picture (h, w, 3) halved again and again, in plain arithmetic: the mean of four, rounded; an odd end counts twice."""
    for _ in range(times):
        height, width, _ = picture.shape
        whole = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge").astype(int)
        total = whole[0::2, 0::2] + whole[0::2, 1::2] + whole[1::2, 0::2] + whole[1::2, 1::2]
        picture = ((total + 2) // 4).astype(np.uint8)
    return picture
