"""What a painting reports: one flat record, the same that `--json` prints."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mediagen.canvas import styles as style_maps
from mediagen.canvas.overview import overview_path
from mediagen.canvas.run import Job, Tally
from mediagen.canvas.setup import lanes
from mediagen.canvas.target import bytes_upper_bound
from mediagen.canvas.warmup import time_block
from mediagen.io.files import free_bytes, storing


@dataclass(frozen=True, kw_only=True)
class Report:
    """Pixels are those of level 0, seconds wall-clock. The last three fields, and `dry_run`, are set by a dry run alone.

    `pixels_computed_per_pixel_kept` weighs with multiply-adds: what was spent, halos and cut-off edges included, for
    each one that the kept pixels needed by themselves. `interrupted`: there is more to paint; `failed` lists units.
    """

    path: str
    overview: str | None
    mode: str
    x: int
    y: int
    width: int
    height: int
    pixels: int
    pixels_painted: int
    seconds: float
    pixels_per_second: int
    pixels_computed_per_pixel_kept: float | None
    peak_memory_bytes: int
    shards: int
    shards_written: int
    shards_skipped: int
    blocks_from_cache: int
    precision: str
    block: tuple[int, int]
    interrupted: bool = False
    failed: list[dict[str, Any]] = field(default_factory=list)
    dry_run: bool = False
    bytes_upper_bound: int | None = None
    bytes_free: int | None = None
    estimated_seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def make_report(path: Path, job: Job, tally: Tally, seconds: float) -> Report:
    """The report of what `tally` counted."""
    plan, model = job.plan, job.model
    block = plan.blocks.block(0, 0)
    ideal = model.ideal_cost(block) / block.area
    picture = overview_path(path)
    return Report(
        path=str(path),
        overview=str(picture) if picture.exists() else None,
        mode="workers" if job.workers else "inline",
        x=plan.canvas.x,
        y=plan.canvas.y,
        width=plan.canvas.width,
        height=plan.canvas.height,
        pixels=plan.canvas.area,
        pixels_painted=tally.pixels,
        seconds=round(seconds, 3),
        pixels_per_second=round(tally.pixels / max(seconds, 1e-9)),
        pixels_computed_per_pixel_kept=(
            round(tally.blocks * model.cost(block) / (ideal * tally.pixels), 4) if tally.pixels else None
        ),
        peak_memory_bytes=sum(tally.peaks.values()),
        shards=plan.grid[0] * plan.grid[1],
        shards_written=tally.written,
        shards_skipped=tally.skipped,
        blocks_from_cache=tally.found,
        precision=plan.precision,
        block=(plan.blocks.width, plan.blocks.height),
        interrupted=tally.interrupted,
        failed=tally.failed,
    )


def dry_report(path: Path, job: Job, seconds: float) -> Report:
    """What painting would take: bytes at most, the disk's free bytes, and seconds (by one warm block, in this process)."""
    plan = job.plan
    block = plan.blocks.block(*next(plan.blocks.over(plan.canvas)))
    styles = style_maps.from_json(plan.styles)
    each = time_block(job.model, styles, block, device=job.device, precision=plan.precision, compiled=plan.compiled)
    side_by_side = lanes(job.model, block, plan.precision, job.device, job.memory)
    count = plan.blocks.count(plan.canvas)
    with storing(path):
        free = free_bytes(path)
    planned = make_report(path, job, Tally(blocks=count, pixels=plan.canvas.area), seconds)
    return replace(
        planned,
        pixels_painted=0,
        pixels_per_second=round(side_by_side * block.area / each),
        dry_run=True,
        bytes_upper_bound=bytes_upper_bound(plan),
        bytes_free=free,
        estimated_seconds=round(each * -(-count // side_by_side), 1),
    )
