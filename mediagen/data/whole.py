"""Whole pictures, scaled once: one photograph (a file), or a few of one shape (a folder, or a `.txt` list).

Arrays are (H, W, 3) uint8; batches are (B, 3, H, W) float32 in [-1, 1].
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mediagen.data.decode import MAX_ENLARGEMENT, decode, fit
from mediagen.data.files import Skipped, list_pictures, read_regular
from mediagen.errors import DataError

SHORTEST = 12
"""Pixels a scaled picture's sides must have at least: the patch that a critic sees."""


@dataclass(frozen=True, kw_only=True)
class Wholes:
    """A drawn batch: `pictures` (B, H, W, 3) uint8, the number of each, and a random word for each."""

    pictures: np.ndarray
    which: np.ndarray
    seeds: np.ndarray
    guides: np.ndarray | None = None

    def tensors(self, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """`pictures` and `guides` (B, 3, H, W) in [-1, 1]; `which` and `seed` (B,) int64, these two on the CPU."""
        batch = {"which": torch.from_numpy(self.which), "seed": torch.from_numpy(self.seeds)}
        for name, pixels in (("pictures", self.pictures), ("guides", self.guides)):
            if pixels is not None:
                moved = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2)
                batch[name] = moved.float().div_(127.5).sub_(1.0)
        return batch


class WholePictures:
    """The pictures of a file, folder or list, whole. Raises DataError when none, or too many, can be used.

    `by` "longest" scales the longer side to `side` px, never enlarging; "height" scales to `side` rows; "cover" scales
    and cuts to exactly `size` (width, height). Only with "cover" may there be `several` pictures. A `pair` is one picture
    and a guide, which is brought to the picture's size whatever its own.
    """

    def __init__(
        self, path: Path | str, *, side: int = 0, by: str = "longest", size: tuple[int, int] | None = None,
        several: bool = False, pair: bool = False,
    ) -> None:  # fmt: skip
        self.path, self.side, self.by, self.size = Path(path), side, by, size
        self.names: list[str] = []
        self.skipped: list[Skipped] = []
        self.pictures: list[np.ndarray] = []
        digest = hashlib.sha256()
        for name, where in self._listed():
            try:
                if isinstance(where, Skipped):
                    raise DataError(where.reason)
                data = read_regular(where)
                self.pictures.append(self._scaled(data))
            except DataError as error:
                self.skipped.append(Skipped(name, str(error)))
                continue
            self.names.append(name)
            digest.update(hashlib.sha256(data).digest())
            if len(self.pictures) > 1 and not (several or pair):
                raise DataError(f"{self.path}: holds more than one picture, and this model learns from one; name it")
        self.fingerprint = digest.hexdigest()
        self.guide: np.ndarray | None = None
        if not self.pictures:
            why = f" ({self.skipped[0]})" if self.skipped else ""
            raise DataError(f"{self.path}: no usable picture{why}; give a photograph")
        if pair:
            if len(self.pictures) != 2:
                found = f"holds {len(self.pictures)} pictures"
                raise DataError(
                    f"{self.path}: {found}; give a .txt list of two files: the photograph, then the collage"
                )
            height, width = self.pictures[0].shape[:2]
            guide = Image.fromarray(self.pictures.pop()).resize((width, height), Image.Resampling.LANCZOS)
            self.guide = np.asarray(guide)

    def __len__(self) -> int:
        return len(self.pictures)

    def draw(self, size: int, rng: np.random.Generator) -> Wholes:
        """`size` of the pictures at random, each with a random word: a function of `rng` alone."""
        which = rng.integers(len(self.pictures), size=size)
        seeds = rng.integers(2**62, size=size, dtype=np.int64)
        guides = None if self.guide is None else np.repeat(self.guide[None], size, axis=0)
        pictures = np.stack([self.pictures[i] for i in which])
        return Wholes(pictures=pictures, which=which, seeds=seeds, guides=guides)

    def _listed(self) -> Iterator[tuple[str, Path | Skipped]]:
        if self.path.is_file() and self.path.suffix != ".txt":
            yield self.path.name, self.path
        else:
            yield from list_pictures(self.path)

    def _scaled(self, data: bytes) -> np.ndarray:
        """(H, W, 3). Raises DataError for a picture too small."""
        picture = decode(data, self.side or min(self.size or (0,)))
        width, height = picture.size
        if self.by == "cover":
            assert self.size is not None
            return covering(picture, *self.size)
        scale = self.side / (height if self.by == "height" else max(width, height))
        if self.by == "height" and scale > MAX_ENLARGEMENT:
            raise DataError(f"{width} x {height} is too small for {self.side} rows")
        if self.by == "longest":
            scale = min(1.0, scale)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        if min(size) < SHORTEST:
            raise DataError(f"{width} x {height} becomes {size[0]} x {size[1]}: too small or too thin to learn from")
        return np.asarray(picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))


def covering(picture: Image.Image, width: int, height: int) -> np.ndarray:
    """Scaled to cover the size, cut at the centre. Raises DataError."""
    scaled = fit(picture, height=height, crop=width, square=False)
    left = (scaled.shape[1] - width) // 2
    return np.ascontiguousarray(scaled[:, left : left + width])
