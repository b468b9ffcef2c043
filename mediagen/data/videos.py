"""A folder tree of videos, or a list of them, as clips for training.

Arrays are (B, T, H, W, 3) uint8 while kept; batches are (B, 3, T, H, W) float32 in [-1, 1], channels last in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mediagen.data.video_cache import Decoded, NothingUsable, cached, default_place
from mediagen.data.video_files import labels_of, list_videos
from mediagen.data.video_frames import Wanted
from mediagen.data.video_pool import LONGEST, STALL
from mediagen.errors import DataError
from mediagen.models._spec import ClipNeeds

MEMORY = 2**31
"""Bytes of decoded frames that are held in memory; more of them are mapped from the cache as they are drawn."""


@dataclass(frozen=True, kw_only=True)
class Clips:
    """`clips` (B, T, H, W, 3) uint8, `labels` (B,) int64, and `images` (B * images, H, W, 3) uint8 where wanted."""

    clips: np.ndarray
    labels: np.ndarray
    images: np.ndarray | None = None

    def tensors(self, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """`clips` (B, 3, T, H, W) in [-1, 1], `labels` (B,) int64, perhaps `images` (B * images, 3, H, W), on `device`."""
        found = {"clips": _signed(self.clips, device), "labels": torch.from_numpy(self.labels).to(device)}
        if self.images is not None:
            found["images"] = _signed(self.images, device)
        return found


class VideoFolder:
    """Every video of a folder tree (or of a `.txt` file: one path a line, relative to it), decoded once into a cache.

    `names` are those in use, `classes` their first sub-folders (empty without any), `labels` each video's class,
    `skipped` the files not in use and why, `damaged` those in use up to where they break, `fingerprint` a sha256 over
    the used names and bytes. Raises DataError when nothing can be used, StoreError when the cache cannot be written.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        needs: ClipNeeds,
        cache: Path | None = None,
        progress: Callable[[int, int], None] | None = None,
        memory: int = MEMORY,
        workers: int | None = None,
        stall: float = STALL,
        longest: float = LONGEST,
    ) -> None:
        """Builds the cache below `cache` (default: the user's) unless it is there; `progress` gets files done, of all.

        A file is given up after `stall` seconds without a frame, or after `longest` in all.
        """
        self.path, self.needs = Path(path), needs
        try:
            wanted = Wanted(height=needs.height, width=needs.width, fps=needs.fps, resize=needs.resize)
        except ValueError as error:
            raise DataError(f"the model asks for what videos cannot give: {error}") from None
        place = cache if cache is not None else default_place()
        listing = list_videos(self.path, place)
        try:
            if not listing.places:
                raise NothingUsable(listing.skipped)
            count = workers if workers is not None else _cores()
            found = cached(listing, wanted, place, workers=count, progress=progress, stall=stall, longest=longest)
        except NothingUsable as error:
            raise DataError(f"{self.path}: no usable video{_why(error)}; give a folder of videos") from None
        self.names, self.skipped, self.damaged = found.names, found.skipped, found.damaged
        self.fingerprint, self.counts = found.fingerprint, found.counts
        self.classes, labels = labels_of(found.names)
        if 0 < needs.categories < len(self.classes):
            raise DataError(
                f"{self.path}: {len(self.classes)} sub-folders hold videos, but the model knows {needs.categories} classes"
            )
        self.labels = np.array(labels, np.int64)
        self._first, self._per, self._chunks = _held(found, memory)

    def __len__(self) -> int:
        return len(self.names)

    def draw(self, size: int, rng: np.random.Generator) -> Clips:
        """`size` random clips; videos, places and mirrorings are drawn from `rng` alone."""
        needs = self.needs
        which = rng.integers(len(self.names), size=size)
        last = self.counts[which] - 1
        room = np.maximum(last - (needs.frames - 1) * needs.stride, 0) + 1
        start = np.minimum((rng.random(size) * room).astype(np.int64), room - 1)
        within = np.minimum(start[:, None] + needs.stride * np.arange(needs.frames), last[:, None])
        clips = self._take(self._first[which][:, None] + within)
        mirrored = rng.random(size) < 0.5
        if needs.flip:
            clips[mirrored] = clips[mirrored][..., ::-1, :]
        images = self._images(size * needs.images, rng) if needs.images else None
        return Clips(clips=clips, labels=self.labels[which], images=images)

    def _images(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Single frames of videos drawn anew, (size, H, W, 3)."""
        which = rng.integers(len(self.names), size=size)
        images = self._take(self._first[which] + rng.integers(self.counts[which]))
        mirrored = rng.random(size) < 0.5
        if self.needs.flip:
            images[mirrored] = images[mirrored][..., ::-1, :]
        return images

    def _take(self, rows: np.ndarray) -> np.ndarray:
        """The frames of these rows, as (*rows.shape, H, W, 3)."""
        if len(self._chunks) == 1:
            return self._chunks[0].take(rows, axis=0)
        out = np.empty((*rows.shape, *self._chunks[0].shape[1:]), np.uint8)
        number, place = np.divmod(rows, self._per)
        for chunk in np.unique(number):
            here = number == chunk
            out[here] = self._chunks[chunk][place[here]]
        return out


def _held(found: Decoded, memory: int) -> tuple[np.ndarray, int, list[np.ndarray]]:
    """First rows, rows a chunk, chunks: all frames of all videos in one piece of memory, or mapped as they lie."""
    total, frame = int(found.counts.sum()), found.chunks[0].shape[1:]
    if total * int(np.prod(frame)) > memory:
        return found.first, found.per, found.chunks
    held, first = np.empty((total, *frame), np.uint8), np.cumsum(found.counts) - found.counts
    for start, count, into in zip(found.first, found.counts, first, strict=True):
        while count > 0:
            number, place = divmod(start, found.per)
            some = min(count, found.per - place)
            held[into : into + some] = found.chunks[number][place : place + some]
            start, count, into = start + some, count - some, into + some
    return first, max(1, total), [held]


def _signed(pixels: np.ndarray, device: torch.device | str) -> Tensor:
    """(..., H, W, 3) uint8 -> channels second, float32 in [-1, 1]; converted where it is used, moved as bytes."""
    moved = torch.from_numpy(pixels).to(device).movedim(-1, 1)
    return moved.float().div_(127.5).sub_(1.0)


def _cores() -> int:
    """What this process may use, which is less than the machine has where somebody has seen to that."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def _why(error: NothingUsable) -> str:
    if not error.skipped:
        return " (it holds no files)"
    more = f", and {len(error.skipped) - 1} more" if len(error.skipped) > 1 else ""
    return f" ({error.skipped[0]}{more})"
