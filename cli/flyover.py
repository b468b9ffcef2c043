"""`mediagen flyover`: a clip of a camera that glides over a canvas, or over the unbounded plane."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from . import options
from .options import COMPUTING, Device, Json, Precision, Quiet, Verbose, number, option, rectangles, sides
from .progress import Meter, Stopper
from .report import Interrupted, clip_summary, near, print_json, say

EPILOG = """**Examples**

`mediagen flyover canvas.zarr flight.mp4`  a minute over a canvas, or as long as it goes on

`mediagen flyover flight.mp4 --model badlands --seed 7`  over the plane itself: nothing is stored, and it has no end

`mediagen flyover flight.mp4 --seconds 3600 --speed 400`  an hour of it, in the memory of a minute

`mediagen flyover canvas.zarr whole.mp4 --path keys.csv`  along key frames: t (seconds), x, y (centre) and zoom

`mediagen flyover canvas.zarr back.webm --direction left --size 1920x1080 --fps 60`  from its right end back

Stopped, killed, out of disk? Say the same command again: it goes on where it stopped. The part that is there plays.
"""

CAMERA = "Camera"
WITH_CANVAS = {
    "out", "speed", "size", "seconds", "fps", "direction", "x", "y", "zoom", "path", "codec", "crf", "overwrite",
    "config", "json", "quiet", "verbose", "model",
}  # fmt: skip
GLIDES = ("speed", "direction", "seconds", "x")


def flyover(
    context: typer.Context,
    canvas: Annotated[
        Path | None,
        typer.Argument(
            metavar="CANVAS.zarr",
            help="The canvas to fly over. Without one: the unbounded plane.",
            show_envvar=False,
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Argument(
            metavar="OUT.mp4",
            help="The clip: .mp4, .mkv, .webm or .gif; without an ending, a folder of PNGs. Default: flight.mp4.",
            show_envvar=False,
            show_default=False,
        ),
    ] = None,
    speed: Annotated[float, option("Pixels of the plane a second.", "--speed", panel=CAMERA, unit="PX")] = 200.0,
    direction: Annotated[Literal["right", "left", "up", "down"], option("Where to.", panel=CAMERA)] = "right",
    seconds: Annotated[
        float | None,
        option("Length. Default: 60, or as long as the canvas goes on.", "--seconds", panel=CAMERA, unit="S"),
    ] = None,
    size: Annotated[str, option("Size of the frames in pixels.", "--size", panel=CAMERA, unit="WxH")] = "1280x720",
    fps: Annotated[float, option("Frames a second.", "--fps", panel=CAMERA, unit="F")] = 30.0,
    zoom: Annotated[
        float | None,
        option(
            "Pixels of the frame for one of the plane: 0.5 shows twice as much. Default: 1, or as much as fills the frame.",
            "--zoom",
            panel=CAMERA,
            unit="Z",
        ),
    ] = None,
    x: Annotated[
        int | None,
        number(
            "Centre of the first frame on the plane. Default: at the canvas's end, or 0.",
            "--x",
            panel=CAMERA,
            unit="PX",
        ),
    ] = None,
    y: Annotated[
        int | None,
        number("Centre of the first frame on the plane. Default: the middle.", "--y", panel=CAMERA, unit="PX"),
    ] = None,
    path: Annotated[
        Path | None,
        option(
            "Key frames instead, .json or .csv: t in seconds, x and y of the centre, zoom; flown through smoothly.",
            panel=CAMERA,
            unit="FILE",
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
        option("auto times a block in each and keeps the fastest; the clip records it.", panel=COMPUTING),
    ] = "auto",
    block: options.Block = None,
    cache: options.Cache = None,
    device: Device = "auto",
    codec: options.Codec = None,
    crf: options.Crf = None,
    overwrite: options.OverwriteClip = False,
    config: options.ConfigFile = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Film a canvas, or the unbounded plane itself, from a camera that glides over it.

    Over a canvas, frames come from the level of its pyramid that suits the zoom. Over the plane, blocks are painted ahead of
    the camera and let go behind it: nothing is stored, and memory does not grow with the length. Motion and zoom are smooth
    to fractions of a pixel. While it is made, the clip is OUT.part.mp4, which plays.
    """
    if canvas is not None and out is None and not _is_canvas(canvas):
        canvas, out = None, canvas
    if canvas is not None:
        options.refuse_beside(
            context, "canvas", allowed=WITH_CANVAS, why="means nothing for a canvas, which has been painted already"
        )
    if path is not None:
        allowed = {p.name for p in context.command.params if p.name} - set(GLIDES)
        options.refuse_beside(
            context, "path", allowed=allowed, why="means nothing beside --path, whose key frames say it"
        )
    from mediagen.execute.heap import steady_heap
    from mediagen.export.flyover import flyover as film

    with (
        steady_heap(),  # before the progress bar's thread gets a heap of its own
        Meter("flying", "frames", quiet=quiet) as meter,
        Stopper("finishing the frames in flight") as stop,
    ):
        report = film(
            canvas,
            out or Path("flight.mp4"),
            model=model,
            speed=speed,
            size=sides(size),
            seconds=seconds,
            fps=fps,
            direction=direction,
            x=x,
            y=y,
            zoom=zoom,
            keys=path,
            seed=seed,
            structure_seed=structure_seed,
            texture_seed=texture_seed,
            style_every=style_every,
            style_blend=style_blend,
            style_map=style_map,
            resample=rectangles(resample or ()),
            memory=memory,
            block=sides(block) if block else None,
            precision=precision,
            device=device,
            cache=cache,
            codec=codec,
            crf=crf,
            overwrite=overwrite,
            progress=meter.update,
            should_stop=stop,
        )
    if json:
        print_json(report.to_json())
    else:
        print(near(report.path))
    if report.interrupted:
        there = report.frames_made + report.frames_kept
        raise Interrupted(f"{there:,} of {report.frames:,} frames are in {near(report.path)}", context.obj)
    if not quiet:
        say(clip_summary(report))
    return 0


def _is_canvas(place: Path) -> bool:
    """Whether the only place given is a canvas, or is meant to be one."""
    from mediagen.io.place import is_canvas

    return place.suffix == ".zarr" or is_canvas(place)
