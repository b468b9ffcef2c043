"""`mediagen.frames`: an iterator of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from mediagen.core.clips import CHUNK
from mediagen.machine import device_of, whole
from mediagen.video.lanes import Precision
from mediagen.video.layout import laid_out
from mediagen.video.model import CATEGORY_EVERY, Picture, Wish, as_model, requests
from mediagen.video.stream import Join, check_choices, tiles


def frames(
    model: Any = None,
    *,
    frames: int | None = None,
    start: int = 0,
    seed: int = 0,
    content_seed: int | None = None,
    motion_seed: int | None = None,
    category: int | Sequence[int] | None = None,
    category_every: int = CATEGORY_EVERY,
    image: Picture | None = None,
    time_scale: float = 1.0,
    reverse: bool = False,
    grid: tuple[int, int] = (1, 1),
    scale: int = 1,
    join: Join = "cut",
    precision: Precision = "fp32",
    device: str | None = "auto",
) -> Iterator[np.ndarray]:
    """The frames of a clip, uint8 (height, width, 3), from frame `start` on; without end when `frames` is None.

    `model` is a network or a checkpoint's name, file or folder; None for the bundled one. Raises MediagenError at once.
    """
    check_choices(join, precision)
    start, scale = whole("start", start, least=0), whole("scale", scale, least=1)
    count = None if frames is None else whole("frames", frames, least=0)
    network = as_model(model, device_of(device))
    wish = Wish(
        seed=seed, content_seed=content_seed, motion_seed=motion_seed, category=category, category_every=category_every,
        image=image, time_scale=time_scale, reverse=reverse, grid=grid,
    )  # fmt: skip
    stop = None if count is None else start + count
    chunks = tiles(network, requests(network, wish), start - start % CHUNK, stop, join=join, precision=precision)

    def each() -> Iterator[np.ndarray]:
        position = start - start % CHUNK
        with closing(chunks):
            for shown in chunks if stop is None or stop > start else ():
                end = None if stop is None else stop - position
                yield from laid_out(shown, grid, scale)[max(0, start - position) : end]
                position += CHUNK

    return each()
