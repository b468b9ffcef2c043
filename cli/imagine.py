"""`mediagen imagine`: a photograph's own generator in one pass, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options
from .options import Json, Quiet, Verbose, flag, number, option
from .report import near, print_json, say, size

EPILOG = """**Examples**

`mediagen imagine runs/mine photo.jpg`  leaves photo.safetensors, in less than a second

`mediagen canvas pano.zarr --model photo.safetensors --width 8000`  then paints with it, as with any model

`mediagen imagine runs/mine day.jpg --blend dusk.jpg --t 0.3 --out between.safetensors`  a place between two pictures

`mediagen imagine runs/mine day.jpg --blend dusk.jpg --t 1 --from-scale 3 --out dusky.safetensors`  day's layout, dusk's look

The model is one that `mediagen train mil FOLDER --out runs/mine` has learnt from a folder of pictures. The nearer a
photograph is to those, the better: what it has never seen the like of, it cannot imagine.
"""

MIXING, KEEPING = "Two pictures", "Output"


def imagine(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A training's folder or checkpoint of mil.", show_envvar=False)
    ],
    picture: Annotated[
        Path, typer.Argument(metavar="PICTURE", help="A photograph, of any size and format.", show_envvar=False)
    ],
    out: Annotated[
        Path | None,
        option("The checkpoint. Default: PICTURE's name, here.", "--out", panel=KEEPING, unit="OUT.safetensors"),
    ] = None,
    blend: Annotated[
        Path | None, option("Another picture: the generator lies between both.", panel=MIXING, unit="OTHER")
    ] = None,
    t: Annotated[
        float | None,
        option("How far: 0 is PICTURE, 1 is OTHER. Default: 0.5.", "--t", panel=MIXING, unit="T"),
    ] = None,
    from_scale: Annotated[
        int, number("The scale from which on OTHER has a say: 1, the coarsest, is all of it.", panel=MIXING)
    ] = 1,
    overwrite: Annotated[bool, flag("Replace the checkpoint OUT.", "--overwrite", panel=KEEPING)] = False,
    config: options.ConfigFile = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Make a photograph's own generator, in one pass.

    A network that was trained on a folder of pictures makes the weights of a small generator out of one that it has
    never seen. What it leaves is a checkpoint like that of a training on the photograph: paint canvases with it, film it.
    """
    from mediagen.imagination import imagine_file

    report = imagine_file(model, picture, out, blend=blend, t=t, scale=from_scale, overwrite=overwrite)
    if json:
        print_json(report.to_json())
    else:
        print(near(report.path))
    if not quiet:
        far = "" if report.error is None else f"; its own beginning is {report.error:.0f} of 255 levels off the picture"
        say(
            f"{report.width} x {report.height} px, {report.scales} scales, {report.parameters:,} weights, "
            f"{size(report.bytes)}, made in {report.seconds:.2f} s{far}"
        )
    return 0
