"""Taking a window of the plane home: as a picture, streamed while it is painted, or as the command that paints it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import numpy as np

from mediagen.canvas import styles as style_maps
from mediagen.canvas.cache import Scene
from mediagen.canvas.styles import CentreStyle, StretchStyle
from mediagen.core.geometry import Window
from mediagen.core.provenance import command_line
from mediagen.errors import UsageError
from mediagen.export.streams import stream_picture
from mediagen.io.halve import halved
from mediagen.view.asked import STYLE_MAP, PlaneOptions
from mediagen.view.jobs import Closed, Full
from mediagen.view.plane import MOST_BLOCKS, PAINT_LEVELS, Plane
from mediagen.view.scene import Look, texture_seed, trim
from mediagen.view.window import PictureWish

PIECE = 2048
"""Side in pixels of what is painted, and halved, in one go, at most."""

LATER = -1
"""Urgency of what nobody looks at."""

AGAIN = 0.1
"""Seconds after which a window is asked for again that was one too many."""


def picture(plane: Plane, look: Look, wish: PictureWish, asked: PlaneOptions) -> Iterator[bytes]:
    """The bytes of a PNG or JPEG. To be iterated in a thread that is not the event loop's. Raises UsageError."""
    if wish.level > PAINT_LEVELS:
        raise UsageError(f"a plane can be taken home at the levels 0 (full size) to {PAINT_LEVELS}")
    rows = plane.rows
    if rows is not None and not (rows.start <= wish.window.y and wish.window.bottom <= rows.stop):
        raise UsageError(f"this plane has the rows {rows.start} to {rows.stop}")
    window = _widened(wish.window, wish.level)
    if rows is not None:
        window = Window.of(window.columns, window.rows.meet(rows))
    width, height = window.width >> wish.level, -(-window.height >> wish.level)
    record = {
        "kind": "picture",
        "command": command(look.scene, asked, plane, window, here=False),
        "window": asdict(window),
        "level": wish.level,
        **_said(look.scene),
        **{key: plane.setting.record[key] for key in ("model", "precision", "blocks", "made_with")},
    }
    bands = _bands(plane, look, window, wish.level, asyncio.get_running_loop())
    return stream_picture(width, height, bands, wish.format, record)


def _bands(
    plane: Plane, look: Look, window: Window, level: int, loop: asyncio.AbstractEventLoop
) -> Iterator[np.ndarray]:
    """The window's rows (n, width, 3) at a level, from the top down, painted where they are not known."""
    blocks, down = plane.setting.blocks, 256 << level
    # A share of the queue's blocks at once: then it is full of others' work alone, and that comes to an end.
    columns = MOST_BLOCKS // 4 // (down // blocks.height + 2) - 2
    across = max(1 << level, min(PIECE, columns * blocks.width) >> level << level)
    for top in range(window.y, window.bottom, down):
        height = min(down, window.bottom - top)
        band = np.empty((-(-height >> level), window.width >> level, 3), np.uint8)
        for left in range(window.x, window.right, across):
            part = Window(left, top, min(across, window.right - left), height)
            small = asyncio.run_coroutine_threadsafe(_made(plane, look, part, level), loop).result()
            x = (left - window.x) >> level
            band[:, x : x + small.shape[1]] = small
        yield band


async def _made(plane: Plane, look: Look, window: Window, level: int) -> np.ndarray:
    """A window at a level; where there is too much to do, it waits for its turn: half a picture is none. Raises Closed."""
    while True:
        try:
            return await plane.window(look, window, lambda pixels: _reduced(pixels, level), LATER)
        except Closed:
            raise
        except Full:
            await asyncio.sleep(AGAIN)


def _said(scene: Scene) -> dict[str, Any]:
    """What a scene is, as a canvas's record says it."""
    return {
        "seed": scene.seed,
        "structure_seed": scene.structure_seed,
        "styles": style_maps.to_json(scene.styles),
        "resample": [astuple(one) for one in scene.resample],
    }


def command(scene: Scene, asked: PlaneOptions, plane: Plane, window: Window, *, here: bool) -> str:
    """`mediagen canvas ...` for a window. `here`: with the paths of this machine, so that it takes what was painted."""
    styles, record = scene.styles, plane.setting.record
    at = "style_map" if isinstance(styles, CentreStyle) else "style_every"
    stretch = styles if isinstance(styles, StretchStyle) else None
    options: dict[str, Any] = {
        "width": window.width, "height": window.height, "x": window.x, "y": window.y,
        "model": asked.model if here else record["model"]["name"],
        "seed": scene.seed, "structure_seed": scene.structure_seed, "texture_seed": texture_seed(scene),
        "style_every": None if at == "style_map" else stretch.every if stretch else 0,
        "style_blend": styles.blend if isinstance(styles, StretchStyle | CentreStyle) else None,
        "style_map": _map_name(styles, asked, here) if isinstance(styles, CentreStyle) else None,
        "resample": [",".join(map(str, astuple(one))) for one in scene.resample],
        "precision": record["precision"],
        "block": None if asked.block is None else "{}x{}".format(*asked.block),
        "memory": asked.memory if asked.block is None and asked.memory != PlaneOptions().memory else None,
        "device": asked.device if asked.device != "auto" else None,
        "cache": str(plane.cache.files.folder) if here and plane.cache else None,
    }  # fmt: skip
    return command_line("canvas", options, "window.zarr")


def style_map(scene: Scene) -> str:
    """The scene's centres as a file for --style-map. Raises UsageError where there are none."""
    styles = scene.styles
    if not isinstance(styles, CentreStyle):
        raise UsageError("this scene has no style centres; its styles change every so many pixels (--style-every)")
    centres = [{"x": trim(point.x), "y": trim(point.y), "seed": point.seed} for point in styles.points]
    return json.dumps({"blend": styles.blend, "centres": centres}, indent=1) + "\n"


def view_command(asked: PlaneOptions) -> str:
    """`mediagen view ...` as it was said, without what was left to default."""
    plain = PlaneOptions()
    said = {key: value for key, value in vars(asked).items() if value != getattr(plain, key)}
    if "block" in said:
        said["block"] = "{}x{}".format(*said["block"])
    if "resample" in said:
        said["resample"] = [",".join(map(str, astuple(one))) for one in said["resample"]]
    return command_line("view", {"model": asked.model, "seed": asked.seed, **said})


def _map_name(styles: CentreStyle, asked: PlaneOptions, here: bool) -> str:
    """The file that the command line named, if the centres are still those; else the name they are saved as."""
    if asked.style_map is None or style_maps.to_json(styles) != asked_centres(asked):
        return STYLE_MAP
    return str(asked.style_map) if here else Path(asked.style_map).name


def asked_centres(asked: PlaneOptions) -> dict[str, Any]:
    """The style map that the command line asked for, as JSON."""
    from mediagen.canvas.setup import styles_of

    return style_maps.to_json(
        styles_of(asked.seed, asked.style_every, asked.style_blend, asked.style_map, asked.texture_seed)
    )


def _reduced(pixels: np.ndarray, level: int) -> np.ndarray:
    return halved(np.ascontiguousarray(pixels.transpose(2, 0, 1)), level).transpose(1, 2, 0)


def _widened(window: Window, level: int) -> Window:
    """The window, widened to whole pixels of a level."""
    step = 1 << level
    x, y = window.x // step * step, window.y // step * step
    return Window(x, y, -(-(window.right - x) // step) * step, -(-(window.bottom - y) // step) * step)
