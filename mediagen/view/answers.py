"""What the server's answers have in common: one-line errors, JSON, and giving up when nobody listens any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from mediagen.errors import MediagenError, UsageError
from mediagen.view.jobs import Full

log = logging.getLogger("mediagen.view")

Value = TypeVar("Value")
Handler = Callable[[Request], Awaitable[Response]]

RETRY_AFTER = "1"
"""Seconds after which a client that was turned away may ask again."""


EXACT = 2**53
"""Up to where a page's numbers are exact."""


class Gone(Exception):
    """The client has closed its connection."""


def line(text: object, status: int, **headers: str) -> PlainTextResponse:
    """One line for people."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return PlainTextResponse(" ".join(str(text).split()) + "\n", status, told)


def shown(value: Any) -> JSONResponse:
    """JSON that is never kept."""
    return JSONResponse(value, headers={"Cache-Control": "no-store"})


def plain(number: int | float) -> int | float | str:
    """A number as JSON carries it safely."""
    return number if isinstance(number, float) or abs(number) <= EXACT else str(number)


def answering(handler: Handler) -> Handler:
    """The handler, its errors turned into one-line answers."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except MediagenError as error:
            return line(error, 400 if error.exit_code == UsageError.exit_code else 500)
        except Full:
            return line("there is more to paint than is taken on; ask again soon", 503, Retry_After=RETRY_AFTER)
        except Gone:
            return line("nobody listens", 499)
        except Exception as error:  # a fault of ours: one line for the page, and one for the terminal
            log.error(
                "%s: %s: %s", request.url.path, type(error).__name__, error, exc_info=log.isEnabledFor(logging.DEBUG)
            )
            return line("something went wrong here; the terminal says what", 500)

    return answer


async def while_listening(request: Request, work: Coroutine[Any, Any, Value]) -> Value:
    """The result of `work`, which is cancelled as soon as the client has gone. Raises Gone."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Gone
        return task.result()
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


async def _gone(request: Request) -> None:
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return
