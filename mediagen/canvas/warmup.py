"""Times a block: to choose the number format that is fastest on this machine, and to say how long a canvas takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import cast, get_args

import numpy as np
import torch

from mediagen.canvas.plan import grid_of
from mediagen.canvas.render import draw_fields
from mediagen.core.geometry import Window
from mediagen.core.styles import Precision, StyleMap
from mediagen.errors import UsageError
from mediagen.models._spec import CanvasModel, Painter

TRIAL = 256
"""Longest side in pixels of the block that precisions are compared on."""

ROUNDS, LONG = 5, 0.2
"""The best of so many times counts; one is enough that takes long (seconds), because what disturbs it is short."""

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
    (seconds,) = _least([painter], window, draw_fields(model, window, seed), time.perf_counter)
    return seconds


def settle_precision(
    model: CanvasModel, styles: StyleMap, device: torch.device, asked: str, recorded: Callable[[], str | None]
) -> Precision:
    """The number format asked for; for auto the `recorded` one of what is there already, else the fastest.

    `recorded` is called for auto alone; what it finds may come from a stranger's file. Raises UsageError.
    """
    formats = get_args(Precision)
    if asked != "auto" and asked not in formats:
        raise UsageError(f"there is no precision {asked!r}; choose auto, {', '.join(formats[:-1])} or {formats[-1]}")
    found = recorded() if asked == "auto" else asked
    return cast(Precision, found) if found in formats else choose_precision(model, styles, device)


def choose_precision(model: CanvasModel, styles: StyleMap, device: torch.device) -> Precision:
    """The fastest of fp32, bf16 and (on a GPU) fp16, by one small block in each, in turn."""
    step = model.lattice.step
    width, height = (max(1, min(TRIAL, most) // step) * step for most in (TRIAL, model.scene.height))
    window = grid_of(model, width, height).block(0, 0)
    candidates: tuple[Precision, ...] = ("fp32", "bf16", "fp16") if device.type == "cuda" else ("fp32", "bf16")
    painters = [model.painter(styles, device=device, precision=precision) for precision in candidates]
    # What others do on this machine must not decide, since the choice is part of the picture: count this thread's time.
    fine = time.get_clock_info("thread_time").resolution < 1e-3  # it is not on Windows
    clock = time.thread_time if fine and device.type == "cpu" else time.perf_counter
    times = _least(painters, window, draw_fields(model, window, 0), clock)
    best, least = candidates[0], times[0]
    for precision, seconds in zip(candidates, times, strict=True):
        if seconds <= WORTH * least:
            best, least = precision, seconds
    return best


def _is_clear(times: Sequence[float]) -> bool:
    """Whether the fastest needs less than half as long as any other: more rounds would change nothing."""
    first, *others = sorted(times)
    return bool(others) and first < others[0] / 2


def _least(
    painters: Sequence[Painter], window: Window, fields: Sequence[np.ndarray], clock: Callable[[], float]
) -> list[float]:
    """The least seconds of each painter, with one thread as in a lane of BlockSource, once weights and kernels are ready."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for painter in painters:
            painter.paint([window], [fields])
        least = [float("inf")] * len(painters)
        for round_ in range(ROUNDS):
            for i, painter in enumerate(painters):
                start = clock()
                painter.paint([window], [fields])
                least[i] = min(least[i], clock() - start)
            if min(least) > LONG or (round_ and _is_clear(least)):
                break
    finally:
        torch.set_num_threads(threads)
    return least
