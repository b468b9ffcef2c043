"""How the pixels of one shard come about: painted by the model, or read from a canvas that is being extended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from mediagen.canvas import styles as style_maps
from mediagen.canvas.cache import known_blocks
from mediagen.canvas.plan import Plan
from mediagen.canvas.render import BlockSource
from mediagen.canvas.setup import lanes
from mediagen.core.geometry import Window
from mediagen.io.store import CanvasStore
from mediagen.models._spec import CanvasModel

Shard = tuple[int, int]
"""(iy, ix) at level 0."""


def open_source(
    plan: Plan, model: CanvasModel, device: torch.device, memory: int, cache: Path | None = None
) -> BlockSource:
    """The plan's blocks, painted by `model` on `device`, as many side by side as fit into `memory` bytes.

    Those that a folder of painted blocks has are taken from there.
    """
    styles, block = style_maps.from_json(plan.styles), plan.blocks.block(0, 0)
    painters = [
        model.painter(styles, device=device, precision=plan.precision, compiled=plan.compiled)
        for _ in range(lanes(model, block, plan.precision, device, memory))
    ]
    return BlockSource(
        model, painters, plan.blocks, seed=plan.seed, structure_seed=plan.structure_seed, resample=plan.resample,
        keep=plan.blocks_kept(), known=known_blocks(cache, plan, model, device),
    )  # fmt: skip


def parts_to_paint(window: Window, old: CanvasStore | None) -> list[Window]:
    """What the model has to paint of `window`: all of it but what `old` has."""
    known = window.meet(old.area) if old is not None else None
    return [window] if known is None else list(around(window, known))


def compose(source: BlockSource, old: CanvasStore | None, window: Window, then: list[Window]) -> tuple[np.ndarray, int]:
    """The pixels of `window`, and how many the model painted. `then`: what it will paint next."""
    parts = parts_to_paint(window, old)
    if parts == [window]:
        return source.window(window, then), window.area
    out = np.empty((window.height, window.width, 3), np.uint8)
    for i, part in enumerate(parts):
        out[part.within(window)] = source.window(part, parts[i + 1 :] + then)
    assert old is not None
    known = window.meet(old.area)
    assert known is not None
    out[known.within(window)] = old.read(0, known.x - old.origin[0], known.y - old.origin[1], known.width, known.height)
    return out, window.area - known.area


def around(window: Window, hole: Window) -> Iterator[Window]:
    """What is left of `window` without `hole`, which lies in it, as up to four windows."""
    if hole.y > window.y:
        yield Window(window.x, window.y, window.width, hole.y - window.y)
    if hole.x > window.x:
        yield Window(window.x, hole.y, hole.x - window.x, hole.height)
    if hole.right < window.right:
        yield Window(hole.right, hole.y, window.right - hole.right, hole.height)
    if hole.bottom < window.bottom:
        yield Window(window.x, hole.bottom, window.width, window.bottom - hole.bottom)
