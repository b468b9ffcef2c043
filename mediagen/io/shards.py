"""One shard as bytes, and a glance at a file's footer that tells whether it holds all of one.

Layout: planar pictures (C, H, W) uint8. A shard file is inner chunks, then an index of (offset, length) pairs of
little-endian u64, then the crc32c of that index.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numcodecs.zstd import Zstd  # type: ignore[import-untyped]
from zarr.codecs import ZstdCodec

from mediagen.io.layout import Level

_EMPTY = np.uint64(2**64 - 1)
_ZSTD: dict[str, Any] = {"level": 1, "checksum": True}
"""Level 1 is as small as higher ones on photographs, at twice the speed; the checksum catches flipped bits."""
_COMPRESSOR = Zstd(**_ZSTD)


def array_options(level: Level) -> dict[str, Any]:
    """How zarr is told to store a level; the encoder below and the real array must say the same."""
    return {
        "shards": (3, level.shard_height, level.shard_width),
        "chunks": (3, level.chunk, level.chunk),
        "dtype": "uint8",
        "fill_value": 0,
        "compressors": [ZstdCodec(**_ZSTD)],
        "dimension_names": ("c", "y", "x"),
        # Otherwise a black chunk would not be written and a black shard would look like one still to be painted.
        "config": {"write_empty_chunks": True},
    }


def encode(level: Level, planar: np.ndarray) -> bytes:
    """The bytes of one shard: same pixels, same bytes. A picture cut by the array's end is filled up with zeros.

    These are the bytes that zarr would write (a test compares them), made at once in this thread:
    zarr copies every chunk twice and hands it to and fro between threads, all of which costs the threads that paint.
    """
    side, frames, end = level.chunk, [], 0
    index = np.empty((level.shard_height // side, level.shard_width // side, 2), "<u8")
    for y, x in _morton(*index.shape[:2]):
        chunk = planar[:, y * side : (y + 1) * side, x * side : (x + 1) * side]
        if chunk.shape[1:] != (side, side):
            # Zarr would leave those beyond the end out; with all of them written, "whole" has one meaning.
            part, chunk = chunk, np.zeros((3, side, side), np.uint8)
            chunk[:, : part.shape[1], : part.shape[2]] = part
        frame: bytes = _COMPRESSOR.encode(np.ascontiguousarray(chunk))
        frames.append(frame)
        index[y, x] = end, len(frame)
        end += len(frame)
    footer = index.tobytes()
    return b"".join([*frames, footer, google_crc32c.value(footer).to_bytes(4, "little")])


@cache
def _morton(rows: int, columns: int) -> list[tuple[int, int]]:
    """The chunks (y, x) in the order in which zarr puts them into a file: by the bits of y and x in turn, y's first."""

    def code(place: tuple[int, int]) -> int:
        found, at = 0, 0
        for bit in range(max(rows, columns).bit_length()):
            for number, count in zip(place, (rows, columns), strict=True):
                if bit < (count - 1).bit_length():
                    found |= (number >> bit & 1) << at
                    at += 1
        return found

    return sorted(((y, x) for y in range(rows) for x in range(columns)), key=code)


def read_chunk(file: Path, level: Level, y: int, x: int) -> np.ndarray | None:
    """Inner chunk (y, x) of a shard, planar (3, side, side), past zarr and its threads: the calling one does the work.

    None where there is no shard, or none that was written to its end; what lies beyond the array's end is zero. Raises
    OSError, or ValueError on damage.
    """
    rows, columns = level.shard_height // level.chunk, level.shard_width // level.chunk
    footer = 16 * rows * columns + 4
    try:
        handle = os.open(file, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        size = os.fstat(handle).st_size
        tail = os.pread(handle, footer, size - footer) if size > footer else b""
        if len(tail) != footer or google_crc32c.value(tail[:-4]) != int.from_bytes(tail[-4:], "little"):
            return None
        offset, length = (int(n) for n in np.frombuffer(tail, "<u8", 2, 16 * (y * columns + x)))
        if offset + length > size - footer:
            raise ValueError("its index points beyond its end")
        data = os.pread(handle, length, offset)
    finally:
        os.close(handle)
    pixels = np.empty((3, level.chunk, level.chunk), np.uint8)
    try:
        _COMPRESSOR.decode(data, pixels)
    except RuntimeError as error:
        raise ValueError(f"chunk ({y}, {x}): {error}") from None
    return pixels


def is_whole(file: Path, chunks: int) -> bool:
    """Whether `file` is a complete shard of `chunks` inner chunks: a few microseconds, whatever its size."""
    footer = 16 * chunks + 4
    try:
        handle = os.open(file, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        size = os.fstat(handle).st_size
        tail = os.pread(handle, footer, size - footer) if size > footer else b""
    finally:
        os.close(handle)
    if len(tail) != footer or google_crc32c.value(tail[:-4]) != int.from_bytes(tail[-4:], "little"):
        return False
    offsets, lengths = np.frombuffer(tail, "<u8", 2 * chunks).reshape(chunks, 2).T
    if bool((offsets == _EMPTY).any()):
        return False
    # Every chunk lies between the file's start and its index, and together they fill that range without a gap.
    return int((offsets + lengths).max()) == int(lengths.sum()) == size - footer
