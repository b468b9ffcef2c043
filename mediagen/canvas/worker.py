"""A worker's side of a painting: it opens the store, loads the model, and paints whole shards. Called by name."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mediagen.canvas.plan import Plan
from mediagen.canvas.render import BlockSource
from mediagen.canvas.setup import LIBRARIES, as_model
from mediagen.canvas.shards import Shard, compose, open_source, parts_to_paint
from mediagen.canvas.target import plan_of
from mediagen.core.provenance import differences
from mediagen.errors import WorkerError
from mediagen.execute.heap import keep_heap
from mediagen.execute.inline import run_inline
from mediagen.execute.memory import peak_memory
from mediagen.execute.units import Call, Check
from mediagen.io.store import CanvasStore, probe
from mediagen.machine import device_of, made_with


@dataclass(frozen=True)
class Worker:
    """What a worker keeps between units."""

    store: CanvasStore
    old: CanvasStore | None
    plan: Plan
    source: BlockSource


def describe(
    store: CanvasStore,
    old: CanvasStore | None,
    checkpoint: Path,
    device: torch.device,
    memory: int,
    cache: Path | None = None,
) -> Call:
    """How a worker makes itself ready: paths and names only."""
    arguments = {
        "store": str(store.path),
        "old": str(old.path) if old else None,
        "checkpoint": str(checkpoint.resolve()),
        "device": device.type,
        "memory": memory,
        "cache": str(cache) if cache else None,
    }
    return Call(target=f"{__name__}:make", arguments=arguments)


def checks(store: CanvasStore, checkpoint: Path) -> list[Check]:
    """What every worker must see as this process does: the same store, writable, and the same checkpoint."""
    from mediagen.checkpoint import file_sha256

    weights = Call(target="mediagen.checkpoint:file_sha256", arguments={"path": str(checkpoint.resolve())})
    return [
        Check(what="canvas", call=Call(target="mediagen.io.store:probe", arguments={"path": str(store.path)}),
              expected=probe(store.path)),
        Check(what="checkpoint", call=weights, expected=file_sha256(checkpoint)),
    ]  # fmt: skip


def make(
    store: str, old: str | None, checkpoint: str, device: str, memory: int, cache: str | None, threads: int
) -> Worker:
    """Opens the store and loads the model, once a worker. Raises WorkerError if it would paint other bits here."""
    keep_heap()
    torch.set_num_threads(threads)
    canvas, here = CanvasStore.open(store, "r+"), device_of(device)
    unlike = list(differences(canvas.attributes["made_with"], made_with(here, *LIBRARIES)))
    if unlike:
        raise WorkerError(f"this worker would not paint the same bits ({'; '.join(unlike)})")
    plan = plan_of(canvas)
    source = open_source(plan, as_model(Path(checkpoint)), here, memory, Path(cache) if cache else None)
    return Worker(canvas, CanvasStore.open(old) if old else None, plan, source)


@dataclass(frozen=True)
class Painted:
    """A unit's shards, all written but the last one, whose picture is still to be."""

    shards: list[Shard]
    last: np.ndarray
    pixels: int
    blocks: int
    found: int


def paint_shards(worker: Worker, shards: Sequence[Shard]) -> Painted:
    """Paints shards; the next one is painted while the one before is written."""
    before, found, pixels = worker.source.painted, worker.source.found, 0

    def paint(unit: tuple[Shard, Sequence[Shard]]) -> tuple[Shard, np.ndarray]:
        nonlocal pixels
        shard, following = unit
        then = [part for later in following for part in parts_to_paint(worker.plan.shard_window(*later), worker.old)]
        picture, painted = compose(worker.source, worker.old, worker.plan.shard_window(*shard), then)
        pixels += painted
        return shard, picture

    def finish(value: tuple[Shard, np.ndarray]) -> np.ndarray:
        shard, picture = value
        if shard != shards[-1]:
            worker.store.write_shard(0, *shard, picture)
        return picture

    last: deque[np.ndarray] = deque(maxlen=1)
    units = [(shard, shards[i + 1 :]) for i, shard in enumerate(shards)]
    run_inline(paint, units, finish=finish, on_result=last.append)
    return Painted([*shards], last[0], pixels, worker.source.painted - before, worker.source.found - found)


def write_last(worker: Worker, painted: Painted) -> dict[str, Any]:
    """Writes what is still to be written, while the worker paints its next unit; returns the unit's record."""
    worker.store.write_shard(0, *painted.shards[-1], painted.last)
    return {
        "shards": painted.shards,
        "pixels": painted.pixels,
        "blocks": painted.blocks,
        "found": painted.found,
        "process": os.getpid(),
        "peak": peak_memory(),
    }
