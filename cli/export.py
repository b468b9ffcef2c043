"""`mediagen export`: a canvas, or a window of it, as a picture that other programs open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from . import options
from .options import Json, Quiet, Verbose, flag, number, option
from .progress import Meter, Stopper, clock
from .report import Interrupted, near, pixels, print_json, say, size

if TYPE_CHECKING:
    from mediagen.export.save import Report

EPILOG = """**Examples**

`mediagen export canvas.zarr canvas.tif`  all of it: a tiled BigTIFF with a pyramid inside, of any size

`mediagen export canvas.zarr web.dzi`  a Deep Zoom picture for a web page (web.dzi and the folder web_files)

`mediagen export canvas.zarr detail.png --x 8192 --width 4096`  4,096 columns of it, every pixel

`mediagen export canvas.zarr small.jpg --level 3`  all of it, eight times smaller

`mediagen export canvas.zarr so_far.tif --partial`  a canvas that is still being painted
"""

WINDOW, PICTURE, OUTPUT = "Window", "Picture", "Output"


def export(
    context: typer.Context,
    canvas: Annotated[
        Path, typer.Argument(metavar="CANVAS.zarr", help="Folder of the canvas.", show_envvar=False, show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="The picture; its ending says what to make: .tif, .dzi, .png or .jpg.",
            show_envvar=False,
            show_default=False,
        ),
    ],
    x: Annotated[
        int | None,
        number("Left edge on the plane in pixels. Default: the canvas's.", "--x", panel=WINDOW, unit="PX"),
    ] = None,
    y: Annotated[
        int | None,
        number("Top edge on the plane in pixels. Default: the canvas's.", "--y", panel=WINDOW, unit="PX"),
    ] = None,
    width: Annotated[
        int | None,
        number("Width in pixels of the plane. Default: up to the canvas's right edge.", panel=WINDOW, unit="PX"),
    ] = None,
    height: Annotated[
        int | None,
        number("Height in pixels of the plane. Default: down to the canvas's bottom edge.", panel=WINDOW, unit="PX"),
    ] = None,
    level: Annotated[
        int,
        number(
            "0 for every pixel, 1 for half the size, 2 for a quarter and so on. The window stays in pixels of the plane.",
            panel=WINDOW,
        ),
    ] = 0,
    quality: Annotated[int, number("Of JPEGs: 1 to 100; from 90 on colours are kept sharp.", panel=PICTURE)] = 90,
    tiles: Annotated[
        Literal["jpg", "png"], option("Tiles of a .dzi: jpg is smaller, png exact.", panel=PICTURE)
    ] = "jpg",
    overlap: Annotated[int, number("Pixels by which tiles of a .dzi overlap: 0 or 1.", panel=PICTURE, unit="PX")] = 1,
    partial: Annotated[
        bool, flag("Leave black what is not painted yet, instead of refusing.", "--partial", panel=OUTPUT)
    ] = False,
    overwrite: Annotated[bool, flag("Replace OUT.", "--overwrite", panel=OUTPUT)] = False,
    config: options.ConfigFile = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Save a canvas, or a window of it, as a picture that other programs open.

    Pixels go straight from the canvas into the file, in memory that does not grow with it; the file says how it was made. A
    JPEG ends at 65,500 pixels a side. OUT appears when it is whole.
    """
    from mediagen.export import export as save

    with Meter("writing", "Mpx", per_unit=1e6, quiet=quiet) as meter, Stopper("stopping") as stop:
        report = save(
            canvas,
            out,
            x=x,
            y=y,
            width=width,
            height=height,
            level=level,
            quality=quality,
            tiles=tiles,
            overlap=overlap,
            partial=partial,
            overwrite=overwrite,
            progress=meter.update,
            should_stop=stop,
        )
    if report.interrupted:
        raise Interrupted("and nothing is left behind", context.obj)
    if json:
        print_json(report.to_json())
    else:
        print(near(report.path))
    if not quiet:
        say(_summary(report))
    return 0


def _summary(report: Report) -> str:
    """What was made."""
    levels = f" in {report.levels} levels" if report.levels > 1 else ""
    done = f"{report.pixels_wide:,} x {report.pixels_high:,} px{levels}, {size(report.bytes)}: "
    done += f"written in {clock(report.seconds)} ({pixels(report.pixels_per_second)}/s, "
    done += f"peak memory {size(report.peak_memory_bytes)})"
    return done + (
        f"; {report.missing_shards:,} shards were not painted and are black" if report.missing_shards else ""
    )
