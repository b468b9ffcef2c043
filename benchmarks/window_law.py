"""One seed is one plane: windows, orders, batches, workers and extensions all give the same pixels.

python benchmarks/window_law.py [--quick]
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch

from mediagen.canvas.extend import extend
from mediagen.canvas.paint import paint
from mediagen.canvas.plan import grid_of
from mediagen.canvas.render import BlockSource, draw_fields, render
from mediagen.canvas.setup import as_model, styles_of

FAR = (10**12 + 3, -100)
IN_ONE_CALL = "three blocks handed to the painter at once (the engine hands it one; no part of the law)"


def far_window(network: Any, precision: Any, block: tuple[int, int], size: tuple[int, int]) -> common.Row:
    """A window at FAR alone, and the same pixels cut from a larger one that begins elsewhere."""
    (x, y), (width, height), (left, up) = FAR, size, (777, 131)
    options: dict[str, Any] = {"seed": 5, "precision": precision, "block": block, "style_every": 2000}
    alone = render(network, x=x, y=y, width=width, height=height, **options)
    larger = render(network, x=x - left, y=y - up, width=width + 1500, height=height + 200, **options)
    equal = np.array_equal(alone, larger[up : up + height, left : left + width])
    return {"what": f"window at (10^12 + 3, -100), {precision}: alone = cut from a larger one", "equal": equal}


def orders(network: Any, precision: Any, block: tuple[int, int], count: int) -> list[common.Row]:
    """`count` blocks in order, shuffled, in two lanes side by side, and three in one call."""
    styles, grid = styles_of(0, 2000, None, None, None), grid_of(network, *block)
    painters = [network.painter(styles, device=common.CPU, precision=precision) for _ in range(2)]
    straight = list(range(-2, count - 2))
    shuffled = random.Random(1).sample(straight, count)

    def blocks(indices: list[int], lanes: int) -> dict[int, np.ndarray]:
        windows = [grid.block(i, 0) for i in indices]
        with BlockSource(network, painters[:lanes], grid, seed=5) as source:
            found = [source.window(window, windows[k + 1 :]) for k, window in enumerate(windows)]
        return dict(zip(indices, found, strict=True))

    plain, mixed, beside = blocks(straight, 1), blocks(shuffled, 1), blocks(straight, 2)
    three = [grid.block(i, 0) for i in straight[:3]]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the engine does
    batched = painters[0].paint(three, [draw_fields(network, window, 5) for window in three])
    torch.set_num_threads(threads)
    return [
        {"what": f"blocks in any order, {precision}", "equal": all(np.array_equal(plain[i], mixed[i]) for i in plain)},
        {"what": f"blocks side by side, {precision}", "equal": all(np.array_equal(plain[i], beside[i]) for i in plain)},
        {"what": f"{IN_ONE_CALL}, {precision}",
         "equal": all(np.array_equal(plain[i], b) for i, b in zip(straight[:3], batched, strict=True))},
    ]  # fmt: skip


def stores(model: str, folder: Path, block: tuple[int, int], precision: str, quick: bool) -> list[common.Row]:
    """Canvases whose stores must be equal byte for byte, an oddly placed window of the plane."""
    x, y, width, height = -1003, -301, 1700 if quick else 5000, 420
    options: dict[str, Any] = {
        "seed": 3, "precision": precision, "block": block, "shard": (512, 256), "style_every": 2000,
    }  # fmt: skip

    def at(name: str) -> Path:
        (folder / name).mkdir()
        return folder / name / "it.zarr"

    paint(model, at("once"), x=x, y=y, width=width, height=height, **options)
    whole = common.files_of(folder / "once")
    equal = {}

    path = at("holes")
    paint(model, path, x=x, y=y, width=width, height=height, **options)
    gone = random.Random(2).sample(sorted(path.rglob("c/0/*/*")), 3)
    for file in gone:
        file.unlink()
    paint(model, path, x=x, y=y, width=width, height=height, **options)
    equal["shards deleted and painted again, in another order"] = "holes"

    paint(model, at("workers"), x=x, y=y, width=width, height=height, workers=2, **options)
    equal["two workers"] = "workers"

    # Each side in turn: 300 px to the left and to the right, 70 up, 90 down.
    path = at("extended")
    paint(model, path, x=x + 300, y=y + 70, width=width - 600, height=height - 160, **options)
    for side, pixels in (("left", 300), ("up", 70), ("right", 300), ("down", 90)):
        extend(path, side, pixels, model=model)
    equal["extended left, up, right and down = painted at once"] = "extended"
    return [
        {"what": f"{what}, {precision}: store and overview", "equal": common.files_of(folder / name) == whole}
        for what, name in equal.items()
    ]


def main() -> None:
    asked = common.arguments(__doc__)
    where, start = common.machine(), time.perf_counter()
    precisions = ("fp32", "bf16") if asked.quick else ("fp32", "bf16", "fp16")
    with common.chosen_model(asked) as (model, words), common.scratch() as folder:
        network = as_model(model)
        side = max(128, network.lattice.step)
        block = (side, side) if asked.quick else (4 * side, 2 * side)
        rows = []
        for precision in precisions:
            rows.append(far_window(network, precision, block, (300, 150) if asked.quick else (1500, 400)))
            rows += orders(network, precision, block, 4 if asked.quick else 7)
        for precision in precisions[:1] if asked.quick else precisions[:2]:
            (folder / precision).mkdir()
            rows += stores(model, folder / precision, block, precision, asked.quick)
    fine = all(row["equal"] for row in rows if not row["what"].startswith(IN_ONE_CALL))
    found = {
        "title": "The window law",
        "about": "The same pixels, bit for bit, however they are asked for; stores compared file by file (SHA-256).",
        "model": words,
        "figures": {"all_equal": fine},
        "tables": [common.table("Bit-equal?", rows, f"blocks of {block[0]} x {block[1]} px")],
    }
    common.finish("window_law", asked, found, where, time.perf_counter() - start)
    if not fine:
        raise SystemExit("the window law is broken")


if __name__ == "__main__":
    main()
