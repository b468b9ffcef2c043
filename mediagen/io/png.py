"""A PNG written row by row: Pillow wants a whole picture in memory, and the picture of a canvas comes band by band."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))
"""The last bytes of every whole PNG."""

_SUB = 1  # Filter: each byte minus that of the pixel to its left.
_AT_ONCE = 32  # Rows that are filtered and compressed together.


MOST_TEXT = 2**24
"""Bytes that a text is believed to have at most; the file may be a stranger's."""


def read_text(file: BinaryIO, key: str) -> bytes | None:
    """The text that PngWriter put under a key; None in any other file. Raises struct.error in one that is cut short."""
    if file.read(len(SIGNATURE)) != SIGNATURE:
        return None
    start = key.encode("latin-1") + b"\0\0\0\0\0"
    while True:
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind in (b"IDAT", b"IEND") or length > MOST_TEXT:
            return None
        data = file.read(length)
        file.seek(4, os.SEEK_CUR)
        if kind == b"iTXt" and data.startswith(start):
            return data[len(start) :]


class PngWriter:
    """Writes an RGB PNG of `width` x `height` to `file`; `texts` are put before the pixels, as iTXt chunks.

    Painted pictures are smooth and grainy: differences along the row with run lengths and Huffman codes alone make them no
    larger than a search for repetitions does, in a quarter of the time. The same calls give the same bytes.
    """

    def __init__(self, file: BinaryIO, width: int, height: int, texts: Mapping[str, str]) -> None:
        self.file, self.width, self.missing = file, width, height
        self._packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
        file.write(SIGNATURE)
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        for key, text in texts.items():
            self._chunk(b"iTXt", key.encode("latin-1") + b"\0\0\0\0\0" + text.encode())

    def rows(self, rows: np.ndarray) -> None:
        """The next rows, (n, width, 3) uint8."""
        count = len(rows)
        assert rows.shape == (count, self.width, 3), f"{rows.shape} are no rows of {self.width} pixels"
        assert count <= self.missing, f"{count} rows more, of {self.missing} that are missing"
        self.missing -= count
        for some in np.array_split(rows.reshape(count, 3 * self.width), -(-count // _AT_ONCE) or 1):
            lines = np.empty((len(some), 1 + 3 * self.width), np.uint8)
            lines[:, 0] = _SUB
            lines[:, 1:4] = some[:, :3]
            np.subtract(some[:, 3:], some[:, :-3], out=lines[:, 4:])
            self._chunk(b"IDAT", self._packer.compress(lines.data))

    def end(self) -> None:
        """To be called after the last row."""
        assert self.missing == 0, f"{self.missing} rows are missing"
        self._chunk(b"IDAT", self._packer.flush())
        self.file.write(END)

    def _chunk(self, name: bytes, data: bytes) -> None:
        if data or name != b"IDAT":
            self.file.write(struct.pack(">I", len(data)) + name)
            self.file.write(data)
            self.file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))
