"""What a training learns from: a folder of pictures or of videos, behind one face. The model's needs tell which."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from mediagen.data.files import Skipped
from mediagen.data.pictures import PictureFolder
from mediagen.data.videos import VideoFolder
from mediagen.data.whole import WholePictures
from mediagen.errors import UsageError
from mediagen.models._spec import ClipNeeds, PictureNeeds, WholePictureNeeds

TOLD_EVERY = 10.0  # seconds between two lines about a long reading


class Examples(Protocol):
    """One drawn batch, still in bytes."""

    def tensors(self, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """The batch that a model's phases get."""
        ...


class Source(Protocol):
    """A folder that was read: `len` files in use, the others in `skipped` with the reason."""

    skipped: list[Skipped]
    fingerprint: str

    def __len__(self) -> int: ...

    def draw(self, size: int, rng: np.random.Generator) -> Examples:
        """`size` random examples, a function of `rng` alone."""
        ...


Needs = PictureNeeds | ClipNeeds | WholePictureNeeds


def unit(needs: Needs) -> str:
    """What one example is called in logs and reports."""
    return "clips" if isinstance(needs, ClipNeeds) else "pictures"


def read(data: Path, needs: Needs, run: Path, say: Callable[[str], None]) -> Source:
    """The folder as the model wants it; what was skipped is listed, and long reading is told of. Raises DataError.

    Raises UsageError when a model built for classes meets a folder with another number of them.
    """
    told = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > TOLD_EVERY:
            told = time.monotonic()
            say(f"{data}: read {done} of {total} files")

    source: PictureFolder | VideoFolder | WholePictures
    if isinstance(needs, ClipNeeds):
        source = VideoFolder(data, needs=needs, progress=progress)
        if needs.categories and len(source.classes) != needs.categories:
            found = f"{len(source.classes)} sub-folders with videos"
            raise UsageError(f"{data}: has {found}, the model {needs.categories} categories; say --set categories=N")
        files = "videos"
    elif isinstance(needs, WholePictureNeeds):
        source = WholePictures(
            data, side=needs.side, by=needs.by, size=needs.size, several=needs.several, pair=needs.pair
        )
        files = "pictures"
    else:
        source = PictureFolder(
            data, height=needs.height, crop=needs.crop, square=needs.square, flip=needs.flip, cache=run,
            progress=progress,
        )  # fmt: skip
        files = "pictures"
    say(f"{data}: {len(source)} {files}, {len(source.skipped)} files skipped")
    for skipped in source.skipped:
        say(f"  skipped {skipped}")
    for damaged in source.damaged if isinstance(source, VideoFolder) else ():
        say(f"  damaged {damaged}")
    return source


def record(source: Source) -> Mapping[str, Any]:
    """What a run and its checkpoints tell of their data: counts, classes and a fingerprint, no names or places."""
    if isinstance(source, VideoFolder):
        kinds = {"classes": list(source.classes)} if len(source.classes) > 1 else {}
        return {"videos": len(source), **kinds, "sha256": source.fingerprint}
    return {"pictures": len(source), "sha256": source.fingerprint}
