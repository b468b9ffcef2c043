"""A folder tree of pictures, or a list of them, as random crops for training.

Arrays are (H, W, 3) uint8 while kept; batches are (B, 3, H, W) float32 in [-1, 1], channels last in memory.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mediagen.data.decode import decode, fit
from mediagen.data.files import Skipped, list_pictures, read_regular
from mediagen.data.shelf import MEMORY, Shelf
from mediagen.errors import DataError
from mediagen.io.files import storing


@dataclass(frozen=True, kw_only=True)
class Crops:
    """Crops as they come out of the memory: `pictures` (B, crop, crop, 3) uint8 and `top` (B,) int64."""

    pictures: np.ndarray
    top: np.ndarray

    def tensors(self, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """`pictures` (B, 3, crop, crop) in [-1, 1] and `top` (B,) float32, on `device`."""
        pictures = torch.from_numpy(self.pictures).to(device).permute(0, 3, 1, 2)
        top = torch.from_numpy(self.top).to(device)
        return {"pictures": pictures.float().div_(127.5).sub_(1.0), "top": top.float()}


class PictureFolder:
    """Every picture of a folder tree (or of a `.txt` file: one path a line, relative to it), decoded and scaled once.

    `names` are those in use, `skipped` the others with the reason, `fingerprint` a sha256 over the used names and
    bytes. Raises DataError when nothing can be used.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        height: int,
        crop: int,
        square: bool = False,
        flip: bool = True,
        memory: int = MEMORY,
        cache: Path | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Scales to `height` rows for crops of `crop`; beyond `memory` bytes, pictures lie in a file below `cache`."""
        assert 1 <= crop <= height
        self.path, self.height, self.crop, self.square, self.flip = Path(path), height, crop, square, flip
        self.names: list[str] = []
        self.skipped: list[Skipped] = []
        self.pictures = Shelf(cache, memory)
        digest = hashlib.sha256()
        entries = list(list_pictures(self.path))
        with warnings.catch_warnings():
            # Pillow remarks on odd metadata and large pictures; what matters ends up in `skipped`.
            warnings.simplefilter("ignore")
            for number, (name, found) in enumerate(self._read_all(entries), start=1):
                if isinstance(found, Skipped):
                    self.skipped.append(found)
                else:
                    self.names.append(name)
                    with storing(cache or self.path):
                        self.pictures.add(found[0])
                    digest.update(name.encode("utf-8", "surrogateescape") + b"\0" + found[1])
                if progress is not None:
                    progress(number, len(entries))
        self.fingerprint = digest.hexdigest()
        if not self.names:
            raise DataError(f"{self.path}: no usable picture{self._why_none()}")

    def __len__(self) -> int:
        return len(self.pictures)

    def draw(self, size: int, rng: np.random.Generator) -> Crops:
        """`size` random crops; pictures, places and mirrorings are drawn from `rng` alone."""
        out = np.empty((size, self.crop, self.crop, 3), np.uint8)
        which = rng.integers(len(self.pictures), size=size)
        top = rng.integers(self.height - self.crop + 1, size=size)
        across, mirrored = rng.random(size), rng.random(size) < 0.5
        for i in range(size):
            picture = self.pictures[which[i]]
            left = int(across[i] * (picture.shape[1] - self.crop + 1))
            view = picture[top[i] : top[i] + self.crop, left : left + self.crop]
            out[i] = view[:, ::-1] if self.flip and mirrored[i] else view
        return Crops(pictures=out, top=top)

    def batch(self, size: int, rng: np.random.Generator, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """`pictures` (size, 3, crop, crop) in [-1, 1], and `top` (size,): each crop's first row in pixels."""
        return self.draw(size, rng).tensors(device)

    def _read_all(
        self, entries: Sequence[tuple[str, Path | Skipped]]
    ) -> Iterator[tuple[str, Skipped | tuple[np.ndarray, bytes]]]:
        """Reads in the order of the names, a few files at a time (Pillow decodes outside the interpreter's lock)."""
        names, places = [name for name, _ in entries], [place for _, place in entries]
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            yield from zip(names, pool.map(self._read, names, places), strict=True)

    def _read(self, name: str, where: Path | Skipped) -> Skipped | tuple[np.ndarray, bytes]:
        if isinstance(where, Skipped):
            return where
        try:
            data = read_regular(where)
            picture = fit(decode(data, self.height), height=self.height, crop=self.crop, square=self.square)
            return picture, hashlib.sha256(data).digest()
        except DataError as error:
            return Skipped(name, str(error))

    def _why_none(self) -> str:
        if not self.skipped:
            return " (it holds no files); give a folder of pictures"
        more = f", and {len(self.skipped) - 1} more" if len(self.skipped) > 1 else ""
        return f" ({self.skipped[0]}{more}); give a folder of pictures of at least {self.height} rows"
