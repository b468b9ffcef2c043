"""A clip of a camera that flies over a stored canvas, or over the plane itself, painted ahead of it and let go behind it.

One thread asks for scenery, lanes paint it, a few threads look at it through the camera, and one more codes and writes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mediagen.canvas.memory import size_text
from mediagen.canvas.setup import MEMORY
from mediagen.core.resample import Resample
from mediagen.errors import MediagenError, StoreError, UsageError
from mediagen.execute.heap import steady_heap
from mediagen.execute.inline import run_inline
from mediagen.execute.memory import peak_memory
from mediagen.export.camera import TOWARDS, Camera, Direction, Glide, Key, read_keys, route_through
from mediagen.export.fit import check, default_zoom, frames_that_fit
from mediagen.export.flight import Flight, frames_from, groups
from mediagen.export.flight_report import Report, make_record
from mediagen.export.ground import Ground, PlaneWish, canvas_ground, plane_ground
from mediagen.export.scenery import CanvasScenery
from mediagen.io.files import free_bytes, storing
from mediagen.io.store import CanvasStore
from mediagen.io.video_codecs import SEGMENT, ClipLayout, layout_of, rate_of
from mediagen.io.video_file import ClipFile, bytes_of, check_encoder, open_clip, read_record
from mediagen.io.video_place import only_writer, part_of
from mediagen.machine import whole
from mediagen.video.decide import clear, is_done, no_empty_part, remove_leftovers

SECONDS = 60.0
"""How long a flight is by default, or as long as it stays over its canvas."""
SPEED = 200.0
SIZE = (1280, 720)
LONGEST = 10**7
"""Frames."""
CODED_SHARE = 40
"""A lossy codec's clip takes at most so many times less than its pixels, in all likelihood."""


@dataclass(frozen=True, kw_only=True)
class CameraWish:
    """Where the camera is to fly, as the command line says it; None is left to `camera_of`."""

    speed: float
    direction: Direction
    x: int | None
    y: int | None
    zoom: float | None
    keys: Path | None


@steady_heap()
def flyover(
    canvas: CanvasStore | str | Path | None,
    path: str | Path,
    *,
    model: Any = None,
    speed: float = SPEED,
    size: tuple[int, int] = SIZE,
    seconds: float | None = None,
    fps: float = 30.0,
    direction: Direction = "right",
    x: int | None = None,
    y: int | None = None,
    zoom: float | None = None,
    keys: str | Path | None = None,
    seed: int = 0,
    structure_seed: int | None = None,
    texture_seed: int | None = None,
    style_every: int | None = None,
    style_blend: int | None = None,
    style_map: str | Path | None = None,
    resample: Sequence[Resample] | None = None,
    memory: str | int = MEMORY,
    block: tuple[int, int] | None = None,
    precision: str = "auto",
    device: str | None = "auto",
    cache: str | Path | None = None,
    codec: str | None = None,
    crf: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Report:
    """A flight over a canvas, or, with None, over the plane of `model`, into a clip at `path`. Memory does not grow with it.

    `speed` is in pixels of the plane a second, `x` and `y` are the centre of the first frame on the plane, `zoom` is how many
    pixels of the frame one of the plane takes. `keys` is a file of key frames instead. Said again after an interruption, it
    goes on where it stopped. Blocks that `mediagen view` has left in the folder `cache` are taken from there.
    `progress(done, total)` counts frames. Raises MediagenError.
    """
    begun, path = time.monotonic(), Path(path).absolute()
    width, height = (whole("size", side, least=16) for side in size)
    wish = CameraWish(speed=speed, direction=direction, x=x, y=y, zoom=zoom, keys=None if keys is None else Path(keys))
    _check_wish(wish, seconds)
    rate = rate_of(path, fps)
    known = None if wish.keys is None else read_keys(wish.keys)
    ground = _ground(
        canvas, path, _first_x(wish, known),
        PlaneWish(
            model=model, seed=seed, structure_seed=structure_seed, texture_seed=texture_seed, style_every=style_every,
            style_blend=style_blend, style_map=style_map, resample=tuple(resample or ()), memory=memory, block=block,
            precision=precision, device=device, cache=cache,
        ),
    )  # fmt: skip
    camera, said = camera_of(wish, known, (width, height), ground)
    frames = _frames(camera, known, seconds, (width, height), rate, ground)
    if known is None:
        said["seconds"] = float(frames / rate)
    layout = layout_of(path, width=width, height=height, frames=frames, fps=rate, codec=codec, crf=crf)
    check_encoder(layout)
    extent = check(camera, (width, height), rate, frames, ground, known is not None)
    record = make_record(ground, layout, said, wish.keys, path.name)
    done = kept = frames
    if is_done(path, record, overwrite=overwrite):
        remove_leftovers(path, record)
    else:
        with only_writer(path) as died, ground.open(extent) as scenery:
            flight = Flight(
                scenery=scenery, camera=camera, size=(width, height), fps=rate, frames=frames,
                colours="yuv" if layout.takes_planes else "rgb",
            )  # fmt: skip
            if isinstance(scenery, CanvasScenery):
                for group in groups(flight, 0):
                    for level, window in group.wanted:
                        scenery.check(level, window)
            clear(path, record, overwrite=overwrite, died=died)
            _require_room(path, layout)
            with no_empty_part(path):
                file = open_clip(path, layout, record)
                done, kept = _render(file, flight, progress or (lambda *_: None), should_stop or (lambda: False))
    seconds_spent = time.monotonic() - begun
    there = path if done == frames else part_of(path)
    return Report(
        path=str(there), over=ground.name, frames=frames, frames_made=done - kept, frames_kept=kept,
        duration=round(float(frames / rate), 3), fps=float(rate), width=width, height=height,
        container=layout.container, codec=layout.codec, crf=layout.crf, bytes=bytes_of(there),
        seconds=round(seconds_spent, 3), frames_per_second=round((done - kept) / seconds_spent, 1),
        peak_memory_bytes=peak_memory(), interrupted=done < frames,
    )  # fmt: skip


def camera_of(
    wish: CameraWish, keys: list[Key] | None, size: tuple[int, int], ground: Ground
) -> tuple[Camera, dict[str, Any]]:
    """The camera, and how it is recorded."""
    zoom = default_zoom(size, ground) if wish.zoom is None else wish.zoom
    x, y = _start(wish, size, zoom, ground)
    if keys is not None:
        listed = [[key.t, key.x, key.y, key.zoom] for key in keys]
        return route_through(keys, ground.anchor, y, zoom), {"y": wish.y, "zoom": zoom, "keys": listed}
    across, down = TOWARDS[wish.direction]
    camera = Glide(x, y, (across * wish.speed, down * wish.speed), zoom)
    centre = {"x": wish.x, "y": wish.y}
    return camera, {"speed": wish.speed, "direction": wish.direction, **centre, "zoom": zoom}


def _start(wish: CameraWish, size: tuple[int, int], zoom: float, ground: Ground) -> tuple[float, float]:
    """The centre of the first frame, from the anchor: at the side of the home that the camera flies away from."""
    home, (ax, ay) = ground.home, ground.anchor
    across, down = TOWARDS[wish.direction]
    half = size[0] / 2 / zoom, size[1] / 2 / zoom
    left, top = home.x - ax + half[0], home.y - ay + half[1]
    right, bottom = home.right - ax - half[0], home.bottom - ay - half[1]
    middle = (home.y + home.bottom) / 2 - ay
    x = right if across < 0 and ground.stored else left
    y = middle if not (down and ground.stored) else top if down > 0 else bottom
    return (x if wish.x is None else float(wish.x - ax)), (y if wish.y is None else float(wish.y - ay))


def _check_wish(wish: CameraWish, seconds: float | None) -> None:
    if wish.direction not in TOWARDS:
        raise UsageError(f"--direction is right, left, up or down, not {wish.direction!r}")
    if not 0 < wish.speed <= 1e6:
        raise UsageError(f"--speed is in pixels of the plane a second, above 0 and up to 1,000,000, not {wish.speed:g}")
    if wish.zoom is not None and not 1e-6 <= wish.zoom <= 1e3:
        raise UsageError(f"--zoom is pixels of the frame per pixel of the plane, 0.000001 to 1000, not {wish.zoom:g}")
    if seconds is not None and not 0 < seconds <= 1e9:
        raise UsageError(f"--seconds is more than 0, not {seconds:g}")
    for name, place in (("x", wish.x), ("y", wish.y)):
        if place is not None:
            whole(name, place)


def _first_x(wish: CameraWish, keys: list[Key] | None) -> int:
    return math.floor(keys[0].x) if keys is not None else wish.x or 0


def _ground(canvas: CanvasStore | str | Path | None, path: Path, x: int, wish: PlaneWish) -> Ground:
    if canvas is None:
        there = read_record(path) or read_record(part_of(path)) or {}
        over = there["plan"].get("over") if there else None
        return plane_ground(wish, x, over.get("precision") if isinstance(over, dict) else None)
    if wish.model is not None:
        raise UsageError("give either a canvas or --model, not both: a canvas has been painted already")
    return canvas_ground(canvas if isinstance(canvas, CanvasStore) else CanvasStore.open(canvas))


def _frames(
    camera: Camera, keys: list[Key] | None, seconds: float | None, size: tuple[int, int], rate: Fraction, ground: Ground
) -> int:
    """How many frames: a path's to its last key frame, a glide's as said, or a minute if its canvas goes on so long."""
    if keys is not None:
        if seconds is not None:
            raise UsageError("--seconds means nothing beside --path, whose last key frame says how long the flight is")
        return _countable(math.floor(keys[-1].t * float(rate)) + 1)
    frames = _countable(max(1, round((SECONDS if seconds is None else seconds) * rate)))
    if seconds is None:
        frames = frames_that_fit(camera, size, rate, frames, ground) or frames
    return frames


def _countable(frames: int) -> int:
    if frames > LONGEST:
        raise UsageError(f"{frames:,} frames are too many for one clip; {LONGEST:,} are the most")
    return frames


def _require_room(path: Path, layout: ClipLayout) -> None:
    """Raises StoreError when the clip might not fit on its disk."""
    pixels = 3 * layout.width * layout.height * layout.frames
    needed = pixels if layout.crf is None else pixels // CODED_SHARE
    with storing(path):
        free = free_bytes(path)
    if needed > free:
        raise StoreError(
            f"{path}: this clip can take up to {size_text(needed)}, and that disk has {size_text(free)} free; "
            "make it shorter or smaller, free some space or choose another disk"
        )


def _render(
    file: ClipFile, flight: Flight, progress: Callable[[int, int], None], should_stop: Callable[[], bool]
) -> tuple[int, int]:
    """Makes what `file` lacks; returns how many frames are there now, and how many were there before."""
    taken = kept = file.done
    progress(kept, flight.frames)

    def take(shown: np.ndarray) -> np.ndarray:
        nonlocal taken
        taken += len(shown)
        return shown

    def write(shown: np.ndarray) -> int:
        torch.set_num_threads(1)  # of this one thread: the cores are busy with the lanes
        file.add(shown)
        return file.done

    try:
        with closing(frames_from(flight, kept)) as source:
            run_inline(
                take,
                source,
                finish=write,
                on_result=lambda done: progress(done, flight.frames),
                should_stop=lambda: taken % SEGMENT == 0 and should_stop(),
            )
        if file.done == flight.frames:
            file.finish()
        else:
            file.close()
    except BaseException:
        with suppress(MediagenError, OSError, RuntimeError):
            file.close()
        raise
    return file.done, kept
