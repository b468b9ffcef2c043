"""Decoded pictures, kept in memory as long as they are few, and in a file without a name when they are many."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO

import numpy as np

MEMORY = 2**31
"""Bytes of decoded pictures that are kept in memory; the rest goes to the file, which the system caches as it can."""


class Shelf:
    """Appends (H, W, 3) uint8 arrays and gives them back by number. The file vanishes with the process."""

    def __init__(self, folder: Path | None = None, memory: int = MEMORY) -> None:
        self.folder, self.memory, self.bytes = folder, memory, 0
        self._pictures: list[np.ndarray | tuple[int, tuple[int, ...]]] = []
        self._file: IO[bytes] | None = None
        self._map: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self._pictures)

    def add(self, picture: np.ndarray) -> None:
        """Raises OSError when the file cannot take it."""
        self.bytes += picture.nbytes
        if self.bytes <= self.memory:
            self._pictures.append(picture)
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 - lives as long as the shelf
        self._pictures.append((self._file.tell(), picture.shape))
        self._file.write(picture.tobytes())
        self._map = None

    def __getitem__(self, number: int) -> np.ndarray:
        """The picture, (H, W, 3) uint8, read-only where it lies in the file."""
        found = self._pictures[number]
        if isinstance(found, np.ndarray):
            return found
        if self._map is None:
            assert self._file is not None
            self._file.flush()
            self._map = np.memmap(self._file, np.uint8, mode="r")
        start, shape = found
        return self._map[start : start + int(np.prod(shape))].reshape(shape)
