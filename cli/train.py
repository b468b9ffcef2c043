"""`mediagen train`: teach a model from a folder of pictures or videos."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from . import options
from .models import complete
from .options import Device, Json, Quiet, Verbose, flag, number, option
from .progress import Meter
from .report import Interrupted, print_json, say

EPILOG = """**Examples**

`mediagen train infinitygan my_pictures --out runs/mine --preset small-64`  learns from all pictures below a folder

`mediagen train infinitygan my_pictures --out runs/mine --iterations 20000`  goes on with it, further

`mediagen train infinitygan my_pictures --out runs/tiny --preset tiny --iterations 100`  a quick try

`mediagen train infinitygan my_pictures --out runs/b --preset small-64 --set r1=5`  a setting of its own

`torchrun --nproc-per-node 4 -m mediagen_cli train infinitygan my_pictures --out runs/four --preset small-64`  four GPUs

`mediagen train mocogan my_videos --out runs/clips`  learns from all videos below a folder; sub-folders are classes

Then `mediagen canvas mine.zarr --model runs/mine --width 20000` paints with it, and `mediagen video mine.mp4 --model
runs/clips --frames 500` films.
"""

TRAINING, COMPUTING, KEEPING = "Training", "Computing", "Output"


def train(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="See `mediagen models`.", autocompletion=complete, show_envvar=False)
    ],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Folder of pictures or videos of any format, or a .txt with a path a line.",
            show_envvar=False,
        ),
    ],
    out: Annotated[
        Path, option("Folder of the run; said again, the training goes on.", "--out", panel=KEEPING, unit="RUN")
    ],
    preset: Annotated[
        str | None, option("Configuration to start from; see `mediagen models MODEL`.", panel=TRAINING, unit="NAME")
    ] = None,
    settings: Annotated[
        list[str] | None,
        option("One setting of the model, e.g. r1=5; may be given again.", "--set", panel=TRAINING, unit="KEY=VALUE"),
    ] = None,
    iterations: Annotated[
        int | None,
        number("Iterations in all. Default: the run's own, else the preset's, mostly 10,000.", panel=TRAINING),
    ] = None,
    batch: Annotated[
        int | None,
        number("Pictures or clips an iteration, over all processes. Default: the preset's, mostly 16.", panel=TRAINING),
    ] = None,
    seed: Annotated[int | None, number("Seed of the training. Default: 0.", panel=TRAINING)] = None,
    start_from: Annotated[
        Path | None,
        option("Take over what fits of another training, to grow a network.", panel=TRAINING, unit="RUN"),
    ] = None,
    device: Device = "auto",
    precision: Annotated[
        Literal["auto", "fp32", "bf16"] | None,
        option("auto: bf16 where the machine multiplies in it, else fp32.", panel=COMPUTING),
    ] = None,
    accumulate: Annotated[
        int | None,
        number("Cut a batch into so many shares, one after the other: less memory.", panel=COMPUTING),
    ] = None,
    snapshot_every: Annotated[int, number("Iterations between two saves.", panel=KEEPING)] = 500,
    preview_every: Annotated[int, number("Iterations between two previews.", panel=KEEPING)] = 500,
    log_every: Annotated[int, number("Iterations between two rows of log.jsonl.", panel=KEEPING)] = 50,
    overwrite: Annotated[bool, flag("Delete the run first, and start anew.", "--overwrite", panel=KEEPING)] = False,
    config: options.ConfigFile = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Train a model from a folder of pictures or videos.

    Said again, it goes on where it stopped, bit for bit on a CPU. Files of any size, format and orientation are
    taken; broken and too small ones are skipped and listed. RUN holds previews to look at, curves, the log, the newest
    checkpoint and the best one.
    """
    from mediagen.core.config import parse_assignments
    from mediagen.train import train as run_training

    overrides = {**context.meta.get("settings", {}), **parse_assignments(settings or [])}
    with Meter("training", "iterations", quiet=quiet) as meter:

        def progress(done: int, total: int, scalars: Mapping[str, float]) -> None:
            meter.update(done, total, _note(scalars))

        report = run_training(
            model,
            data,
            out,
            preset=preset,
            config=overrides or None,
            iterations=iterations,
            batch=batch,
            seed=seed,
            precision=precision,
            accumulate=accumulate,
            device=device,
            start_from=start_from,
            snapshot_every=snapshot_every,
            preview_every=preview_every,
            log_every=log_every,
            overwrite=overwrite,
            progress=progress,
            say=None if quiet else meter.say,
        )
    first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun started, one speaks
    if json and first:
        print_json(asdict(report))
    elif first:
        print(report.run)
    if report.interrupted:
        raise Interrupted(f"{report.iterations:,} iterations are done and saved", context.obj)
    if not quiet and first:
        say(
            f"{report.iterations:,} iterations, {report.new:,} of them now in {report.seconds:,.0f} s "
            f"({report.seen_per_second:.1f} {report.unit}/s); look at {out / 'previews'}"
        )
    return 0


def _note(scalars: Mapping[str, float]) -> str:
    """The figures worth a glance: the losses."""
    return ", ".join(f"{name} {value:.3g}" for name, value in scalars.items() if name.endswith("loss"))
