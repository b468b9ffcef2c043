"""Runs an application on this machine's loopback until it is told to stop."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp

from mediagen.errors import UsageError

HOST = "127.0.0.1"
PORT = 8642
"""Where a viewer listens unless it is told otherwise, or another one is there already."""

MOST_CONNECTIONS = 1536
IDLE, FAREWELL = 30, 1
"""Seconds after which an idle connection is closed, and that requests in flight are given at the end."""

LONGEST_HEAD = 20 * 2**10
"""Bytes of a request's first line and headers."""


def listen(port: int | None) -> socket.socket:
    """A socket that listens on the loopback alone; without a port the usual one, or a free one. Raises UsageError."""
    if port is not None and not 0 <= port < 2**16:
        raise UsageError(f"a port is a number from 1 to 65535 (0: any free one), not {port}")
    for wanted in (PORT, 0) if port is None else (port,):
        one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if sys.platform == "win32":  # there, reusing would let another program take the port over
            one.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((HOST, wanted))
            one.listen(512)
        except OSError as error:
            one.close()
            fault = error
        else:
            return one
    raise UsageError(f"port {wanted} on {HOST} cannot be used ({fault.strerror}); choose another with --port")


def serve(
    make: Callable[[int, Callable[[BaseException], None]], ASGIApp],
    *,
    port: int | None,
    browser: bool,
    announce: Callable[[str], None],
) -> None:
    """Serves what `make(port, failed)` makes until Ctrl-C; an error handed to `failed` ends it and is raised here.

    `announce` is given the address as soon as something listens there. Raises MediagenError.
    """
    sock, failures = listen(port), list[BaseException]()

    def failed(error: BaseException) -> None:
        failures.append(error)
        server.should_exit = True

    number = sock.getsockname()[1]
    address = f"http://{HOST}:{number}/"
    with sock:
        server = uvicorn.Server(_config(make(number, failed)))
        announce(address)
        if browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        with suppress(KeyboardInterrupt):  # uvicorn ends in good order, and then raises it again
            server.run(sockets=[sock])
    if failures:
        raise failures[0]


def _config(app: ASGIApp) -> uvicorn.Config:
    # Whatever users should know, mediagen.view says itself, in one line.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        ws="none",
        http="h11",
        loop="asyncio",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=FAREWELL,
        h11_max_incomplete_event_size=LONGEST_HEAD,
    )
