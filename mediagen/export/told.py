"""What an exported picture says of its own making, read back: our own layouts alone, and no pixel."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from mediagen.export.dzi import RECORD, files_of
from mediagen.io.png import SIGNATURE

MOST = 2**24
"""Bytes that a record is believed to have at most; the file may be a stranger's."""
KINDS = ("picture", "canvas")
"""An exported window, or the overview beside a canvas, which has the canvas's own record."""
_DESCRIPTION, _TAGS = 270, 1000


def read_picture_record(path: Path) -> dict[str, Any] | None:
    """The record inside a .png, .jpg, .tif or .dzi of ours, an overview too; None where there is none, whatever the file is."""
    reader = {".png": _png, ".jpg": _jpeg, ".jpeg": _jpeg, ".tif": _tiff, ".tiff": _tiff}.get(path.suffix.lower())
    try:
        if path.suffix.lower() == ".dzi":
            beside = files_of(path) / RECORD
            text = beside.read_bytes() if path.is_file() and beside.stat().st_size <= MOST else b""
        elif reader is None or not path.is_file():
            return None
        else:
            with path.open("rb") as file:
                text = reader(file)
        found = json.loads(text)
    except (OSError, ValueError, struct.error):
        return None
    return found if isinstance(found, dict) and found.get("kind") in KINDS else None


def _png(file: BinaryIO) -> bytes:
    """The iTXt chunk "mediagen", which lies before the pixels."""
    if file.read(len(SIGNATURE)) != SIGNATURE:
        return b""
    key = b"mediagen\0\0\0\0\0"
    while True:
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind in (b"IDAT", b"IEND") or length > MOST:
            return b""
        data = file.read(length)
        file.seek(4, 1)
        if kind == b"iTXt" and data.startswith(key):
            return data[len(key) :]


def _jpeg(file: BinaryIO) -> bytes:
    """The comments, one after the other."""
    return b"".join(_comments(file)) if file.read(2) == b"\xff\xd8" else b""


def _comments(file: BinaryIO) -> Iterator[bytes]:
    held = 0
    while held <= MOST:
        mark, kind, length = struct.unpack(">BBH", file.read(4))
        if mark != 0xFF or kind == 0xDA or length < 2:
            return
        data = file.read(length - 2)
        held += length
        if kind == 0xFE:
            yield data


def _tiff(file: BinaryIO) -> bytes:
    """The first page's ImageDescription in a little-endian BigTIFF."""
    magic, version, width, first = struct.unpack("<2sHI Q", file.read(16))
    if (magic, version, width) != (b"II", 43, 8):
        return b""
    file.seek(first)
    (count,) = struct.unpack("<Q", file.read(8))
    tags = file.read(20 * min(count, _TAGS))
    for tag, _, length, place in struct.iter_unpack("<HHQQ", tags[: len(tags) // 20 * 20]):
        if tag == _DESCRIPTION and length <= MOST:
            file.seek(place)
            return file.read(length).rstrip(b"\0")
    return b""
