"""PNG and JPEG files as streams of bytes, out of rows that come band by band, with their provenance inside."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Literal

import numpy as np

from mediagen.errors import UsageError
from mediagen.export import jpeg
from mediagen.export.ahead import cores, in_order
from mediagen.io.png import PngWriter

Format = Literal["png", "jpg"]
QUALITY = 90
PNG_MOST = 2**31 - 1
Rows = Iterable[np.ndarray]
"""Bands (n, width, 3) uint8 from the top down, each of any height."""


def stream_picture(
    width: int, height: int, rows: Rows, format: Format, provenance: Mapping[str, Any], quality: int = QUALITY
) -> Iterator[bytes]:
    """The bytes of a PNG or JPEG, as far as `rows` have come; memory does not grow with the height. Raises UsageError."""
    check_size(width, height, format)
    check_quality(quality)
    record = json.dumps(provenance, sort_keys=True)
    return stream_png(width, height, rows, record) if format == "png" else _jpeg(height, rows, record, quality)


def write_picture(
    file: BinaryIO, width: int, height: int, rows: Rows, format: Format, provenance: Mapping[str, Any],
    quality: int = QUALITY,
) -> None:  # fmt: skip
    """`stream_picture` into a file. Raises UsageError, OSError."""
    for piece in stream_picture(width, height, rows, format, provenance, quality):
        file.write(piece)


def stream_png(width: int, height: int, rows: Rows, record: str) -> Iterator[bytes]:
    """A PNG with the text `record` under the key "mediagen"."""
    sink = _Sink()
    writer = PngWriter(sink, width, height, {"Software": "mediagen", "mediagen": record})  # type: ignore[arg-type]
    for band in rows:
        writer.rows(band)
        yield sink.taken()
    writer.end()
    yield sink.taken()


def check_size(width: int, height: int, format: Format) -> None:
    """Raises UsageError for what the format cannot hold."""
    if format == "jpg" and max(width, height) > jpeg.MOST:
        raise UsageError(
            f"a JPEG has at most {jpeg.MOST:,} px a side and this window has {width:,} x {height:,}; "
            "write a .png or .tif, ask for a smaller window, or for a higher --level"
        )
    if max(width, height) > PNG_MOST:
        raise UsageError(f"{width:,} x {height:,} px are more than a picture file holds; write a .tif")


def check_quality(quality: int) -> None:
    """Raises UsageError."""
    if not 1 <= quality <= 100:
        raise UsageError(f"the quality of JPEGs (--quality) is 1 to 100, not {quality}")


def _jpeg(height: int, rows: Rows, record: str, quality: int) -> Iterator[bytes]:
    strips = in_order(lambda strip: jpeg.encode_strip(strip, quality), jpeg.strips_of(rows), cores(), ahead=1)
    return jpeg.join(strips, height, record.encode())


class _Sink:
    """A file that hands on what is written to it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
