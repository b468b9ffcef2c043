"""The frames of one clip or a grid of clips, CHUNK by CHUNK, in constant memory. Frame k does not depend on the length.

Layout: T frames, C channels, H, W. A model's frames are (T, 3, H, W) in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future
from itertools import count
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from mediagen.core.clips import CHUNK, ClipRequest
from mediagen.errors import UsageError
from mediagen.models._spec import StreamModel
from mediagen.nn.sheets import to_bytes
from mediagen.video.lanes import Lanes, Precision, in_order

Join = Literal["cut", "interpolate"]

SKIP = 4096
"""Frames that are skipped at once, so that a far start takes no more memory than a near one."""

FADE = 4
"""A cross-fade takes 1 / FADE of a clip."""


def check_choices(join: str, precision: str) -> None:
    """Raises UsageError for a word that is none of those to choose from."""
    for name, value, known in (("join", join, get_args(Join)), ("precision", precision, get_args(Precision))):
        if value not in known:
            raise UsageError(f"there is no {name} {value!r}; choose {' or '.join(known)}")


def tiles(
    model: Any,
    requests: Sequence[ClipRequest],
    start: int,
    stop: int | None,
    *,
    join: Join,
    precision: Precision,
) -> Generator[list[Tensor], None, None]:
    """CHUNK frames of each request at a time, uint8 (CHUNK, 3, H, W) on the CPU, from `start` on, a multiple of CHUNK.

    Ends with the chunk that holds frame `stop` - 1, or never. Several chunks are made at the same time.
    """
    assert start % CHUNK == 0
    with Lanes(device_of_model(model), precision) as lanes:
        ahead = -(-lanes.count // len(requests))
        if isinstance(model, StreamModel):
            sources = [in_order(_streamed(model, one, start, stop, lanes), ahead) for one in requests]
        else:
            sources = [_joined(model, one, start, stop, join, lanes, ahead) for one in requests]
        yield from (list(group) for group in zip(*sources, strict=True))


def _streamed(
    model: StreamModel, request: ClipRequest, start: int, stop: int | None, lanes: Lanes
) -> Iterator[Future[Tensor]]:
    """Begins chunk after chunk: the state goes on by `skip`, which is cheap, while the lanes make the frames by `step`."""

    def shown(state: Any) -> Tensor:
        return to_bytes(model.step(state, CHUNK)[1]).cpu()

    state = lanes.walk(model.start, request)
    for position in range(0, start, SKIP):
        state = lanes.walk(model.skip, state, min(SKIP, start - position))
    for position in count(start, CHUNK):
        if stop is not None and position >= stop:
            return
        if position > start:
            state = lanes.walk(model.skip, state, CHUNK)
        yield lanes.make(shown, state)


def _joined(
    model: Any, request: ClipRequest, start: int, stop: int | None, join: Join, lanes: Lanes, ahead: int
) -> Iterator[Tensor]:
    """Clip after clip. With "interpolate" a clip begins while the last one ends, and one fades into the other."""
    length = len(lanes.walk(model.clip, request, 0))
    fade = length // FADE if join == "interpolate" else 0
    number, offset = divmod(start, length - fade)
    first = number - 1 if fade and number else number
    last = None if stop is None else -(-stop // CHUNK) * CHUNK // (length - fade) + 1
    numbers = count(first) if last is None else range(first, last)
    clips = in_order((lanes.make(model.clip, request, i) for i in numbers), ahead)
    before = next(clips).float()[length - fade :] if first < number else None
    ready, position = torch.empty(0), start
    for clip in clips:
        body, end = clip.float().split([length - fade, fade])
        if before is not None:
            share = torch.arange(1, fade + 1, device=clip.device).div(fade + 1)[:, None, None, None]
            body = torch.cat([torch.lerp(before, body[:fade], share), body[fade:]])
        before = end if fade else None
        ready, offset = torch.cat([ready.to(body), body[offset:]]) if len(ready) else body[offset:], 0
        while len(ready) >= CHUNK and (stop is None or position < stop):
            yield to_bytes(ready[:CHUNK]).cpu()
            ready, position = ready[CHUNK:], position + CHUNK


def device_of_model(model: Any) -> torch.device:
    first = next(model.parameters(), None) if hasattr(model, "parameters") else None
    return torch.device("cpu") if first is None else first.device
