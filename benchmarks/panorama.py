"""The panorama of the README: its time, its memory, and what of the generator's own speed reaches the canvas.

python benchmarks/panorama.py [--quick]
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import common
import torch

from mediagen.canvas import styles as style_maps
from mediagen.canvas.paint import paint
from mediagen.canvas.plan import Plan
from mediagen.canvas.render import draw_fields
from mediagen.canvas.setup import as_model
from mediagen.canvas.styles import UniformStyle
from mediagen.canvas.target import plan_of
from mediagen.io import shards
from mediagen.io.overview import write_overview
from mediagen.io.pyramid import Pyramid
from mediagen.io.store import CanvasStore


def commands(model: str, widths: tuple[int, int], folder: Path) -> list[common.Row]:
    """`mediagen canvas --width W` as a real process: the narrow and the wide canvas in auto, the wide one in fp32."""
    rows = []
    for precision, width in (("auto", widths[0]), ("auto", widths[1]), ("fp32", widths[1])):
        out = folder / f"{precision}{width}.zarr"
        words = ["canvas", out, "--width", width, "--precision", precision, "--json", "--quiet"]
        ran = common.run(common.command(*words, *([] if model == common.BUNDLED else ["--model", model])))
        if ran.code:
            raise SystemExit(f"mediagen canvas failed with exit code {ran.code}: {ran.err}")
        said = json.loads(ran.out)
        rows.append({
            "precision asked": precision, "taken": said["precision"], "width": width,
            "block": "x".join(map(str, said["block"])), "wall s": ran.seconds, "painting s": said["seconds"],
            "Mpx/s": said["pixels"] / said["seconds"] / 1e6, "Mpx/s of wall": said["pixels"] / ran.seconds / 1e6,
            "peak MB": ran.peak / 1e6, "computed per pixel kept": said["pixels_computed_per_pixel_kept"],
        })  # fmt: skip
    return rows


Fields = list[list[Any]]


def bare(painter: Any, plan: Plan, fields: Fields, threads: int) -> float:
    """Pixels per second of painter.paint alone on the canvas's first blocks; their random fields are at hand."""
    before, area = torch.get_num_threads(), 0
    torch.set_num_threads(threads)
    start = time.perf_counter()
    for index, drawn in zip(plan.blocks.over(plan.canvas), fields, strict=False):
        block = plan.blocks.block(*index)
        painter.paint([block], [drawn])
        area += block.area
    seconds = time.perf_counter() - start
    torch.set_num_threads(before)
    return area / seconds


def side_by_side(painters: list[Any], plan: Plan, fields: Fields) -> float:
    """`bare` in as many threads as there are painters, one thread of torch each: the most that lanes can reach."""
    with ThreadPoolExecutor(len(painters)) as pool:
        return sum(pool.map(lambda painter: bare(painter, plan, fields, 1), painters))


def throughput(network: Any, precision: Any, width: int, rounds: int, folder: Path) -> tuple[list[common.Row], Path]:
    """mediagen.paint into a store against bare forwards, in turn, `rounds` times; medians. Also returns a store."""
    kinds = {"one style (--style-every 0)": {"style_every": 0}, "default styles": {}}
    cores, rows = torch.get_num_threads(), []
    for name, options in kinds.items():
        path = folder / f"{name[:3]}.zarr"
        paint(network, path, width=width, precision=precision, **options)
        plan = plan_of(CanvasStore.open(path))
        styles = style_maps.from_json(plan.styles)
        indices = list(plan.blocks.over(plan.canvas))
        fields = [draw_fields(network, plan.blocks.block(*index), plan.seed) for index in indices[:8]]
        painters = [network.painter(styles, device=common.CPU, precision=precision) for _ in range(cores)]
        one = network.painter(UniformStyle(0), device=common.CPU, precision=precision)
        for painter in (one, *painters):
            bare(painter, plan, fields, cores)  # weights folded, kernels chosen
        turns = []
        for _ in range(rounds):
            large = bare(one, plan, fields[:2], cores)
            lanes = side_by_side(painters, plan, fields)
            report = paint(network, path, width=width, precision=precision, overwrite=True, **options)
            turns.append((report.pixels / report.seconds, large, lanes))
        whole, large, lanes = (statistics.median(column) for column in zip(*turns, strict=True))
        rows.append({
            "canvas": name, "end to end Mpx/s": whole / 1e6, "bare, one large block Mpx/s": large / 1e6,
            "ratio": whole / large, "bare, in lanes Mpx/s": lanes / 1e6, "ratio to lanes": whole / lanes,
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
    painter.batch = clock.timed("fields to tensors", painter.batch)
    draw, paint_block = clock.timed("random fields", draw_fields), clock.timed("paint", painter.paint)
    encode, write = clock.timed("encode (zstd)", shards.encode), clock.timed("write", store.write_shard)
    done = clock.timed("pyramid (read, halve, encode, write)", Pyramid(store).done)
    for iy, ix in plan.shards():
        window = plan.shard_window(iy, ix)
        for index in plan.blocks.over(window):
            block = plan.blocks.block(*index)
            paint_block([block], [draw(network, block, plan.seed)])
        pixels = old.read_shard(0, iy, ix)
        encode(store.levels[0], pixels.transpose(2, 0, 1).copy())
        write(0, iy, ix, pixels)
        done(0, iy, ix)
    clock.timed("overview", write_overview)(store, folder / "steps.png")
    spent = clock.seconds
    spent["colours, uint8"] = spent.pop("paint") - spent["forward"] - spent["fields to tensors"]
    spent["write, fsync"] = max(0.0, spent.pop("write") - spent["encode (zstd)"])
    total = sum(spent.values())
    order = ("random fields", "fields to tensors", "forward", "colours, uint8", "encode (zstd)", "write, fsync",
             "pyramid (read, halve, encode, write)", "overview")  # fmt: skip
    return [
        {"step": step, "ms per Mpx": 1e9 * spent[step] / plan.canvas.area, "share %": 100 * spent[step] / total}
        for step in order
    ]


def main() -> None:
    asked = common.arguments(__doc__)
    where, start = common.machine(), time.perf_counter()
    widths, width, rounds = ((1000, 3000), 1500, 1) if asked.quick else ((10_000, 100_000), 32_768, 3)
    with common.chosen_model(asked) as (model, words), common.scratch() as folder:
        ran = commands(model, widths, folder)
        ratio = ran[1]["peak MB"] / ran[0]["peak MB"]
        tables = [common.table(
            "The command", ran, f"`mediagen canvas --width {widths[1]}` as a process, from its start to its end; peak memory "
            f"at {widths[1]:,} px is {ratio:.3f} of that at {widths[0]:,} px",
        )]  # fmt: skip
        network = as_model(model)
        speed, path = throughput(network, ran[1]["taken"], width, rounds, folder)
        tables.append(common.table(
            "End to end against the bare forward", speed,
            f"{width:,} px wide, medians of {rounds} turns. End to end: mediagen.paint, everything in it. Bare: painter.paint "
            "alone, its random fields at hand: fields to tensors, all layers, uint8 pixels as an array; one block of one style "
            "at a time with all threads (one large block), or this canvas's own first blocks, those in which styles meet among "
            "them, in as many lanes of one thread as there are cores (in lanes)",
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
