"""Makes a finished canvas larger on one side: the result is the store that painting the whole at once would have made.

The larger canvas grows beside the old one, as NAME.extending: shards that both have are linked, others are put together
from old pixels and new ones. Then the two change places. Killed anywhere and said again, it goes on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

from mediagen.canvas import swap
from mediagen.canvas.decide import refuse_foreign
from mediagen.canvas.paint import make_job, make_record, open_store
from mediagen.canvas.report import Report, dry_report, make_report
from mediagen.canvas.run import Job, Tally, paint_missing
from mediagen.canvas.setup import MEMORY, as_model, on_plane, on_rows
from mediagen.canvas.target import is_complete, local_path, plan_of, unlikeness
from mediagen.core.geometry import Window
from mediagen.errors import StoreError, UsageError
from mediagen.execute.heap import steady_heap
from mediagen.io.files import make_folder, storing, sync_folder, write_file
from mediagen.io.layout import level_count
from mediagen.io.store import CanvasStore, is_canvas
from mediagen.machine import device_of, whole

Side = Literal["left", "right", "up", "down"]


@steady_heap()
def extend(
    path: str | Path,
    side: str,
    pixels: int,
    *,
    model: Any = None,
    device: str | None = "auto",
    workers: int = 0,
    scheduler: str | None = None,
    memory: str | int = MEMORY,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Report:
    """Extends the canvas at `path` by `pixels` to the left, right, up or down, as it records itself.

    `model` (a loaded one, a name or a file) is needed when the canvas's own is not a bundled one. Raises MediagenError.
    """
    start = time.monotonic()
    path = local_path(path)
    amount = whole("the number of pixels to extend by", pixels, least=1)
    if side not in get_args(Side):
        raise UsageError(f"a canvas can be extended {', '.join(get_args(Side))}, not {side!r}")
    refuse_foreign(path)
    finished = swap.finish(path)
    old = CanvasStore.open(path)
    plan = plan_of(old)
    named = old.attributes["model"]["name"] if model is None else model
    network, where = as_model(named), device_of(device)
    if finished is not None and larger(finished, side, amount) == plan.canvas:
        # A run of this very command was killed when all was done but the exchange.
        job = make_job(named, network, plan, where, 0, None, None, None)
        return make_report(path, job, Tally(skipped=plan.grid[0] * plan.grid[1]), time.monotonic() - start)
    canvas = on_rows(network, larger(plan.canvas, side, amount))
    union = plan.over(canvas, level_count(canvas.width, canvas.height))
    _require_same(old, make_record(network, plan, where, old.attributes["options"]))
    record = make_record(network, union, where, old.attributes["options"])
    job = make_job(named, network, union, where, workers, scheduler, progress, should_stop, old, memory)
    if dry_run:
        return dry_report(path, job, time.monotonic() - start)
    with old.only_writer():
        tally = _grow(path, old, job, record)
    return make_report(path, job, tally, time.monotonic() - start)


def larger(canvas: Window, side: str, pixels: int) -> Window:
    """The window extended on one side. Raises UsageError beyond the plane's end."""
    x, y, width, height = canvas.x, canvas.y, canvas.width, canvas.height
    if side in ("left", "right"):
        return on_plane(x - pixels if side == "left" else x, y, width + pixels, height)
    return on_plane(x, y - pixels if side == "up" else y, width, height + pixels)


def link_shared(old: CanvasStore, new: CanvasStore) -> int:
    """Puts every shard that both canvases have into the new one, without copying where links work; returns how many."""
    count = 0
    for level in range(min(len(old.levels), len(new.levels))):
        if _shape(old, level) != _shape(new, level):
            continue
        rows, columns = new.grid(level)
        for iy in range(rows):
            linked = 0
            for ix in range(columns):
                source = _same_shard(old, new, level, iy, ix)
                if source is not None and not new.shard_is_whole(level, iy, ix):
                    _link(old.shard_path(level, *source), new.shard_path(level, iy, ix))
                    linked += 1
            if linked:
                sync_folder(new.shard_path(level, iy, 0).parent)
            count += linked
    return count


def _grow(path: Path, old: CanvasStore, job: Job, record: dict[str, Any]) -> Tally:
    """Paints the larger canvas beside the old one and puts it into its place."""
    if not is_complete(old):
        raise StoreError(f"{path}: this canvas is not finished; finish it first: {old.attributes['command']}")
    grown = swap.growing(path)
    if is_canvas(grown):
        unlike = next(unlikeness(CanvasStore.open(grown).attributes, record), None)
        if unlike:
            raise StoreError(f"{grown}: another extension was interrupted ({unlike}); finish it, or delete this folder")
    elif os.path.lexists(grown):
        raise StoreError(f"{grown}: something else than a canvas of ours is in the way; move it away")
    store = open_store(grown, record, job.plan, not is_canvas(grown), False)
    with store.only_writer(), storing(grown):
        store.remove_orphans()
        link_shared(old, store)
        tally = paint_missing(store, job)
        if not tally.interrupted and not tally.failed:
            swap.swap(path)
    return tally


def _require_same(old: CanvasStore, record: dict[str, Any]) -> None:
    unlike = next(unlikeness(old.attributes, record), None)
    if unlike:
        raise StoreError(f"{old.path}: cannot be extended with the same bits ({unlike})")


def _shape(store: CanvasStore, level: int) -> tuple[int, int, int]:
    info = store.levels[level]
    return info.shard_width, info.shard_height, info.chunk


def _plane_window(store: CanvasStore, level: int, iy: int, ix: int) -> Window:
    """What a shard of any level shows, in pixels of the plane."""
    shard, base = store.shard_window(level, iy, ix), store.levels[0]
    x, y = shard.x << level, shard.y << level
    right, bottom = min(shard.right << level, base.width), min(shard.bottom << level, base.height)
    return Window(store.origin[0] + x, store.origin[1] + y, right - x, bottom - y)


def _same_shard(old: CanvasStore, new: CanvasStore, level: int, iy: int, ix: int) -> tuple[int, int] | None:
    """The old canvas's shard (iy, ix) that shows exactly what this one of the new canvas shows."""
    window, info = _plane_window(new, level, iy, ix), old.levels[level]
    column, x_rest = divmod(window.x - old.origin[0], info.shard_width << level)
    row, y_rest = divmod(window.y - old.origin[1], info.shard_height << level)
    rows, columns = old.grid(level)
    if x_rest or y_rest or not (0 <= column < columns and 0 <= row < rows):
        return None
    return (row, column) if _plane_window(old, level, row, column) == window else None


def _link(source: Path, target: Path) -> None:
    make_folder(target.parent)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # Some file systems have no links.
        write_file(target, source.read_bytes())
