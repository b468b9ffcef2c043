"""The published networks (random weights) painted our way and the authors' way, on the same weights in the same run.

    python benchmarks/paper_presets.py [--quick] [--presets paper paper-389]

The authors' way: patch by patch at batch 1, every patch with its own structure, weights modulated and demodulated at each
call with a grouped convolution (nn.modulated.modulated_reference), fp32, NCHW.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import common
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mediagen.canvas.memory import as_bytes
from mediagen.canvas.plan import grid_of
from mediagen.canvas.render import BlockSource, draw_fields
from mediagen.canvas.setup import block_of, lanes
from mediagen.canvas.styles import UniformStyle
from mediagen.canvas.warmup import choose_precision
from mediagen.core.geometry import Window
from mediagen.nn.coordinates import lattice_coordinates
from mediagen.nn.modulated import EPSILON, ModulatedConv2d, modulated_reference

SEED = 0
MEMORY, LARGE = "2GB", "4GB"
"""The engine's default, and what the one large block of the other rows may take."""
Call = Callable[..., Tensor]
Way = Callable[[Window, list[np.ndarray]], np.ndarray]


def transposed_reference(x: Tensor, weight: Tensor, s: Tensor) -> Tensor:
    """`modulated_reference` for the upsampling layers: a grouped transposed convolution, weights made at each call."""
    batch, channels, height, width = x.shape
    w = weight[None] * s[:, None, :, None, None]
    w = w * torch.rsqrt(w.square().sum(dim=(2, 3, 4), keepdim=True) + EPSILON)
    w = w.transpose(1, 2).flatten(0, 1)
    y = F.conv_transpose2d(x.reshape(1, batch * channels, height, width), w, stride=2, padding=1, groups=batch)
    return y.view(batch, weight.shape[0], *y.shape[2:])


def as_published(latent: Callable[[bool], Tensor]) -> Call:
    """Every convolution modulates and demodulates its weight."""

    def convolve(layer: ModulatedConv2d, x: Tensor, slot: int | None, *_: Any) -> Tensor:
        s, weight = layer.affine(latent(slot is None)), layer.weight * layer.scale
        if layer.mode == "up":
            return transposed_reference(x, weight, s).mul_(layer.gain)
        return modulated_reference(x, weight, s, demodulate=layer.demodulate).mul_(layer.gain)

    return convolve


def folded_nchw(latent: Callable[[bool], Tensor]) -> Call:
    """Weights folded once for the style; fp32, NCHW."""
    ready: dict[ModulatedConv2d, Tensor] = {}

    def convolve(layer: ModulatedConv2d, x: Tensor, slot: int | None, *_: Any) -> Tensor:
        if layer not in ready:
            ready[layer] = layer.folded(layer.affine(latent(slot is None))[0])
        return layer.convolve(x, ready[layer])

    return convolve


class Bench:
    """One preset's generator, and the ways of painting a window with it."""

    def __init__(self, preset: str, quick: bool) -> None:
        self.quick = quick
        self.network = common.random_generator(preset)
        self.styles = UniformStyle(SEED)
        painter = self.painter("fp32")
        centre = self.styles.centres(self.network.scene)[0]
        latents = {structure: painter.latent(centre, structure)[None] for structure in (False, True)}
        self.latent = latents.__getitem__

    def rendering(self, precision: Any, block: Window) -> Way:
        """The engine: blocks in lanes side by side, their random fields drawn as well (those handed over are not used)."""
        count = lanes(self.network, block, precision, common.CPU, as_bytes(MEMORY))
        painters = [self.painter(precision) for _ in range(count)]

        def way(window: Window, _: list[np.ndarray]) -> np.ndarray:
            grid = grid_of(self.network, block.width, block.height)
            with BlockSource(self.network, painters, grid, seed=SEED) as source:
                return source.window(window)

        return way

    def best_block(self, precision: Any, memory: str) -> Window:
        """The block that the engine chooses within `memory`; in a quick run a small one."""
        step = self.network.lattice.step
        size = (2 * step, 2 * step) if self.quick else block_of(self.network, precision, memory, None, common.CPU)
        return grid_of(self.network, *size).block(0, 0)

    def painter(self, precision: Any, compiled: bool = False) -> Any:
        return self.network.painter(self.styles, device=common.CPU, precision=precision, compiled=compiled)

    def fields(self, window: Window) -> list[np.ndarray]:
        return draw_fields(self.network, window, SEED)

    @torch.inference_mode()
    def plainly(self, window: Window, fields: list[np.ndarray], convolve: Call) -> np.ndarray:
        """A window in one piece in fp32 NCHW, (h, w, 3) uint8."""
        rows, columns = self.network.plan(window.rows), self.network.plan(window.columns)
        z_l, *noise = [torch.from_numpy(array)[None] for array in fields]
        c = lattice_coordinates(self.network.config, rows[0].read, columns[0].read, [(0, 0)])
        picture = self.network.synthesise(z_l, c, noise, rows, columns, convolve)[1]
        return picture.mul_(127.5).add_(128).clamp_(0, 255).to(torch.uint8)[0].permute(1, 2, 0).numpy()

    def patches(self, across: int, down: int) -> tuple[list[Window], int]:
        """The authors' patches (each reads z_S as in training) and their distance, beginning near block (0, 0)'s corner."""
        config, pixels = self.network.config, self.network.patch_interval()
        step = config.patch - config.patch % config.scale
        top = pixels.start + -(-(self.network.scene.y - pixels.start) // config.scale) * config.scale
        found = [
            Window(pixels.start % config.scale + i * step, top + j * step, config.patch, config.patch)
            for j in range(down) for i in range(across)
        ]  # fmt: skip
        assert len(self.network.plan(found[0].columns)[len(self.network.structure)].read) == config.cells
        return found, step


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


class Compared:
    """Our blocks against the authors' patches where they overlap."""

    def __init__(self) -> None:
        self.patches: list[tuple[Window, np.ndarray]] = []

    def __call__(self, window: Window, pixels: np.ndarray) -> tuple[int, float | None]:
        """(largest difference of a uint8 value, PSNR in dB or None where all are equal)."""
        errors = []
        for place, patch in self.patches:
            part = place.meet(window)
            if part is not None:
                apart = pixels[part.within(window)].astype(int) - patch[part.within(place)].astype(int)
                errors.append(np.abs(apart).ravel())
        assert errors, "the block and the patches have no pixel in common"
        error = np.concatenate(errors)
        return int(error.max()), float(10 * np.log10(255**2 / (error**2).mean())) if error.any() else None


class Ladder:
    """From the authors' way to ours, one change at a time, each row with its rate and what its pixels differ by."""

    def __init__(self, bench: Bench, count: tuple[int, int]) -> None:
        self.bench, self.compared, self.rows = bench, Compared(), []
        self.places, self.step = bench.patches(*count)
        first, side = self.places[0], 2 * bench.network.config.scale
        self.small = Window(first.x, first.y, side, side)
        self.authors_seconds = 0.0

    def authors(self, places: list[Window]) -> None:
        """Paints patches the authors' way; their random fields are drawn beforehand, as everywhere here."""
        published = as_published(self.bench.latent)
        for place in places:
            seconds, patch = timed(self.bench.plainly, place, self.bench.fields(place), published)
            self.authors_seconds += seconds
            self.compared.patches.append((place, patch))

    def rung(
        self, name: str, window: Window, way: Callable[[Window, list[np.ndarray]], np.ndarray], note: str = ""
    ) -> None:
        """One window, once, after a small one that lets weights be folded and kernels be chosen."""
        way(self.small, self.bench.fields(self.small))
        seconds, pixels = timed(way, window, self.bench.fields(window))
        most, psnr = self.compared(window, pixels)
        self.rows.append({"change": name, "window": f"{window.width}x{window.height}", "px/s": window.area / seconds,
                          "max diff": most, "PSNR dB": psnr, "note": note})  # fmt: skip

    def climb(self, compiled: bool) -> list[common.Row]:
        """All rungs. The authors' patches come half before and half after ours, so that both see the machine's moods."""
        bench, half = self.bench, -(-len(self.places) // 2)
        published, folded = as_published(bench.latent), folded_nchw(bench.latent)
        bench.plainly(self.small, bench.fields(self.small), published)
        self.authors(self.places[:half])
        large = bench.best_block("fp32", LARGE)
        self.rung("one large window instead of patches", large, lambda w, f: bench.plainly(w, f, published))
        self.rung("weights folded once per style", large, lambda w, f: bench.plainly(w, f, folded))
        self.rung("channels_last (our painter, fp32)", large, painting(bench.painter("fp32")))
        self.rung("bf16", large, painting(bench.painter("bf16")))
        seconds, taken = timed(choose_precision, bench.network, bench.styles, common.CPU)
        block = bench.best_block(taken, MEMORY)
        several = replace(block, width=max(1, torch.get_num_threads()) * block.width)
        waste = bench.network.cost(block) / bench.network.ideal_cost(block)
        note = (
            f"blocks of {block.width}x{block.height} in lanes, {waste:.2f} computed per pixel kept, random fields drawn too; "
            f"auto took {taken}, in {seconds:.1f} s"
        )
        way = bench.rendering(taken, block)
        way(several, [])  # every lane folds its weights
        self.rung(f"the engine within {MEMORY}, auto", several, way, note)
        if compiled:
            self.compiled(large, taken)
        self.authors(self.places[half:])
        rate = len(self.places) * self.step**2 / self.authors_seconds
        first = {"change": "the authors' way", "window": f"{len(self.places)} patches of {bench.network.config.patch}",
                 "px/s": rate, "max diff": 0, "PSNR dB": None, "note": f"{self.step} px of each are kept"}  # fmt: skip
        return with_gains([first, *self.rows])

    def compiled(self, large: Window, precision: str) -> None:
        """torch.compile through the engine where that works; beside it a position-free graph, compiled once for all blocks."""
        bench = self.bench
        try:
            way = painting(bench.painter(precision, compiled=True))
            first, _ = timed(way, large, bench.fields(large))
            beside = Window(large.x + large.width, large.y, large.width, large.height)
            second, _ = timed(way, beside, bench.fields(beside))
            seconds, pixels = timed(way, large, bench.fields(large))
            most, psnr = self.compared(large, pixels)
            note = f"first block {first:.0f} s, a block elsewhere {second:.1f} s"
            row = {"px/s": large.area / seconds, "max diff": most, "PSNR dB": psnr, "note": note}
        except Exception as error:  # whatever the compiler stumbles over is the result here
            row = {"px/s": None, "max diff": None, "PSNR dB": None, "note": f"fails: {type(error).__name__}"}
        size = f"{large.width}x{large.height}"
        self.rows.append({"change": f"compiled=True, {precision}", "window": size, **row})
        if row["px/s"] is None:
            first, seconds = position_free(bench, large, precision)
            row = {
                "px/s": large.area / seconds,
                "note": f"compiling took {first:.0f} s",
                "max diff": None,
                "PSNR dB": None,
            }
            self.rows.append({"change": f"torch.compile of a position-free graph, {precision}", "window": size, **row})


def painting(painter: Any) -> Callable[[Window, list[np.ndarray]], np.ndarray]:
    return lambda window, fields: painter.paint([window], [fields])[0]


@torch.inference_mode()
def position_free(bench: Bench, window: Window, precision: Any) -> tuple[float, float]:
    """Seconds of the first and of a later call of a compiled forward that gets its folded weights as arguments."""
    network, painter = bench.network, bench.painter(precision)
    centre, rows, columns = bench.styles.centres(window)[0], network.plan(window.rows), network.plan(window.columns)
    z_l, *noise = [painter.tensor(array) for array in bench.fields(window)]
    c = lattice_coordinates(network.config, rows[0].read, columns[0].read, [(0, 0)]).to(painter.dtype)
    weights: list[Tensor] = []

    def record(layer: ModulatedConv2d, x: Tensor, slot: int | None, *_: Any) -> Tensor:
        y = painter.convolution.uniform(layer, x, centre, slot is None)
        weights.append(painter.convolution.folded[centre][layer])
        return y

    def forward(z_l: Tensor, c: Tensor, noise: list[Tensor], weights: list[Tensor]) -> Tensor:
        ready = iter(weights)
        return network.synthesise(z_l, c, noise, rows, columns, lambda layer, x, *_: layer.convolve(x, next(ready)))[1]

    network.synthesise(z_l, c, noise, rows, columns, record)
    compiled = torch.compile(forward, dynamic=False)
    first, _ = timed(compiled, z_l, c, noise, weights)
    timed(compiled, z_l, c, noise, weights)
    return first, timed(compiled, z_l, c, noise, weights)[0]


def with_gains(rows: list[common.Row]) -> list[common.Row]:
    """Each row's rate as a multiple of the row before and of the authors'."""
    done: list[common.Row] = []
    before = None
    for row in rows:
        rate = row["px/s"]
        gain = rate / before if rate and before else None
        total = rate / rows[0]["px/s"] if rate else None
        done.append({"change": row["change"], "window": row["window"], "px/s": rate, "gain": gain, "to the authors'": total,
                     **{key: row[key] for key in ("max diff", "PSNR dB", "note")}})  # fmt: skip
        before = rate or before
    return done


def parts(bench: Bench, precision: Any) -> list[common.Row]:
    """Where the time of one block of ours goes: random fields, structure, texture, tensors and colours."""
    network, window, spent = bench.network, bench.best_block("fp32", LARGE), {}
    painter = bench.painter(precision)
    painter.paint([window], [bench.fields(window)])
    spent["random fields"], fields = timed(bench.fields, window)
    structural, textured = network.structural, network.textured

    def clocked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            spent[name], result = timed(function, *arguments)
            return result

        return call

    network.structural, network.textured = clocked("structure", structural), clocked("texture", textured)
    try:
        whole, _ = timed(painter.paint, [window], [fields])
    finally:
        network.structural, network.textured = structural, textured
    spent["tensors and uint8"] = whole - spent["structure"] - spent["texture"]
    total = sum(spent.values())
    return [
        {"step": name, "ms per Mpx": 1e9 * seconds / window.area, "share %": 100 * seconds / total}
        for name, seconds in spent.items()
    ]


def main() -> None:
    asked = common.arguments(
        __doc__,
        presets={"nargs": "+", "default": ["paper", "paper-389"], "help": "presets of infinitygan"},
        no_compile={"action": "store_true", "help": "leave torch.compile out (it takes minutes on a small machine)"},
    )
    warnings.filterwarnings("ignore", module="torch._dynamo")
    where, start = common.machine(), time.perf_counter()
    tables, figures = [], {}
    for preset in asked.presets:
        bench = Bench(preset, asked.quick)
        large = bench.network.config.patch > 200
        count = (1, 1) if asked.quick else (1, 2) if large else (3, 2)
        rows = Ladder(bench, count).climb(compiled=not asked.no_compile)
        ours = max(row["px/s"] for row in rows[1:] if row["px/s"])
        auto = next(row for row in rows if row["change"].startswith("the engine"))
        figures[preset] = {
            "authors": rows[0]["px/s"],
            "auto_ratio": auto["to the authors'"],
            "best_ratio": ours / rows[0]["px/s"],
        }
        exact = rows[2]["max diff"] <= 1 and rows[3]["max diff"] <= 1
        tables.append(common.table(
            f"{preset}: from the authors' way to ours, step by step", rows,
            "Random weights. A generator's forward and uint8 pixels, with the random fields at hand; all threads in one block. "
            f"Same pixels in fp32 as the authors' way (at most 1 of 255): {common.text(exact)}",
        ))  # fmt: skip
        taken = "bf16" if "took bf16" in auto["note"] else "fp32"
        tables.append(common.table(f"{preset}: share of each step, {taken}", parts(bench, taken)))
        finish(
            asked, tables, figures, where, time.perf_counter() - start
        )  # after each one, should a limit end the next


def finish(asked: Any, tables: list[common.Row], figures: common.Row, where: common.Row, seconds: float) -> None:
    found = {
        "title": "The published networks",
        "about": "The 101 and 389 pixel networks of the paper, painted our way and the authors' way on the same weights.",
        "model": "random weights, noise and biases switched on",
        "figures": figures,
        "tables": tables,
    }
    common.finish("paper_presets", asked, found, where, seconds)


if __name__ == "__main__":
    main()
