"""The server's routes: the page and its files, tiles, and what the page wants to know. See mediagen.view.guard for who may."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from mediagen.errors import UsageError
from mediagen.view.answers import answering, line, shown, while_listening
from mediagen.view.guard import Guard, own_hosts
from mediagen.view.jobs import Full
from mediagen.view.tiles import Tile

STATIC = Path(__file__).parent / "static"

MOST_WAITING = 1024
"""Tiles that may be waited for at once."""

FOR_EVER = "private, max-age=31536000, immutable"
_WHOLE = re.compile(r"-?\d{1,19}")


class Viewed(Protocol):
    """What is looked at: a canvas on disk or a plane."""

    page: str

    async def open(self) -> None: ...

    def close(self) -> None: ...

    async def scene(self) -> dict[str, Any]: ...

    async def status(self) -> dict[str, Any]: ...

    async def tile(self, scene: str | None, level: int, i: int, j: int) -> Tile | None:
        """A tile, or None where nothing is. Raises UsageError, Full."""
        ...

    async def tag(self, scene: str | None) -> str:
        """Another one for whatever shows other pixels. Raises UsageError."""
        ...

    def routes(self) -> Sequence[Route]: ...


def make_app(viewed: Viewed, port: int) -> ASGIApp:
    """The whole application for a canvas or a plane."""
    counter = _Counter()

    async def scene(request: Request) -> Response:
        return shown(await viewed.scene())

    async def status(request: Request) -> Response:
        return shown(await viewed.status())

    async def tile(request: Request) -> Response:
        level, i, j = _place(request)
        asked = request.query_params.get("scene")
        tag = await viewed.tag(asked)
        etag = f'"{tag}-{level}-{i}-{j}"'
        kept = FOR_EVER if request.query_params.get("v") == await viewed.tag(None) else "no-cache"
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={"ETag": etag, "Cache-Control": kept})
        with counter:
            found = await while_listening(request, viewed.tile(asked, level, i, j))
        if found is None:
            return line("there is no plane here", 404)
        headers = {"ETag": etag, "Cache-Control": kept}
        if not found.whole:
            headers = {"X-Mediagen-Partial": "1", "Cache-Control": "no-store"}
        return Response(found.data, media_type="image/png", headers=headers)

    routes = [
        Route("/api/scene", scene),
        Route("/api/status", status),
        Route("/tile/{level}/{i}/{j}.png", tile),
        *viewed.routes(),
    ]
    return make_site(viewed.page, routes, port, opened=viewed.open, closed=viewed.close)


def make_site(
    page: str,
    routes: Sequence[Route],
    port: int,
    opened: Callable[[], Awaitable[None]] | None = None,
    closed: Callable[[], None] = lambda: None,
) -> ASGIApp:
    """A page of ours, its files and `routes`, whose errors become one-line answers, behind the guard."""

    async def index(request: Request) -> Response:
        return FileResponse(STATIC / page, media_type="text/html; charset=utf-8")

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        if opened is not None:
            await opened()
        try:
            yield
        finally:
            closed()

    files = [Mount("/static", StaticFiles(directory=STATIC)), Mount("/leaflet", StaticFiles(directory=leaflet()))]
    told = [Route(route.path, answering(route.endpoint)) for route in (Route("/", index), *routes)]
    app = Starlette(routes=[*told, *files], lifespan=life)
    return Guard(app, own_hosts(port))


def leaflet() -> Path:
    """The folder of Leaflet's files in its wheel."""
    from xstatic.pkg import leaflet as package  # type: ignore[import-untyped]

    return Path(package.BASE_DIR)


class _Counter:
    """How many tiles are waited for."""

    def __init__(self) -> None:
        self.waiting = 0

    def __enter__(self) -> None:
        if self.waiting >= MOST_WAITING:
            raise Full
        self.waiting += 1

    def __exit__(self, *_: object) -> None:
        self.waiting -= 1


def _place(request: Request) -> tuple[int, int, int]:
    words = [request.path_params[name] for name in ("level", "i", "j")]
    if not all(_WHOLE.fullmatch(word) and word.isascii() for word in words) or not 0 <= int(words[0]) <= 99:
        raise UsageError("a tile is /tile/LEVEL/I/J.png, three whole numbers")
    return int(words[0]), int(words[1]), int(words[2])
