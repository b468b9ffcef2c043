"""`mediagen view`: look at canvases, clips and runs in the browser, and walk over the plane of a model."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mediagen.errors import UsageError

from . import options
from .options import (
    COMPUTING,
    DEFAULT_MODEL,
    OUTPUT,
    PLANE,
    Device,
    Precision,
    Quiet,
    Verbose,
    flag,
    number,
    option,
    rectangles,
    sides,
)
from .report import say

if TYPE_CHECKING:
    from mediagen.view.asked import PlaneOptions

EPILOG = """**Examples**

`mediagen view`  walk over the plane of the bundled landscape; what is not painted yet is painted when it comes into view

`mediagen view canvas.zarr`  a canvas of any size, also one that is still being painted

`mediagen view --model runs/mine --seed 7`  the plane of a model of your own

`mediagen view clips/`  a contact sheet of the clips in a folder; `mediagen view clip.mp4` shows one

`mediagen view runs/mine`  curves and previews of a training, live while it goes on

Only this machine can connect. Ctrl-C ends it; nothing is lost.
"""

SERVER = "Server"
NEEDED = ("starlette", "uvicorn", "xstatic")


def view(
    context: typer.Context,
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CANVAS.zarr|CLIP|FOLDER|RUN]",
            help="A canvas, a clip or a folder of clips, or a training's folder. Default: the plane of --model.",
            show_envvar=False,
        ),
    ] = None,
    port: Annotated[
        int | None, number("Port on 127.0.0.1. Default: 8642, or a free one if that is taken.", panel=SERVER)
    ] = None,
    no_open: Annotated[bool, flag("Print the address, but open no browser.", "--no-open", panel=SERVER)] = False,
    model: Annotated[
        str | None,
        option(
            "Walk over the plane of a bundled checkpoint, a .safetensors file, or a training's folder. "
            "Default: infinitygan.",
            panel=PLANE,
            unit="NAME|FILE|RUN",
        ),
    ] = None,
    seed: options.Seed = 0,
    structure_seed: options.StructureSeed = None,
    texture_seed: options.TextureSeed = None,
    style_every: options.StyleEvery = None,
    style_blend: options.StyleBlend = None,
    style_map: options.StyleMap = None,
    resample: options.Rectangles = None,
    memory: Annotated[
        str, option("Memory for computing one block, as for `mediagen canvas`.", panel=COMPUTING, unit="BYTES")
    ] = "2GB",
    precision: Annotated[
        Precision, option("auto takes that of the blocks in the cache, else the fastest here.", panel=COMPUTING)
    ] = "auto",
    block: options.Block = None,
    device: Device = "auto",
    cache: Annotated[
        Path | None,
        option(
            "Folder where painted blocks are kept; `mediagen canvas --cache` takes them from there. "
            "Default: mediagen/blocks in the user's cache folder.",
            panel=OUTPUT,
            unit="FOLDER",
        ),
    ] = None,
    cache_size: Annotated[
        str, option("How large that folder may become; what was not seen longest leaves.", panel=OUTPUT, unit="BYTES")
    ] = "2GB",
    config: options.ConfigFile = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Look at a canvas, clips or a training in the browser, or walk over a plane without end.

    What is not painted yet is painted when it comes into view: the same pixels that `mediagen canvas` would write.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError("looking needs some more packages: pip install starlette uvicorn XStatic-Leaflet")
    logging.basicConfig(format="mediagen: %(message)s", level=logging.ERROR if quiet else logging.WARNING)
    logging.getLogger("mediagen.view").setLevel(logging.DEBUG if verbose else logging.NOTSET)
    if target is not None:
        options.refuse_beside(
            context,
            "TARGET",
            allowed={"target", "port", "no_open", "quiet", "verbose", "config"},
            why="belongs to the plane of a model, not to what is on disk",
        )
    asked = None if target is not None else _plane(
        model=model or DEFAULT_MODEL, seed=seed, structure_seed=structure_seed, texture_seed=texture_seed,
        style_every=style_every, style_blend=style_blend, style_map=style_map, resample=rectangles(resample or ()),
        memory=memory, precision=precision, block=sides(block) if block else None, device=device, cache=cache,
        cache_size=cache_size,
    )  # fmt: skip
    from mediagen.view.open import look_at

    look_at(target, asked, port=port, browser=not no_open, announce=lambda address: _announce(address, quiet))
    return 0


def _announce(address: str, quiet: bool) -> None:
    print(address, flush=True)
    if not quiet:
        say("Ctrl-C ends it")


def _plane(**values: Any) -> PlaneOptions:
    from mediagen.view.asked import PlaneOptions

    return PlaneOptions(**values)
