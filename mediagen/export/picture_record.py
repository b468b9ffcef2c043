"""What an exported picture says of its own making, read back, and whether it is whole: our own layouts alone, and no pixel."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from mediagen.export.dzi import RECORD, TILE, files_of
from mediagen.io.png import END, MOST_TEXT, read_text

KINDS = ("picture", "canvas")
"""An exported window, or the overview beside a canvas, which has the canvas's own record."""
_DESCRIPTION, _OFFSETS, _COUNTS, _SMALLER = 270, 324, 325, 330
_TAGS = 1000
_NUMBERS = {3: "H", 4: "I", 16: "Q", 18: "Q"}


def read_picture_record(path: Path) -> dict[str, Any] | None:
    """The record inside a .png, .jpg, .tif or .dzi of ours, an overview too; None where there is none, whatever the file is."""
    reader = {".png": _png, ".jpg": _jpeg, ".jpeg": _jpeg, ".tif": _tiff, ".tiff": _tiff, ".dzi": _beside}
    kind, place = path.suffix.lower(), path
    if kind == ".dzi" and path.is_file():
        place = files_of(path) / RECORD
    try:
        if kind not in reader or not place.is_file():  # a pipe, say, would be waited for
            return None
        with place.open("rb") as file:
            found = json.loads(reader[kind](file))
    except (OSError, ValueError, struct.error, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("kind") in KINDS else None


def is_whole(path: Path, record: Mapping[str, Any]) -> bool:
    """Whether a picture with that record ends as it should, and no tile's place is empty. Pixels are not decoded."""
    try:
        if path.suffix.lower() == ".dzi":
            return _has_all_tiles(path, record)
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if path.suffix.lower() in (".tif", ".tiff"):
                return all(end <= size for end in _ends(file))
            end = END if path.suffix.lower() == ".png" else b"\xff\xd9"
            file.seek(-len(end), os.SEEK_END)
            return file.read() == end
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, struct.error):
        return False


def _png(file: BinaryIO) -> bytes:
    return read_text(file, "mediagen") or b""


def _beside(file: BinaryIO) -> bytes:
    return file.read(MOST_TEXT)


def _jpeg(file: BinaryIO) -> bytes:
    """The comments, one after the other."""
    return b"".join(_comments(file)) if file.read(2) == b"\xff\xd8" else b""


def _comments(file: BinaryIO) -> Iterator[bytes]:
    held = 0
    while held <= MOST_TEXT:
        mark, kind, length = struct.unpack(">BBH", file.read(4))
        if mark != 0xFF or kind == 0xDA or length < 2:
            return
        data = file.read(length - 2)
        held += length
        if kind == 0xFE:
            yield data


def _tiff(file: BinaryIO) -> bytes:
    """The first page's ImageDescription."""
    for tag, _, length, place in _page(file, _first_page(file)):
        if tag == _DESCRIPTION and length <= MOST_TEXT:
            file.seek(place)
            return file.read(length).rstrip(b"\0")
    return b""


def _first_page(file: BinaryIO) -> int:
    """Where it lies in a little-endian BigTIFF. Raises ValueError in any other file."""
    magic, version, width, first = struct.unpack("<2sHI Q", file.read(16))
    if (magic, version, width) != (b"II", 43, 8):
        raise ValueError("no BigTIFF of ours")
    return int(first)


def _page(file: BinaryIO, place: int) -> Iterator[tuple[int, int, int, int]]:
    """(tag, type, count, place of the values) of a page; up to 8 bytes of values lie in the tag itself."""
    file.seek(place)
    (count,) = struct.unpack("<Q", file.read(8))
    tags = file.read(20 * min(count, _TAGS))
    for i, (tag, kind, length, found) in enumerate(struct.iter_unpack("<HHQQ", tags[: len(tags) // 20 * 20])):
        inside = struct.calcsize(_NUMBERS.get(kind, "B")) * length <= 8
        yield tag, kind, length, place + 8 + 20 * i + 12 if inside else found


def _ends(file: BinaryIO) -> Iterator[int]:
    """Where the last tile of each page ends."""
    first = _first_page(file)
    tags = {tag: rest for tag, *rest in _page(file, first)}
    pages = [first]
    if _SMALLER in tags:
        kind, length, place = tags[_SMALLER]
        pages += [_number(file, kind, place, i) for i in range(min(length, 64))]
    for page in pages:
        found = {tag: rest for tag, *rest in _page(file, page)}
        kind, length, place = found[_OFFSETS]
        start = _number(file, kind, place, length - 1)
        kind, length, place = found[_COUNTS]
        yield start + _number(file, kind, place, length - 1)


def _number(file: BinaryIO, kind: int, place: int, index: int) -> int:
    size = struct.calcsize(_NUMBERS[kind])
    file.seek(place + index * size)
    return int(struct.unpack("<" + _NUMBERS[kind], file.read(size))[0])


def _has_all_tiles(path: Path, record: Mapping[str, Any]) -> bool:
    step = 2 ** int(record["level"])
    width, height = (-(-int(record["window"][side]) // step) for side in ("width", "height"))
    last = (max(width, height) - 1).bit_length()
    for k in range(last + 1):
        across, down = (math.ceil(math.ceil(side / 2**k) / TILE) for side in (width, height))
        with os.scandir(files_of(path) / str(last - k)) as entries:
            if sum(1 for _ in entries) != across * down:
                return False
    return True
