"""What TGANv2's subsampling layers save: memory and time of a training step by resolution, with and without them.

    python benchmarks/subsampling.py [--quick]

Every doubling of the resolution adds an up block, a level and its critic; the first level is a clip of 32 pixels (24 for
192), as in the paper's networks. Each point is a process of its own, one thread, bf16: a generator's step and the critics'
step with the penalty. A second table counts the paper's own sizes, without memory: its Table 1.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import common
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from mediagen.models.tganv2 import PAPER, Config, Objective

SIDES = (64, 128, 192, 256)
WIDTHS = (128, 64, 32, 16, 16, 16)
CRITIC = (16, 32, 64, 128, 256)
PUBLISHED = {  # Table 1: GFlops and MB of intermediate results, batch 1, 16 frames
    1: {"generator": (45.07, 1019), "critics": (215.74, 1130)},
    2: {"generator": (28.91, 271), "critics": (53.41, 217)},
    4: {"generator": (26.20, 169), "critics": (38.40, 135)},
}


def config_of(side: int, stride: int) -> Config:
    """Narrower networks of the paper's shape: 2 levels at 64 pixels, 3 at 128, 4 at 192 and 256."""
    levels = {64: 2, 128: 3, 192: 4, 256: 4}[side]
    return replace(
        PAPER, height=side, width=side, latent=64, hidden=128, channels=WIDTHS[: levels + 2], levels=levels,
        strides=(stride,) * (levels - 1), critic_channels=CRITIC,
    )  # fmt: skip


def resident(key: str) -> int:
    """VmRSS or VmHWM of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key + ":"))


def settle() -> int:
    """Gives freed memory back, forgets the peak so far, and returns what is resident now."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def laid_out(objective: Objective) -> None:
    """Channels last, as the training loop has it."""
    for network in objective.networks.values():
        for parameter in network.parameters():
            if parameter.dim() in (4, 5):
                layout = torch.channels_last if parameter.dim() == 4 else torch.channels_last_3d
                parameter.data = parameter.data.contiguous(memory_format=layout)


def step(objective: Objective, batch: dict[str, Tensor]) -> dict[str, float]:
    """One iteration; CPU seconds by phase."""
    spent, rng = {}, torch.Generator().manual_seed(0)
    for phase in objective.phases(0):
        start, optimizer = time.process_time(), objective.optimizers[phase.optimizer]
        moved = [p for group in optimizer.param_groups for p in group["params"]]
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss, _ = phase.loss(batch, rng)
        loss.backward(inputs=moved)
        optimizer.step()
        spent[phase.name] = time.process_time() - start
    return spent


def point(side: int, stride: int, clips: int) -> None:
    """What a child measures; printed as JSON."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = config_of(side, stride)
    objective = Objective(config, torch.device("cpu"))
    laid_out(objective)
    values = torch.rand(clips, config.frames, side, side, 3) * 2 - 1
    batch = {"clips": values.permute(0, 4, 1, 2, 3), "labels": torch.zeros(clips, dtype=torch.int64)}
    step(objective, batch)
    spent, peaks = [], []
    for _ in range(3):
        before = settle()
        spent.append(step(objective, batch))
        peaks.append(resident("VmHWM") - before)
    best = min(spent, key=lambda seconds: sum(seconds.values()))
    print(json.dumps({"seconds": best, "peak": min(peaks)}))


def measured(side: int, stride: int, clips: int) -> dict[str, Any]:
    """A point from a process of its own."""
    ran = common.run([sys.executable, __file__, "--point", f"{side},{stride},{clips}"], threads=1)
    if ran.code:
        raise SystemExit(ran.err)
    found: dict[str, Any] = json.loads(ran.out)
    return found


def curve(clips: int, sides: tuple[int, ...]) -> list[common.Row]:
    rows = []
    for side in sides:
        naive, sparse = measured(side, 1, clips), measured(side, 2, clips)
        seconds = [sum(found["seconds"].values()) for found in (naive, sparse)]
        rows.append({
            "side": side, "volume": (side / sides[0]) ** 2, "levels": config_of(side, 2).levels,
            "s, all frames": seconds[0], "s, s_t = 2": seconds[1], "times faster": seconds[0] / seconds[1],
            "MB, all frames": naive["peak"] / 1e6, "MB, s_t = 2": sparse["peak"] / 1e6,
            "times less": naive["peak"] / sparse["peak"],
            "generator, all": naive["seconds"]["generator"], "generator, 2": sparse["seconds"]["generator"],
            "critics, all": naive["seconds"]["critics"], "critics, 2": sparse["seconds"]["critics"],
        })  # fmt: skip
        print("  " + "  ".join(common.text(value) for value in rows[-1].values()), flush=True)
    return rows


def growth(rows: list[common.Row], name: str) -> float:
    """The power of the side by which a column grows, from the first to the last row."""
    first, last = rows[0], rows[-1]
    grown, wider = torch.tensor([last[name] / first[name], last["side"] / first["side"]]).log().tolist()
    return float(grown / wider)


@contextmanager
def saving(sizes: dict[int, int], kept: set[int]) -> Any:
    """Counts the bytes that are kept for the backward pass, each storage once; `kept` are the parameters' storages."""

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in kept:
            sizes[storage._cdata] = storage.nbytes()
            alive.append(storage)  # so that no later storage takes its place
        return tensor

    alive: list[Any] = []
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        yield


def counted(stride: int) -> dict[str, tuple[float, float]]:
    """(multiply-adds in 1e9, MB kept in float32) of one forward pass, on networks without memory."""
    meta = torch.device("meta")
    with meta:
        objective = Objective(replace(PAPER, strides=(stride,) * 3), meta)
    parameters = [p for network in objective.networks.values() for p in network.parameters()]
    kept, clips = {p.untyped_storage()._cdata for p in parameters}, []

    def count(run: Callable[[], Any]) -> tuple[float, float]:
        sizes: dict[int, int] = {}
        with FlopCounterMode(display=False) as flops, saving(sizes, kept):
            clips.append(run())
        return flops.get_total_flops() / 2e9, sum(sizes.values()) / 1e6

    z, rng = torch.zeros(1, PAPER.latent, device=meta), torch.Generator()
    generator = count(lambda: objective.generator(z, None, rng))
    fakes = [clip.detach() for clip in clips[0]]
    return {"generator": generator, "critics": count(lambda: objective.judge(fakes, None, rng))}


def table_one() -> list[common.Row]:
    """Ours beside the paper's Table 1."""
    rows, by_stride = [], {stride: counted(stride) for stride in PUBLISHED}
    naive = by_stride[1]
    for stride, published in PUBLISHED.items():
        found = by_stride[stride]
        for part in ("generator", "critics"):
            (flops, memory), (paper_flops, paper_memory) = found[part], published[part]
            rows.append({
                "part": part, "frames": "all" if stride == 1 else f"s_t = {stride}", "GMAC": flops, "paper": paper_flops,
                "fewer": naive[part][0] / flops, "fewer, paper": PUBLISHED[1][part][0] / paper_flops,
                "MB": memory, "MB, paper": paper_memory, "less": naive[part][1] / memory,
                "less, paper": PUBLISHED[1][part][1] / paper_memory,
            })  # fmt: skip
    return sorted(rows, key=lambda row: row["part"], reverse=True)


def main() -> None:
    asked = common.arguments(
        __doc__,
        point={"help": "SIDE,STRIDE,CLIPS: measure one point (used by the script itself)"},
        clips={"type": int, "default": 1, "help": "clips a batch"},
    )
    if asked.point:
        side, stride, clips = map(int, asked.point.split(","))
        point(side, stride, clips)
        return
    where, start = common.machine(), time.perf_counter()
    where["threads"] = 1
    rows = curve(asked.clips, SIDES[:2] if asked.quick else SIDES)
    powers = {name: growth(rows, name) for name in ("s, all frames", "s, s_t = 2", "MB, all frames", "MB, s_t = 2")}
    note = (
        f"Batch {asked.clips}, 16 frames, bf16, up blocks {WIDTHS} wide (the first levels + 2 of them), critics {CRITIC}. "
        "Seconds are CPU time of the best of three steps; MB is the step's peak above what was resident before it (weights and "
        "optimiser slots are not in it). Grown as a power of the side, from the first row to the last: "
        + ", ".join(f"{name} {power:.2f}" for name, power in powers.items())
        + ". 1 is linear, 2 is the volume."
    )
    tables = [
        common.table("A training step by resolution", rows, note),
        common.table(
            "The paper's sizes at 192 pixels, counted",
            table_one(),
            "One forward pass of one clip: multiply-adds of matrix products and convolutions, and what is kept in float32 "
            "for the backward pass. The generator takes fewer than the paper's because unpooling is part of its "
            "convolutions and products with zero maps are left out.",
        ),
    ]
    found = {
        "title": "Subsampling layers",
        "about": "A training step of TGANv2 with every frame at every level, and with every second frame from level to level.",
        "figures": powers,
        "tables": tables,
    }
    common.finish("subsampling", asked, found, where, time.perf_counter() - start)


if __name__ == "__main__":
    main()
