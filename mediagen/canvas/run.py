"""Paints the shards that a canvas still lacks: in this process, with writing overlapped, or on workers."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mediagen.canvas import worker
from mediagen.canvas.plan import Plan
from mediagen.canvas.shards import Shard, compose, open_source, parts_to_paint
from mediagen.execute.inline import run_inline
from mediagen.execute.memory import peak_memory
from mediagen.io.pyramid import Pyramid
from mediagen.io.store import CanvasStore
from mediagen.models._spec import CanvasModel

SHARED_UNIT, GPU_UNIT = 6, 8
"""Shards per unit of a worker where one alone would be too few: neighbours share blocks, or are painted in no time."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Where units go instead: `count` local workers, or a scheduler's, which load the model from `checkpoint`."""

    count: int
    scheduler: str | None
    checkpoint: Path


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything a painting needs besides its store. `old` is a canvas whose pixels are read instead of painted.

    `cache` is a folder of painted blocks (mediagen.canvas.cache), which are read too.
    """

    plan: Plan
    model: CanvasModel
    device: torch.device
    memory: int
    workers: Workers | None = None
    old: CanvasStore | None = None
    cache: Path | None = None
    progress: Callable[[int, int], None] = lambda done, total: None
    should_stop: Callable[[], bool] = lambda: False


@dataclass(kw_only=True)
class Tally:
    """What a run did. `pixels` are those of shards that were written, but for what came from an old canvas.

    `blocks` were painted for them by the model, `found` in a folder of painted blocks.
    """

    written: int = 0
    skipped: int = 0
    pixels: int = 0
    blocks: int = 0
    found: int = 0
    interrupted: bool = False
    failed: list[dict[str, Any]] = field(default_factory=list)
    peaks: dict[int, int] = field(default_factory=dict)


def paint_missing(store: CanvasStore, job: Job, on_written: Callable[[], None] = lambda: None) -> Tally:
    """Paints what is missing in `store`, which nobody else may be writing. Raises MediagenError.

    `on_written` is called whenever there is more in the store, by one thread at a time.
    """
    store.remove_orphans()
    Pyramid(store).catch_up(job.should_stop)
    tally = Tally()
    if job.workers is None:
        _paint_here(store, job, tally, on_written)
    else:
        _paint_on_workers(store, job, job.workers, tally, on_written)
    tally.peaks[os.getpid()] = peak_memory()
    return tally


class _Count:
    """Counts what is passed over and what is done, and tells the caller's meter."""

    def __init__(self, job: Job, tally: Tally) -> None:
        self.job, self.tally, self.done = job, tally, 0

    def missing(self, store: CanvasStore) -> Iterator[Shard]:
        """The shards to paint, in painting order; whole ones are counted and passed over.

        The meter hears of those together, before painting begins, for it takes what comes later as a measure of speed.
        """
        told = -1
        for shard in self.job.plan.shards():
            if store.shard_is_whole(0, *shard):
                self.tally.skipped += 1
                self.done += self.job.plan.shard_window(*shard).area
                continue
            if told != self.tally.skipped:
                told = self.tally.skipped
                self.tell()
            yield shard
        self.tell()

    def painted(self, shards: list[Shard], pixels: int) -> None:
        self.tally.written += len(shards)
        self.tally.pixels += pixels
        self.done += sum(self.job.plan.shard_window(*shard).area for shard in shards)
        self.tell()

    def tell(self) -> None:
        self.job.progress(self.done, self.job.plan.canvas.area)


def _with_following(shards: Iterable[Shard], count: int) -> Iterator[tuple[Shard, list[Shard]]]:
    """Each shard with the `count` after it, which can be begun meanwhile."""
    source = iter(shards)
    held = deque(islice(source, count + 1))
    while held:
        yield held[0], list(islice(held, 1, None))
        held.popleft()
        held.extend(islice(source, 1))


def _runs(shards: Iterable[Shard], length: int) -> Iterator[list[Shard]]:
    source = iter(shards)
    while run := list(islice(source, length)):
        yield run


def _paint_here(store: CanvasStore, job: Job, tally: Tally, on_written: Callable[[], None]) -> None:
    plan, pyramid, count = job.plan, Pyramid(store), _Count(job, tally)
    with open_source(plan, job.model, job.device, job.memory, job.cache) as source:

        def paint(unit: tuple[Shard, list[Shard]]) -> tuple[Shard, np.ndarray, int]:
            shard, following = unit
            then = [part for later in following for part in parts_to_paint(plan.shard_window(*later), job.old)]
            return shard, *compose(source, job.old, plan.shard_window(*shard), then)

        def finish(value: tuple[Shard, np.ndarray, int]) -> tuple[Shard, int]:
            shard, pixels, painted = value
            planar = np.ascontiguousarray(pixels.transpose(2, 0, 1))
            store.write_planar(0, *shard, planar)
            pyramid.done(0, *shard, planar)
            on_written()
            return shard, painted

        outcome = run_inline(
            paint,
            _with_following(count.missing(store), source.ahead),
            finish=finish,
            on_result=lambda result: count.painted([result[0]], result[1]),
            should_stop=job.should_stop,
        )
        tally.blocks, tally.found, tally.interrupted = source.painted, source.found, outcome.stopped


def _paint_on_workers(
    store: CanvasStore, job: Job, workers: Workers, tally: Tally, on_written: Callable[[], None]
) -> None:
    from mediagen.execute.cluster import run_cluster  # dask takes a second to import

    pyramid, count = Pyramid(store), _Count(job, tally)
    on_gpu = job.device.type == "cuda"

    def on_result(record: dict[str, Any]) -> None:
        shards = [(iy, ix) for iy, ix in record["shards"]]
        for shard in shards:
            pyramid.done(0, *shard)
        on_written()
        tally.blocks += record["blocks"]
        tally.found += record["found"]
        tally.peaks[record["process"]] = record["peak"]
        count.painted(shards, record["pixels"])

    outcome = run_cluster(
        worker.describe(store, job.old, workers.checkpoint, job.device, job.memory, job.cache),
        worker.paint_shards,
        _runs(count.missing(store), GPU_UNIT if on_gpu else SHARED_UNIT if job.plan.blocks_kept() else 1),
        workers=workers.count,
        scheduler=workers.scheduler,
        threads=max(1, torch.get_num_threads() // max(1, workers.count)),
        gpus=[str(i) for i in range(torch.cuda.device_count())] if on_gpu else (),
        packages=("mediagen", "numpy", "torch", "zarr"),
        checks=worker.checks(store, workers.checkpoint),
        on_result=on_result,
        should_stop=job.should_stop,
        finish=worker.write_last,
    )
    tally.interrupted = outcome.stopped
    for failure in outcome.failed:
        tally.failed.append({"shards": [list(shard) for shard in failure.unit], "reason": failure.reason})
