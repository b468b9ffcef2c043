"""What is to be looked at, by what it is: a canvas, clips, a training's run, or the plane of a model.

Everything large is imported where it is needed, since people wait for their first picture.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mediagen.errors import UsageError
from mediagen.execute.heap import keep_heap
from mediagen.io.place import is_canvas
from mediagen.view.asked import PlaneOptions

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def look_at(
    target: Path | None,
    plane: PlaneOptions | None,
    *,
    port: int | None = None,
    browser: bool = True,
    announce: Callable[[str], None] = print,
) -> None:
    """Serves `target`, or the plane, until Ctrl-C. Raises MediagenError."""
    if target is None:
        keep_heap()
        # It takes longer than everything else before the first picture.
        threading.Thread(target=importlib.import_module, args=("torch",), daemon=True).start()
    from mediagen.view.serve import serve

    if target is not None:
        opened = open_target(target)
        serve(lambda number, failed: opened(number), port=port, browser=browser, announce=announce)
        return
    from mediagen.view.app import make_app
    from mediagen.view.planes import ViewedPlane

    asked = plane or PlaneOptions()
    refuse_early(asked)

    def make(number: int, failed: Callable[[BaseException], None]) -> ASGIApp:
        return make_app(ViewedPlane(asked, failed), number)

    serve(make, port=port, browser=browser, announce=announce)


def open_target(target: Path) -> Callable[[int], ASGIApp]:
    """What serves a target on a given port. Raises UsageError, StoreError."""
    if not target.exists():
        raise UsageError(f"{target}: there is nothing there; give a canvas, a clip, a folder of clips or a run")
    from mediagen.view.app import make_app, make_site

    if is_canvas(target):
        from mediagen.view.canvases import ViewedCanvas

        canvas = ViewedCanvas(target)
        return lambda port: make_app(canvas, port)
    from mediagen.view import clips, runs

    if runs.is_run(target):
        routes, page = runs.routes(target), "run.html"
    else:
        routes, page = clips.routes(target), "clips.html"
    return lambda port: make_site(page, routes, port)


def refuse_early(asked: PlaneOptions) -> None:
    """Finds what can be found wrong before torch is there. Raises MediagenError."""
    from mediagen.checkpoint import read_header, resolve

    header = read_header(resolve(asked.model)[1])
    if header.get("kind") != "generator":
        raise UsageError(f"{asked.model}: a training's state, not a checkpoint; give the training's folder instead")
