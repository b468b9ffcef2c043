"""`mediagen inspect`: what a file or folder is, how it was made, and whether it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .models import checkpoint_text
from .options import GENERAL, Json, Verbose, flag
from .progress import clock
from .report import pairs, print_json, size, table

EPILOG = """**Examples**

`mediagen inspect canvas.zarr`  its place and size, the command that makes it again, missing or damaged shards

`mediagen inspect canvas.zarr --deep`  the same, and every pixel's checksum

`mediagen inspect clip.mp4`  its length and size, and the command that makes it again

`mediagen inspect window.png`  what an exported picture shows, and how it was made

`mediagen inspect runs/mine`  how far a training is

`mediagen inspect my.safetensors --json`  a checkpoint's model, configuration and provenance

Exit code 1 when something is damaged; what is merely unfinished is fine.
"""


def inspect(
    path: Annotated[
        Path,
        typer.Argument(help="A canvas, a clip, a picture, a checkpoint, or a training's folder.", show_envvar=False),
    ],
    deep: Annotated[bool, flag("Decode every pixel too: finds flipped bits.", "--deep", panel=GENERAL)] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Tell what something is, how it was made, and whether it is whole: a canvas, clip, picture, checkpoint, training."""
    from mediagen.inspection import inspect as look

    record = look(path, deep=deep)
    if json:
        print_json(record)
    else:
        print(TEXTS[record["what"]](record, verbose))
    return 0 if record["healthy"] else 1


def _canvas(record: dict[str, Any], verbose: bool) -> str:
    shards = record["shards"]
    state = "complete" if record["complete"] else f"{shards['missing']} shards missing, {shards['bad']} damaged"
    head = pairs(
        [
            ("canvas", f"{record['width']:,} x {record['height']:,} px from x = {record['x']:,}, y = {record['y']:,}"),
            ("state", state),
            ("on disk", size(record["bytes"])),
            *_flat(record["made"] if verbose else {k: v for k, v in record["made"].items() if k in TOLD}),
        ]
    )
    levels = [
        (s["level"], f"{s['width']} x {s['height']}", s["whole"], s["missing"], s["bad"]) for s in record["levels"]
    ]
    lines = [head, "", table(["LEVEL", "PIXELS", "WHOLE", "MISSING", "BAD"], levels)]
    lines += [f"damaged: level {s['level']}, row {y}, column {x}" for s in record["levels"] for y, x in s["bad_at"]]
    return "\n".join(lines)


def _clip(record: dict[str, Any], verbose: bool) -> str:
    whole, frames, fps = record["frames"]["whole"], record["frames"]["of"], record["fps"]
    rows: list[tuple[str, object]] = [
        ("clip", f"{record['width']} x {record['height']} px, {record['codec']}"),
        ("length", f"{frames:,} frames, {clock(frames / fps)} at {fps:g} a second"),
        ("state", "complete" if record["complete"] else f"{whole:,} frames are there"),
        ("on disk", size(record["bytes"])),
    ]
    return pairs([*rows, *_flat(record["made"] if verbose else {k: v for k, v in record["made"].items() if k in TOLD})])


def _picture(record: dict[str, Any], verbose: bool) -> str:
    window, made = record["window"] or {}, record["made"]
    canvas = made.get("canvas")
    rows: list[tuple[str, object]] = []
    if isinstance(window, dict) and {"x", "y", "width", "height"} <= window.keys():
        place = "{width} x {height} px from x = {x}, y = {y}".format(**window)
        rows = [("picture", place + (f", level {record['level']}" if record["level"] else ""))]
    rows += [("on disk", size(record["bytes"]))]
    told = {"canvas": {k: v for k, v in canvas.items() if k in TOLD}} if isinstance(canvas, dict) else {}
    return pairs([*rows, *_flat(made if verbose else {**{k: v for k, v in made.items() if k in TOLD}, **told})])


def _run(record: dict[str, Any], verbose: bool) -> str:
    progress = record["progress"]
    done = f"{progress.get('iteration', 0):,} of {record['made'].get('iterations', 0):,} iterations"
    files = ", ".join(name if whole else f"{name} (DAMAGED)" for name, whole in record["files"].items())
    rows: list[tuple[str, object]] = [
        ("run", record["model"]),
        ("state", done + (", complete" if record["complete"] else "")),
        (
            "seen",
            f"{progress.get('seen', 0):,} {'clips' if 'videos' in record['made'].get('data', {}) else 'pictures'}",
        ),
        ("files", files or "none yet"),
        ("previews", record["previews"]),
    ]
    rows += [
        (f"latest {name}", value)
        for name, value in record["latest"].items()
        if name not in {"iteration", "pictures", "clips"}
    ]
    return pairs(
        [*rows, *_flat(record["made"] if verbose else {k: v for k, v in record["made"].items() if k != "config"})]
    )


def _flat(record: dict[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    """Nested tables as dotted names."""
    rows: list[tuple[str, object]] = []
    for name, value in record.items():
        rows += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", value)]
    return rows


TEXTS = {"canvas": _canvas, "clip": _clip, "picture": _picture, "checkpoint": checkpoint_text, "run": _run}
TOLD = ("command", "model", "made_with")
"""What a canvas's or clip's record says besides, its plan in particular, is shown with -v."""
