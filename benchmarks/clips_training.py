"""A training iteration of the video models at their papers' sizes: the loop's way against a plain fp32 one, and the loader.

python benchmarks/clips_training.py [--quick] [--rounds N]

Plain is what a first implementation does: fp32, channels first, one kernel per parameter in the optimiser. The loop's way is
bf16 autocast, channels last and the fused optimiser. Both start from the same weights and see the same batches.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch
from torch import Tensor

from mediagen import models
from mediagen.data.videos import VideoFolder
from mediagen.io.video_codecs import layout_of, rate_of
from mediagen.io.video_file import open_clip
from mediagen.models._spec import ClipNeeds, Objective
from mediagen.nn.memory import channels_last
from mediagen.train.distributed import World
from mediagen.train.step import run_phase

# Batches as the papers' code has them; MoCoGAN's 3 clips (with 10 pictures) and the 8 of the reference measurement.
RUNS = (("mocogan", "paper", 8), ("mocogan", "paper", 3), ("tgan", "paper", 32), ("vgan", "paper", 8))
QUICK = (("mocogan", "tiny", 4), ("tgan", "tiny", 4))
ALONE = World(0, 1, common.CPU)


def fake_videos(folder: Path, count: int) -> Path:
    """Small real video files, 64 x 64: what is on them does not matter here."""
    rng = np.random.default_rng(0)
    for i in range(count):
        path = folder / f"{i}.mp4"
        layout = layout_of(path, width=64, height=64, frames=48, fps=rate_of(path, 25), codec=None, crf=None)
        clip = open_clip(path, layout, {})
        clip.add(rng.integers(0, 255, (48, 8, 8, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2))
        clip.finish()
    return folder


def objective(model: str, preset: str, fast: bool) -> Objective:
    """Equal weights either way; without `fast`, channels first and an optimiser that goes parameter by parameter."""
    spec = models.spec(model)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = spec.objective(spec.presets[preset], common.CPU)
    if fast:
        for network in made.networks.values():
            channels_last(network)
        return made
    for network in made.networks.values():
        for parameter in network.parameters():
            parameter.data = parameter.data.contiguous()
    for optimizer in made.optimizers.values():
        for group in optimizer.param_groups:
            group |= {name: False for name in ("fused", "foreach") if name in group}
    return made


def iterate(
    made: Objective, batch: Mapping[str, Tensor], fast: bool, iterations: int
) -> tuple[float, dict[str, float]]:
    """Median seconds per iteration after the first one, and the first iteration's losses."""
    losses: dict[str, float] = {}
    times = []

    def precision() -> contextlib.AbstractContextManager[Any]:
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast)

    for iteration in range(iterations + 1):
        start = time.perf_counter()
        for phase in made.phases(iteration):
            found = run_phase(
                phase, made, [(0, batch)], parts=1, world=ALONE, precision=precision, words=("bench", iteration)
            )
            losses |= {name: float(value) for name, value in found.items() if iteration == 0 and "loss" in name}
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:]), losses


def main() -> None:
    asked = common.arguments(__doc__, rounds={"type": int, "default": 3, "help": "timed iterations of each"})
    where, began, rows, losses = common.machine(), time.perf_counter(), [], []
    with common.scratch() as folder:
        videos = fake_videos(folder, 16)
        for model, preset, size in QUICK if asked.quick else RUNS:
            spec = models.spec(model)
            needs = spec.needs(spec.presets[preset])
            assert isinstance(needs, ClipNeeds)
            source = VideoFolder(videos, needs=needs, cache=folder / "cache")
            start = time.perf_counter()
            for i in range(10):
                batch = source.draw(size, np.random.default_rng(i)).tensors()
            loader = (time.perf_counter() - start) / 10
            # The loader's batches lie in memory channels last, as the loop's networks want them.
            rows_first = {name: tensor.contiguous() for name, tensor in batch.items()}
            plain, plain_losses = iterate(objective(model, preset, False), rows_first, False, asked.rounds)
            fast, fast_losses = iterate(objective(model, preset, True), batch, True, asked.rounds)
            rows.append(
                {"model": model, "preset": preset, "clips": size, "plain fp32, s": plain, "the loop's way, s": fast,
                 "times faster": plain / fast, "loader, s": loader, "loader's share": loader / fast}
            )  # fmt: skip
            losses += [
                {"model": model, "clips": size, "first loss of": name, "fp32": value, "bf16": fast_losses[name]}
                for name, value in plain_losses.items()
            ]
    tables = [
        common.table(
            "Seconds per iteration", rows, "the loader works in a thread beside, so its share is an upper bound"
        ),
        common.table("First losses", losses, "equal weights, batch and latents; bf16 keeps 8 bits of a number"),
    ]
    found = {
        "title": "Training clips",
        "about": "An iteration of the clip models at their papers' sizes: as the loop does it, and as a first implementation.",
        "figures": {f"{row['model']} {row['clips']}": row["times faster"] for row in rows},
        "tables": tables,
    }
    common.finish("clips_training", asked, found, where, time.perf_counter() - began)


if __name__ == "__main__":
    main()
