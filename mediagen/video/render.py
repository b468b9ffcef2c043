"""Renders a clip into a file: decides what is to be made and with what, makes it, and reports.

The model makes frames in one thread while another lays them out, codes and writes the ones before.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mediagen.core.clips import CHUNK, ClipRequest
from mediagen.errors import MediagenError
from mediagen.execute.heap import steady_heap
from mediagen.execute.inline import run_inline
from mediagen.execute.memory import peak_memory
from mediagen.io.video_codecs import SEGMENT, ClipLayout, layout_of, rate_of
from mediagen.io.video_file import ClipFile, bytes_of, check_encoder, open_clip
from mediagen.io.video_place import only_writer, part_of
from mediagen.machine import device_of, whole
from mediagen.models._spec import StreamModel
from mediagen.video.decide import clear, is_done, no_empty_part, remove_leftovers
from mediagen.video.lanes import LANE_THREADS, Precision
from mediagen.video.layout import laid_out, laid_out_size
from mediagen.video.model import CATEGORY_EVERY, Picture, Wish, as_model, called, requests
from mediagen.video.report import Report, make_record
from mediagen.video.stream import Join, check_choices, tiles

SECONDS = 10
"""How long a clip is by default."""

SMOOTH = 24
"""Frames a second from which motion looks smooth: by default a clip has as many where the model can draw them."""

SHOWN = 256
"""By default a clip is enlarged by the smallest whole factor that makes its shorter side so many pixels."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that decides a clip's frames and bytes."""

    model: Any
    requests: Sequence[ClipRequest]
    grid: tuple[int, int]
    scale: int
    join: Join
    precision: Precision
    layout: ClipLayout


@steady_heap()
def render_video(
    model: Any,
    path: str | Path,
    *,
    frames: int | None = None,
    fps: float | None = None,
    seed: int = 0,
    content_seed: int | None = None,
    motion_seed: int | None = None,
    category: int | Sequence[int] | None = None,
    category_every: int = CATEGORY_EVERY,
    image: Picture | None = None,
    time_scale: float | None = None,
    reverse: bool = False,
    grid: tuple[int, int] = (1, 1),
    scale: int | None = None,
    join: Join = "cut",
    codec: str | None = None,
    crf: int | None = None,
    precision: Precision = "fp32",
    device: str | None = "auto",
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Report:
    """Renders a clip into `path`: .mp4, .mkv, .webm, .gif, or a folder of PNGs. Memory does not grow with it.

    Said again after an interruption, it goes on where it stopped. `progress(done, total)` counts frames; `should_stop()`
    is asked between segments; what it stopped says so in the report. With neither `fps` nor `time_scale`, a model that can
    draw frames between its frames is filmed at SMOOTH frames a second or more, at its own speed. Raises MediagenError.
    """
    begun, path, where = time.monotonic(), Path(path).absolute(), device_of(device)
    check_choices(join, precision)
    network = as_model(model, where)
    denser = between_frames(network) if fps is None and time_scale is None else 1
    wish = Wish(
        seed=seed, content_seed=content_seed, motion_seed=motion_seed, category=category, category_every=category_every,
        image=image, time_scale=1 / denser if time_scale is None else time_scale, reverse=reverse, grid=grid,
    )  # fmt: skip
    asked = requests(network, wish)
    scale = default_scale(network.frame_size, grid) if scale is None else whole("scale", scale, least=1)
    height, width = laid_out_size(network.frame_size, grid, scale)
    rate = rate_of(path, network.fps * denser if fps is None else fps)
    count = round(SECONDS * rate) if frames is None else whole("frames", frames)
    layout = layout_of(path, width=width, height=height, frames=count, fps=rate, codec=codec, crf=crf)
    check_encoder(layout)
    job = Job(
        model=network, requests=asked, grid=grid, scale=scale, join=join, precision=precision, layout=layout
    )  # fmt: skip
    joined = None if isinstance(network, StreamModel) else join
    record = make_record(
        network, wish, asked, layout, scale=scale, join=joined, precision=precision, device=where
    )  # fmt: skip
    done, kept = count, count
    if is_done(path, record, overwrite=overwrite):
        remove_leftovers(path, record)
    else:
        with only_writer(path) as died:
            clear(path, record, overwrite=overwrite, died=died)
            with no_empty_part(path):
                file = open_clip(path, layout, record)
                done, kept = _render(file, job, progress or (lambda *_: None), should_stop or (lambda: False))
    whole_clip, seconds = done == count, time.monotonic() - begun
    there = path if whole_clip else part_of(path)
    return Report(
        path=str(there), frames=count, frames_made=done - kept, frames_kept=kept, duration=round(float(count / rate), 3),
        fps=float(rate), width=width, height=height, container=layout.container, codec=layout.codec, crf=layout.crf,
        bytes=bytes_of(there), model=called(network), precision=precision, joined=joined,
        piece=None if joined is None else network.clip_frames, seconds=round(seconds, 3),
        frames_per_second=round((done - kept) / seconds, 1), peak_memory_bytes=peak_memory(), interrupted=not whole_clip,
    )  # fmt: skip


def between_frames(model: Any) -> int:
    """How many frames to draw for one of the model's own, so that its motion is smooth at its own speed."""
    return max(1, math.ceil(SMOOTH / model.fps)) if "rate" in model.abilities else 1


def default_scale(frame_size: tuple[int, int], grid: tuple[int, int]) -> int:
    """How many times a clip is enlarged when nothing is said."""
    height, width = laid_out_size(frame_size, grid, 1)
    return max(1, -(-SHOWN // min(height, width)))


def _render(
    file: ClipFile, job: Job, progress: Callable[[int, int], None], should_stop: Callable[[], bool]
) -> tuple[int, int]:
    """Makes what `file` lacks; returns how many frames are there now, and how many were there before."""
    kept, total = file.done, job.layout.frames
    source = tiles(job.model, job.requests, kept, total, join=job.join, precision=job.precision)
    begun = kept
    progress(kept, total)

    def make(start: int) -> list[Tensor]:
        nonlocal begun
        begun = start + CHUNK
        return next(source)

    def write(shown: list[Tensor]) -> int:
        torch.set_num_threads(LANE_THREADS)  # of this one thread: the cores are busy with the lanes
        file.add(laid_out(shown, job.grid, job.scale)[: total - file.done])
        return file.done

    try:
        with closing(source):
            run_inline(
                make,
                range(kept, total, CHUNK),
                finish=write,
                on_result=lambda done: progress(done, total),
                should_stop=lambda: begun % SEGMENT == 0 and should_stop(),
            )
        if file.done == total:
            file.finish()
        else:
            file.close()
    except BaseException:
        with suppress(MediagenError, OSError, RuntimeError):
            file.close()
        raise
    return file.done, kept
