"""What a request means: its memory, device, model, window, styles and block, checked, in the engine's own terms."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import torch

from mediagen.canvas.memory import as_bytes
from mediagen.canvas.plan import CPU_SLACK, choose_block
from mediagen.canvas.stylefile import read_style_map
from mediagen.canvas.styles import STYLE_EVERY, StretchStyle, UniformStyle, with_textures
from mediagen.core.geometry import PLANE_LIMIT, Window
from mediagen.core.resample import Resample
from mediagen.core.styles import Precision, StyleMap
from mediagen.errors import UsageError
from mediagen.machine import whole
from mediagen.models._spec import CanvasModel

MEMORY = "2GB"
LIBRARIES = ("numpy", "zarr")
"""Whose versions a canvas records, besides torch's and our own: random numbers and compression are theirs."""

MARGIN = 2**24
"""Pixels between the end of what can be asked for and the end of the plane: blocks and their halos reach there."""

PROCESS_BYTES = 500_000_000
"""What Python, torch and the shards in flight take beside the block; part of a memory budget on the CPU."""


def as_model(model: Any) -> CanvasModel:
    """A loaded canvas model as it is; a checkpoint's name, file or folder loaded. Raises UsageError, CheckpointError."""
    if isinstance(model, str | Path):
        from mediagen.checkpoint import load

        model = load(model)
    if not hasattr(model, "painter") and hasattr(model, "instead"):
        raise UsageError(f"{type(model).__name__} paints nothing by itself: {model.instead}")
    if not hasattr(model, "painter"):
        raise UsageError(f"{type(model).__name__} cannot paint a canvas; choose a model of the kind 'canvas'")
    if getattr(getattr(model, "config", None), "padding_free", True) is False:
        raise UsageError("this network pads with zeros, so its patches have seams; a canvas needs a padding-free one")
    return cast(CanvasModel, model)


def as_window(model: CanvasModel, x: int, y: int | None, width: int, height: int | None) -> Window:
    """The window asked for; height and y default to the scene's rows, centred. Raises UsageError."""
    width = whole("width", width, least=1)
    height = model.scene.height if height is None else whole("height", height, least=1)
    y = model.scene.y + (model.scene.height - height) // 2 if y is None else whole("y", y)
    return on_rows(model, on_plane(whole("x", x), y, width, height))


def on_rows(model: CanvasModel, window: Window) -> Window:
    """The window, where the model's plane has all its rows; a photograph's ends with it. Raises UsageError."""
    rows = getattr(model, "rows", None)
    if rows is not None and not (rows.start <= window.y and window.bottom <= rows.stop):
        raise UsageError(
            f"this model's pictures are {len(rows)} px high, from y = {rows.start}: "
            f"{window.height} px from y = {window.y} reach beyond"
        )
    return window


def on_plane(x: int, y: int, width: int, height: int) -> Window:
    """A window with room around it for a block and its halo. Raises UsageError beyond the plane's end."""
    end = PLANE_LIMIT - MARGIN
    if min(x, y) < -end or max(x + width, y + height) > end:
        raise UsageError(f"the plane ends at +-{end}, and {width} x {height} px from x = {x}, y = {y} reach beyond it")
    return Window(x, y, width, height)


def styles_of(
    seed: int, every: int | None, blend: int | None, style_map: Path | str | None, texture_seed: int | None
) -> StyleMap:
    """The style map a request asks for. Raises UsageError."""
    if style_map is not None:
        if every is not None:
            raise UsageError("give either --style-map or --style-every: a map has its own places")
        styles = read_style_map(style_map, blend)
        return styles if texture_seed is None else with_textures(styles, texture_seed)
    every = STYLE_EVERY if every is None else whole("style_every", every, least=0)
    if every == 0:
        return UniformStyle(seed, texture_seed)
    blend = every // 4 if blend is None else whole("style_blend", blend, least=0)
    return StretchStyle(seed, every, blend, texture_seed)


MOST_RECTANGLES = 1000


def resampled(model: CanvasModel, rectangles: Iterable[Resample]) -> tuple[Resample, ...]:
    """Rectangles whose local structure is drawn anew, checked. Raises UsageError."""
    found = tuple(rectangles)
    if found and getattr(model, "cell", None) is None:
        raise UsageError("this model has no local latents, so no part of its plane can be drawn anew (--resample)")
    if len(found) > MOST_RECTANGLES:
        raise UsageError(f"{len(found)} rectangles to draw anew; at most {MOST_RECTANGLES} are taken")
    for one in found:
        on_plane(
            whole("resample x", one.x),
            whole("resample y", one.y),
            whole("resample width", one.width, least=1),
            whole("resample height", one.height, least=1),
        )
        whole("resample seed", one.seed)
    return found


def block_of(
    model: CanvasModel, precision: Precision, memory: str | int, block: tuple[int, int] | None, device: torch.device
) -> tuple[int, int]:
    """The block's size (width, height): the one asked for, or the best within a memory budget. Raises UsageError."""
    step = model.lattice.step
    if block is not None:
        if min(block) < step or block[0] % step or block[1] % step:
            raise UsageError(f"a block of {block[0]} x {block[1]} px: this model's blocks are multiples of {step} px")
        return block
    on_cpu = device.type == "cpu"
    budget = as_bytes(memory) - (PROCESS_BYTES if on_cpu else 0)
    chosen = choose_block(model, precision, budget, CPU_SLACK if on_cpu else 1.0)
    if chosen is None:
        raise UsageError(
            f"a memory budget of {memory} is too small even for this model's smallest block; raise --memory"
        )
    return chosen


def lanes(model: CanvasModel, block: Window, precision: Precision, device: torch.device, memory: int) -> int:
    """How many blocks to paint side by side: one per thread of torch on a CPU, as far as they fit into `memory` bytes."""
    if device.type != "cpu":
        return 1
    return max(1, min(torch.get_num_threads(), (memory - PROCESS_BYTES) // model.memory(block, precision)))
