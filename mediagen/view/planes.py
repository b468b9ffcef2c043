"""The unbounded plane of a model as it is looked at (app.Viewed). No torch here, for that is still being imported."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mediagen.view.answers import shown
from mediagen.view.asked import STYLE_MAP, PlaneOptions
from mediagen.view.tiles import Tile
from mediagen.view.window import asked_picture, asked_window, attachment, refuse_large

if TYPE_CHECKING:
    from mediagen.view.studio import Studio

NOT_YET = {
    "painting": 0,
    "waiting": 0,
    "painted_pixels": 0,
    "pixels_per_second": 0.0,
    "cached_bytes": 0,
    "ready": False,
    "complete": True,
    "stamp": "",
}


class ViewedPlane:
    """The unbounded plane of a model, loaded in a thread so that the page can come meanwhile."""

    page = "index.html"

    def __init__(self, options: PlaneOptions, failed: Callable[[BaseException], None] = lambda error: None) -> None:
        self.options, self.failed = options, failed
        self._studio: asyncio.Future[Studio] | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        ready = self._studio = loop.create_future()

        def load() -> None:
            try:
                from mediagen.view.studio import open_studio  # imports torch, which takes a second

                studio = open_studio(self.options)
            except BaseException as error:  # whatever it is, the server's own thread tells the user
                loop.call_soon_threadsafe(ready.cancel)
                self.failed(error)
            else:
                loop.call_soon_threadsafe(ready.set_result, studio)

        threading.Thread(target=load, name="mediagen-load", daemon=True).start()

    def close(self) -> None:
        studio = self.ready
        if studio is not None:
            studio.close()

    @property
    def ready(self) -> Studio | None:
        """The plane, unless it is still being loaded."""
        future = self._studio
        return future.result() if future is not None and future.done() and not future.cancelled() else None

    async def studio(self) -> Studio:
        """The plane, as soon as it is ready."""
        assert self._studio is not None, "the application has not been started"
        return await asyncio.shield(self._studio)

    async def scene(self) -> dict[str, Any]:
        return (await self.studio()).describe()

    async def status(self) -> dict[str, Any]:
        studio = self.ready
        return studio.status() if studio else NOT_YET

    async def tile(self, scene: str | None, level: int, i: int, j: int) -> Tile | None:
        return await (await self.studio()).tile(scene, level, i, j)

    async def tag(self, scene: str | None) -> str:
        return (await self.studio()).tag(scene)

    def routes(self) -> Sequence[Route]:
        return [
            Route("/export", self._export),
            Route("/api/command", self._command),
            Route("/api/style-map", self._style_map),
        ]

    async def _export(self, request: Request) -> Response:
        wish, asked = asked_picture(request), request.query_params.get("scene")
        refuse_large(wish.window.area, "use the command")
        studio = await self.studio()
        return attachment(studio.picture(asked, wish), "plane", wish)

    async def _command(self, request: Request) -> Response:
        window, asked = asked_window(request), request.query_params.get("scene")
        return shown({"command": (await self.studio()).command(asked, window, here=True)})

    async def _style_map(self, request: Request) -> Response:
        text = (await self.studio()).style_map(request.query_params.get("scene"))
        headers = {"Content-Disposition": f'attachment; filename="{STYLE_MAP}"', "Cache-Control": "no-store"}
        return Response(text, media_type="application/json", headers=headers)
