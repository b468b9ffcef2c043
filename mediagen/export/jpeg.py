"""A JPEG written strip by strip: libjpeg wants all rows from one caller, and the picture of a canvas comes band by band.

A strip of 128 rows is coded by Pillow on its own, with a restart marker after each row of its blocks. At such a marker a
decoder forgets all that came before, so strips with the marker between them are the scan of one picture: those of the
first strip's tables, its height corrected. 128 rows are a multiple of eight rows of blocks, as the markers count.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

STRIP = 128
MOST = 65_500
"""Pixels a side: the most that libjpeg codes."""
SHARP = 90
"""From this quality on colours are kept at full resolution."""

_SOI, _EOI, _LAST_RESTART = b"\xff\xd8", b"\xff\xd9", b"\xff\xd7"
_SOS, _COM, _APP0 = 0xDA, 0xFE, 0xE0
_FRAMES = {0xC0, 0xC1}
_LONGEST = 65_533
"""Bytes that one comment holds."""


def encode_strip(rows: np.ndarray, quality: int) -> bytes:
    """A strip (up to STRIP rows, width, 3) as a JPEG of its own. Threads may code several at once."""
    file = io.BytesIO()
    colours = 0 if quality >= SHARP else 2
    Image.fromarray(rows).save(file, "JPEG", quality=quality, subsampling=colours, restart_marker_rows=1)
    return file.getvalue()


def join(strips: Iterable[bytes], height: int, comment: bytes) -> Iterator[bytes]:
    """The strips of a picture of `height` rows as the bytes of one JPEG; `comment` is put into its head."""
    for number, strip in enumerate(strips):
        start = _scan(strip)
        if number == 0:
            yield _head(strip[:start], height, comment)
        else:
            yield _LAST_RESTART
        assert strip[-2:] == _EOI
        yield strip[start:-2]
    yield _EOI


def strips_of(rows: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Bands (n, width, 3) of any height as strips of STRIP rows; the last one may be lower."""
    held: list[np.ndarray] = []
    count = 0
    for band in rows:
        held.append(band)
        count += len(band)
        while count >= STRIP:
            whole = held[0] if len(held) == 1 else np.concatenate(held)
            yield np.ascontiguousarray(whole[:STRIP])
            held, count = [whole[STRIP:]], count - STRIP
    if count:
        yield np.concatenate(held)


def _segments(strip: bytes) -> Iterator[tuple[int, int, int]]:
    """(kind, start, end) of the segments of a JPEG's head."""
    assert strip[:2] == _SOI
    at = 2
    while True:
        kind, length = struct.unpack(">xBH", strip[at : at + 4])
        yield kind, at, at + 2 + length
        if kind == _SOS:
            return
        at += 2 + length


def _scan(strip: bytes) -> int:
    """Where the coded pixels begin."""
    return next(end for kind, _, end in _segments(strip) if kind == _SOS)


def _head(head: bytes, height: int, comment: bytes) -> bytes:
    out = [_SOI]
    pieces = [comment[i : i + _LONGEST] for i in range(0, len(comment), _LONGEST)]
    said = [struct.pack(">BBH", 0xFF, _COM, len(piece) + 2) + piece for piece in pieces]
    for kind, start, end in _segments(head):
        segment = head[start:end]
        if kind in _FRAMES:  # marker, length, bits a sample, height
            segment = segment[:5] + struct.pack(">H", height) + segment[7:]
        out.append(segment)
        if kind == _APP0:
            out += said
    return b"".join(out)
