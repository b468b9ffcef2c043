"""A window that a request asks for, to be taken home: `x`, `y`, `width`, `height` in pixels of the plane, `level`, `format`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

from starlette.requests import Request
from starlette.responses import StreamingResponse

from mediagen.core.geometry import PLANE_LIMIT, Window
from mediagen.errors import UsageError

MOST = 100_000_000
"""Pixels of a window that a browser may take home; `mediagen canvas` and `mediagen export` know no such end."""

_WHOLE = re.compile(r"-?[0-9]{1,19}")
_MARGIN = 2**24
_TYPES = {"png": "image/png", "jpg": "image/jpeg"}


@dataclass(frozen=True, kw_only=True)
class PictureWish:
    """What a picture is to be made of: `window` on the plane, 2**level times smaller."""

    window: Window
    level: int
    format: Literal["png", "jpg"]

    @property
    def pixels(self) -> int:
        """Pixels of the picture, about."""
        return -(-self.window.width >> self.level) * -(-self.window.height >> self.level)


def asked_window(request: Request) -> Window:
    """The window of a request. Raises UsageError."""
    x, y, width, height = (_number(request, name) for name in ("x", "y", "width", "height"))
    if width < 1 or height < 1:
        raise UsageError(f"a window is at least 1 px wide and high, not {width} x {height}")
    end = PLANE_LIMIT - _MARGIN
    if min(x, y) < -end or max(x + width, y + height) > end:
        raise UsageError("this window reaches beyond the end of the plane")
    return Window(x, y, width, height)


def asked_picture(request: Request) -> PictureWish:
    """The picture that a request asks for. Raises UsageError."""
    format = request.query_params.get("format", "png")
    if format not in _TYPES:
        raise UsageError("format is png or jpg")
    level = _number(request, "level") if "level" in request.query_params else 0
    if not 0 <= level <= 60:
        raise UsageError("level is a whole number, 0 for full size")
    return PictureWish(window=asked_window(request), level=level, format=cast(Literal["png", "jpg"], format))


def refuse_large(pixels: int, otherwise: str) -> None:
    """Raises UsageError for more than a browser should fetch."""
    if pixels > MOST:
        raise UsageError(
            f"{pixels / 1e6:,.0f} Mpx are more than the {MOST // 10**6} Mpx a page takes home; {otherwise}"
        )


def attachment(pieces: Iterator[bytes], name: str, wish: PictureWish) -> StreamingResponse:
    """A picture to be saved, sent as far as it has come."""
    window = wish.window
    small = f"_level{wish.level}" if wish.level else ""
    place = f"x{window.x}_y{window.y}_{window.width}x{window.height}{small}.{wish.format}"
    file = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{name}_{place}")
    headers = {"Content-Disposition": f'attachment; filename="{file}"', "Cache-Control": "no-store"}
    return StreamingResponse(pieces, media_type=_TYPES[wish.format], headers=headers)


def _number(request: Request, name: str) -> int:
    word = request.query_params.get(name, "")
    if not _WHOLE.fullmatch(word):
        raise UsageError(
            f"{name} must be a whole number of pixels" if name != "level" else "level must be a whole number"
        )
    return int(word)
