"""`mediagen canvas`: paint a window of the plane, continue it, or make it larger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options
from .options import (
    COMPUTING,
    DEFAULT_MODEL,
    OUTPUT,
    Device,
    Json,
    Precision,
    Quiet,
    Verbose,
    flag,
    number,
    option,
    rectangles,
    side_and_pixels,
    sides,
)
from .progress import Meter, Stopper, clock
from .report import EXIT_SOME_FAILED, Interrupted, near, pairs, pixels, print_json, say, size

if TYPE_CHECKING:
    from mediagen.canvas.report import Report

EPILOG = """**Examples**

`mediagen canvas --width 100000`  a panorama of 100,000 x 512 pixels in canvas.zarr, and canvas.png to look at

`mediagen canvas pano.zarr --width 20000 --seed 7 --style-every 6000`  another plane, its scenery changing more slowly

`mediagen canvas pano.zarr --extend right 50000`  makes that canvas wider by 50,000 pixels

`mediagen canvas far.zarr --x 1000000000000 --width 4096`  a window far out on the plane

`mediagen canvas big.zarr --width 1000000 --dry-run`  what it would take: pixels, shards, bytes, time

`mediagen canvas big.zarr --width 1000000 --workers 4`  four processes, one GPU each where there are GPUs

Stopped, killed, out of disk? Say the same command again: it goes on where it stopped.
"""

WINDOW = "Window"
WITH_EXTEND = {"out", "model", "device", "workers", "scheduler", "dry_run", "json", "quiet", "verbose", "config"}


def canvas(
    context: typer.Context,
    out: Annotated[
        Path, typer.Argument(metavar="OUT.zarr", help="Folder of the canvas, an OME-Zarr store.", show_envvar=False)
    ] = Path("canvas.zarr"),
    width: Annotated[int | None, number("Width in pixels; millions are fine.", panel=WINDOW, unit="PX")] = None,
    height: Annotated[
        int | None, number("Height in pixels. Default: that of the model's scene.", panel=WINDOW, unit="PX")
    ] = None,
    x: Annotated[int, number("Left edge on the plane in pixels; may be negative.", "--x", panel=WINDOW, unit="PX")] = 0,
    y: Annotated[
        int | None,
        number(
            "Top edge on the plane in pixels; y grows downward, 0 is the horizon. Default: centred on the horizon.",
            "--y",
            panel=WINDOW,
            unit="PX",
        ),
    ] = None,
    extend: Annotated[
        tuple[str, str] | None,
        option(
            "Make the canvas OUT larger by PX pixels on a side: left, right, up or down.", panel=WINDOW, unit="SIDE PX"
        ),
    ] = None,
    model: options.Model = None,
    seed: options.Seed = 0,
    structure_seed: options.StructureSeed = None,
    texture_seed: options.TextureSeed = None,
    style_every: options.StyleEvery = None,
    style_blend: options.StyleBlend = None,
    style_map: options.StyleMap = None,
    resample: options.Rectangles = None,
    memory: options.Memory = "2GB",
    precision: Annotated[
        Precision,
        option("auto times a block in each and keeps the fastest; the canvas records it.", panel=COMPUTING),
    ] = "auto",
    block: options.Block = None,
    cache: options.Cache = None,
    device: Device = "auto",
    workers: Annotated[
        int, number("Worker processes (dask), one GPU each where there are GPUs; 0: none.", panel=COMPUTING)
    ] = 0,
    scheduler: Annotated[
        str | None,
        option(
            "A running dask scheduler, e.g. tcp://10.0.0.5:8786. Use only one you trust.",
            panel=COMPUTING,
            unit="ADDRESS",
        ),
    ] = None,
    resume: Annotated[bool, flag("Go on with OUT, as it records itself.", "--resume", panel=OUTPUT)] = False,
    overwrite: Annotated[
        bool, flag("Delete the canvas OUT first, and start anew.", "--overwrite", panel=OUTPUT)
    ] = False,
    dry_run: Annotated[
        bool, flag("Only say what it would take: pixels, shards, bytes, free disk, time.", "--dry-run", panel=OUTPUT)
    ] = False,
    config: options.ConfigFile = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Paint a window of an unbounded plane, as large as you like.

    It goes into a chunked OME-Zarr store with a full pyramid, and an overview picture is left beside it.
    One seed is one plane: any two windows of it agree wherever they overlap. Memory does not grow with the canvas.
    """
    from mediagen.canvas.extend import extend as make_larger
    from mediagen.canvas.paint import paint
    from mediagen.execute.heap import steady_heap

    with (
        steady_heap(),  # before the progress bar's thread gets a heap of its own
        Meter("painting", "Mpx", per_unit=1e6, quiet=quiet) as meter,
        Stopper("finishing the shards in flight") as stop,
    ):
        common: dict[str, Any] = {
            "device": device,
            "workers": workers,
            "scheduler": scheduler,
            "dry_run": dry_run,
            "progress": meter.update,
            "should_stop": stop,
        }
        if extend is not None:
            options.refuse_beside(context, "extend", allowed=WITH_EXTEND)
            report = make_larger(out, *side_and_pixels(extend), model=model, **common)
        else:
            report = paint(
                model or DEFAULT_MODEL,
                out,
                width=width,
                height=height,
                x=x,
                y=y,
                seed=seed,
                structure_seed=structure_seed,
                texture_seed=texture_seed,
                style_every=style_every,
                style_blend=style_blend,
                style_map=style_map,
                resample=rectangles(resample or ()),
                cache=cache,
                memory=memory,
                block=sides(block) if block else None,
                precision=precision,
                resume=resume,
                overwrite=overwrite,
                **common,
            )
    if json:
        print_json(report.to_json())
    elif dry_run:
        print(_forecast(report))
    else:
        print(out)
    if report.interrupted:
        there = report.shards_written + report.shards_skipped
        raise Interrupted(f"{there} of {report.shards} shards are there", context.obj)
    for unit in report.failed:
        say(f"mediagen: failed: shards {unit['shards']}: {unit['reason']}")
    if not quiet and not dry_run:
        say(_summary(report))
    return EXIT_SOME_FAILED if report.failed else 0


def _summary(report: Report) -> str:
    """What was done, and where to look at it."""
    done = f"{report.width:,} x {report.height:,} px: "
    if report.pixels_painted:
        done += (
            f"painted {pixels(report.pixels_painted)} in {clock(report.seconds)} "
            f"({pixels(report.pixels_per_second)}/s, "
            f"{report.precision}, {report.pixels_computed_per_pixel_kept:.2f} px computed per px kept, "
            f"peak memory {size(report.peak_memory_bytes)})"
        )
    else:
        done += "it was all there"
    if report.blocks_from_cache:
        done += f"; {report.blocks_from_cache} blocks were in the cache"
    if report.shards_skipped and report.pixels_painted:
        done += f"; {report.shards_skipped} of {report.shards} shards were there"
    return done + (f"\nlook at {near(report.overview)}" if report.overview else "")


def _forecast(report: Report) -> str:
    """What painting would take."""
    return pairs(
        [
            ("canvas", f"{report.width:,} x {report.height:,} px from x = {report.x:,}, y = {report.y:,}"),
            ("pixels", pixels(report.pixels)),
            ("shards", f"{report.shards:,}"),
            ("block", f"{report.block[0]} x {report.block[1]} px, {report.precision}"),
            ("computed per pixel kept", report.pixels_computed_per_pixel_kept),
            ("on disk", f"at most {size(report.bytes_upper_bound or 0)}"),
            ("free there", size(report.bytes_free or 0)),
            (
                "time",
                f"about {clock(report.estimated_seconds or 0)}: a block makes {pixels(report.pixels_per_second)}/s",
            ),
        ]
    )
