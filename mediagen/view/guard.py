"""Keeps everybody out but the page that this server itself has sent to a browser on this machine.

The server listens on the loopback alone, but any page in the user's browser can send requests there, and a name that a
stranger owns can be made to point there. So every request must name this host (against rebinding), must not come from
another site (the browser says so itself), and can only read; and no answer may be read, framed or embedded by others.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_PATH, LONGEST_QUERY = 1024, 14 * 2**10
"""Bytes of an address."""

LONGEST_HEADERS = 16 * 2**10
"""Bytes of all headers of a request."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "media-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


def own_hosts(port: int) -> frozenset[str]:
    """What this server, which listens on 127.0.0.1 alone, may be called; browsers leave out port 80."""
    names = ("127.0.0.1", "localhost")
    return frozenset(f"{name}:{port}" for name in names) | frozenset(names if port == 80 else ())


class Guard:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self.app, self.hosts = app, frozenset(hosts)
        self.origins = frozenset(f"http://{host}" for host in self.hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # web sockets: there are none here
            await send({"type": "websocket.close", "code": 1008})
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        refused = self.refusal(scope)
        await (refused or self.app)(scope, receive, guarded)

    def refusal(self, scope: Scope) -> PlainTextResponse | None:
        """The answer to a request that is not let in, or None."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self.hosts:
            return PlainTextResponse("this is a viewer for its own machine: open the address that it printed\n", 403)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("only GET and HEAD\n", 405, {"Allow": "GET, HEAD"})
        if len(scope.get("raw_path") or b"") > LONGEST_PATH or len(scope["query_string"]) > LONGEST_QUERY:
            return PlainTextResponse("the address is too long\n", 414)
        if sum(len(name) + len(value) for name, value in headers.raw) > LONGEST_HEADERS:
            return PlainTextResponse("the headers are too long\n", 431)
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            return PlainTextResponse("requests have no body here\n", 413)
        if not self._from_here(scope, headers):
            return PlainTextResponse("other pages are not let in\n", 403)
        return None

    def _from_here(self, scope: Scope, headers: Headers) -> bool:
        origins = headers.getlist("origin")
        if any(origin.lower() not in self.origins for origin in origins):
            return False
        sites = headers.getlist("sec-fetch-site")
        if all(site in ("same-origin", "none") for site in sites):
            return True
        # A link to the page may be followed from anywhere; what follows it sees nothing of it.
        opened = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        return scope["path"] == "/" and opened
