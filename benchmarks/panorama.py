"""The panorama of the README: its time, its memory, and what of the generator's own speed reaches the canvas.

python benchmarks/panorama.py [--quick]
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch

from mediagen.canvas import styles as style_maps
from mediagen.canvas.paint import paint
from mediagen.canvas.plan import Plan, grid_of
from mediagen.canvas.render import draw_fields
from mediagen.canvas.setup import as_model
from mediagen.canvas.styles import UniformStyle
from mediagen.canvas.target import plan_of
from mediagen.core.geometry import Window
from mediagen.execute.heap import steady_heap
from mediagen.io import shards
from mediagen.io.overview import write_overview
from mediagen.io.pyramid import Pyramid
from mediagen.io.store import CanvasStore


def commands(model: str, widths: Sequence[int], rounds: int, folder: Path) -> list[common.Row]:
    """`mediagen canvas --width W` as a real process: every width in auto, in turn, and the second one once in fp32."""
    turns = [("auto", width) for _ in range(rounds) for width in widths] + [("fp32", widths[1])]
    found: dict[tuple[str, int], list[common.Row]] = {}
    for precision, width in turns:
        out = folder / f"{precision}-{width}.zarr"
        words = ["canvas", out, "--width", width, "--precision", precision, "--overwrite", "--json", "--quiet"]
        ran = common.run(common.command(*words, *([] if model == common.BUNDLED else ["--model", model])))
        if ran.code:
            raise SystemExit(f"mediagen canvas failed with exit code {ran.code}: {ran.err}")
        said = json.loads(ran.out)
        found.setdefault((precision, width), []).append({
            "precision asked": precision, "taken": said["precision"], "width": width,
            "block": "x".join(map(str, said["block"])), "wall s": ran.seconds, "painting s": said["seconds"],
            "Mpx/s": said["pixels"] / said["seconds"] / 1e6, "Mpx/s of wall": said["pixels"] / ran.seconds / 1e6,
            "peak MB": ran.peak / 1e6, "computed per pixel kept": said["pixels_computed_per_pixel_kept"],
        })  # fmt: skip
    for rows in found.values():
        assert len({row["taken"] for row in rows}) == 1, "auto must not waver, or the medians mean nothing"
    return [middle(rows) for rows in found.values()]


def middle(rows: list[common.Row]) -> common.Row:
    """The medians of figures that were taken several times."""
    return {key: statistics.median(row[key] for row in rows) if isinstance(value, float) else value
            for key, value in rows[0].items()}  # fmt: skip


Fields = list[list[Any]]


def bare(painter: Any, blocks: Sequence[Window], fields: Fields, threads: int, seconds: float = 0.0) -> float:
    """Pixels per second of painter.paint alone, over and over for so many seconds; the random fields are at hand."""
    before, area = torch.get_num_threads(), 0
    torch.set_num_threads(threads)
    start = time.perf_counter()
    while not area or time.perf_counter() - start < seconds:
        for block, drawn in zip(blocks, fields, strict=True):
            painter.paint([block], [drawn])
            area += block.area
    spent = time.perf_counter() - start
    torch.set_num_threads(before)
    return area / spent


def side_by_side(painters: list[Any], blocks: Sequence[Window], fields: Fields, seconds: float) -> float:
    """`bare` in as many threads as there are painters, one thread of torch each: the most that lanes can reach."""
    with ThreadPoolExecutor(len(painters)) as pool:
        return sum(pool.map(lambda painter: bare(painter, blocks, fields, 1, seconds), painters))


def one_large_block(network: Any, precision: Any, width: int, height: int, seconds: float) -> float:
    """Pixels per second of the bare forward on one block of one style, with all of torch's threads."""
    block = grid_of(network, width, height).block(0, 0)
    painter, cores = network.painter(UniformStyle(0), device=common.CPU, precision=precision), torch.get_num_threads()
    fields = [draw_fields(network, block, 0)]
    bare(painter, [block], fields, cores)  # weights folded, kernels chosen
    return bare(painter, [block], fields, cores, seconds)


def in_a_process_of_its_own(model: str, precision: str, plan: Plan, seconds: float) -> float:
    """`one_large_block` with the C library's usual heap, as whoever calls the generator would have it."""
    request = json.dumps([precision, plan.blocks.width, plan.blocks.height, seconds])
    ran = common.run([sys.executable, __file__, "--model", model, "--bare", request])
    if ran.code:
        raise SystemExit(f"the bare forward failed: {ran.err}")
    return float(ran.out)


@steady_heap()
def throughput(
    model: str, network: Any, precision: Any, width: int, rounds: int, seconds: float, folder: Path
) -> tuple[list[common.Row], Path]:
    """mediagen.paint into a store against bare forwards, in turn, `rounds` times; medians. Also returns a store."""
    kinds = {"one style (--style-every 0)": {"style_every": 0}, "default styles": {}}
    cores, rows = torch.get_num_threads(), []
    for name, options in kinds.items():
        path = folder / f"{name[:3]}.zarr"
        paint(network, path, width=width, precision=precision, **options)
        plan = plan_of(CanvasStore.open(path))
        styles = style_maps.from_json(plan.styles)
        blocks = [plan.blocks.block(*index) for index in plan.blocks.over(plan.canvas)][:8]
        fields = [draw_fields(network, block, plan.seed) for block in blocks]
        painters = [network.painter(styles, device=common.CPU, precision=precision) for _ in range(cores)]
        side_by_side(painters, blocks, fields, 0.0)  # weights folded, kernels chosen
        turns = []
        for _ in range(rounds):
            usual = in_a_process_of_its_own(model, precision, plan, seconds)
            large = one_large_block(network, precision, plan.blocks.width, plan.blocks.height, seconds)
            lanes = side_by_side(painters, blocks, fields, seconds)
            path.with_suffix(".png").unlink()  # or it would be found to show the very same canvas
            report = paint(network, path, width=width, precision=precision, overwrite=True, **options)
            whole = report.pixels / report.seconds
            turns.append((whole, usual, whole / usual, large, whole / large, lanes, whole / lanes))
        middle = [statistics.median(column) for column in zip(*turns, strict=True)]
        rows.append({
            "canvas": name, "end to end Mpx/s": middle[0] / 1e6,
            "bare, one large block Mpx/s": middle[1] / 1e6, "ratio": middle[2],
            "the same with painting's heap Mpx/s": middle[3] / 1e6, "ratio to it": middle[4],
            "and in lanes Mpx/s": middle[5] / 1e6, "ratio to lanes": middle[6],
        })  # fmt: skip
    return rows, folder / "def.zarr"


class Clock:
    """Seconds by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, whose time counts for `step`."""

        def call(*arguments: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - start

        return call


@steady_heap()
def steps(network: Any, path: Path, folder: Path) -> list[common.Row]:
    """The canvas at `path` again, nothing overlapped: what each step takes when it has the machine to itself."""
    old, clock = CanvasStore.open(path), Clock()
    plan = plan_of(old)
    store = CanvasStore.create(
        folder / "steps.zarr", width=plan.canvas.width, height=plan.canvas.height, shard=plan.shard, chunk=plan.chunk,
        levels=plan.levels, origin=(plan.canvas.x, plan.canvas.y), attributes=old.attributes,
    )  # fmt: skip
    styles = style_maps.from_json(plan.styles)
    painter = network.painter(styles, device=common.CPU, precision=plan.precision)
    torch.set_num_threads(1)  # as in a lane
    network.synthesise = clock.timed("forward", network.synthesise)
    painter.tensor = clock.timed("fields to tensors", painter.tensor)
    draw, paint_block = clock.timed("random fields", draw_fields), clock.timed("paint", painter.paint)
    encode, write = clock.timed("encode (zstd)", shards.encode), clock.timed("write", store.write_planar)
    done = clock.timed("pyramid (halve, encode, write)", Pyramid(store).done)
    for iy, ix in plan.shards():
        window = plan.shard_window(iy, ix)
        for index in plan.blocks.over(window):
            block = plan.blocks.block(*index)
            paint_block([block], [draw(network, block, plan.seed)])
        planar = np.ascontiguousarray(old.read_shard(0, iy, ix).transpose(2, 0, 1))
        encode(store.levels[0], planar)
        write(0, iy, ix, planar)
        done(0, iy, ix, planar)
    clock.timed("overview", write_overview)(store, folder / "steps.png")
    spent = clock.seconds
    spent["colours, uint8"] = spent.pop("paint") - spent["forward"] - spent["fields to tensors"]
    spent["write, fsync"] = max(0.0, spent.pop("write") - spent["encode (zstd)"])
    total = sum(spent.values())
    order = ("random fields", "fields to tensors", "forward", "colours, uint8", "encode (zstd)", "write, fsync",
             "pyramid (halve, encode, write)", "overview")  # fmt: skip
    return [
        {"step": step, "ms per Mpx": 1e9 * spent[step] / plan.canvas.area, "share %": 100 * spent[step] / total}
        for step in order
    ]


def main() -> None:
    asked = common.arguments(
        __doc__, wider={"type": int, "nargs": "*", "default": [], "help": "more widths to paint"},
        bare={"help": "JSON [precision, width, height, seconds]: only print the bare forward's pixels per second"},
    )  # fmt: skip
    if asked.bare:
        precision, *sides, seconds = json.loads(asked.bare)
        print(one_large_block(as_model(asked.model), precision, *sides, seconds))
        return
    where, start = common.machine(), time.perf_counter()
    widths, width, rounds = ((1000, 3000), 1500, 1) if asked.quick else ((10_000, 100_000), 65_536, 3)
    widths = (*widths, *asked.wider)
    with common.chosen_model(asked) as (model, words), common.scratch() as folder:
        ran = commands(model, widths, rounds, folder)
        ratio = ran[1]["peak MB"] / ran[0]["peak MB"]
        tables = [common.table(
            "The command", ran, f"`mediagen canvas --width {widths[1]}` as a process, from its start to its end; medians of "
            f"{rounds} turns in auto, fp32 once; peak memory at {widths[1]:,} px is {ratio:.3f} of that at {widths[0]:,} px",
        )]  # fmt: skip
        network = as_model(model)
        speed, path = throughput(model, network, ran[1]["taken"], width, rounds, 0.1 if asked.quick else 2.0, folder)
        tables.append(common.table(
            "End to end against the bare forward", speed,
            f"{width:,} px wide, medians of {rounds} turns. End to end: mediagen.paint, everything in it. Bare: painter.paint "
            "alone, its random fields at hand: fields to tensors, all layers, uint8 pixels as an array. One block of one style "
            "with all threads, in a process of its own with the C library's usual heap; the same here, where freed memory is "
            "kept as it is while painting; and this canvas's own first blocks, those in which styles meet among them, in as "
            "many lanes of one thread as there are cores",
        ))  # fmt: skip
        tables.append(common.table(
            "Share of each step", steps(network, path, folder),
            "the same canvas (default styles) in one thread, one step after the other; when painting they overlap. Folding of "
            "weights and other first-time work is in it",
        ))  # fmt: skip
    found = {
        "title": "The panorama",
        "about": "Wall-clock time and memory of the README's command, and how much of the generator's speed reaches the disk.",
        "model": words,
        "figures": {
            "memory_ratio": ratio,
            "end_to_end_to_bare": speed[1]["ratio"],
            "end_to_end_to_bare_one_style": speed[0]["ratio"],
        },
        "tables": tables,
    }
    common.finish("panorama", asked, found, where, time.perf_counter() - start)


if __name__ == "__main__":
    main()
