"""A canvas on disk as it is looked at (app.Viewed)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mediagen.core.geometry import Window
from mediagen.core.provenance import command_line
from mediagen.errors import StoreError, UsageError
from mediagen.io.store import is_canvas
from mediagen.view.answers import plain, shown
from mediagen.view.stored import LOOK_EVERY, StoredCanvas, stamp
from mediagen.view.tiles import TILE, Tile
from mediagen.view.window import asked_picture, asked_window, attachment, refuse_large

if TYPE_CHECKING:
    from mediagen.export.pixels import WindowWish

SCREEN = (1280, 800)
"""Pixels that a canvas's first look is made for."""


class ViewedCanvas:
    """A canvas in a store. One that is replaced by another, or made larger, is opened anew within a second."""

    page = "index.html"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._readers = ThreadPoolExecutor(3, "mediagen-tiles")
        self._canvas, self._looked = StoredCanvas(path, self._readers), monotonic()

    async def open(self) -> None:
        pass

    def close(self) -> None:
        self._readers.shutdown(cancel_futures=True)

    @property
    def canvas(self) -> StoredCanvas:
        """What is there now."""
        if monotonic() - self._looked > LOOK_EVERY:
            self._looked = monotonic()
            if stamp(self.path) != self._canvas.stamp and is_canvas(self.path):
                with suppress(StoreError):  # it may be there by half; a later look will tell
                    self._canvas = StoredCanvas(self.path, self._readers)
        return self._canvas

    async def scene(self) -> dict[str, Any]:
        canvas = self.canvas
        record, area, levels = canvas.store.attributes, canvas.area, len(canvas.store.levels)
        complete = await asyncio.to_thread(canvas.state)
        return {
            "kind": "canvas",
            "name": self.path.name,
            "model": dict(record.get("model") or {}).get("name"),
            "seed": dict(record.get("plan") or {}).get("seed"),
            "tile": TILE,
            "levels": levels,
            "paint_levels": levels - 1,
            "bounds": _box(area),
            "start": _start(area),
            "defaults": None,
            "command": record.get("command"),
            "can_resample": False,
            "styles": False,
            "version": canvas.version,
            "complete": complete[0],
        }

    async def status(self) -> dict[str, Any]:
        canvas = self.canvas
        complete, count = await asyncio.to_thread(canvas.state)
        return {
            "painting": 0,
            "waiting": 0,
            "painted_pixels": 0,
            "pixels_per_second": 0.0,
            "cached_bytes": canvas.cached_bytes,
            "ready": True,
            "complete": complete,
            "stamp": f"{canvas.version}-{count}",
        }

    async def tile(self, scene: str | None, level: int, i: int, j: int) -> Tile | None:
        return await self.canvas.tile(level, i, j)

    async def tag(self, scene: str | None) -> str:
        return self.canvas.version

    def routes(self) -> Sequence[Route]:
        return [Route("/export", self._export), Route("/api/command", self._command)]

    async def _export(self, request: Request) -> Response:
        # Here, so that nobody waits for it before the first picture.
        from mediagen.export.pixels import picture_of, window_of
        from mediagen.export.save import make_record, rows_of
        from mediagen.export.streams import QUALITY, stream_picture

        wish, canvas = asked_picture(request), self.canvas
        refuse_large(wish.pixels, "use `mediagen export`")
        window = window_of(canvas.store, _clipped(canvas, wish.window, wish.level))
        picture = picture_of(canvas.store, window, wish.level)
        record = make_record(picture, Path(f"window.{wish.format}"), quality=QUALITY if wish.format == "jpg" else None)
        pieces = stream_picture(*picture.size(), rows_of(picture), wish.format, record)
        return attachment(pieces, self.path.stem, wish)

    async def _command(self, request: Request) -> Response:
        from mediagen.export.pixels import window_of

        canvas = self.canvas
        window = window_of(canvas.store, _clipped(canvas, asked_window(request), 0))
        return shown({"command": command_line("export", asdict(window), str(self.path), "window.png")})


def _clipped(canvas: StoredCanvas, window: Window, level: int) -> WindowWish:
    """What a canvas has of a window. Raises UsageError where it has nothing."""
    from mediagen.export.pixels import WindowWish

    part = window.meet(canvas.area)
    if part is None:
        raise UsageError(f"{canvas.store.path.name} shows nothing there")
    return WindowWish(x=part.x, y=part.y, width=part.width, height=part.height, level=level)


def _box(window: Window) -> dict[str, Any]:
    return {"x": plain(window.x), "y": plain(window.y), "width": plain(window.width), "height": plain(window.height)}


def _start(area: Window) -> dict[str, Any]:
    """A canvas's left end at its full height, at full size if that fits; a small canvas whole."""
    zoom = 0.0
    while area.height * 2**zoom > SCREEN[1]:
        zoom -= 1
    shown_width = min(area.width, int(SCREEN[0] * 2**-zoom))
    return {"x": plain(area.x + shown_width // 2), "y": plain(area.y + area.height // 2), "zoom": zoom}
