"""`mediagen video`: render a clip from a model, frame by frame, as long as one likes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mediagen.errors import UsageError

from . import options
from .options import COMPUTING, Device, Json, Quiet, Verbose, flag, number, option
from .progress import Meter, Stopper
from .report import Interrupted, clip_summary, near, print_json, say

if TYPE_CHECKING:
    from mediagen.video.report import Report

EPILOG = """**Examples**

`mediagen video`  ten seconds in clip.mp4

`mediagen video long.mp4 --frames 100000 --seed 7`  as long as you like; memory does not grow with it

`mediagen video wall.mp4 --grid 3x4`  twelve clips side by side, each of its own seed

`mediagen video same.mp4 --grid 1x4 --content-seed 5`  one content, four motions

`mediagen video turns.mp4 --category 0,1,2 --category-every 100`  the action changes every 100 frames

`mediagen video slow.webm --time-scale 0.25`  four times as slow, where the model's time is continuous

`mediagen video frames --model runs/mine`  a folder of PNGs, by a model of your own

Stopped, killed, out of disk? Say the same command again: it goes on where it stopped. The part that is there plays.
"""

CLIP, PICTURE = "Clip", "What it shows"


def video(
    context: typer.Context,
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT.mp4",
            help="The clip: .mp4, .mkv, .webm or .gif; without an ending, a folder of PNGs.",
            show_envvar=False,
        ),
    ] = Path("clip.mp4"),
    frames: Annotated[int | None, number("Length in frames. Default: ten seconds.", panel=CLIP)] = None,
    fps: Annotated[
        float | None,
        option(
            "Frames a second. Default: as the model was trained; a multiple of that, 24 or more, with --time-scale to "
            "match, where the model can draw frames between its frames.",
            "--fps",
            panel=CLIP,
            unit="F",
        ),
    ] = None,
    grid: Annotated[
        str,
        option("Rows and columns of clips side by side, tile i with the seed + i.", panel=CLIP, unit="RxC"),
    ] = "1x1",
    scale: Annotated[
        int | None,
        number("Enlarge so many times (bicubic). Default: until the shorter side has 256 px.", panel=CLIP),
    ] = None,
    model: Annotated[
        str | None,
        option(
            "A bundled checkpoint (see `mediagen models`), a .safetensors file, or a training's folder. "
            "Default: the first bundled one that makes clips.",
            panel=PICTURE,
            unit="NAME|FILE|RUN",
        ),
    ] = None,
    seed: Annotated[int, number("Which clip: one seed, one clip, of any length.", panel=PICTURE)] = 0,
    content_seed: Annotated[
        int | None, number("Draw what does not move from another seed, in all tiles of a grid.", panel=PICTURE)
    ] = None,
    motion_seed: Annotated[
        int | None, number("Draw the motion from another seed, in all tiles of a grid.", panel=PICTURE)
    ] = None,
    category: Annotated[
        str | None,
        option("The class to show, or several one after the other: 0,1,2.", panel=PICTURE, unit="K|LIST"),
    ] = None,
    category_every: Annotated[int, number("Frames that each of several classes lasts.", panel=PICTURE)] = 64,
    image: Annotated[Path | None, option("Start from this picture.", panel=PICTURE, unit="PICTURE")] = None,
    time_scale: Annotated[
        float | None,
        option(
            "Time that goes by from frame to frame, in frames of the training: 0.5 is half as fast, 2 twice. Default: 1, "
            "or as --fps says.",
            panel=PICTURE,
            unit="X",
        ),
    ] = None,
    reverse: Annotated[bool, flag("Let time run back.", "--reverse", panel=PICTURE)] = False,
    join: Annotated[
        Literal["cut", "interpolate"],
        option(
            "How the pieces of a model that makes clips in one piece follow each other: cut, or a cross-fade.",
            panel=PICTURE,
        ),
    ] = "cut",
    precision: Annotated[Literal["fp32", "bf16"], option("Number format of the model.", panel=COMPUTING)] = "fp32",
    device: Device = "auto",
    codec: options.Codec = None,
    crf: options.Crf = None,
    overwrite: options.OverwriteClip = False,
    config: options.ConfigFile = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Render a clip from a model, frame by frame, as long as you like.

    One seed is one clip: frame k is the same whatever the length. Memory does not grow with it. While it is made, the
    clip is OUT.part.mp4, which plays. A model that makes clips in one piece is rendered piece after piece, and the
    report says so.
    """
    from mediagen.execute.heap import steady_heap
    from mediagen.video.render import render_video

    with (
        steady_heap(),  # before the progress bar's thread gets a heap of its own
        Meter("rendering", "frames", quiet=quiet) as meter,
        Stopper("finishing the segment in flight") as stop,
    ):
        report = render_video(
            model,
            out,
            frames=frames,
            fps=fps,
            seed=seed,
            content_seed=content_seed,
            motion_seed=motion_seed,
            category=None if category is None else _list(category),
            category_every=category_every,
            image=image,
            time_scale=time_scale,
            reverse=reverse,
            grid=_rows_and_columns(grid),
            scale=scale,
            join=join,
            codec=codec,
            crf=crf,
            precision=precision,
            device=device,
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
        say(_summary(report))
    return 0


def _summary(report: Report) -> str:
    """What was done."""
    done = clip_summary(report, report.precision)
    if report.joined:
        how = "cut" if report.joined == "cut" else "faded"
        done += f"\n{report.model} makes clips in one piece: pieces of {report.piece} frames follow each other, {how}"
    return done


def _rows_and_columns(text: str) -> tuple[int, int]:
    """A grid, "2x3"."""
    try:
        rows, columns = (int(side) for side in text.lower().split("x"))
    except ValueError:
        raise UsageError(f"a grid is ROWSxCOLUMNS, such as 2x3, not {text!r}") from None
    return rows, columns


def _list(text: str) -> list[int]:
    """Classes, "2" or "0,1,2"."""
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise UsageError(f"--category is a class or several, such as 0,1,2, not {text!r}") from None
