"""One shard as bytes: zarr encodes it in memory, and a glance at its footer tells whether a file holds all of it.

Layout: planar pictures (C, H, W) uint8. A shard file is inner chunks, then an index of (offset, length) pairs of
little-endian u64, then the crc32c of that index.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr
from zarr.codecs import ZstdCodec
from zarr.storage import MemoryStore

from mediagen.io.layout import Level

_EMPTY = np.uint64(2**64 - 1)


def array_options(level: Level) -> dict[str, Any]:
    """How zarr is told to store a level; the encoder below and the real array must say the same."""
    return {
        "shards": (3, level.shard_height, level.shard_width),
        "chunks": (3, level.chunk, level.chunk),
        "dtype": "uint8",
        "fill_value": 0,
        # Level 1 is as small as higher ones on photographs, at twice the speed; the checksum catches flipped bits.
        "compressors": [ZstdCodec(level=1, checksum=True)],
        "dimension_names": ("c", "y", "x"),
        # Otherwise a black chunk would not be written and a black shard would look like one still to be painted.
        "config": {"write_empty_chunks": True},
    }


def encode(level: Level, planar: np.ndarray) -> memoryview:
    """The bytes of one shard: same pixels, same bytes. A picture cut by the array's end is filled up with zeros."""
    shape = (3, level.shard_height, level.shard_width)
    if planar.shape != shape:
        # Zarr alone would leave the chunks beyond the end out; with all of them written, "whole" has one meaning.
        whole = np.zeros(shape, np.uint8)
        whole[:, : planar.shape[1], : planar.shape[2]] = planar
        planar = whole
    # An array of a single shard in memory: zarr does all of the encoding, and we alone do the writing.
    held: dict[str, Any] = {}
    array = zarr.create_array(MemoryStore(held), shape=shape, **array_options(level))
    array[...] = planar
    return memoryview(held["c/0/0/0"].as_buffer_like())


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
