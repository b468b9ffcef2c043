"""Times a block: to choose the number format that is fastest on this machine, and to say how long a canvas takes."""

from __future__ import annotations

import time

import torch

from mediagen.canvas.plan import grid_of
from mediagen.canvas.render import draw_fields
from mediagen.core.geometry import Window
from mediagen.core.styles import Precision, StyleMap
from mediagen.models._spec import CanvasModel

TRIAL = 256
"""Longest side in pixels of the block that precisions are compared on."""

WORTH = 0.9
"""A lower precision is taken when it needs at most this share of the time of the best one before it."""


def time_block(
    model: CanvasModel,
    styles: StyleMap,
    window: Window,
    *,
    device: torch.device,
    precision: Precision,
    seed: int = 0,
    compiled: bool = False,
) -> float:
    """Seconds that painting `window` takes one lane once everything is warm; its random fields are drawn beforehand."""
    painter = model.painter(styles, device=device, precision=precision, compiled=compiled)
    fields = draw_fields(model, window, seed)
    best, threads = float("inf"), torch.get_num_threads()
    torch.set_num_threads(1)  # as in a lane of BlockSource
    try:
        for _ in range(2):
            start = time.perf_counter()
            painter.paint([window], [fields])
            best = min(best, time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return best


def choose_precision(model: CanvasModel, styles: StyleMap, device: torch.device) -> Precision:
    """The fastest of fp32, bf16 and (on a GPU) fp16, by one small block in each."""
    step = model.lattice.step
    width, height = (max(1, min(TRIAL, most) // step) * step for most in (TRIAL, model.scene.height))
    window = grid_of(model, width, height).block(0, 0)
    candidates: tuple[Precision, ...] = ("fp32", "bf16", "fp16") if device.type == "cuda" else ("fp32", "bf16")
    best: Precision = candidates[0]
    least = time_block(model, styles, window, device=device, precision=best)
    for precision in candidates[1:]:
        seconds = time_block(model, styles, window, device=device, precision=precision)
        if seconds <= WORTH * least:
            best, least = precision, seconds
    return best
