"""The frames of one clip or a grid of clips, CHUNK by CHUNK, in constant memory. Frame k does not depend on the length.

Layout: T frames, C channels, H, W. A model's frames are (T, 3, H, W) in [-1, 1]; what is shown is uint8 (T, H, W, 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mediagen.core.clips import CHUNK, ClipRequest
from mediagen.errors import UsageError
from mediagen.models._spec import StreamModel
from mediagen.nn.sheets import to_bytes

Join = Literal["cut", "interpolate"]
Precision = Literal["fp32", "bf16"]
Guard = Callable[[], AbstractContextManager[Any]]

SKIP = 4096
"""Frames that are skipped at once, so that a far start takes no more memory than a near one."""

FADE = 4
"""A cross-fade takes 1 / FADE of a clip."""

GAP_COLOUR = 48


def check_choices(join: str, precision: str) -> None:
    """Raises UsageError for a word that is none of those to choose from."""
    for name, value, known in (("join", join, get_args(Join)), ("precision", precision, get_args(Precision))):
        if value not in known:
            raise UsageError(f"there is no {name} {value!r}; choose {' or '.join(known)}")


def tiles(
    model: Any, requests: Sequence[ClipRequest], start: int, *, join: Join, precision: Precision
) -> Iterator[list[Tensor]]:
    """The next CHUNK frames of each request, uint8 (CHUNK, 3, H, W) on the CPU, without end; `start` is a multiple of CHUNK."""
    assert start % CHUNK == 0

    def guard() -> AbstractContextManager[Any]:
        return torch.autocast(_device(model).type, dtype=torch.bfloat16, enabled=precision == "bf16")

    def frames(request: ClipRequest) -> Iterator[Tensor]:
        if isinstance(model, StreamModel):
            return _streamed(model, request, start, guard)
        return _joined(model, request, start, join, guard)

    sources = [frames(request) for request in requests]
    while True:
        yield [to_bytes(next(source)).cpu() for source in sources]


def laid_out(shown: Sequence[Tensor], grid: tuple[int, int], scale: int) -> np.ndarray:
    """Tiles (T, 3, h, w) uint8, row by row, each enlarged (bicubic) on its own, with thin gaps: (T, H, W, 3) uint8."""
    rows, columns = grid
    large = [_enlarged(tile, scale).permute(0, 2, 3, 1) for tile in shown]
    count, height, width, _ = large[0].shape
    if len(large) == 1:
        return large[0].contiguous().numpy()
    gap = gap_of(scale)
    whole = torch.full(
        (count, rows * (height + gap) - gap, columns * (width + gap) - gap, 3), GAP_COLOUR, dtype=torch.uint8
    )
    for i, tile in enumerate(large):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        whole[:, top : top + height, left : left + width] = tile
    return whole.numpy()


def gap_of(scale: int) -> int:
    """Pixels between two tiles: even, so that colours coded at half the size do not bleed."""
    return 2 * max(1, scale // 2)


def laid_out_size(frame_size: tuple[int, int], grid: tuple[int, int], scale: int) -> tuple[int, int]:
    """(height, width) of what `laid_out` makes."""
    gap = gap_of(scale)
    height, width = (count * (scale * side + gap) - gap for count, side in zip(grid, frame_size, strict=True))
    return height, width


def _enlarged(frames: Tensor, scale: int) -> Tensor:
    if scale == 1:
        return frames
    plain = frames.contiguous(memory_format=torch.channels_last)
    return F.interpolate(plain, scale_factor=float(scale), mode="bicubic", antialias=True)


def _streamed(model: StreamModel, request: ClipRequest, start: int, guard: Guard) -> Iterator[Tensor]:
    with torch.no_grad(), guard():
        state = model.start(request)
        for position in range(0, start, SKIP):
            state = model.skip(state, min(SKIP, start - position))
    while True:
        with torch.no_grad(), guard():
            state, frames = model.step(state, CHUNK)
        yield frames


def _joined(model: Any, request: ClipRequest, start: int, join: Join, guard: Guard) -> Iterator[Tensor]:
    """Clip after clip. With "interpolate" a clip begins while the last one ends, and one fades into the other."""

    def made(number: int) -> Tensor:
        with torch.no_grad(), guard():
            clip: Tensor = model.clip(request, number)
            return clip.float()

    length = len(made(0))
    fade = length // FADE if join == "interpolate" else 0
    number, offset = divmod(start, length - fade)
    before = made(number - 1)[length - fade :] if fade and number else None
    ready = torch.empty(0)
    while True:
        clip = made(number)
        body, end = clip[: length - fade], clip[length - fade :]
        if before is not None:
            share = torch.arange(1, fade + 1, device=clip.device).div(fade + 1)[:, None, None, None]
            body = torch.cat([torch.lerp(before, body[:fade], share), body[fade:]])
        before, number = end if fade else None, number + 1
        ready = torch.cat([ready, body[offset:]]) if len(ready) else body[offset:]
        offset = 0
        while len(ready) >= CHUNK:
            yield ready[:CHUNK]
            ready = ready[CHUNK:]


def _device(model: Any) -> torch.device:
    first = next(model.parameters(), None) if hasattr(model, "parameters") else None
    return torch.device("cpu") if first is None else first.device
