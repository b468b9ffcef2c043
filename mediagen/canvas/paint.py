"""Paints a canvas into a store: decides what is to be painted and with what, paints it, and reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch

from mediagen.canvas import styles as style_maps
from mediagen.canvas import swap
from mediagen.canvas.cache import precision_in
from mediagen.canvas.decide import decide, refuse_foreign
from mediagen.canvas.memory import as_bytes, size_text
from mediagen.canvas.overview import Overview
from mediagen.canvas.plan import CHUNK, Plan, choose_shard, grid_of
from mediagen.canvas.report import Report, dry_report, make_report
from mediagen.canvas.run import Job, Tally, Workers, paint_missing
from mediagen.canvas.setup import (
    LIBRARIES,
    MEMORY,
    as_model,
    as_window,
    block_of,
    resampled,
    styles_of,
)
from mediagen.canvas.target import bytes_upper_bound, local_path, plan_of, require_room
from mediagen.canvas.warmup import settle_precision
from mediagen.core.provenance import command_line
from mediagen.core.resample import Resample
from mediagen.core.styles import Precision
from mediagen.errors import UsageError
from mediagen.execute.heap import steady_heap
from mediagen.io.layout import level_count
from mediagen.io.store import CanvasStore, is_canvas
from mediagen.machine import device_of, identity, made_with, whole
from mediagen.models._spec import CanvasModel


@steady_heap()
def paint(
    model: Any,
    path: str | Path,
    *,
    width: int | None = None,
    height: int | None = None,
    x: int = 0,
    y: int | None = None,
    seed: int = 0,
    structure_seed: int | None = None,
    texture_seed: int | None = None,
    style_every: int | None = None,
    style_blend: int | None = None,
    style_map: str | Path | None = None,
    resample: Sequence[Resample] | None = None,
    memory: str | int = MEMORY,
    block: tuple[int, int] | None = None,
    shard: tuple[int, int] | None = None,
    chunk: int = CHUNK,
    precision: str = "auto",
    compiled: bool = False,
    cache: str | Path | None = None,
    device: str | None = "auto",
    workers: int = 0,
    scheduler: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Report:
    """Paints the window into the OME-Zarr store `path`, with an overview PNG beside it; memory does not grow with it.

    Said again after an interruption, it goes on where it stopped. With `resume` and no width, everything is as the
    canvas records it. Blocks that `mediagen view` has left in the folder `cache` are taken from there, and
    `resample` are rectangles whose local structure is drawn anew. `progress(done, total)` counts
    pixels; `should_stop()` is asked between units; what it stopped says so in the report. Raises MediagenError.
    """
    start = time.monotonic()
    path = local_path(path)
    if resume and overwrite:
        raise UsageError("--resume keeps what is there and --overwrite deletes it; give one of them")
    swap.finish(path)
    if width is None and not (resume and is_canvas(path)):
        raise UsageError("give a width in pixels (--width)")
    refuse_foreign(path)
    network, where = as_model(model), device_of(device)
    if width is None:
        plan, options = _recorded(path)
    else:
        seed = whole("seed", seed)
        structure_seed = None if structure_seed is None else whole("structure_seed", structure_seed)
        texture_seed = None if texture_seed is None else whole("texture_seed", texture_seed)
        styles = styles_of(seed, style_every, style_blend, style_map, texture_seed)
        window = as_window(network, x, y, width, height)
        there = None if overwrite else path
        format_ = settle_precision(
            network, styles, where, precision, lambda: _precision_there(network, where, there, cache)
        )
        sides = block_of(network, format_, memory, block, where)
        plan = Plan(
            canvas=window, blocks=grid_of(network, *sides), shard=shard or choose_shard(sides, chunk), chunk=chunk,
            levels=level_count(window.width, window.height), precision=format_, compiled=compiled, seed=seed,
            structure_seed=structure_seed, styles=style_maps.to_json(styles),
            resample=resampled(network, resample or ()),
        )  # fmt: skip
        _check_sizes(plan)
        options = resolved_options(plan, style_map, memory, block)
    record = make_record(network, plan, where, options)
    action = decide(path, record, resume=resume, overwrite=overwrite)
    job = make_job(model, network, plan, where, workers, scheduler, progress, should_stop, memory=memory, cache=cache)
    if dry_run:
        return dry_report(path, job, time.monotonic() - start)
    if action == "nothing":
        done = Tally(skipped=plan.grid[0] * plan.grid[1])
        return make_report(path, job, done, time.monotonic() - start)
    store = open_store(path, record, plan, action == "create", overwrite)
    with store.only_writer(), Overview(path, store) as overview:
        tally = paint_missing(store, job, overview.advance)
        if not tally.interrupted and not tally.failed:
            overview.finish()
    return make_report(path, job, tally, time.monotonic() - start)


def resolved_options(
    plan: Plan, style_map: str | Path | None, memory: str | int, block: tuple[int, int] | None
) -> dict[str, Any]:
    """The command's options that lead to this plan, besides its window; what was left to default is written out."""
    styles = style_maps.from_json(plan.styles)
    stretch = styles if isinstance(styles, style_maps.StretchStyle) else None
    around = styles if isinstance(styles, style_maps.CentreStyle) else None
    textures = around.points[0].texture_seed if around else getattr(styles, "texture_seed", None)
    return {
        "seed": plan.seed,
        "structure_seed": plan.structure_seed,
        "texture_seed": textures,
        "style_every": None if around else stretch.every if stretch else 0,
        "style_blend": around.blend if around else stretch.blend if stretch else None,
        "style_map": Path(style_map).name if style_map is not None else None,
        "memory": None if block else size_text(as_bytes(memory)),
        "block": f"{block[0]}x{block[1]}" if block else None,
        "precision": plan.precision,
        **({"resample": [",".join(map(str, astuple(one))) for one in plan.resample]} if plan.resample else {}),
    }


def make_record(model: CanvasModel, plan: Plan, device: torch.device, options: dict[str, Any]) -> dict[str, Any]:
    """What a canvas says of itself: the same request makes the same record, byte for byte."""
    name, canvas = identity(model), plan.canvas
    window = {"width": canvas.width, "height": canvas.height, "x": canvas.x, "y": canvas.y}
    return {
        "kind": "canvas",
        "command": command_line("canvas", {**window, "model": name["name"], **options}),
        "options": options,
        "model": name,
        "made_with": made_with(device, *LIBRARIES),
        "plan": plan.to_json(),
    }


def make_job(
    named: Any,
    model: CanvasModel,
    plan: Plan,
    device: torch.device,
    workers: int,
    scheduler: str | None,
    progress: Callable[[int, int], None] | None,
    should_stop: Callable[[], bool] | None,
    old: CanvasStore | None = None,
    memory: str | int | None = None,
    cache: str | Path | None = None,
) -> Job:
    """The job of painting `plan`. Workers load the model by name, so `named` must be one then. Raises UsageError."""
    away: Workers | None = None
    if whole("workers", workers, least=0) and scheduler:
        raise UsageError("give either --workers (processes here) or --scheduler (processes that you started)")
    if workers or scheduler:
        from mediagen.checkpoint import resolve

        if not isinstance(named, str | Path):
            named = identity(model)["name"]
        away = Workers(count=workers, scheduler=scheduler, checkpoint=resolve(named)[1])
    return Job(
        plan=plan, model=model, device=device, memory=as_bytes(memory or MEMORY), workers=away, old=old,
        cache=None if cache is None else Path(cache).absolute(),
        progress=progress or (lambda done, total: None), should_stop=should_stop or (lambda: False),
    )  # fmt: skip


def open_store(path: Path, record: dict[str, Any], plan: Plan, new: bool, overwrite: bool) -> CanvasStore:
    """The store to paint into, made if `new`. Raises StoreError when the canvas may not fit on the disk."""
    what = f"a canvas of {plan.canvas.width} x {plan.canvas.height} px"
    if not new:
        store = CanvasStore.open(path, "r+")
        missing = sum(1 for shard in plan.shards() if not store.shard_is_whole(0, *shard))
        require_room(path, bytes_upper_bound(plan) * missing // (plan.grid[0] * plan.grid[1]), f"the rest of {what}")
        return store
    require_room(path, bytes_upper_bound(plan), what)
    return CanvasStore.create(
        path, width=plan.canvas.width, height=plan.canvas.height, shard=plan.shard, chunk=plan.chunk, levels=plan.levels,
        origin=(plan.canvas.x, plan.canvas.y), attributes=record, overwrite=overwrite,
    )  # fmt: skip


def _recorded(path: Path) -> tuple[Plan, dict[str, Any]]:
    store = CanvasStore.open(path)
    return plan_of(store), dict(store.attributes.get("options", {}))


def _precision_there(
    model: CanvasModel, device: torch.device, path: Path | None, cache: str | Path | None
) -> Precision | None:
    """The number format that a canvas at `path` has, else blocks in `cache`."""
    if path is not None and is_canvas(path):
        return plan_of(CanvasStore.open(path)).precision
    return precision_in(Path(cache), model, device) if cache is not None else None


def _check_sizes(plan: Plan) -> None:
    width, height = plan.shard
    if plan.chunk < 2 or plan.chunk % 2 or width % plan.chunk or height % plan.chunk or min(plan.shard) < plan.chunk:
        raise UsageError(
            f"shards of {width} x {height} px in chunks of {plan.chunk} px: a chunk must be even and divide both sides"
        )
