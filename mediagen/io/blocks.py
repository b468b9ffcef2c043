"""Finished blocks kept on disk between runs: a folder of small files, of which the longest unused leave when it is full.

A file is one block (height, width, 3) uint8, lossless: a checksum, its shape, then the differences along its rows under
zstd. Its name says what it is: folder / setting / key.block, where the key is a hash of all that the pixels depend on.
Files appear whole, and one that a power cut or a failing disk has damaged is found out when it is read, and is as if absent.
Several processes may share a folder.
"""

from __future__ import annotations

import json
import os
import re
import struct
import threading
import uuid
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numcodecs.zstd import Zstd  # type: ignore[import-untyped]

from mediagen.errors import StoreError
from mediagen.io.files import PARTIAL, make_folder, storing, write_file

TAG = "CACHEDIR.TAG"
_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55\n# Blocks painted by mediagen; may be deleted at any time.\n"
_HEADER = struct.Struct("<8sIII")  # magic, checksum of all that follows, width, height
_MAGIC = b"mgblock1"
_NAME = re.compile(r"-?\d{1,20}_-?\d{1,20}_[0-9a-f]{32}\.block")
_FOLDER = re.compile(r"[0-9a-f]{16}")
_COMPRESSOR = Zstd(level=1)
MOST_PIXELS = 2**26
"""Of a block that is believed to be ours."""


class BlockFiles:
    """Blocks by (setting, name); any thread may call. `limit` is in bytes, over all settings, for those who write."""

    def __init__(self, folder: str | Path, limit: int = 0) -> None:
        """Opens the folder, or makes it. Raises StoreError when what is there is not ours."""
        self.folder, self.limit = Path(folder).absolute(), limit
        self._lock = threading.Lock()
        self._sizes: OrderedDict[tuple[str, str], int] = OrderedDict()
        with storing(self.folder):
            if not is_cache(self.folder):
                if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
                    raise StoreError(f"{self.folder}: this is no folder of painted blocks; give an empty or a new one")
                make_folder(self.folder)
                write_file(self.folder / TAG, _SIGNATURE)
            self._look()
        self.bytes = sum(self._sizes.values())

    def names(self, setting: str) -> list[str]:
        """The names of a setting's blocks, as far as this process knows."""
        with self._lock:
            return [name for folder, name in self._sizes if folder == setting]

    def describe(self, setting: str, record: dict[str, Any]) -> None:
        """Leaves a setting's record beside its blocks, for people and for `records`. Raises StoreError."""
        place = self.folder / setting / "record.json"
        with storing(self.folder):
            make_folder(place.parent)
            if not place.exists():
                write_file(place, json.dumps(record, indent=1).encode())

    def read(self, setting: str, name: str) -> np.ndarray | None:
        """A block (height, width, 3), or None where there is none, or a damaged one, which is deleted."""
        path = self.folder / setting / name
        try:
            data = path.read_bytes()
        except OSError:
            self._forget(setting, name)
            return None
        block = decode(data)
        if block is None:
            with suppress(OSError):
                path.unlink()
            self._forget(setting, name)
            return None
        self._enter(setting, name, len(data))
        with suppress(OSError):
            os.utime(path)
        return block

    def write(self, setting: str, name: str, block: np.ndarray) -> None:
        """Keeps a block; the longest unused ones make room. Raises StoreError."""
        data, path = encode(block), self.folder / setting / name
        # Not synced: what a power cut damages is noticed and painted again, and nobody waits for the disk.
        partial = path.with_name(f"{name}.{uuid.uuid4().hex}{PARTIAL}")
        with storing(self.folder):
            path.parent.mkdir(exist_ok=True)
            try:
                partial.write_bytes(data)
                partial.replace(path)
            except BaseException:
                with suppress(OSError):
                    partial.unlink()
                raise
        self._enter(setting, name, len(data))
        self._make_room()

    def _enter(self, setting: str, name: str, size: int) -> None:
        with self._lock:
            self.bytes += size - self._sizes.pop((setting, name), 0)
            self._sizes[setting, name] = size

    def _forget(self, setting: str, name: str) -> None:
        with self._lock:
            self.bytes -= self._sizes.pop((setting, name), 0)

    def _make_room(self) -> None:
        while True:
            with self._lock:
                if self.bytes <= self.limit or len(self._sizes) <= 1:
                    return
                (setting, name), size = self._sizes.popitem(last=False)
                self.bytes -= size
            with suppress(OSError):
                (self.folder / setting / name).unlink()

    def _look(self) -> None:
        """Takes in what is there, the longest unused first; nothing but files named as ours is ever touched."""
        found = []
        for folder in self.folder.iterdir():
            if not _FOLDER.fullmatch(folder.name) or not folder.is_dir():
                continue
            with os.scandir(folder) as entries:
                for entry in entries:
                    if _NAME.fullmatch(entry.name):
                        with suppress(OSError):
                            stat = entry.stat(follow_symlinks=False)
                            found.append((stat.st_mtime_ns, folder.name, entry.name, stat.st_size))
        for _, setting, name, size in sorted(found):
            self._sizes[setting, name] = size


def is_cache(folder: str | Path) -> bool:
    """Whether this is a folder of painted blocks."""
    try:
        return (Path(folder) / TAG).read_bytes()[:43] == _SIGNATURE[:43]
    except OSError:
        return False


def records(folder: str | Path) -> list[dict[str, Any]]:
    """The records of all settings in a folder of blocks, the one described last first."""
    found = []
    for path in Path(folder).glob("*/record.json"):
        with suppress(OSError, ValueError, RecursionError):
            record = json.loads(path.read_bytes())
            if isinstance(record, dict):
                found.append((path.stat().st_mtime_ns, record))
    return [record for _, record in sorted(found, key=lambda pair: -pair[0])]


def encode(block: np.ndarray) -> bytes:
    """A block's file: the same pixels, the same bytes."""
    height, width, _ = block.shape
    steps = np.empty((height, width, 3), np.uint8)
    steps[:, 0] = block[:, 0]
    np.subtract(block[:, 1:], block[:, :-1], out=steps[:, 1:])
    frame: bytes = _COMPRESSOR.encode(steps)
    head = _HEADER.pack(_MAGIC, 0, width, height)
    return head[:8] + struct.pack("<I", _checksum(head, frame)) + head[12:] + frame


def decode(data: bytes) -> np.ndarray | None:
    """The block of a file; None for a damaged one."""
    if len(data) <= _HEADER.size:
        return None
    magic, checksum, width, height = _HEADER.unpack_from(data)
    frame = memoryview(data)[_HEADER.size :]
    if magic != _MAGIC or checksum != _checksum(data[: _HEADER.size], frame):
        return None
    if width * height > MOST_PIXELS:  # a checksum can be computed by anybody
        return None
    out = np.empty((height, width, 3), np.uint8)
    try:
        _COMPRESSOR.decode(frame, out)
    except (ValueError, RuntimeError):
        return None
    block: np.ndarray = np.add.accumulate(out, axis=1, dtype=np.uint8)
    return block


def _checksum(head: bytes, frame: bytes | memoryview) -> int:
    return google_crc32c.extend(google_crc32c.value(head[12:]), bytes(frame))
