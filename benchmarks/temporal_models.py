"""One host trained with each temporal model in turn, all else being equal: the ablation of latent differential equations.

    python benchmarks/temporal_models.py --host mocogan --preset small --iterations 20000 --runs runs/temporal

Trains RUNS/gru, RUNS/ode, ... one after the other; said again, it goes on where it was. The measure is the sliced
Wasserstein distance of clip patches, of the best snapshot and of the last. "|z| at k" is the mean norm of the motion code at
frame k: beyond 15 a clip is longer than the training's.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import common
import torch
from torch import nn

from mediagen.checkpoint import load
from mediagen.core.clips import ClipRequest
from mediagen.models._spec import StreamModel
from mediagen.train import train
from mediagen.train.log import read_log

ORIGINAL = {"mocogan": "gru", "tgan": "deconv", "tganv2": "convlstm"}
EQUATIONS = ("ode", "ode2", "ode3", "sde")
WIDTHS: dict[str, dict[str, Any]] = {"mocogan": {"motion": 16, "noise": 16, "field_width": 49}}
"""What the comparison sets in a host beside the temporal model: d_M = 16, as the released MoCoGAN-ODE has it."""
LOOKED_AT = (0, 15, 31, 63)
SAMPLES = Path(__file__).parents[1] / "samples"


@contextmanager
def videos(asked: Any) -> Iterator[Path]:
    """The folder to train on: the one that was named, or Shape Motion."""
    if asked.videos:
        yield Path(asked.videos)
        return
    with common.scratch() as folder:
        count = 12 if asked.quick else 1000
        words = [sys.executable, SAMPLES / "shape_motion.py", folder / "videos", "--videos", count, "--frames", 32]
        subprocess.run(list(map(str, words)), check=True, stdout=subprocess.DEVNULL)
        yield folder / "videos"


def temporal_parameters(network: Any) -> int:
    """Of whatever makes one code a frame; TGAN's own is no module that advances, and has another name."""
    module: nn.Module = getattr(network, "temporal", None) or network.deconvolutions
    return sum(p.numel() for p in module.parameters())


@torch.no_grad()
def norms(network: Any, clips: int = 8) -> dict[str, float | None]:
    """Mean norm of the code at some frames, over clips of seeds 0, 1, ...; nothing for a model of one piece."""
    found: dict[str, list[float]] = {f"|z| at {frame}": [] for frame in LOOKED_AT}
    for seed in range(clips if isinstance(network, StreamModel) else 0):
        state = network.start(ClipRequest(seed=seed))
        for frame, values in zip(LOOKED_AT, found.values(), strict=True):
            state = network.skip(state, frame + 1 - state.frame)
            values.append(float(network.temporal.read(state.motion).norm()))  # type: ignore[operator, union-attr]
    return {name: sum(values) / len(values) if values else None for name, values in found.items()}


def row(asked: Any, kind: str, folder: Path, runs: Path) -> common.Row:
    settings = {} if asked.quick else WIDTHS.get(asked.host, {})
    report = train(
        asked.host, folder, runs / kind, preset=asked.preset, config=settings | {"temporal": kind}, seed=asked.seed,
        iterations=asked.iterations, batch=asked.batch, snapshot_every=max(4, asked.iterations // 20),
        preview_every=max(4, asked.iterations // 10), say=lambda text: print(f"  {kind}: {text}", flush=True),
    )  # fmt: skip
    network = load(runs / kind / "generator.safetensors").eval()
    measured = [line["swd"] for line in read_log(runs / kind / "log.jsonl") if "swd" in line]
    return {
        "temporal model": kind,
        "its parameters": temporal_parameters(network),
        "s an iteration": report.seconds / report.iterations if report.new == report.iterations else None,
        "SWD best": report.best_measure,
        "at": report.best_iteration,
        "SWD last": measured[-1] if measured else None,
        **norms(network),
    }


def main() -> None:
    asked = common.arguments(
        __doc__,
        host={"choices": list(ORIGINAL), "default": "mocogan"},
        preset={"default": "small"},
        videos={"help": "folder of videos (default: 1,000 of Shape Motion)"},
        iterations={"type": int, "default": 20_000},
        batch={"type": int, "default": 4},
        seed={"type": int, "default": 0},
        runs={"type": Path, "help": "folder of the trainings (default: a temporary one)"},
        kinds={"nargs": "+", "help": "temporal models (default: all)"},
    )
    if asked.quick:
        asked.preset, asked.iterations, asked.batch = "tiny", 4, 2
    where, start = common.machine(), time.perf_counter()
    with videos(asked) as folder, common.scratch() as scratch:
        runs = asked.runs or scratch
        rows = [row(asked, kind, folder, runs) for kind in asked.kinds or (ORIGINAL[asked.host], *EQUATIONS)]
    note = f"{asked.iterations} iterations of {asked.batch} clips each, preset {asked.preset}, seed {asked.seed}"
    tables = [common.table(f"{asked.host} with each temporal model", rows, note)]
    found = {
        "title": "Temporal models",
        "about": f"{asked.host} with its own temporal model and with each latent differential equation, all else being equal.",
        "figures": {line["temporal model"]: line for line in rows},
        "tables": tables,
    }
    common.finish("temporal_models", asked, found, where, time.perf_counter() - start)


if __name__ == "__main__":
    main()
